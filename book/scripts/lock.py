"""Write ``constraints.txt`` from what the environments here hold (``make lock``).

One list serves every supported Python, and some packages are needed by one of them only (aiohttp
by papermill on 3.12). So the pins are gathered from ``.venv`` and from the environments of
``make test-pythons``; where one of those is not there, pins that nothing here needs are kept.

To move to newer versions: edit ``pyproject.toml``, install it without the constraints into
``.venv``, run the tests, then ``make lock``.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from importlib.metadata import distributions
from pathlib import Path

from book.scripts.environment import SUPPORTED

ROOT = Path(__file__).resolve().parents[2]
SKIP = {"pip", "modgraph-lib", "modgraph_lib", "modgraph-book", "modgraph_book"}
HEADER = """\
# Exact versions of everything that `make env` installs, direct and transitive, on every Python
# that is supported. Used as: pip install -c constraints.txt -e '.[all]' -e ./book
# Made by `make lock` (book/scripts/lock.py); checked by tests/test_environment.py.
# torch: a CPU and a CUDA build both satisfy this pin (the local part of a version, +cpu or
# +cu130, is ignored); a CUDA build brings its nvidia-* packages pinned by itself.
"""
# What a CUDA build of torch adds: pinned by torch itself, absent where a CPU build is used.
CUDA_PREFIXES = ("nvidia-", "cuda-", "triton", "pytorch-triton")


def held(folders: Iterable[str | Path] | None = None) -> dict[str, str]:
    """Version by name of the distributions in ``folders``, or in the running environment."""
    where = {} if folders is None else {"path": [str(folder) for folder in folders]}
    found = {dist.name: dist.version.split("+")[0] for dist in distributions(**where)}
    names = (n for n in found if n not in SKIP and not n.lower().startswith(CUDA_PREFIXES))
    return {name: found[name] for name in names}


def pinned(root: Path = ROOT) -> dict[str, str]:
    """What ``constraints.txt`` says now."""
    lines = (root / "constraints.txt").read_text("utf8").splitlines()
    return dict(line.split("==") for line in lines if line and not line.startswith("#"))


def gathered(root: Path = ROOT) -> tuple[dict[str, str], list[str]]:
    """The pins for every supported Python, and the Pythons of which no environment is here.

    The running environment decides where two hold different versions.
    """
    (major, low), (_, high) = SUPPORTED
    found, absent = {}, []
    for version in (f"{major}.{minor}" for minor in range(low, high)):
        packages = root / f".venv-{version}" / "lib" / f"python{version}" / "site-packages"
        if packages.is_dir():
            found |= held([packages])
        elif version != f"{sys.version_info[0]}.{sys.version_info[1]}":
            absent.append(version)
    if absent:
        found = pinned(root) | found
    return found | held(), absent


def main() -> None:
    """Write the file and say where its content comes from."""
    pins, absent = gathered()
    lines = [f"{name}=={pins[name]}" for name in sorted(pins, key=str.lower)]
    (ROOT / "constraints.txt").write_text(HEADER + "\n".join(lines) + "\n", "utf8")
    print(f"constraints.txt: {len(lines)} packages")
    if absent:
        print(
            f"No environment of Python {' and '.join(absent)} is here: pins that only they may need"
            " were kept as they were. `make test-pythons` makes those environments."
        )


if __name__ == "__main__":
    main()
