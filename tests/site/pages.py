"""Which pages the site has, read from the table of contents."""

from pathlib import Path

import yaml

from book.scripts.render import toc_files

ROOT = Path(__file__).resolve().parents[2]
PAGES = [
    f"{name}.html" for name in toc_files(yaml.safe_load((ROOT / "_toc.yml").read_text("utf8")))
]
SECTIONS = [page for page in PAGES if page.startswith("notebooks/")]
# Text alone, without executed cells or the library's docstrings.
PLAIN = [f"book/{name}.html" for name in ("how_to_read", "how_to_rerun", "notation", "references")]
