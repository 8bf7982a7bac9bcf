"""Measurements for the claims about layers taken away (community modularity, section 5.2).

Fine-tuned variants ("described") decide. Their accuracy is compared with the control, the parent
trained on for as many epochs, wherever a claim compares accuracies; printed numbers are compared
as they were printed, by best epoch and against the parent. Accuracies are in percentage points.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from book.lab.criteria import Part
from book.lab.evidence import Results, measurement, once, part
from book.papers.community_modularity import shapes
from book.papers.community_modularity.parts import network_word
from book.papers.community_modularity.s05_layer_pruning.experiment import REMOVED
from book.papers.community_modularity.s05_layer_pruning.rows import (
    GUIDED,
    of_variant,
    pruned,
    removal_steps,
)

# Blocks of ResNet152 before its third stage: the "shallow layers" of figure 9.
SHALLOW_BLOCKS = 11
PRINTED = {"parameters": 43.00, "operations": 60.30}  # reductions of table 1, in percent


# --- figure 9: redundant layers --------------------------------------------------------------


@measurement
def pruned_curve_distance(
    results: Results, *, runs: int, family: str, data: str = "cifar10", shallow: bool = False
) -> list[Part]:
    """Distance of each variant's curve from its parent's, as a share of the parent's range.

    Layer by layer from the bottom, as the paper draws them; ``shallow`` looks at the layers
    before ResNet152's third stage alone.
    """
    last = SHALLOW_BLOCKS if shallow else None

    def off(parent: np.ndarray, q: np.ndarray) -> float:
        return shapes.distance(parent[: len(q)][:last], q[:last]) / np.ptp(parent)

    return [
        _paired(results, family, data, runs, count, "q", off, f"minus {count}")
        for count in REMOVED[family]
    ]


@measurement
def pruned_plateau(
    results: Results, *, runs: int, family: str, removed: int, data: str = "cifar10"
) -> list[Part]:
    """Length of the plateau at the end of a variant's curve, mean over networks."""
    rows = of_variant(pruned(results, family=family, data=data, runs=runs), removed)
    return [_mean(f"minus {removed}", rows, [shapes.plateau_length(q) for q in rows["q"]])]


@measurement
def plateau_against_removed(
    results: Results, *, runs: int, family: str, data: str = "cifar10", anywhere: bool = False
) -> list[Part]:
    """Rank correlation of plateau length with units removed, the parent's 0 among them.

    ``anywhere`` takes the longest plateau of the curve instead of the one at its end.
    """
    length = shapes.longest_plateau if anywhere else shapes.plateau_length
    networks = pruned(results, family=family, data=data, runs=runs)
    cells = [of_variant(networks, count) for count in (0, *REMOVED[family])]

    def correlation() -> float:
        lengths = [np.mean([length(q) for q in rows["q"]]) for rows in cells]
        return shapes.trend(lengths)

    return [part("rank correlation", cells, correlation)]


@measurement
def pruning_loss(results: Results, *, runs: int, family: str, data: str = "cifar10") -> list[Part]:
    """Accuracy of the control minus each variant's, in points."""
    return [
        _paired(results, family, data, runs, count, "test_accuracy", _lost, f"minus {count}",
                against="control")
        for count in REMOVED[family]
    ]  # fmt: skip


@measurement
def plateau_pruning_loss(
    results: Results, *, runs: int, family: str, data: str = "cifar10"
) -> list[Part]:
    """Largest mean loss, in points, of a variant that lost no more units than the plateau has.

    The plateau is the parent's: at the end of a VGG's curve, the longest one of a ResNet's.
    Without a number where the parent has no plateau.
    """
    networks = pruned(results, family=family, data=data, runs=runs)
    name = f"{network_word(family)}, plateau only"
    parents = of_variant(networks, 0)
    if parents.empty:
        return [Part(name)]
    length = shapes.plateau_length if family.startswith("vgg") else shapes.longest_plateau
    plateau = np.mean([length(q) for q in parents["q"]])
    inside = [count for count in REMOVED[family] if count <= plateau]
    losses = [
        _paired(results, family, data, runs, count, "test_accuracy", _lost, name, against="control")
        for count in inside
    ]
    if not losses or any(math.isnan(loss.observed) for loss in losses):
        return [Part(name, runs=0 if losses else len(parents))]
    return [max(losses, key=lambda loss: loss.observed)]


