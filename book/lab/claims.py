"""The 401 claims: what the papers state, and our tests of it, read and checked.

``data/papers/claims.csv`` holds the facts as transcribed; they may not change. What is ours stands
in ``data/papers/<paper>/tests.yaml``, see ``entries``.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from book.lab import entries
from book.lab.criteria import Criterion
from book.lab.store import REPOSITORY

__all__ = [
    "FACTS",
    "FACTS_DIGEST",
    "PAPERS",
    "criteria_of",
    "load_claims",
    "papers_root",
    "tests_digest",
    "written",
]

FACTS = (
    "paper",
    "id",
    "where",
    "claim",
    "quantity",
    "comparator",
    "value_low",
    "value_high",
    "setting",
    "needs",
)
PAPERS = {
    "community_modularity": "Understanding the Dynamics of DNNs Using Graph Modularity",
    "surprisingly_modular": "Neural Networks are Surprisingly Modular",
    "clusterability": "Clusterability in Neural Networks",
    "cnn_dynamics": "Convolutional Neural Network Dynamics: A Graph Perspective",
    "detecting_modularity": "Detecting Modularity in Deep Neural Networks",
}
FACTS_DIGEST = "a0ada7d9bc6b6440e06e2863e15e12dbb5021d364fdf1bd1a93b412e5fd87968"


def papers_root() -> Path:
    """Folder of transcribed claims and tables: $MODGRAPH_PAPERS, or data/papers here."""
    return Path(os.environ.get("MODGRAPH_PAPERS") or REPOSITORY / "data" / "papers")


def facts_digest(claims: pd.DataFrame) -> str:
    """SHA-256 of the transcribed columns, independent of quoting and of our columns."""
    lines = ("\x1f".join(row) for row in claims[list(FACTS)].itertuples(index=False))
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def load_claims(root: str | Path | None = None, *, arguments: bool = False) -> pd.DataFrame:
    """All claims, one row each, indexed by position: the facts, and what is ours.

    Args:
        root: a folder of claims other than the project's own.
        arguments: import every measurement and check that it takes what its claims give it.

    Returns:
        The columns of ``FACTS``, as text, and the fields of ``entries.Entry`` (text is called
        criterion_text), empty where there is no test yet; written, the time since when the tests
        read as they do now (``book.scripts.written``), empty if not known.

    Raises:
        FileNotFoundError: there is no such table (says where it was looked for).
        ValueError: columns missing, ids doubled, facts altered; an entry of no claim, or one that
            ``entries.read`` refuses. All faults in one message.
    """
    root = Path(root) if root is not None else papers_root()
    path = root / "claims.csv"
    if not path.exists():
        raise FileNotFoundError(
            f"no table of claims at {path}; set MODGRAPH_PAPERS to the project's data/papers"
        )
    claims = pd.read_csv(path, dtype=str, keep_default_na=False)
    if missing := [name for name in FACTS if name not in claims]:
        raise ValueError(f"{path} lacks the columns {', '.join(missing)}")
    faults = []
    if doubled := sorted(claims["id"][claims["id"].duplicated()]):
        faults.append(f"ids that occur more than once: {', '.join(doubled)}")
    if unknown := sorted(set(claims["paper"]) - set(PAPERS)):
        faults.append(f"unknown papers: {', '.join(unknown)}")
    if facts_digest(claims) != FACTS_DIGEST:
        faults.append("the transcribed columns differ from the transcription")
    ours: dict[str, entries.Entry] = {}
    for paper, ids in claims.groupby("paper")["id"]:
        found, wrong = entries.read(root / str(paper) / "tests.yaml", arguments=arguments)
        wrong += [f"{name}: no claim of {paper}" for name in sorted(set(found) - set(ids))]
        ours |= found
        faults += wrong
    if faults:
        raise ValueError(f"{root}:\n- " + "\n- ".join(faults))
    nothing = entries.Entry()
    columns = [vars(ours.get(name, nothing)) for name in claims["id"]]
    claims = claims.join(pd.DataFrame(columns).rename(columns={"text": "criterion_text"}))
    return claims.assign(written=written(root, claims))


def tests_digest(tests: Iterable[Criterion]) -> str:
    """What changes when a test does: its measurement, arguments, comparator, bounds or runs."""
    text = json.dumps([dataclasses.astuple(one) for one in tests])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def written(root: Path, claims: pd.DataFrame) -> list[str]:
    """Since when each row's tests read as they do now; empty where that is not known."""
    path = root / "written.csv"
    if not path.exists():
        return [""] * len(claims)
    table = pd.read_csv(path, dtype=str).set_index(["id", "digest"])["written"]
    keys = zip(claims["id"], claims["tests"].map(tests_digest), strict=True)
    return [table.get(key, "") for key in keys]


def criteria_of(claim: pd.Series | tuple) -> list[Criterion]:
    """The tests of one row of ``load_claims``; empty while nobody has written one."""
    return list(claim.tests)
