"""Which curves may decide a claim of the community paper.

Networks trained as the paper says come first. Where there are none, those of the short run
(``community_modularity.settings``) stand in, and the verdict says so: they can show the shape of
a curve, not an accuracy.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

import pandas as pd

from book.lab.evidence import Results, equal, remembered
from book.lab.experiment import Experiment
from book.papers.community_modularity.curves import EXPERIMENT, CurveConfig
from book.papers.community_modularity.settings import SAMPLES, SHORT, SHORT_WORDS, training_run
from modgraph_lib.training import SgdConfig

__all__ = ["RUNS", "accuracies", "at_best_scale", "curve", "curves"]

# Networks asked of a claim: the paper trains one of each, we ask for two.
RUNS = 2
MANY = 5000


@remembered
def curves(
    results: Results,
    *,
    network: str,
    data: str = "cifar10",
    runs: int = RUNS,
    k: int = 3,
    samples: int = 0,
    stage: str = "trained",
    similarity: str = "cosine",
    symmetrise: str = "mean",
    layers: str = "described",
    sampling: str = "random",
    experiment: Experiment = EXPERIMENT,
    asked: Callable[[Any, SgdConfig, CurveConfig], Any] = lambda row, train, curve: curve,
) -> pd.DataFrame:
    """Rows of one network's curves, at the paper's scale or else the short one.

    Args:
        results: tables by experiment; that of ``experiment`` is read, and may be absent.
        runs: seeds 0 to runs-1 count.
        samples: images in a graph; 0 is the paper's number for the data set.
        asked: a row, the training and the curve asked for -> the configuration of ``experiment``.
        the others: see ``community_modularity.curves.CurveConfig``.

    Returns:
        Columns of ``curves.table``, and ``scale``: empty for the paper's, else words.
    """
    table = experiment.among(results)
    rows = table[
        (table["network"] == network)
        & (table["data"] == data)
        & (table["seed"] < runs)
        & (table["k"] == k)
    ]

    def config(row: Any, train: SgdConfig) -> Any:
        measured = CurveConfig(
            train,
            stage=stage,
            samples=samples or SAMPLES.get(data, 500),
            similarity=similarity,
            symmetrise=symmetrise,
            layers=layers,
            sampling=sampling,
        )
        return asked(row, train, measured)

    if samples < MANY:
        return at_best_scale(rows, network, config, free=("neighbours",))
    # the 10,000 test images hold but two disjoint draws of so many
    found = at_best_scale(rows, network, config, free=("neighbours", "repeats"))
    pairs = zip(found["scale"], (config["repeats"] for config in found["config"]), strict=True)
    return found.assign(scale=[_drawn(*pair) for pair in pairs])


def _drawn(scale: str, repeats: int) -> str:
    few = f"{repeats} draws of {MANY:,} images" if repeats < CurveConfig.repeats else ""
    return ", ".join(filter(None, (scale, few)))


def at_best_scale(
    rows: pd.DataFrame,
    network: str,
    config: Callable[[Any, SgdConfig], Any],
    *,
    free: Collection[str] = (),
) -> pd.DataFrame:
    """Rows of full-size, fully trained networks; failing those, of the short run.

    Args:
        config: a row, and the training that its network ought to have had -> the configuration
            that its record ought to have; see ``evidence.equal``, also for ``free``.
    """

    def at(scale: str) -> pd.DataFrame:
        def asked(row: Any) -> Any:
            return config(row, training_run(network, row.seed, data=row.data, scale=scale))

        return equal(rows, asked, free=free)

    full = at("paper")
    if len(full):
        return full.assign(scale="")
    width = 0 if network.startswith("resnet56") else SHORT["width"]
    words = SHORT_WORDS.format(width=f"width {width}" if width else "full width")
    return at("short").assign(scale=words)


def curve(rows: pd.DataFrame, column: str = "q") -> pd.DataFrame:
    """One row a seed: the mean over repeats after each layer (columns 1..L), scale and key.

    Means over seeds and their spread are then those over networks.
    """
    wide = rows.pivot_table(index="seed", columns="layer", values=column, aggfunc="mean")
    facts = rows.groupby("seed")[["scale", "key"]].first() if len(rows) else rows[[]]
    return wide.join(facts)


def accuracies(rows: pd.DataFrame) -> pd.DataFrame:
    """One row a seed: test_accuracy, best_accuracy, scale and key."""
    columns = ["test_accuracy", "best_accuracy", "scale", "key"]
    return rows.groupby("seed")[columns].first() if len(rows) else pd.DataFrame(columns=columns)