# --- figure 10: irredundant layers -----------------------------------------------------------


@measurement
def peak_spread(results: Results, *, runs: int, family: str, data: str = "cifar10") -> list[Part]:
    """Highest minus lowest peak of Q, over the parent and its variants, as a share of its range."""
    networks = pruned(results, family=family, data=data, runs=runs)
    cells = [of_variant(networks, count) for count in (0, *REMOVED[family])]

    def spread() -> float:
        peaks = [np.mean([q.max() for q in rows["q"]]) for rows in cells]
        return np.ptp(peaks) / np.mean([np.ptp(q) for q in cells[0]["q"]])

    return [part("peaks", cells, spread)]


@measurement
def printed_loss(
    results: Results, *, runs: int, delta_q: float, family: str = "vgg11", data: str = "cifar10"
) -> list[Part]:
    """Points of accuracy lost with the layer whose worth in Q is nearest the printed one.

    Without a number where no layer comes within 0.02 or a factor of two of it, or without
    networks at the paper's scale.
    """
    found = removal_steps(pruned(results, family=family, data=data, runs=runs))
    found = found[found["scale"] == ""]
    name = f"layer worth about {delta_q:g}"
    if found.empty:
        return [Part(name)]
    worth = found.groupby("step")["delta_q"].mean()
    step = (worth - delta_q).abs().idxmin()
    near = abs(worth[step] - delta_q) <= 0.02 or delta_q / 2 <= worth[step] <= 2 * delta_q
    rows = found[found["step"] == step]
    return [_mean(name, rows, rows["printed_accuracy"]) if near else Part(name, runs=len(rows))]


@measurement
def loss_follows_q(
    results: Results, *, runs: int, family: str = "vgg11", data: str = "cifar10"
) -> list[Part]:
    """Rank correlation over the removals of mean loss of accuracy with mean worth in Q."""
    steps, cells = _steps(results, family, data, runs)

    def correlation() -> float:
        return shapes.same_trend(steps["delta_q"], steps["delta_accuracy"])

    return [part("rank correlation", cells, correlation, fewest=1)]


@measurement
def loss_per_q(
    results: Results, *, runs: int, family: str = "vgg11", data: str = "cifar10"
) -> list[Part]:
    """Largest over smallest ratio of loss to worth, over removed layers that add to Q.

    Infinite where such a layer costs nothing; without a number for fewer than two such layers.
    """
    steps, cells = _steps(results, family, data, runs)

    def ratio() -> float:
        adding = steps[steps["delta_q"] > shapes.STEP]
        ratios = adding["delta_accuracy"] / adding["delta_q"]
        if len(ratios) < 2:
            return math.nan
        return ratios.max() / ratios.min() if ratios.min() > 0 else math.inf

    return [part("largest over smallest ratio", cells, ratio, fewest=1)]


@measurement
def harder_data_cost(
    results: Results, *, runs: int, hard: str, easy: str = "cifar10", family: str = "vgg11"
) -> list[Part]:
    """Mean loss of the variants on the harder data minus on the easier, in points."""
    losses = []
    for data in (hard, easy):
        found = removal_steps(pruned(results, family=family, data=data, runs=runs))
        full = found.groupby("seed").filter(lambda rows: len(rows) == len(REMOVED[family]))
        losses.append(
            full.groupby("seed").agg(
                loss=("delta_accuracy", "sum"), key=("key", "first"), scale=("scale", "first")
            )
        )

    def error() -> float:
        spreads = [frame["loss"].std(ddof=1) / math.sqrt(len(frame)) for frame in losses]
        return math.hypot(*spreads)

    return [
        part(
            "loss of all removals",
            losses,
            lambda: losses[0]["loss"].mean() - losses[1]["loss"].mean(),
            error,
            spread_is="se",
        )
    ]


