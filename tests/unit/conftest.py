"""Fixtures that several test modules share."""

import pytest

from modgraph_lib import cache
from modgraph_lib.datasets import _places


@pytest.fixture
def empty(tmp_path, monkeypatch):
    """A home and working directory with no data anywhere; returns the data root."""
    for folder in ("home", "work", "root"):
        (tmp_path / folder).mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setattr(cache, "checkout", lambda: None)
    monkeypatch.setattr(_places, "SYSTEM", tmp_path / "none")
    for variable in ("MODGRAPH_DATA", "MODGRAPH_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path / "root"
