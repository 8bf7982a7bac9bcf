"""``python -m book.lab run``: a section's records without its notebook."""

import json
import re
import shutil
import signal

import jupytext
import pytest

from book.lab import registry, store
from book.lab.__main__ import main
from book.lab.run import PARAMETERS, SCALES, read_parameters, run, section_of
from book.lab.section import Section, Sweep

TEXTS = PARAMETERS.parent / "text"
TINY = {"data": ["digits"], "regularizers": ["none", "l2"], "seeds": 1, "width": 8, "clusters": 3,
        "epochs": 1, "prune_epochs": 1, "shuffles": 2, "initial_networks": 2,
        "device": "cpu", "workers": 1}  # fmt: skip


@pytest.fixture
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("MODGRAPH_CACHE", str(tmp_path))
    monkeypatch.setenv("MODGRAPH_RESULTS", str(tmp_path / "results"))
    return tmp_path


def test_every_notebook_is_a_section():
    names = {section.name for section in registry.sections()}
    assert names == {f"{path.parent.name}/{path.stem}" for path in TEXTS.glob("*/*.md")}


@pytest.mark.parametrize("section", registry.sections(), ids=lambda section: section.name)
def test_a_section_runs_what_its_notebook_runs(section):
    sweeps = list(section.sweeps(read_parameters(section)))
    assert any(sweep.configs for sweep in sweeps)
    code = "\n".join(cell.source for cell in jupytext.read(TEXTS / f"{section.name}.md").cells)
    assert re.search(r"\.run(_\w+)?\(", code)
    for scale in SCALES[1:]:
        assert read_parameters(section, scale) != read_parameters(section)


def test_a_run_makes_the_rows_and_goes_on_after_a_stop(own_cache):
    section = section_of("clusterability/01_mlps")
    parameters = read_parameters(section, changes=TINY)
    said = []
    assert run(section, parameters, say=said.append)
    first = {record["key"]: record for record in store.read("mlp_ncut")}
    assert len(first) == 4 and len(store.read("mlp_initial_ncut")) == 1
    assert said[-1].startswith("clusterability/01_mlps: 6 of 6 records, 0:0")
    assert run(section, parameters, say=said.append)
    assert {record["key"]: record for record in store.read("mlp_ncut")} == first


def test_a_run_goes_on_from_committed_rows(own_cache, capsys):
    parameters = read_parameters(section_of("clusterability/01_mlps"), changes=TINY)
    run(section_of("clusterability/01_mlps"), parameters, say=lambda _: None)
    names = ("mlp_ncut", "mlp_initial_ncut")
    before = [store.commit_records(name).read_bytes() for name in names]
    shutil.rmtree(own_cache / "records")
    given = [word for name, value in TINY.items() for word in ("-p", name, json.dumps(value))]
    assert main(["run", "clusterability/01_mlps", "--committed", *given]) == 0
    assert "5 committed records count as made" in capsys.readouterr().out
    assert [store.commit_records(name).read_bytes() for name in names] == before
    (own_cache / "results" / "mlp_ncut.jsonl").write_text("{}")
    assert main(["run", "clusterability/01_mlps", "--committed", *given]) == 2
    assert "mlp_ncut.jsonl, line 1 is damaged" in capsys.readouterr().err


def test_a_budget_ends_a_run_and_leaves_no_alarm(own_cache):
    def slow(configs, *, workers=None):
        signal.pause()

    section = Section("slow", dict, lambda parameters: [Sweep(slow, [1, 2], on_device=False)])
    said = []
    assert not run(section, object(), budget=0.2, say=said.append)
    assert "0 of 2 records; the same command goes on" in said[-1]
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["clusterabilty/01_mlps"], "Did you mean 'clusterability/01_mlps'?"),
        (["clusterability/01_mlps", "--scale", "huge"], "scale is one of quick, laptop, paper"),
        (["clusterability/01_mlps", "-p", "seeds", "no"], "seeds must be an int, got False"),
        (["clusterability/01_mlps", "-p", "sedes", "3"], "Did you mean 'seeds'?"),
    ],
)
def test_what_cannot_be_run_is_said_in_one_line(arguments, message, capsys):
    assert main(["run", *arguments]) == 2
    assert message in capsys.readouterr().err
