"""Which pages the site has, read from the table of contents."""

from pathlib import Path

import yaml

from book.scripts.render import toc_files

ROOT = Path(__file__).resolve().parents[2]
PAGES = [
    f"{name}.html" for name in toc_files(yaml.safe_load((ROOT / "_toc.yml").read_text("utf8")))
]
SECTIONS = [page for page in PAGES if page.startswith("notebooks/")]
