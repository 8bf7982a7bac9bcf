"""What the library shows, and what importing it costs."""

import importlib
import pkgutil
import subprocess
import sys

import pytest

import modgraph_lib

HEAVY = ("IPython", "ipywidgets", "matplotlib", "networkx", "pandas", "PIL", "seaborn", "sklearn")
HEAVY += ("scipy.optimize", "scipy.stats", "torchvision")
MEASURES = ("graphs", "clustering", "communities", "lesions", "report", "statistics")
OTHERS = ("attacks", "datasets", "layer_pruning", "models", "promoting", "toys", "training")


def loaded(code: str) -> set[str]:
    """The modules a fresh Python holds after ``code``."""
    code = f"{code}\nimport sys\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_the_package_alone_loads_nothing():
    assert not loaded("import modgraph_lib") & {*HEAVY, "torch", "numpy", "scipy"}


@pytest.mark.parametrize("rooms", [MEASURES, OTHERS], ids=["measures", "others"])
def test_rooms_load_nothing_heavy_but_torch(rooms):
    found = loaded("\n".join(["import modgraph_lib", *(f"modgraph_lib.{r}" for r in rooms)]))
    assert "torch" in found and not found & set(HEAVY)


def test_measures_load_no_training_and_no_data_sets():
    found = loaded(f"from modgraph_lib import {', '.join(MEASURES)}")
    assert not found & {"modgraph_lib.training", "modgraph_lib.datasets", "modgraph_lib.plots"}


def test_a_report_needs_no_pictures_until_one_is_drawn():
    code = (
        "import sys, modgraph_lib\n"
        "weights, _ = modgraph_lib.toys.strands(2, (8, 8, 8), leak=0.05, seed=0)\n"
        "found = modgraph_lib.report.clusterability(weights, k=2, shuffles=1, workers=1)\n"
        "found.summary()\n"
        "assert not {'IPython', 'ipywidgets', 'matplotlib', 'seaborn'} & set(sys.modules)\n"
        "found.figure()"
    )
    assert {"IPython", "ipywidgets", "matplotlib", "seaborn"} & loaded(code) == {"matplotlib"}


def test_every_room_is_there_without_an_import_of_its_own():
    rooms = {m.name for m in pkgutil.iter_modules(modgraph_lib.__path__) if m.name[0] != "_"}
    assert set(modgraph_lib.__all__) == rooms | {"FACE", "__version__"}
    assert rooms <= set(dir(modgraph_lib))
    for room in rooms:
        assert getattr(modgraph_lib, room) is importlib.import_module(f"modgraph_lib.{room}")
    with pytest.raises(AttributeError, match="'modgraph_lib' has no attribute 'modles'"):
        modgraph_lib.modles  # noqa: B018


@pytest.mark.parametrize("room", modgraph_lib.FACE)
def test_the_face_is_there_and_each_room_exports_it(room):
    module = importlib.import_module(f"modgraph_lib.{room}")
    assert set(modgraph_lib.FACE[room]) <= set(module.__all__)
