"""What the sections on community modularity show in the same way."""

from __future__ import annotations

import pandas as pd
from IPython.display import Markdown

from book.lab import words
from book.lab.evidence import Results
from book.lab.show import NOT_RUN
from book.lab.status import status_line
from book.papers.community_modularity.settings import DATA_WORDS, NETWORK_WORDS

__all__ = ["NOT_RUN", "network_name", "provenance", "status"]

# What tells one trained network from another.
NETWORK = ["network", "data", "seed", "width", "epochs"]


def network_name(name: str) -> str:
    """ "ResNet18" of "resnet18"."""
    for start, word in NETWORK_WORDS.items():
        if name.startswith(start):
            return word + name.removeprefix(start)
    return name


def status(section: str, rows: pd.DataFrame, results: Results | None = None) -> Markdown:
    """The line under a section's title: paper, verdicts so far, evidence, digests.

    Args:
        section: for instance "community_modularity/03_training".
        rows: the evidence, with the columns of ``community_modularity.curves.table``.
        results: as for ``ledger.verdicts``; None reads the store.
    """
    cost = "this page about a minute on 2 cores"
    return status_line(section, rows, evidence=_evidence(rows), cost=cost, results=results)


def provenance(rows: pd.DataFrame) -> Markdown:
    """Which networks, when and where, from the rows themselves."""
    return words.provenance(rows, _evidence(rows))


def _evidence(rows: pd.DataFrame) -> str:
    """ "2 ResNet18 on CIFAR-10 (width 16, 10 epochs)", or that there is nothing.

    Networks without some layers, "vgg19_3", are counted with the one they come from.
    """
    if rows.empty:
        return "only digits have been run"
    found = rows.drop_duplicates(NETWORK)
    whole = found["network"].str.partition("_")[0]
    said = []
    for (network, data, width), own in found.groupby([whole, "data", "width"], sort=False):
        size = "full width" if width == 0 else f"width {width}"
        epochs = " or ".join(str(n) for n in sorted(set(own["epochs"]), reverse=True))
        shorter = own["network"].str.contains("_")
        name = f"{own.loc[~shorter, 'seed'].nunique()} {network_name(network)}"
        if shorter.any():
            name += f" and {shorter.sum()} with fewer layers"
        said.append(f"{name} on {DATA_WORDS.get(data, data)} ({size}, {epochs} epochs)")
    return ", ".join(said)
