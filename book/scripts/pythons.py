"""Run the suite on every supported Python that is found here (``make test-pythons``).

Each has an environment of its own, ``.venv-3.11`` and so on, kept between runs and made by
:mod:`book.scripts.environment` from the same locks as ``.venv``. Tested are the library, the lab,
the papers and every notebook (by nbval, in that Python); the rendered site is one and the same for
all and is left to ``make test``. Uses the standard library only.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))
from book.scripts.environment import SUPPORTED  # noqa: E402

(_MAJOR, _LOW), (_, _HIGH) = SUPPORTED
VERSIONS = tuple(f"{_MAJOR}.{minor}" for minor in range(_LOW, _HIGH))
TESTS = ("tests", "notebooks", "--ignore=tests/site", "--nbval-lax", "--nbval-current-env")


def candidates(version: str) -> list[str]:
    """Where an interpreter may be: on the path, or among pyenv's versions, the newest first.

    pyenv's commands on the path exist for versions that are not switched on, and then fail.
    """
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"

    def number(path: Path) -> list[int]:
        return [int(part) for part in path.parts[-3].split(".") if part.isdigit()]

    found = sorted(pyenv.glob(f"{version}.*/bin/python"), key=number, reverse=True)
    return [*filter(None, [shutil.which(f"python{version}")]), *map(str, found)]


def find(version: str) -> str | None:
    """An interpreter of this version that starts, or None."""
    ask = "import sys, venv; print('%d.%d' % sys.version_info[:2])"
    for path in candidates(version):
        done = subprocess.run([path, "-c", ask], capture_output=True, text=True, check=False)
        if done.returncode == 0 and done.stdout.strip() == version:
            return path
    return None


def run_suite(version: str, interpreter: str, jobs: int, arguments: list[str]) -> str:
    """Make the environment, run the tests in it; return what there is to say about it."""
    venv = ROOT / f".venv-{version}"
    make = [interpreter, str(Path(__file__).with_name("environment.py")), "--venv", str(venv)]
    if subprocess.run(make, cwd=ROOT, check=False).returncode:
        return "FAILED: no environment"
    command = [str(venv / "bin" / "python"), "-m", "pytest", "-n", str(jobs), "--dist", "loadscope"]
    threads = {"OMP_NUM_THREADS": "1", "LOKY_MAX_CPU_COUNT": "1", "PYTHONNOUSERSITE": "1"}
    done = subprocess.run(
        [*command, *TESTS, *arguments], cwd=ROOT, env={**os.environ, **threads}, check=False
    )
    return "passed" if done.returncode == 0 else f"FAILED: pytest's exit status {done.returncode}"


def main(argv: list[str] | None = None) -> int:
    """Command line; returns the exit status: 0 where every Python found has passed."""
    given = list(sys.argv[1:] if argv is None else argv)
    at = given.index("--") if "--" in given else len(given)
    parser = argparse.ArgumentParser(description="the suite on every supported Python found here")
    parser.add_argument("versions", nargs="*", metavar="VERSION", help=", ".join(VERSIONS))
    parser.add_argument("--jobs", type=int, default=2, help="test processes at a time (default 2)")
    options = parser.parse_args(given[:at])
    for version in options.versions:
        if version not in VERSIONS:
            parser.error(f"Python {version} is not supported; supported: {', '.join(VERSIONS)}")
    told = {}
    for version in options.versions or VERSIONS:
        interpreter = find(version)
        if interpreter is None:
            told[version] = f"not found (no python{version} on the path or in pyenv), not tested"
            continue
        print(f"pythons: Python {version} is {interpreter}", flush=True)
        told[version] = run_suite(version, interpreter, options.jobs, given[at + 1 :])
    for version, outcome in told.items():
        print(f"Python {version}: {outcome}")
    ran = [outcome for outcome in told.values() if not outcome.startswith("not found")]
    # Named and not there is a failure; not named and not there is only told.
    asked = options.versions and len(ran) < len(told)
    return 1 if asked or not ran or any(o != "passed" for o in ran) else 0


if __name__ == "__main__":
    sys.exit(main())
