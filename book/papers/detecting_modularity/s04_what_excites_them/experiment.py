"""Visualisations of the sub-clusters of four partitions beside random sets: records, table."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import nn

from book.lab.experiment import Experiment
from book.lab.parameters import parameter
from book.lab.section import Section, Sweep
from book.papers.detecting_modularity import networks
from book.papers.detecting_modularity.networks import MlpParameters, ModulesConfig
from modgraph_lib import features, provenance, training
from modgraph_lib.partitions import Partition
from modgraph_lib.proxies import ProxyTest

__all__ = ["PROXIES", "RECIPES", "FeaturesConfig", "FeaturesParameters", "configs", "run", "table"]

PROXIES = ("score", "entropy")
DIGITS = 6  # significant ones of a score or an entropy in a record


@dataclass(frozen=True)
class FeaturesConfig(ModulesConfig):
    """Visualisations of one network; see ``features.visualize``.

    The defaults are the text's: images of pixels, 100 steps, shifted and scaled at random (by how
    much is not said). One-channel images are optimised, where the paper trains networks on
    three-channel copies.
    """

    parametrisation: str = "pixels"
    objective: str = "l1"
    steps: int = 100
    jitter: float = 2.0
    scale: float = 0.1
    same_start: bool = False


# The text, and the released code as far as its snapshot goes.
RECIPES: dict[str, dict[str, Any]] = {
    "described": {},
    "published": {
        "parametrisation": "fourier",
        "objective": "spatial_mean",
        "steps": 65,
        "jitter": 0.0,
        "scale": 0.0,
    },
}


@dataclass(frozen=True)
class FeaturesParameters(MlpParameters):
    """Parameters of ``detecting_modularity/04_what_excites_them``; the defaults are quick."""

    recipes: list[str] = parameter(
        ["described", "published"],
        "described (pixels) or published (Fourier)",
        choices=tuple(RECIPES),
    )


def configs(parameters: FeaturesParameters) -> list[FeaturesConfig]:
    """One configuration a network and recipe; those of one network stand together."""
    p = parameters
    return [
        FeaturesConfig(
            train,
            **p.given("clusters", "responses", "controls"),
            **of_recipe(recipe, p.data),
        )
        for train in networks.chosen(p, "mlp", p.data)
        for recipe in p.recipes
    ]


def of_recipe(recipe: str, data: str) -> dict[str, Any]:
    """Options of a recipe; digits of 8 pixels are shifted by less, ImageNet's images by more."""
    shift = {"digits": {"jitter": 0.5}, "imagenet": {"jitter": 8.0}}
    return {**shift.get(data.split("_")[0], {}), **RECIPES[recipe]}


def recipe_of(config: dict[str, Any]) -> str:
    """Which of ``RECIPES`` a record's configuration is; "other" if none."""
    for name in RECIPES:
        wanted = {**FIELDS, **of_recipe(name, config["train"]["data"])}
        if all(config[key] == value for key, value in wanted.items()):
            return name
    return "other"


FIELDS = {
    name: FeaturesConfig.__dataclass_fields__[name].default
    for name in ("parametrisation", "objective", "steps", "jitter", "scale", "same_start")
}


def measure(config: FeaturesConfig, *, device: str = "cpu", root: str | None = None) -> dict:
    """Result and provenance of one configuration, computed anew and not stored."""
    network = training.trained(config.train, device=device, root=root)
    with training.single_thread():
        start = time.perf_counter()
        result = _measure(config, device, root)
        seconds = time.perf_counter() - start
    result["metrics"] = network.metrics["unpruned"]
    result["train_seconds"] = round(network.seconds, 3)
    note = training.data_note(config.train.data, root)
    origin = provenance.stamp(device=device, threads=1, seconds=seconds, data_note=note)
    return {"result": result, "provenance": origin}


def _measure(config: FeaturesConfig, device: str, root: str | None) -> dict[str, Any]:
    _, model, found = networks.prepared(config, root)
    shape = tuple(networks.responses(config, root).shape[1:])
    return visualised(config, model, found, shape if len(shape) == 3 else (1, *shape), device)


def visualised(
    config: FeaturesConfig,
    model: nn.Module,
    found: Sequence[Partition],
    shape: tuple[int, int, int],
    device: str,
    **options: Any,
) -> dict[str, Any]:
    """What a record keeps of the visualisations of partitions' sub-clusters."""
    kept = []
    for place, partition in enumerate(found):
        parts, reason = networks.usable(partition)
        row = networks.partition_record(partition, parts, reason)
        if parts:
            seen = features.coherence(
                model,
                parts,
                image_shape=shape,
                controls=config.controls,
                same_start=config.same_start,
                seed=100 * config.seed + place,
                steps=config.steps,
                parametrisation=config.parametrisation,
                objective=config.objective,
                jitter=config.jitter,
                scale=config.scale,
                device=device,
                **options,
            )
            row["score"] = [_short([one.score, *one.random_scores]) for one in seen]
            row["entropy"] = [_short([one.entropy, *one.random_entropies]) for one in seen]
        kept.append(row)
    return {"partitions": kept}


def _short(values: Iterable[float]) -> list[float]:
    return [float(f"{value:.{DIGITS}g}") for value in values]


def rows(record: dict) -> list[dict]:
    """One row per (partition, proxy of ``PROXIES``).

    Own columns: recipe (of ``RECIPES`` or "other"), edges, scope, variant, unusable; proxy, test
    (a ``ProxyTest`` over the sub-clusters, None where the partition has none), size, layer.
    """
    given = {**networks.words(record), "recipe": recipe_of(record["config"])}
    return [
        {
            **given,
            **{name: kept[name] for name in PARTITION},
            "proxy": proxy,
            "test": _test(kept, proxy),
            "size": np.array(kept["size"]),
            "layer": np.array(kept["layer"]),
        }
        for kept in record["result"]["partitions"]
        for proxy in PROXIES
    ]


def _test(kept: Mapping[str, Any], proxy: str) -> ProxyTest | None:
    values = np.array(kept.get(proxy, []))
    return ProxyTest(values[:, 0], values[:, 1:], proxy == "score") if len(values) else None


PARTITION = ("edges", "scope", "variant", "unusable")
EXPERIMENT = Experiment(
    "dm_features",
    FeaturesConfig,
    measure,
    rows,
    ("reading", "width", "recipe", *PARTITION, "proxy", "test", "size", "layer"),
    keep=networks.of_paper_size,
)
run, table = EXPERIMENT.run, EXPERIMENT.table


SECTION = Section(
    "detecting_modularity/04_what_excites_them",
    FeaturesParameters,
    lambda p: [Sweep(run, configs(p))],
)
