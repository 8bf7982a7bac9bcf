"""Where data sets are looked for, and where decoded copies are kept."""

import os
from pathlib import Path

from modgraph_lib import _checks, cache
from modgraph_lib.datasets._types import DataMissing

SYSTEM = Path("/usr/share/datasets")  # Debian's dataset-* packages


def roots(root: str | Path | None = None) -> list[Path]:
    """Folders to search, in order and without repeats.

    ``root`` first (an error when it does not exist, for that is a typing mistake), then those
    of the environment variable MODGRAPH_DATA (several are separated by ``os.pathsep``), then
    ``data/cache/datasets`` below the working directory and below the project, then
    the user's cache folder, then what the system's own packages install.
    """
    found: list[Path] = []
    if root is not None and str(root) != "":
        given = Path(_checks.instance(root, str | Path, "the data root as a folder")).expanduser()
        if not given.is_dir():
            raise DataMissing(f"the data root {str(given)!r} is not a folder")
        found.append(given)
    for entry in os.environ.get("MODGRAPH_DATA", "").split(os.pathsep):
        if entry:
            found.append(Path(entry).expanduser())
    found.append(Path.cwd() / "data" / "cache" / "datasets")
    project = cache.checkout()
    if project is not None:
        found.append(project / "data" / "cache" / "datasets")
    found += [cache.user_cache(), SYSTEM]
    return list(dict.fromkeys(found))


def download_folder(root: str | Path | None = None) -> Path:
    """Where ``fetch`` puts a download: ``root``, else the project's cache, else the user's."""
    if root is not None and str(root) != "":
        return Path(root).expanduser()
    project = cache.checkout()
    return project / "data" / "cache" / "datasets" if project else cache.user_cache()


def missing(name: str, wanted: str, searched: list[Path], *, advice: str = "") -> DataMissing:
    """The one error for absent data: what is missing, where it was looked for, how to get it."""
    looked = "\n".join(
        f"  {folder}{'' if folder.is_dir() else '  (no such folder)'}" for folder in searched
    )
    return DataMissing(
        f"the data set {name!r} is not on this machine ({wanted}).\nLooked in:\n{looked}\n"
        + (advice or f"Get it with: python -m modgraph_lib.datasets fetch {name}")
        + "\nData kept elsewhere: pass root=, or set MODGRAPH_DATA to the folder."
    )
