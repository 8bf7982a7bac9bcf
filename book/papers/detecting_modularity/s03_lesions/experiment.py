"""Lesions of the sub-clusters of four partitions, beside random sets: records and their table.

One record is one network. Of each lesion it keeps the right answers, the mean drop over classes,
and how far the drops of the classes lie apart; from these every reading of the two proxies follows.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from sklearn.metrics import adjusted_rand_score
from torch import nn

from book.lab import compare, store
from book.lab.experiment import Experiment
from book.lab.parameters import parameter
from book.lab.section import Section, Sweep
from book.lab.tables import Table
from book.papers.detecting_modularity import networks
from book.papers.detecting_modularity.networks import MlpParameters, ModulesConfig
from modgraph_lib import graphs, lesions, partitions, provenance, training
from modgraph_lib.activations import pre_activations
from modgraph_lib.partitions import Partition
from modgraph_lib.proxies import ProxyTest

__all__ = ["PROXIES", "LesionsConfig", "LesionsParameters", "configs", "residual", "run", "table"]

UNIT = 1_000_000  # accuracies in a record are whole millionths
PARTS = "dm_lesions_parts"  # of unfinished records, one a partition
PROXIES = ("drop", "class_mean_drop", "range", "range_per_drop", "range_residual")


@dataclass(frozen=True)
class LesionsConfig(ModulesConfig):
    """Lesions of one network.

    Attributes:
        kind: see ``lesions.KINDS``; for the MLP and the small CNN setting incoming weights and
            biases to zero is the same as setting outgoing weights to zero.
        test_images: the first so many of the test set; 0: all.
    """

    kind: str = "weights_and_biases"
    test_images: int = 0


@dataclass(frozen=True)
class LesionsParameters(MlpParameters):
    """Parameters of ``detecting_modularity/03_lesions``; the defaults are quick."""

    readings: list[str] = networks.readings("described", "published")
    test_images: int = parameter(0, "images a lesion is tested on; 0 means all", at_least=0)


def configs(parameters: LesionsParameters) -> list[LesionsConfig]:
    """One configuration a network, by reading and seed."""
    p = parameters
    return [
        LesionsConfig(
            train,
            **p.given("clusters", "responses", "controls", "test_images"),
        )
        for train in networks.chosen(p, "mlp", p.data)
    ]


def measure(config: LesionsConfig, *, device: str = "cpu", root: str | None = None) -> dict:
    """Result and provenance of one configuration; only partitions that are done are stored."""
    network = training.trained(config.train, device=device, root=root)
    with training.single_thread():
        start = time.perf_counter()
        result = _measure(config, device, root)
        seconds = time.perf_counter() - start + result.pop("earlier")
    result["metrics"] = network.metrics["unpruned"]
    result["train_seconds"] = round(network.seconds, 3)
    note = training.data_note(config.train.data, root)
    origin = provenance.stamp(device=device, threads=1, seconds=seconds, data_note=note)
    return {"result": result, "provenance": origin}


def _measure(
    config: LesionsConfig, device: str, root: str | None, first: int | None = None
) -> dict[str, Any]:
    """Lesions of all partitions' sub-clusters, or of the ``first`` of one partition alone."""
    _, model, found = networks.prepared(config, root)
    images, labels = networks.test_set(config, config.test_images, root)
    key = EXPERIMENT.key(config, root) if first is None else None
    kept = lesioned(config, model, found, images, labels, device=device, first=first, key=key)
    # A channel's map has been made one number without sign.
    if config.train.architecture == "mlp" and first is None:
        kept["after_relu"] = _after_relu(config, model, networks.responses(config, root))
    return kept


