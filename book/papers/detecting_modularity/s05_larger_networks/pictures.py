"""Pictures of conditions over networks and over k."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from book.papers.detecting_modularity.page import PROXIES
from book.papers.detecting_modularity.pictures import p_axis
from modgraph_lib.plots import style

__all__ = ["matrix", "over_k"]

MARKS = {"weights/global": "o", "weights/local": "s", "activations/global": "^",
         "activations/local": "D"}  # fmt: skip


def matrix(rows: pd.DataFrame, *, critical: float = 0.025) -> Figure:
    """Figure 3 of the paper redrawn: effects as numbers, shaded where p is significant.

    Args:
        rows: columns network, partition, proxy, p, effect.
    """
    proxies = list(dict.fromkeys(rows["proxy"]))
    networks, partitions = (list(dict.fromkeys(rows[c])) for c in ("network", "partition"))
    with style.styled():
        figure, axes = style.axes(1, len(proxies), height=2.7, sharey=True)
        for axis, proxy in zip(axes, proxies, strict=True):
            own = rows[rows["proxy"] == proxy]
            hit = np.zeros((len(networks), len(partitions)))
            for row in own.itertuples():
                place = networks.index(row.network), partitions.index(row.partition)
                hit[place] = row.p <= critical
                axis.text(place[1], place[0], f"{row.effect:.2f}", ha="center", va="center",
                          fontsize=6.5)  # fmt: skip
            axis.imshow(hit, cmap="Blues", vmin=0, vmax=2.5, aspect="auto")
            short = [
                name.replace("weights", "w").replace("activations", "a") for name in partitions
            ]
            axis.set_xticks(range(len(partitions)), short, rotation=45, fontsize=7, ha="right")
            axis.set_title(PROXIES[proxy], fontsize=8.5)
        axes[0].set_yticks(range(len(networks)), networks)
    return figure


def over_k(rows: pd.DataFrame) -> Figure:
    """-log10 p over k for each partition, filled where the effect is above 1.

    Args:
        rows: columns proxy, partition, k, p, effect.
    """
    proxies = list(dict.fromkeys(rows["proxy"]))
    with style.styled():
        figure, axes = style.axes(1, len(proxies), height=2.6)
        for axis, proxy in zip(axes, proxies, strict=True):
            for place, (partition, own) in enumerate(
                rows[rows["proxy"] == proxy].groupby("partition", sort=False)
            ):
                y = -np.log10(np.clip(own["p"], 1e-150, 1))
                colour = style.CLUSTERS[place]
                axis.plot(own["k"], y, color=colour, linewidth=0.8)
                for k, height, effect in zip(own["k"], y, own["effect"], strict=True):
                    fill = "full" if effect > 1 else "none"
                    axis.plot(k, height, MARKS[str(partition)], color=colour, fillstyle=fill)
                axis.plot([], [], MARKS[str(partition)], color=colour, label=partition)
            axis.axhline(-np.log10(0.025), color=style.FAINT, linestyle="--")
            p_axis(axis.yaxis)
            axis.set_ylim(-0.1, None)
            axis.set(title=PROXIES[proxy], xlabel="k", xticks=sorted(set(rows["k"])))
        axes[0].set_ylabel("−log₁₀ p")
        axes[-1].legend(fontsize=6.5)
    return figure
