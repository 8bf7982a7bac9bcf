"""Every wrong call ends in one line of the library's own, which says what was wrong."""

import traceback
from pathlib import Path

import pytest

import modgraph_lib
from tests.lib.bad_input import making, measures, networks

ROWS = measures.ROWS + networks.ROWS + making.ROWS
LIBRARY = Path(modgraph_lib.__file__).parent


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("MODGRAPH_CACHE", str(tmp_path))


def test_the_table_is_long_enough():
    assert len(ROWS) >= 350


@pytest.mark.filterwarnings("ignore:Conversion of an array with ndim > 0")
@pytest.mark.parametrize("row", range(len(ROWS)), ids=lambda row: f"{row}: {ROWS[row][1]}")
def test_a_wrong_call_is_told(row):
    kind, words, call = ROWS[row]
    with pytest.raises(kind, match=words) as caught:
        call()
    last = traceback.extract_tb(caught.tb)[-1]
    assert last.line.startswith("raise ") and LIBRARY in Path(last.filename).parents
    assert "\n" not in str(caught.value)