def lesioned(
    config: LesionsConfig,
    model: nn.Module,
    found: Sequence[Partition],
    images: torch.Tensor,
    labels: torch.Tensor,
    *,
    device: str,
    first: int | None = None,
    key: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """What a record keeps of the lesions of partitions' sub-clusters; ``first`` as above.

    ``key``: of the record. Of a run that was stopped, the partitions that were done are not done
    again; ``earlier`` is what they took, in seconds.
    """
    intact = whole(model, found[0], images, labels, config.kind, device)
    kept: dict[str, Any] = {
        "classes": intact.images.tolist(),
        "intact": intact.intact.tolist(),
        "partitions": [],
        "earlier": 0.0,
    }
    for place, partition in enumerate(found if first is None else found[:1]):
        begin, facts = time.perf_counter(), {**(key or {}), "partition": place}
        if key and (done := store.get(PARTS, EXPERIMENT.schema, facts)):
            kept["partitions"].append(done["result"])
            kept["earlier"] += done["provenance"]["seconds"]
            continue
        parts, reason = networks.usable(partition)
        parts = parts[:first]
        row = networks.partition_record(partition, parts, reason)
        if parts:
            singles = lesions.single_lesions(
                model,
                parts,
                images,
                labels,
                controls=config.controls,
                seed=lesion_seed(config.seed, place),
                kind=config.kind,
                device=device,
            )
            row |= losses(singles, intact)
        if key:
            origin = provenance.stamp(device=device, threads=1, seconds=time.perf_counter() - begin)
            store.put(PARTS, EXPERIMENT.schema, facts, row, origin)
        kept["partitions"].append(row)
    return kept


def lesion_seed(seed: int, place: int) -> int:
    """Of the random sets beside one partition's sub-clusters: each partition has its own."""
    return 100 * seed + place


def whole(
    model: nn.Module, partition: Partition, images, labels, kind: str, device: str
) -> lesions.LesionAccuracies:
    """Right answers of the network without a lesion, by class."""
    nothing = {name: np.zeros(len(row), dtype=bool) for name, row in partition.labels.items()}
    return lesions.lesion_accuracies(model, nothing, images, labels, kind=kind, device=device)


def losses(
    singles: Sequence[lesions.SingleLesion], intact: lesions.LesionAccuracies
) -> dict[str, list]:
    """(n, 1 + m) right answers, mean drops over classes and ranges of the drops of classes."""
    overall = np.array([[one.accuracy, *one.random] for one in singles])
    by_class = np.array([[one.by_class, *one.random_by_class] for one in singles])
    drops = (intact.intact_by_class - by_class)[..., intact.images > 0]
    return {
        "correct": np.rint(overall * intact.images.sum()).astype(int).tolist(),
        "class_mean": np.rint(drops.mean(2) * UNIT).astype(int).tolist(),
        "range": np.rint(np.ptp(drops, axis=2) * UNIT).astype(int).tolist(),
        "by_class": np.rint(drops[:, 0] * UNIT).astype(int).tolist(),
    }


def _after_relu(config: LesionsConfig, model: nn.Module, images) -> dict[str, Any]:
    """How well two halves of the images agree on the clusters, before and after the ReLU."""
    whole = pre_activations(model, images)
    half = len(images) // 2
    found: dict[str, Any] = {}
    for name, change in (("before", lambda v: v), ("after", lambda v: np.maximum(v, 0))):
        labels = []
        for part in (slice(0, half), slice(half, 2 * half)):
            graph = graphs.activation_graph({n: change(v[part]) for n, v in whole.items()})
            cut = partitions.of_graph(
                graph,
                edges="activations",
                k=config.clusters,
                n_init=config.n_init,
                seed=config.seed,
            )
            labels.append(np.concatenate(list(cut.labels.values())))
        found[name] = round(float(adjusted_rand_score(*labels)), 6)
    found["silent"] = round(float(np.mean([(v <= 0).mean() for v in whole.values()])), 6)
    return found


def rows(record: dict) -> list[dict]:
    """One row per (partition, proxy of ``PROXIES``).

    Own columns: test_images, accuracy; edges, scope, variant, ncut, isolated, erased, unusable,
    labels; proxy, test (a ``ProxyTest`` over the sub-clusters, None where the partition has none),
    size, layer, by_class (drops of the true ones).
    """
    result = record["result"]
    images = sum(result["classes"])
    given = {**networks.words(record), "test_images": images}
    given["accuracy"] = sum(result["intact"]) / images
    return [
        {
            **given,
            **{name: kept[name] for name in PARTITION},
            "size": np.array(kept["size"]),
            "layer": np.array(kept["layer"]),
            "by_class": np.array(kept.get("by_class", [])) / UNIT,
            "proxy": proxy,
            "test": proxy_test(kept, proxy, result),
        }
        for kept in result["partitions"]
        for proxy in PROXIES
    ]


def relu_rows(record: dict) -> list[dict]:
    """Agreement of clusters over two halves of the images (before, after), of an MLP."""
    found = record["result"].get("after_relu")
    return [{**networks.words(record), **found}] if found else []


PARTITION = ("edges", "scope", "variant", "ncut", "isolated", "erased", "unusable", "labels")


def proxy_test(kept: Mapping[str, Any], proxy: str, result: Mapping[str, Any]) -> ProxyTest | None:
    """One proxy of one partition's sub-clusters, from what a record kept of them."""
    if not kept["size"]:
        return None
    mean, spread = (np.array(kept[name]) / UNIT for name in ("class_mean", "range"))
    if proxy == "drop":
        values = (sum(result["intact"]) - np.array(kept["correct"])) / sum(result["classes"])
    elif proxy == "class_mean_drop":
        values = mean
    elif proxy == "range":
        values = spread
    elif proxy == "range_per_drop":
        values = np.divide(spread, mean, out=np.full(mean.shape, np.nan), where=mean != 0)
    else:
        values = residual(mean, spread)
    return ProxyTest(values[:, 0], values[:, 1:])


def residual(drop: np.ndarray, spread: np.ndarray) -> np.ndarray:
    """(n, 1 + m) range of the drops of classes beyond what the mean drop lets expect.

    For each sub-cluster a straight line through its own point and those of its random sets, which
    have its layer and size. All points are treated alike, so that under the null each is as likely
    as any other to lie highest.
    """
    x = drop - drop.mean(1, keepdims=True)
    y = spread - spread.mean(1, keepdims=True)
    square = (x * x).sum(1, keepdims=True)
    slope = np.divide(
        (x * y).sum(1, keepdims=True), square, out=np.zeros_like(square), where=square > 0
    )
    # Rounded, so that equal points do not differ by rounding errors.
    return np.round(y - slope * x, 9)


def _again(config: LesionsConfig) -> dict:
    """What takes seconds once there is the network: six sub-clusters of the first partition."""
    metrics = training.trained(config.train, device="cpu").metrics["unpruned"]
    with training.single_thread():
        return {**_measure(config, "cpu", None, 6), "metrics": metrics}


def _compare(before: dict, now: dict) -> tuple[str, str]:
    """The first partition's sub-clusters, as far as they were computed anew."""
    (part,), whole = now["partitions"], before["partitions"][0]
    count = len(part["size"])
    first = {n: v[:count] if isinstance(v, list) else v for n, v in whole.items()}
    shared = ("classes", "intact", "metrics")
    return compare.results(
        {**first, **{name: before[name] for name in shared}},
        {**part, **{name: now[name] for name in shared}},
    )


EXPERIMENT = Experiment(
    "dm_lesions",
    LesionsConfig,
    measure,
    rows,
    ("reading", "width", "accuracy", *PARTITION, "proxy", "test", "size", "layer"),
    {"dm_relu": Table(relu_rows, ("reading", "width", "before", "after", "silent"))},
    recompute=_again,
    share=0.1,
    compare=_compare,
    keep=networks.of_paper_size,
)
run, run_one, table = EXPERIMENT.run, EXPERIMENT.run_one, EXPERIMENT.table


SECTION = Section(
    "detecting_modularity/03_lesions", LesionsParameters, lambda p: [Sweep(run, configs(p))]
)
