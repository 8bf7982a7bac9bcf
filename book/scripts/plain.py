"""Sphinx without Jupyter Book: the same site from the same ``_config.yml``.

Jupyter Book 1.x is in maintenance. Where it is not installed, or ``MODGRAPH_PLAIN`` is set, the
site is built by ``sphinx-build`` with the configuration written here.
"""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from typing import Any

import yaml

# What Jupyter Book sets by itself; everything else stands in _config.yml.
DEFAULTS: dict[str, Any] = {
    "html_theme": "sphinx_book_theme",
    "pygments_style": "sphinx",
    "exclude_patterns": ["**.ipynb_checkpoints", ".DS_Store", "Thumbs.db", "_build"],
    "external_toc_path": "_toc.yml",
    "external_toc_exclude_missing": True,
    "nb_execution_mode": "off",
    "suppress_warnings": ["myst.domains"],
    "numfig": True,
}


def wanted() -> bool:
    """Whether Jupyter Book is absent, or somebody asks to do without it."""
    return bool(os.environ.get("MODGRAPH_PLAIN")) or not importlib.util.find_spec("jupyter_book")


def configuration(config: dict[str, Any]) -> str:
    """``conf.py`` for sphinx-build from the content of ``_config.yml``."""
    sphinx = dict(config["sphinx"]["config"])
    sphinx["extensions"] = [one for one in sphinx["extensions"] if one != "jupyter_book"]
    theme = {
        "repository_url": "",
        "home_page_in_toc": False,
        "launch_buttons": {},
    } | sphinx.pop("html_theme_options", {})
    settings = DEFAULTS | {
        "project": config["title"],
        "html_title": config["title"],
        "author": config["author"],
        "copyright": config["copyright"],
        "html_favicon": config["html"]["favicon"],
        "myst_enable_extensions": config["parse"]["myst_enable_extensions"],
        "bibtex_bibfiles": config["bibtex_bibfiles"],
        "html_theme_options": theme,
    }
    if config["html"].get("use_multitoc_numbering"):
        sphinx["extensions"].append("sphinx_multitoc_numbering")
        settings["use_multitoc_numbering"] = True
    lines = [f"{name} = {value!r}" for name, value in (settings | sphinx).items()]
    return "\n".join(lines) + "\n"


def prepare(source: Path) -> None:
    """Write ``conf.py`` beside the ``_config.yml`` of a staged book."""
    config = yaml.safe_load((source / "_config.yml").read_text("utf8"))
    (source / "conf.py").write_text(configuration(config), "utf8")


def command(source: Path, output: Path) -> list[str]:
    """The arguments of ``python`` that build a prepared book into ``output``/_build/html."""
    target = str(output / "_build" / "html")
    return ["-m", "sphinx", "-b", "html", "-W", "--keep-going", "-q", str(source), target]
