"""Sphinx extension: docstrings are written for people at a prompt, and read here as reST.

``|w|`` means an absolute value in this library, and a substitution in reStructuredText; it is
escaped. Listed under ``extensions`` in ``_config.yml``.
"""

from __future__ import annotations

import re

# Literals first, so that what stands between double backticks is matched whole and kept.
BARS = re.compile(r"``.*?``|\|")


def escape_bars(line: str) -> str:
    """``line`` with bars escaped outside literals; prompts and their output are left alone."""
    if line.lstrip().startswith((">>>", "...")):
        return line
    return BARS.sub(lambda m: r"\|" if m.group() == "|" else m.group(), line)


def process(app, what, name, thing, options, lines: list[str]) -> None:
    """Handler of ``autodoc-process-docstring``: changes ``lines`` in place."""
    lines[:] = [escape_bars(line) for line in lines]


def setup(app) -> dict[str, bool]:
    """Called by Sphinx."""
    app.connect("autodoc-process-docstring", process)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
