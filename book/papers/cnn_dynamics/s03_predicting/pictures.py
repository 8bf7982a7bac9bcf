"""Pictures of how well signatures predict accuracy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from modgraph_lib.plots import style

__all__ = ["accuracy_over_epochs", "feature_weights", "regressions", "sample_sizes"]

# Features -> (colour, marker, words).
LOOKS = {
    "rolled.degree": (style.NETWORK, "o", "rolled, degree"),
    "rolled.eigenvector": ("#009E73", "s", "rolled, eigenvector"),
    "unrolled.negative.degree": ("#D55E00", "v", "unrolled negative, degree"),
    "unrolled.positive.degree": ("#8A7A00", "^", "unrolled positive, degree"),
    "unrolled.both.degree": ("#332288", "D", "unrolled both, degree"),
    "unrolled.negative.eigenvector": ("#D55E00", "v", "unrolled negative, eigenvector"),
    "unrolled.positive.eigenvector": ("#8A7A00", "^", "unrolled positive, eigenvector"),
    "unrolled.both.eigenvector": ("#332288", "D", "unrolled both, eigenvector"),
}
LINES = {"svm": "-", "mlp": "--"}


def accuracy_over_epochs(rows: pd.DataFrame, features: Sequence[str]) -> Figure:
    """Classification accuracy over the epochs seen, with its spread over balanced draws.

    Args:
        rows: of the table of predictions, with a column ``last``; the classifiers "svm" (full
            lines) and "mlp" (dashed) are drawn.
        features: which of ``LOOKS``.
    """
    rows = rows[~rows["permuted"].astype(bool)]
    with style.styled():
        figure, (panel,) = style.axes(height=3.3)
        for name in features:
            colour, mark, words = LOOKS[name]
            for model, line in LINES.items():
                own = rows[(rows["features"] == name) & (rows["model"] == model)]
                own = own[(own["average"] == "none")].sort_values("last")
                if own.empty:
                    continue
                x, y = own["last"].to_numpy(), own["scores"].to_numpy(dtype=float)
                spread = own["scores_sd"].to_numpy(dtype=float)
                panel.fill_between(x, y - spread, y + spread, color=colour, alpha=0.12, lw=0)
                label = f"{words}, {model.upper()}"
                panel.plot(x, y, line, color=colour, marker=mark, ms=4, label=label)
        panel.axhline(50, color=style.SHUFFLE, linewidth=1, linestyle=":")
        panel.text(panel.get_xlim()[1], 50.5, "chance", ha="right", color=style.SHUFFLE)
        panel.set(xlabel="epochs seen", ylabel="right (%)", ylim=(40, 101))
        panel.xaxis.get_major_locator().set_params(integer=True)
        panel.grid(axis="y", color="#E6E6E6", linewidth=0.6)
        figure.legend(loc="outside lower center", ncols=2)
    return figure


def regressions(ours: Mapping[str, tuple[float, float]], paper: Mapping[str, float]) -> Figure:
    """R2 by window: ours with its spread over splits, and the paper's.

    Args:
        ours: window ("3-5") -> mean and standard deviation over splits.
        paper: window -> printed R2.
    """
    with style.styled():
        figure, (panel,) = style.axes(height=2.8, width=0.7 * style.WIDTH)
        places = np.arange(len(paper))
        panel.plot(places - 0.06, list(paper.values()), "D", color=style.PAPER, label="paper")
        found = [ours.get(window, (np.nan, np.nan)) for window in paper]
        means, spreads = (np.array(values, dtype=float) for values in zip(*found, strict=True))
        shown = np.clip(means, -1, 1)
        panel.errorbar(
            places + 0.06, shown, np.minimum(spreads, 1), fmt="o", color=style.NETWORK, label="ours"
        )
        for place, mean in zip(places, means, strict=True):
            if mean < -1:
                panel.text(place + 0.1, -0.95, f"{mean:.1f}", color=style.NETWORK)
        panel.axhline(0, color=style.SHUFFLE, linewidth=0.8)
        panel.set_xticks(places, [f"epochs {window}" for window in paper])
        panel.set(ylabel="R2 on the test fifth", ylim=(-1.05, 1.05))
        panel.legend(loc="lower left")
    return figure


def feature_weights(weights: Sequence[float], statistics: Sequence[str]) -> Figure:
    """Sizes of a linear SVM's weights, summed over epochs, one bar a statistic."""
    with style.styled():
        figure, (panel,) = style.axes(height=2.4, width=0.7 * style.WIDTH)
        panel.barh(range(len(weights)), weights, color=style.NETWORK)
        panel.set_yticks(range(len(weights)), statistics)
        panel.invert_yaxis()
        panel.set_xlabel("sum of the sizes of its weights")
    return figure


def sample_sizes(rows: pd.DataFrame, threshold: float) -> Figure:
    """How accurate the networks became, and where the threshold cuts."""
    with style.styled():
        figure, (panel,) = style.axes(height=2.4, width=0.8 * style.WIDTH)
        panel.hist(rows["accuracy"], bins=np.arange(0, 101, 4), color=style.NETWORK)
        panel.axvline(threshold, color=style.INK, linestyle="--")
        top = panel.get_ylim()[1]
        high = int((rows["accuracy"] > threshold).sum())
        panel.text(threshold + 1, 0.9 * top, f"{high} above")
        panel.text(threshold - 1, 0.9 * top, f"{len(rows) - high} below", ha="right")
        panel.set(xlabel="final test accuracy (%)", ylabel="networks", xlim=(0, 100))
    return figure