# --- table 1: ResNet56 -----------------------------------------------------------------------


@measurement
def guided_accuracy(results: Results, *, runs: int) -> list[Part]:
    """Best test accuracy of ResNet56 pruned where its own Q stands still, in percent."""
    rows = _guided(results, runs)
    return [_mean("pruned ResNet56", rows, 100 * rows["best_accuracy"])]


@measurement
def guided_gain(results: Results, *, runs: int, over: float = math.nan) -> list[Part]:
    """Best test accuracy of the pruned ResNet56 minus its parent's, or minus a printed one."""
    rows = _guided(results, runs)
    parents = pruned(results, family=GUIDED, runs=runs)
    parents = parents[parents["reading"] == "parent"].set_index("seed")["best_accuracy"]
    base = rows["seed"].map(parents) if math.isnan(over) else over / 100
    values = 100 * (rows["best_accuracy"] - base)
    return [_mean("pruned minus unpruned" if math.isnan(over) else "gap", rows, values, se=True)]


@measurement
@once
def nearest_reduction(results: Results, *, runs: int, of: str) -> list[Part]:
    """Reduction of parameters or operations by the plan that comes nearest to the printed pair.

    Over all ways of taking blocks from ResNet56's stages and over all conventions of counting.

    Args:
        of: "parameters" or "operations".
    """
    from book.papers.community_modularity.s05_layer_pruning import reductions
    from modgraph_lib import layer_pruning

    plans = reductions.removals(GUIDED)
    best = {
        count: reductions.matching(plans, *PRINTED.values(), count=count).iloc[0]
        for count in layer_pruning.CONVENTIONS
    }

    def far(count: str) -> tuple[float, float]:
        return best[count]["distance"], abs(best[count][count] - PRINTED["operations"])

    count = min(best, key=far)
    observed = best[count]["parameters" if of == "parameters" else count]
    return [Part(f"nearest plan, {of}", float(observed), runs=1)]


# --- helpers --------------------------------------------------------------------------------


def _lost(control: float, variant: float) -> float:
    return 100 * (control - variant)


def _paired(
    results: Results,
    family: str,
    data: str,
    runs: int,
    removed: int,
    column: str,
    of: Callable,
    name: str,
    *,
    against: str = "parent",
) -> Part:
    """Mean over seeds of a number of a parent (or control) and its variant."""
    networks = pruned(results, family=family, data=data, runs=runs)
    cells = [of_variant(networks, count, against).set_index("seed") for count in (0, removed)]
    seeds = cells[0].index.intersection(cells[1].index)
    cells = [rows.loc[seeds] for rows in cells]
    values = [of(*pair) for pair in zip(*(rows[column] for rows in cells), strict=True)]
    sd = (lambda: np.std(values, ddof=1)) if len(values) > 1 else None
    return part(name, cells, lambda: np.mean(values), sd)


def _mean(name: str, rows: pd.DataFrame, values: Sequence[float], *, se: bool = False) -> Part:
    values = np.asarray(values, dtype=float)
    spread = None
    if len(values) > 1:
        divide = math.sqrt(len(values)) if se else 1.0
        spread = lambda: values.std(ddof=1) / divide  # noqa: E731
    return part(name, [rows], values.mean, spread, spread_is="se" if se else "sd")


def _steps(
    results: Results, family: str, data: str, runs: int
) -> tuple[pd.DataFrame, list[pd.DataFrame]]:
    """Mean worth and loss of each removal, and the rows behind each, over complete seeds."""
    found = removal_steps(pruned(results, family=family, data=data, runs=runs))
    full = found.groupby("seed").filter(lambda rows: len(rows) == len(REMOVED[family]))
    cells = [full[full["step"] == step] for step in range(1, len(REMOVED[family]) + 1)]
    return full.groupby("step")[["delta_q", "delta_accuracy"]].mean(), cells


def _guided(results: Results, runs: int) -> pd.DataFrame:
    """Guided variants of ResNet56 at the paper's scale."""
    networks = pruned(results, family=GUIDED, runs=runs)
    return networks[(networks["removed"] > 0) & (networks["scale"] == "")]
