"""Tables and pictures of the section on differences between layers."""

from __future__ import annotations

import numpy as np
import pandas as pd
from IPython.display import Markdown
from matplotlib.figure import Figure
from pandas.io.formats.style import Styler

from book.lab import ledger
from book.lab.evidence import Results
from book.lab.show import styled
from book.papers.community_modularity.page import NOT_RUN, network_name
from book.papers.community_modularity.s04_layer_difference import block_patterns, pictures
from book.papers.community_modularity.s04_layer_difference import experiment as layer_difference
from book.papers.community_modularity.s04_layer_difference.measures import pairs_of_layers

__all__ = ["heat_maps", "pairs", "patterns", "same_q", "stored_rows"]

NETWORK = "resnet18"
ONE = ["network", "seed", "stage", "parts"]
PART_WORDS = {"units": "with batch norm, ReLU", "convolutions": "bare convolutions"}


def stored_rows(results: Results | None = None) -> pd.DataFrame:
    """Stored pairs of layers: trained and untrained, both granularities; empty where not run."""
    results = ledger.load_results() if results is None else results
    found = [
        pairs_of_layers(results, network=NETWORK, parts=parts, stage=stage)
        for stage in ("trained", "untrained")
        for parts in PART_WORDS
    ]
    full = [rows for rows in found if len(rows)]
    return pd.concat(full, ignore_index=True) if full else found[0]


def heat_maps(
    rows: pd.DataFrame, *, stage: str = "trained", parts: str = "units"
) -> Figure | Markdown:
    """Both heat maps of the first network of a stage, or a line that says it is not run."""
    own = _first(rows, stage, parts)
    if own.empty:
        return Markdown(NOT_RUN)
    title = f"{network_name(own['network'].iloc[0])}, {stage}"
    return pictures.layer_differences(*layer_difference.matrices(own), title=title)


def pairs(rows: pd.DataFrame, *, stage: str = "trained", parts: str = "units") -> Figure | Markdown:
    """Both distances of every pair of layers of that network against each other."""
    own = _first(rows, stage, parts)
    return pictures.difference_against_cka(own) if len(own) else Markdown(NOT_RUN)


def _first(rows: pd.DataFrame, stage: str, parts: str) -> pd.DataFrame:
    """The rows of the first network of a stage and granularity."""
    if rows.empty:
        return rows
    rows = rows[(rows["stage"] == stage) & (rows["parts"] == parts)]
    return rows[rows["seed"] == rows["seed"].min()]


def patterns(rows: pd.DataFrame, *, name: str) -> Styler | Markdown:
    """The block pattern in numbers, one line a network, stage and granularity.

    Args:
        rows: of ``layer_difference.table``.
        name: fixed id of the table.
    """
    if rows.empty:
        return Markdown(NOT_RUN)
    lines = []
    for (_, seed, stage, parts), own in rows.groupby(ONE):
        line = {"network": f"{stage}, seed {seed}", "layers inside": PART_WORDS[parts]}
        for measure, word in (("difference", "D"), ("cka", "1-CKA")):
            found = block_patterns.contrast(own, measure)
            line[f"{word} to inside"] = f"{found.inside:.3f}"
            line[f"{word} to outputs"] = f"{found.after:.3f}"
            line[f"{word}: blocks"] = f"{found.share:.0%}"
        alike = block_patterns.alike(own)
        line["rank corr."] = f"{alike.correlation:.2f} (p = {alike.p_value:.3f})"
        line["beyond depth"] = f"{alike.beyond_depth:.2f}"
        lines.append(line)
    return styled(pd.DataFrame(lines), name).hide(axis="index")


def same_q(*, seed: int = 0) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
    """Made representations that are not alike and have one and the same Q.

    Four groups of 25 samples in 8 dimensions, two near each other and two near each other. The
    others are the same points: in a turned space, dealt anew to the samples of each group, and
    with two groups exchanged.

    Returns:
        Labels (100,), features (100, 8), and the other features by name.
    """
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(4), 25)
    centres = 20 * np.eye(8)[[0, 0, 1, 1]] + 8 * np.eye(8)[[2, 3, 4, 5]]
    x = centres[labels] + rng.normal(size=(len(labels), 8))
    rotation = np.linalg.qr(rng.normal(size=(8, 8)))[0]
    inside = np.concatenate([rng.permutation(np.flatnonzero(labels == c)) for c in range(4)])
    exchanged = np.argsort(np.array([0, 2, 1, 3])[labels], kind="stable")
    others = {"space turned": x @ rotation, "reassigned inside groups": x[inside]}
    return labels, x, others | {"two groups exchanged": x[exchanged]}
