"""Every wrong call ends in one line of the library's own, which says what was wrong."""

import traceback
from pathlib import Path

import pytest

import modgraph_lib
from modgraph_lib import clustering, communities, lesions, training
from tests.lib.bad_input import making, measures, networks, things

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


@pytest.mark.parametrize(
    "call",
    [
        lambda **d: clustering.shuffle_test(things.GRAPH, 2, shuffles=1, workers=1, **d),
        lambda **d: communities.modularity_curve(things.MODEL, things.IMAGES, things.LABELS, **d),
        lambda **d: lesions.lesion_accuracies(
            things.MODEL, things.MASKS, things.IMAGES, things.LABELS, **d
        ),
        lambda **d: training.trained(making.mlp(widths=(4,), epochs=1, prune_epochs=0), **d),
        lambda **d: training.sgd.trained(making.vgg(width=2, epochs=1, images=32), **d),
    ],
)
def test_auto_is_a_device_everywhere(call):
    call(device="auto")
