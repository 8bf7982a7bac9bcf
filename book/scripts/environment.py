"""Create or refresh ``.venv`` so that it holds exactly the locked dependencies.

Run by ``make env`` with the Python that the environment is to have: the one named (PYTHON=...),
else the one it was made with, else the system's. Uses the standard library only. The environment
is rebuilt when the *content* of what defines it changes (locks, declared dependencies, Python),
not when a file's date does. A stamp is written last: an environment without a valid stamp was
killed half-way, cannot be trusted (pip skips packages whose files are only partly there), and is
made anew.
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import json
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
VENV = ROOT / ".venv"
SUPPORTED = ((3, 11), (3, 14))
PIP = "pip==26.3"  # unpacks in half the time of the one that comes with Python 3.11


def digest(root: Path = ROOT) -> str:
    """SHA-256 over everything that decides what the environment contains.

    Only the dependency tables of ``pyproject.toml`` count: a changed lint rule must not
    reinstall torch.
    """
    import tomllib  # not at the top: an old Python must get as far as being told that it is old

    library = tomllib.loads((root / "pyproject.toml").read_text("utf8"))
    book = tomllib.loads((root / "book" / "pyproject.toml").read_text("utf8"))
    parts = {
        "constraints": (root / "constraints.txt").read_text("utf8"),
        "project": library["project"],
        "build": library["build-system"],
        "book": book,
        "python": sys.version,
        "root": str(root),
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def is_current(venv: Path = VENV, root: Path = ROOT) -> bool:
    """Whether ``venv`` was completely installed from the files as they are now."""
    stamp = venv / ".modgraph-stamp"
    try:
        return stamp.read_text() == digest(root) and (venv / "bin" / "python").exists()
    except OSError:
        return False


def install(venv: Path = VENV, root: Path = ROOT) -> None:
    """Build the environment from nothing; the stamp is the last thing written.

    Raises:
        subprocess.CalledProcessError: pip failed; its own message has been printed.
    """
    subprocess.run([sys.executable, "-m", "venv", "--clear", str(venv)], check=True)
    pip = [str(venv / "bin" / "python"), "-m", "pip", "--disable-pip-version-check", "install"]
    # Twice quiet: errors only. Extra indexes that lack a package are warned about one by one.
    # Not compiled: most of 16,000 modules are never imported, Python compiles the others then.
    pip += ["-qq", "--no-compile", "--constraint", str(root / "constraints.txt")]
    # setuptools first and no build isolation: the build, too, uses the locked version only.
    subprocess.run([*pip, PIP, "setuptools"], check=True)
    editable = ["--no-build-isolation", "--editable"]
    subprocess.run([*pip, *editable, f"{root}[all]"], check=True)
    # The lab and the papers: what a notebook imports wherever it is opened.
    subprocess.run([*pip, "--no-deps", *editable, f"{root / 'book'}"], check=True)
    (venv / ".modgraph-stamp").write_text(digest(root))


def main(argv: list[str] | None = None) -> int:
    """Entry point of ``make env``. Returns the exit status."""
    parser = argparse.ArgumentParser(description="create or refresh an environment")
    parser.add_argument("--venv", type=Path, default=VENV, help="its folder (default .venv)")
    venv = parser.parse_args(argv).venv
    low, high = SUPPORTED
    if not low <= sys.version_info[:2] < high:
        found = ".".join(map(str, sys.version_info[:3]))
        print(
            f"Python 3.11, 3.12 or 3.13 is needed, this is {found} ({sys.executable}).\n"
            "Name another one: make env PYTHON=python3.12",
            file=sys.stderr,
        )
        return 1
    with venv.with_name(f"{venv.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # a second `make` waits instead of clearing under us
        if is_current(venv):
            return 0
        print(f"env: installing the locked dependencies into {venv} (a few minutes)", flush=True)
        start = time.monotonic()
        try:
            install(venv)
        except subprocess.CalledProcessError as error:
            print(f"env: failed: {' '.join(map(str, error.cmd))}", file=sys.stderr)
            return 1
        print(f"env: ready after {time.monotonic() - start:.0f} s", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
