"""The book's own source as one archive: every file that the repository keeps, as it is now.

The site offers it, so that whoever has the pages can have the book. Same files, same bytes.
"""

from __future__ import annotations

import gzip
import io
import subprocess
import sys
import tarfile
from pathlib import Path

from book.scripts.sections import BUILD, ROOT

NAME = "modgraph-book-source.tar.gz"
# Where there is no git: what `make` derives, which is not source.
DERIVED = {"_build", ".venv", "data/cache", "__pycache__"}


def kept(root: Path = ROOT) -> list[Path]:
    """Files of the source, sorted: what git knows, or all but what is derived."""
    command = ["git", "-C", str(root), "ls-files", "-z"]
    listed = subprocess.run(command, capture_output=True, text=True, check=False)
    if listed.returncode == 0 and listed.stdout:
        names = listed.stdout.split("\0")
        return sorted(root / name for name in names if (root / name).is_file())

    def derived(path: Path) -> bool:
        inside = path.relative_to(root)
        return any(
            part in DERIVED or part.startswith(".venv") for part in inside.parts
        ) or inside.as_posix().startswith("data/cache")

    return sorted(path for path in root.rglob("*") if path.is_file() and not derived(path))


def write(target: Path, root: Path = ROOT) -> Path:
    """Write the archive; equal files give equal bytes."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for path in kept(root):
            inside = Path("modgraph-book") / path.relative_to(root)
            info = tarfile.TarInfo(inside.as_posix())
            info.size = path.stat().st_size
            info.mode = 0o755 if path.stat().st_mode & 0o100 else 0o644
            with path.open("rb") as file:
                archive.addfile(info, file)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(gzip.compress(stream.getvalue(), mtime=0))
    return target


def main() -> int:
    """Command line; returns the exit status."""
    path = write(BUILD / "dist" / NAME)
    print(f"book: {path} ({path.stat().st_size / 1e6:.1f} MB)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
