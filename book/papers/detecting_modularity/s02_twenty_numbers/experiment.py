"""Random partitions in the place of true ones: what does each rule for ties make of nothing?"""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

from book.lab.experiment import Experiment
from book.lab.parameters import Run, parameter
from book.lab.section import Section, Sweep
from book.papers.detecting_modularity import networks
from book.papers.detecting_modularity.networks import ModulesConfig
from book.papers.detecting_modularity.s03_lesions import experiment as lesion
from modgraph_lib import lesions, provenance, training
from modgraph_lib.lesions import Submodule
from modgraph_lib.proxies import TIES

__all__ = ["NullConfig", "NullParameters", "configs", "dealt", "run", "table"]

PROXIES = ("drop", "range", "range_per_drop", "range_residual")


@dataclass(frozen=True)
class NullConfig(ModulesConfig):
    """Random partitions of one network, as many and as large sub-clusters as its own.

    Attributes:
        partitions: how many are dealt.
    """

    partitions: int = 100


@dataclass(frozen=True)
class NullParameters(Run):
    """Parameters of ``detecting_modularity/02_twenty_numbers``; the defaults are quick."""

    partitions: int = parameter(30, "random partitions of the network", at_least=1)
    controls: int = parameter(19, "random sets per sub-cluster (paper: 19)", at_least=1)
    clusters: int = parameter(16, "clusters whose sizes are dealt again (paper: 16)", at_least=2)
    epochs: int = parameter(40, "epochs", at_least=1)
    width: int = parameter(64, "units in each of the four hidden layers", at_least=4)
    batch_size: int = parameter(32, "images per optimiser step", at_least=1)
    seed: int = parameter(0, "network seed", at_least=0)


def configs(parameters: NullParameters) -> list[NullConfig]:
    """One configuration: a network for digits, whose 299 test images make many ties.

    Trained with dropout and L2 as the released code trains: such a network spares a few units
    easily, which makes more.
    """
    p = parameters
    train = networks.condition(
        "mlp",
        "digits",
        "published",
        p.seed,
        **p.given("epochs", "width", "batch_size"),
    )
    return [NullConfig(train, clusters=p.clusters, controls=p.controls, partitions=p.partitions)]


def measure(config: NullConfig, *, device: str = "cpu", root: str | None = None) -> dict:
    """Result and provenance of one configuration, computed anew and not stored."""
    network = training.trained(config.train, device=device, root=root)
    with training.single_thread():
        start = time.perf_counter()
        result = _measure(config, device, root)
        seconds = time.perf_counter() - start
    result["train_seconds"] = round(network.seconds, 3)
    origin = provenance.stamp(device=device, threads=1, seconds=seconds)
    return {"result": result, "provenance": origin}


def _measure(config: NullConfig, device: str, root: str | None) -> dict:
    _, model, found = networks.prepared(config, root)
    (partition,) = (p for p in found if (p.edges, p.scope) == ("activations", "global"))
    own, reason = networks.usable(partition)
    if not own:
        raise ValueError(reason)
    images, labels = networks.test_set(config, root=root)
    p_values: dict = {proxy: {ties: [] for ties in TIES} for proxy in PROXIES}
    tied: dict = {proxy: [] for proxy in PROXIES}
    for number in range(config.partitions):
        singles = lesions.single_lesions(
            model,
            dealt(own, seed=[config.seed, 7, number]),
            images,
            labels,
            controls=config.controls,
            seed=1000 * (config.seed + 1) + number,
            kind="weights_and_biases",
            device=device,
        )
        whole = lesion.whole(model, partition, images, labels, "weights_and_biases", device)
        kept = {"size": [len(one.submodule.units) for one in singles]}
        kept |= lesion.losses(singles, whole)
        counts = {"classes": whole.images.tolist(), "intact": whole.intact.tolist()}
        for proxy in PROXIES:
            test = lesion.proxy_test(kept, proxy, counts)
            tied[proxy].append(test.tied)
            for ties in TIES:
                p = test.fisher(ties, seed=[config.seed, number])
                p_values[proxy][ties].append(float(f"{p:.5g}"))
    return {
        "groups": len(own),
        "p_values": p_values,
        "tied": {proxy: round(float(np.mean(shares)), 4) for proxy, shares in tied.items()},
    }


def dealt(parts: list[Submodule], *, seed: list[int]) -> list[Submodule]:
    """The same sub-clusters with the joined units of each layer dealt to them at random."""
    rng = np.random.default_rng(seed)
    found = []
    for layer in dict.fromkeys(part.layer for part in parts):
        mine = [part for part in parts if part.layer == layer]
        order = rng.permutation(mine[0].population)
        stops = np.cumsum([len(part.units) for part in mine])
        pieces = np.split(order, stops)[: len(mine)]
        found += [
            Submodule(p.layer, p.depth, p.module, np.sort(units), p.population, p.width)
            for p, units in zip(mine, pieces, strict=True)
        ]
    return found


def rows(record: dict) -> list[dict]:
    """One row per (proxy, rule for ties): p_values (partitions,), tied, groups."""
    result = record["result"]
    return [
        {
            **networks.words(record),
            "proxy": proxy,
            "ties": ties,
            "p_values": np.array(values),
            "tied": result["tied"][proxy],
            "groups": result["groups"],
        }
        for proxy, by_rule in result["p_values"].items()
        for ties, values in by_rule.items()
    ]


EXPERIMENT = Experiment(
    "dm_null",
    NullConfig,
    measure,
    rows,
    ("reading", "width", "proxy", "ties", "p_values", "tied", "groups"),
    keep=lambda record: record["config"]["partitions"] >= 100,
)
run, table = EXPERIMENT.run, EXPERIMENT.table


SECTION = Section(
    "detecting_modularity/02_twenty_numbers", NullParameters, lambda p: [Sweep(run, configs(p))]
)
