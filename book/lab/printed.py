"""The papers' tables as printed."""

from __future__ import annotations

import pandas as pd

from book.lab.claims import papers_root

__all__ = ["paper_table"]


def paper_table(name: str) -> pd.DataFrame:
    """A transcribed table as printed, every cell text: ``paper_table("clusterability/table_a5")``.

    Raises:
        ValueError: there is no such table (lists those of the paper).
    """
    path = papers_root() / "tables" / f"{name}.csv"
    if not path.is_file():
        siblings = sorted(p.stem for p in path.parent.glob("*.csv"))
        raise ValueError(
            f"no table {name!r} in {papers_root() / 'tables'}; "
            f"that paper has: {', '.join(siblings) or 'none'}"
        )
    return pd.read_csv(path, dtype=str, keep_default_na=False)
