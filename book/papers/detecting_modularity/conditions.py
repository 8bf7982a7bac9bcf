"""A condition of Part IV: five networks, one partition, one proxy, made one p-value and effect."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from book.lab.evidence import Results, equal, one_per_seed, remembered
from book.lab.printed import paper_table
from book.papers.detecting_modularity import networks, settings
from book.papers.detecting_modularity.s03_lesions import experiment as lesion
from book.papers.detecting_modularity.s03_lesions.experiment import LesionsConfig
from book.papers.detecting_modularity.s04_what_excites_them import experiment as excitement
from book.papers.detecting_modularity.s04_what_excites_them.experiment import (
    RECIPES,
    FeaturesConfig,
)
from book.papers.detecting_modularity.s05_larger_networks import pretrained
from modgraph_lib import proxies
from modgraph_lib.proxies import Combined, ProxyTest

__all__ = [
    "EXPERIMENTS", "PARTITIONINGS", "cell", "combined", "of_mlps", "printed", "shifted", "tests_of"
]  # fmt: skip

PARTITIONINGS = [(edges, scope) for edges, scope, variant in settings.PARTITIONS[:4]]
EXPERIMENTS = {
    **dict.fromkeys(
        ("drop", "class_mean_drop", "range", "range_per_drop", "range_residual"), lesion.EXPERIMENT
    ),
    **dict.fromkeys(("score", "entropy"), excitement.EXPERIMENT),
}
# Proxy -> table of the paper, and how its columns there begin.
COLUMNS = {
    "drop": ("table_4", "accuracy_drop"),
    "range": ("table_4", "class_range"),
    "score": ("table_5", "visualization_score"),
    "entropy": ("table_5", "softmax_entropy"),
}


@remembered
def cell(
    results: Results,
    *,
    architecture: str,
    data: str,
    proxy: str,
    edges: str,
    scope: str,
    runs: int,
    reading: str = "described",
    variant: str = "described",
    recipe: str = "described",
    clusters: int = settings.CLUSTERS,
) -> pd.DataFrame:
    """Rows of one condition at the paper's settings, one per seed, sorted by seed.

    Args:
        results: tables by experiment; what is needed may be absent.
        reading: "described" networks (no regulariser) decide claims.
        variant: of the partition; recipe: of the visualisation.

    Returns:
        Rows of the experiment's table, indexed by seed; empty if there are none.

    Raises:
        ValueError: the table lacks columns.
    """
    experiment, imagenet = EXPERIMENTS[proxy], architecture in pretrained.NETWORKS
    if imagenet:
        features = experiment is excitement.EXPERIMENT
        experiment = pretrained.FEATURES if features else pretrained.LESIONS
    table = experiment.among(results)
    if table.empty:
        return table.iloc[:0].set_index("seed")
    keep = (
        (table["architecture"] == architecture)
        & (table["data"] == data)
        & (table["reading"] == reading)
        & (table["proxy"] == proxy)
        & (table["edges"] == edges)
        & (table["scope"] == scope)
        & (table["variant"] == variant)
        & (table["seed"] < runs)
    )

    def asked(row):
        if imagenet:
            network = pretrained.Pretrained(architecture)
            return pretrained.asked(network, proxy, clusters=clusters)
        train = networks.condition(architecture, data, reading, row.seed)
        if experiment is excitement.EXPERIMENT:
            return FeaturesConfig(train, clusters=clusters, **RECIPES[recipe])
        kind = settings.ARCHITECTURES[architecture].kind
        return LesionsConfig(train, clusters=clusters, kind=kind)

    return one_per_seed(equal(table[keep], asked))


def of_mlps(rows: pd.DataFrame) -> pd.DataFrame:
    """Those of the paper's MLP at its size, whatever the reading, the partition and the proxy."""
    usual = settings.ARCHITECTURES["mlp"]
    size = {"architecture": "mlp", "data": "mnist", "images": 0, "clusters": settings.CLUSTERS}
    size |= {name: getattr(usual, name) for name in ("width", "epochs", "batch_size")}
    return rows[(rows[list(size)] == pd.Series(size)).all(axis=1)]


def tests_of(rows: pd.DataFrame) -> list[ProxyTest]:
    """The networks' tests, without those that have no sub-cluster."""
    return [test for test in rows["test"] if test is not None]


def combined(
    rows: pd.DataFrame, *, proxy: str, ties: str = "count", published: bool = False
) -> Combined | None:
    """p-value and effect of a condition; None while there is no network with sub-clusters.

    Args:
        ties: the text says nothing of them; "count" is the cautious side and decides claims.
        published: percentiles and effects as the released code takes them, whatever ``ties``.
    """
    tests = tests_of(rows)
    if not tests:
        return None
    options: dict = {"ties": "ignore" if published else ties}
    if published and proxy.endswith("drop"):
        options["variant"] = "published"
    if published and proxy in ("score", "entropy"):
        options["average"] = "draw_by_draw"
    return proxies.combine(tests, **options)


def shifted(test: ProxyTest, place: int) -> ProxyTest:
    """A test with one of its random sets in the place of the true one, which is left out.

    Under any rule for ties that is worth its name its p-value is uniform, or larger.
    """
    others = np.delete(test.controls, place, axis=1)
    return ProxyTest(test.controls[:, place], others, test.high_is_modular)


def printed(proxy: str, network: str = "MLP", edges: str = "weights", scope: str = "global"):
    """(p, effect, standard error) as printed; NaN where the paper has no such condition."""
    name, prefix = COLUMNS[proxy]
    rows = paper_table(f"detecting_modularity/{name}")
    keep = (rows["network"] == network) & (rows["edge_type"] == edges) & (rows["scope"] == scope)
    if not keep.any():
        return float("nan"), float("nan"), float("nan")
    row = rows[keep].iloc[0]
    names: Sequence[str] = ("fisher_bates_p", "effect_mean", "effect_se")
    return tuple(float(row[f"{prefix}_{what}"]) for what in names)
