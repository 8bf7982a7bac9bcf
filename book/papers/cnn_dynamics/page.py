"""What the sections on CNN dynamics show in the same way."""

from __future__ import annotations

import pandas as pd
from IPython.display import Markdown

from book.lab import ledger, words
from book.lab.claims import papers_root
from book.lab.evidence import Results
from book.lab.show import NOT_RUN
from book.lab.status import status_line
from book.papers.cnn_dynamics import evidence

__all__ = ["NAMES", "NOT_RUN", "cost", "paper_table", "provenance", "status", "stored"]

NAMES = {
    "lenet": "LeNet",
    "alexnet": "AlexNet",
    "vgg1613": "VGG",
    "resnet32": "ResNet-32",
    "resnet44": "ResNet-44",
    "resnet50": "ResNet-50",
}
# Processor seconds of a network and epoch at paper scale, measured: rows of cnn_runtimes replace
# them where they are there. LeNet is of an ensemble, whose rows say so.
CPU_SECONDS = {
    "lenet": 4.0,
    "alexnet": 375.0,
    "vgg1613": 919.0,
    "resnet32": 714.0,
    "resnet44": 1000.0,
}


def paper_table(name: str) -> pd.DataFrame:
    """One of the paper's tables as transcribed: "table_2" to "table_5"."""
    return pd.read_csv(papers_root() / "tables" / "cnn_dynamics" / f"{name}.csv")


def stored(network: str = "lenet", data: str = "cifar10") -> pd.DataFrame:
    """Networks of a grid that count as evidence; see ``evidence.grid``."""
    return evidence.grid(ledger.load_results(), network=network, data=data)


def status(section: str, rows: pd.DataFrame, results: Results | None = None) -> Markdown:
    """The line under a section's title: paper, verdicts so far, evidence, digests."""
    cost = "this page less than a minute on 2 cores"
    return status_line(section, rows, evidence=described(rows), cost=cost, results=results)


def described(rows: pd.DataFrame) -> str:
    """ "120 LeNets (16 pixels, 5,000 images, 15 epochs)", or that there is nothing."""
    if rows.empty:
        return "only digits have been run"
    if "pixels" not in rows or "accuracy" not in rows:
        return f"{len(rows)} rows"
    found = []
    for name, own in rows.groupby("network", sort=False):
        scale = str(own["scale"].iloc[0]) if "scale" in own else ""
        found.append(f"{len(own)} {NAMES[str(name)]}s ({scale or 'as in the paper'})")
    return "; ".join(found)


def provenance(rows: pd.DataFrame) -> Markdown:
    """Which networks, when and where, from the rows themselves."""
    return words.provenance(rows, described(rows))


def cost(section: str, network: str = "lenet", networks: int = 120, epochs: int = 50) -> Markdown:
    """How long a grid at the paper's scale takes at most, and the command that runs it."""
    table = ledger.load_results().get("cnn_runtimes", pd.DataFrame())
    seconds = CPU_SECONDS[network]
    if len(table) and network != "lenet":
        own = table[(table["network"] == network) & (table["batch_size"] == 128)]
        seconds = own["epoch_seconds"].min() if len(own) else seconds
    hours = seconds * networks * epochs / 2 / 3600
    words = f"{hours:.1f} hours" if hours < 48 else f"{hours / 24:.0f} days"
    return Markdown(
        f"{networks} {NAMES[network]}s take at most {words} of two cores, and less because many "
        "stop early. You can stop the run, and the same command continues it:\n\n"
        f"```bash\nmake rows SECTION={section} SCALE=paper\n```"
    )
