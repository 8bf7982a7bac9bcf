"""Refuse a mistyped section, scale or parameter at once, in one line (`make run`, `make rows`).

Runs before the environment is made, with any Python 3.8 or newer and the standard library only:
nobody should wait for an installation, a kernel or a traceback to learn of a slip of the finger.
Values are checked by the notebook itself, in its first cell after the parameters.
"""

from __future__ import annotations

import ast
import difflib
import json
import shlex
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SCALES = ("quick", "laptop", "paper")
OPTIONS = ("-p", "--parameters", "-r", "--parameters_raw")


def sections(root: Path = ROOT) -> list[str]:
    """Names of all sections that have a notebook."""
    found = (root / "notebooks").glob("*/[0-9]*.ipynb")
    return sorted(f"{path.parent.name}/{path.stem}" for path in found)


def parameters(section: str, root: Path = ROOT) -> list[str]:
    """Names in the parameters cell of a section."""
    notebook = json.loads((root / "notebooks" / f"{section}.ipynb").read_text("utf8"))
    names = []
    for cell in notebook["cells"]:
        if "parameters" in cell.get("metadata", {}).get("tags", []):
            for node in ast.parse("".join(cell["source"])).body:
                target = node.target if isinstance(node, ast.AnnAssign) else node.targets[0]
                names.append(target.id)
    return names


def given_parameters(arguments: str) -> list[str]:
    """Names after -p and its like in what goes to papermill."""
    words = shlex.split(arguments)
    return [words[at + 1] for at, word in enumerate(words[:-1]) if word in OPTIONS]


def nearest(name: str, known: list[str]) -> list[str]:
    """Up to three known names that resemble ``name``, as a whole or in their last part."""
    plain = name.strip("/").replace("notebooks/", "").rsplit(".ipynb", 1)[0].lower()
    last = plain.rpartition("/")[2]
    ends = {one.rpartition("/")[2]: one for one in known}
    close = [one for one in known if len(last) > 2 and last in one.lower()]
    whole = difflib.get_close_matches(plain, known, n=3, cutoff=0.85)
    parts = [ends[end] for end in difflib.get_close_matches(last, list(ends), n=3, cutoff=0.6)]
    close += whole or parts
    return list(dict.fromkeys(close))[:3]


def complaint(what: str, name: str, known: list[str]) -> str:
    """One line: what is unknown, and what was probably meant or what there is."""
    close = nearest(name, known)
    if close:
        return f"no {what} {name!r}; did you mean {' or '.join(close)}?"
    return f"no {what} {name!r}; there are: {', '.join(known)}"


def problem(section: str, scale: str, arguments: str = "", root: Path = ROOT) -> str:
    """What is wrong with the names given to ``make run``, or an empty string."""
    known = sections(root)
    if not section:
        return f"name a section, as in SECTION={known[0]}; there are: {', '.join(known)}"
    if section not in known:
        return complaint("section", section, known)
    if scale not in SCALES:
        return complaint("scale", scale, list(SCALES))
    names = parameters(section, root)
    for name in given_parameters(arguments):
        if name not in names:
            return f"{section}: {complaint('parameter', name, names)}"
    return ""


def main(section: str, scale: str, arguments: str = "") -> int:
    """Command line; returns the exit status."""
    found = problem(section, scale, arguments)
    if found:
        print(found, file=sys.stderr)
    return 2 if found else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
