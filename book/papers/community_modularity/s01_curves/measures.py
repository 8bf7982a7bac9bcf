"""Measurements for the claims about Q over layers (community modularity, sections 3, 4.1, 4.4, A).

What a curve "does" is defined in ``community_modularity.shapes``. Where a claim speaks of all
nine networks, the networks are what is counted, each with the mean over its seeds.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from book.lab.criteria import Part
from book.lab.evidence import Results, equal, measurement, part
from book.papers.community_modularity import shapes
from book.papers.community_modularity.parts import (
    NETWORKS,
    RESNETS,
    SINGLE,
    TENDS,
    VGGS,
    arrays,
    compared_part,
    count_part,
    difference,
    mean_part,
    network_word,
    networks_part,
    of_networks,
    of_seeds,
    over_networks,
    over_seeds,
    paired_part,
)
from book.papers.community_modularity.rows import accuracies, at_best_scale, curve, curves
from book.papers.community_modularity.s01_curves import toy
from book.papers.community_modularity.s01_curves.maps import EXPERIMENT as MAPS
from book.papers.community_modularity.s01_curves.maps import MapConfig
from book.papers.community_modularity.s01_curves.pretrained import EXPERIMENT as PRETRAINED
from book.papers.community_modularity.s01_curves.pretrained import PretrainedConfig
from book.papers.community_modularity.s01_curves.probes import EXPERIMENT as PROBES
from book.papers.community_modularity.s01_curves.probes import ProbeConfig
from modgraph_lib import communities
from modgraph_lib.training import SgdConfig

# --- the toy graph ---------------------------------------------------------------------------


@measurement
def inside_follows_q(results: Results, *, runs: int) -> list[Part]:
    """Rank correlation, over 1,000 random graphs of equal classes, of Q with weight inside."""
    rng = np.random.default_rng(0)
    pairs = []
    for share in rng.uniform(0, 1, 1000):
        graph, labels = toy.blocks(share, rng=rng)
        same = labels[:, None] == labels
        pairs.append((communities.modularity(graph, labels), graph[same].sum() / graph.sum()))
    return [Part("rank correlation", shapes.same_trend(*zip(*pairs, strict=True)), runs=1)]


# --- figure 1 and 4 --------------------------------------------------------------------------


@measurement
def map_trend(results: Results, *, network: str, runs: int) -> list[Part]:
    """Rank correlation with depth of the classes' silhouette in t-SNE maps; SD over networks."""
    table = MAPS.among(results)
    wide = _wide(table, network, "silhouette", runs, MapConfig)
    return [mean_part(network_word(network), wide, shapes.trend)]


@measurement
def curve_trend(results: Results, *, network: str, runs: int, data: str = "cifar10") -> list[Part]:
    """Rank correlation of Q with depth; mean and SD over networks."""
    return [mean_part(network_word(network), of_seeds(results, network, data=data), shapes.trend)]


@measurement
def curves_that_rise(results: Results, *, runs: int, data: str = "cifar10") -> list[Part]:
    """Of the nine networks, how many have a rank correlation of Q with depth of at least 0.8."""
    found = of_networks(results, NETWORKS, data=data)
    return [count_part("networks whose Q tends to rise", found, lambda q: shapes.trend(q) >= TENDS)]


@measurement
def not_rising_by_depth(results: Results, *, runs: int, data: str = "cifar10") -> list[Part]:
    """Rank correlation, over the nine networks, of layers with layers that do not raise Q."""
    found = of_networks(results, NETWORKS, data=data)

    def value() -> float:
        counts = [over_seeds(wide, lambda q: shapes.not_rising(q).sum()) for wide in found.values()]
        return shapes.same_trend([arrays(wide).shape[1] for wide in found.values()], counts)

    return [over_networks("layers, and layers that do not raise Q", found, value, fewest=3)]


@measurement
def plateau_by_depth(results: Results, *, runs: int, data: str = "cifar10") -> list[Part]:
    """Rank correlation of the length of the last plateau with depth, over the four VGGs."""
    found = [of_seeds(results, network, data=data) for network in VGGS]
    return [
        part(
            "VGG11 to VGG19",
            found,
            lambda: shapes.trend([over_seeds(wide, shapes.plateau_length) for wide in found]),
        )
    ]


@measurement
def plateau_shrinks(results: Results, *, easy: str, hard: str, runs: int) -> list[Part]:
    """Layers of the last plateau on the easier data minus on the harder, VGG16 and VGG19."""
    parts = []
    for network in ("vgg16", "vgg19"):
        one, other = (of_seeds(results, network, data=data) for data in (easy, hard))
        parts.append(paired_part(network_word(network), one, other, shapes.plateau_length))
    return parts


@measurement
def fewer_not_rising(results: Results, *, easy: str, hard: str, runs: int) -> list[Part]:
    """Networks that have more layers without a rise of Q on the easier data than on the harder."""
    one, other = (of_networks(results, NETWORKS, data=data) for data in (easy, hard))
    both = {name: (one[name], other[name]) for name in one if name in other}

    hits = sum(over_seeds(a, _still) > over_seeds(b, _still) for a, b in both.values())
    frames = [frame for pair in both.values() for frame in pair]
    return [networks_part("more on the easier data", frames, len(both), lambda: hits)]


