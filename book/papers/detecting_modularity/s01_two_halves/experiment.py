"""First-layer clusters of networks that add two half images: which half does each look at?"""

from __future__ import annotations

import base64
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from book.lab.experiment import Experiment
from book.lab.parameters import parameter
from book.lab.section import Section, Sweep
from book.papers.detecting_modularity import networks
from book.papers.detecting_modularity.networks import MlpParameters, ModulesConfig
from modgraph_lib import pictures, provenance, training
from modgraph_lib.activations import pre_activations
from modgraph_lib.lesions import Submodule, random_units

__all__ = [
    "HalvesConfig",
    "HalvesParameters",
    "configs",
    "decoded",
    "group_pictures",
    "run",
    "table",
]


@dataclass(frozen=True)
class HalvesConfig(ModulesConfig):
    """Pictures of the first-layer sub-clusters of one network.

    Attributes:
        test_images: correlated over, the first so many; 0: all.
        kept_pictures: random pictures kept beside each true one in the record; -1: none at all.
    """

    controls: int = 199
    test_images: int = 0
    kept_pictures: int = -1


@dataclass(frozen=True)
class HalvesParameters(MlpParameters):
    """Parameters of ``detecting_modularity/01_two_halves``; the defaults are quick."""

    data: str = parameter(
        "digits", "whose halves: digits or mnist (paper)", choices=("digits", "mnist")
    )
    seeds: int = parameter(2, "networks of each reading (paper: not said)", at_least=1)
    controls: int = parameter(199, "random sets per sub-cluster (paper: 4)", at_least=1)


def configs(parameters: HalvesParameters) -> list[HalvesConfig]:
    """One configuration a network; the first of each reading keeps pictures."""
    p = parameters
    return [
        HalvesConfig(
            train,
            **p.given("clusters", "responses", "controls"),
            kept_pictures=2 if train.seed == p.seed else -1,
        )
        for train in networks.chosen(p, "mlp", f"{p.data}_halves_diff")
    ]


def measure(config: HalvesConfig, *, device: str = "cpu", root: str | None = None) -> dict:
    """Result and provenance of one configuration, computed anew and not stored."""
    network = training.trained(config.train, device=device, root=root)
    with training.single_thread():
        start = time.perf_counter()
        result = _measure(config, root)
        seconds = time.perf_counter() - start
    result["metrics"] = network.metrics["unpruned"]
    result["train_seconds"] = round(network.seconds, 3)
    note = training.data_note(config.train.data, root)
    origin = provenance.stamp(device="cpu", threads=1, seconds=seconds, data_note=note)
    return {"result": result, "provenance": origin}


def _measure(config: HalvesConfig, root: str | None) -> dict[str, Any]:
    _, model, found = networks.prepared(config, root)
    images, _ = networks.test_set(config, config.test_images, root)
    shape = tuple(images.shape[1:])
    first = next(iter(found[0].labels))
    heard = pre_activations(model, images, layers=[first])[first]
    units = pictures.unit_pictures(heard, images.numpy())
    single = [pictures.one_sidedness(picture.reshape(shape)) for picture in units]
    kept = []
    for place, partition in enumerate(found):
        parts, reason = networks.usable(partition)
        parts = [part for part in parts if part.depth == 1]
        row = networks.partition_record(partition, parts, reason)
        row["labels"] = {first: row["labels"][first]}
        row["true"], row["random"], row["pictures"] = [], [], []
        for part in parts:
            seen = group_pictures(units, part, config.controls, seed=[config.seed, place])
            sides = [pictures.one_sidedness(picture.reshape(shape)) for picture in seen]
            row["true"].append(round(sides[0], 5))
            row["random"].append([round(side, 4) for side in sides[1:]])
            if config.kept_pictures >= 0 and partition.scope == "global":
                row["pictures"].append([encoded(p) for p in seen[: config.kept_pictures + 1]])
        kept.append(row)
    return {
        "shape": list(shape),
        "single_units": [round(side, 4) for side in single],
        "partitions": kept,
    }


def group_pictures(
    units: np.ndarray, part: Submodule, controls: int, *, seed: Sequence[int]
) -> list[np.ndarray]:
    """Pictures of a sub-cluster and of ``controls`` random sets of its size, from its units'."""
    draws = random_units(part, controls, seed=[*seed, 5, part.depth, part.module])
    return [pictures.group_picture(units[mask]) for mask in (part.mask, *draws)]


def encoded(picture: np.ndarray) -> str:
    """A picture as text: one byte a pixel, from -1 to 1 of its largest absolute value."""
    scaled = np.rint(picture / max(np.abs(picture).max(), 1e-12) * 127).astype(np.int8)
    return base64.b64encode(scaled.tobytes()).decode()


def decoded(text: str, shape: Sequence[int]) -> np.ndarray:
    """(height, width) in -1 to 1 of what ``encoded`` made."""
    return np.frombuffer(base64.b64decode(text), np.int8).reshape(shape) / 127


def rows(record: dict) -> list[dict]:
    """One row a partition.

    Own columns: accuracy (test), edges, scope, variant, unusable, size; true (n,), random (n, R)
    one-sidedness, single_units (units,), shape, pictures (n lists of encoded ones).
    """
    result = record["result"]
    given = {
        **networks.words(record),
        "accuracy": result["metrics"]["test_accuracy"],
        "single_units": np.array(result["single_units"]),
        "shape": tuple(result["shape"]),
    }
    return [
        {
            **given,
            **{name: kept[name] for name in (*PARTITION, "pictures")},
            **{name: np.array(kept[name]) for name in ("size", "true", "random")},
        }
        for kept in result["partitions"]
    ]


PARTITION = ("edges", "scope", "variant", "unusable")
EXPERIMENT = Experiment(
    "dm_pictures",
    HalvesConfig,
    measure,
    rows,
    ("reading", "width", *PARTITION, "size", "true", "random", "pictures"),
    keep=networks.of_paper_size,
)
run, table = EXPERIMENT.run, EXPERIMENT.table


SECTION = Section(
    "detecting_modularity/01_two_halves", HalvesParameters, lambda p: [Sweep(run, configs(p))]
)
