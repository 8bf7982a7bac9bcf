"""Write ``constraints.txt`` from what the running environment holds (``make lock``).

To move to newer versions: edit ``pyproject.toml``, install it without the constraints into
``.venv``, run the tests, then ``make lock``.
"""

from __future__ import annotations

from importlib.metadata import distributions
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SKIP = {"pip", "modgraph-lib", "modgraph_lib"}
HEADER = """\
# Exact versions of everything that `make env` installs, direct and transitive.
# Used as: pip install -c constraints.txt -e '.[all]'
# Made by `make lock` (book/scripts/lock.py); checked by tests/test_environment.py.
# torch: a CPU and a CUDA build both satisfy this pin (the local part of a version, +cpu or
# +cu130, is ignored); a CUDA build brings its nvidia-* packages pinned by itself.
"""
# What a CUDA build of torch adds: pinned by torch itself, absent where a CPU build is used.
CUDA_PREFIXES = ("nvidia-", "cuda-", "triton", "pytorch-triton")


def lines() -> list[str]:
    """``name==version`` of every installed distribution, sorted, local version parts removed."""
    found = {dist.name: dist.version.split("+")[0] for dist in distributions()}
    names = sorted((n for n in found if n not in SKIP), key=str.lower)
    return [f"{n}=={found[n]}" for n in names if not n.lower().startswith(CUDA_PREFIXES)]


if __name__ == "__main__":
    (ROOT / "constraints.txt").write_text(HEADER + "\n".join(lines()) + "\n", "utf8")
    print(f"constraints.txt: {len(lines())} packages")