@measurement
def not_rising_in_repeats(
    results: Results, *, what: str, runs: int, data: str = "cifar10"
) -> list[Part]:
    """Where ResNets' Q does not rise: at blocks that repeat another of their stage, or at others.

    Args:
        what: "share" of such blocks that are repeats; "rate" among repeats minus among the first
            blocks of stages.
    """
    if what not in ("share", "rate"):
        raise ValueError(f'what must be "share" or "rate", got {what!r}')
    still, repeats, found = [], [], {}
    for network in RESNETS:
        rows = curves(results, network=network, data=data)
        if rows.empty:
            continue
        found[network] = curve(rows)
        names = rows.drop_duplicates("layer").sort_values("layer")["name"]
        repeat = np.array([not name.endswith(".0") for name in names])[1:]
        for q in arrays(found[network]):
            still.append(shapes.not_rising(q))
            repeats.append(repeat)

    def value() -> float:
        flat, repeat = np.concatenate(still), np.concatenate(repeats)
        if what == "rate":
            return float(flat[repeat].mean() - flat[~repeat].mean())
        return float(repeat[flat].mean()) if flat.any() else math.nan

    words = {"share": "share at repeats", "rate": "rate at repeats minus at first blocks"}
    return [over_networks(words[what], found, value)]


@measurement
def probe_agreement(results: Results, *, runs: int, data: str = "cifar10") -> list[Part]:
    """Rank correlation over layers of Q with the accuracy of linear probes; mean over seeds."""
    table = PROBES.among(results)
    parts = []
    for network in SINGLE:
        probes = _wide(table[table["data"] == data], network, "accuracy", runs, ProbeConfig)
        q = of_seeds(results, network, data=data)
        parts.append(compared_part(network_word(network), q, probes, shapes.same_trend))
    return parts


@measurement
def accuracy_gain(results: Results, *, runs: int, data: str = "cifar10") -> list[Part]:
    """Best test accuracy of ResNet34 minus ResNet18 in points, at the paper's scale alone."""
    found = []
    for network in ("resnet18", "resnet34"):
        rows = curves(results, network=network, data=data)
        found.append(accuracies(rows[rows["scale"] == ""]))
    small, large = found
    return [
        part(
            "ResNet34 minus ResNet18",
            found,
            lambda: 100 * (large["best_accuracy"].mean() - small["best_accuracy"].mean()),
        )
    ]


# --- figure 5 --------------------------------------------------------------------------------


@measurement
def pretrained_that_rise(results: Results, *, runs: int) -> list[Part]:
    """Of torchvision's five ResNets, how many have a rank correlation of at least 0.8."""
    found = _pretrained(results)
    return [count_part("networks whose Q tends to rise", found, lambda q: shapes.trend(q) >= TENDS)]


@measurement
def pretrained_plateau(results: Results, *, runs: int) -> list[Part]:
    """Longest plateau on ImageNet50 minus on ImageNet, ResNet101 and ResNet152."""
    found = _pretrained(results)
    parts = []
    for network in ("resnet101", "resnet152"):
        own = of_seeds(results, network, data="imagenet50")
        theirs = found.get(network, pd.DataFrame())
        value = difference(own, theirs, shapes.longest_plateau)
        parts.append(part(network_word(network), [own, theirs], value))
    return parts


@measurement
def pretrained_range(results: Results, *, runs: int) -> list[Part]:
    """Lowest and highest mean Q of any block of torchvision's five ResNets."""
    found = _pretrained(results)
    if len(found) < len(RESNETS):
        return [Part("lowest"), Part("highest")]
    frames = list(found.values())
    return [
        part("lowest", frames, lambda: min(arrays(wide).min() for wide in frames)),
        part("highest", frames, lambda: max(arrays(wide).max() for wide in frames)),
    ]


# --- rows -------------------------------------------------------------------------------------


def _still(q: np.ndarray) -> int:
    return int(shapes.not_rising(q).sum())


def _wide(
    table: pd.DataFrame, network: str, column: str, runs: int, config: Callable[[SgdConfig], Any]
) -> pd.DataFrame:
    """``of_seeds`` for the tables of maps and of probes."""
    rows = table[(table["network"] == network) & (table["seed"] < runs)]
    return curve(at_best_scale(rows, network, lambda row, train: config(train)), column)


def _pretrained(results: Results) -> dict[str, pd.DataFrame]:
    """One row a network: the mean curve with ImageNet weights, by network."""
    table = PRETRAINED.among(results)
    rows = equal(table, lambda row: PretrainedConfig(row.network, "imagenet")).assign(scale="")
    named = {network: rows[rows["network"] == network] for network in RESNETS}
    return {network: curve(found) for network, found in named.items() if len(found)}
