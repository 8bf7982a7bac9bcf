"""Which sections a change executes again: by what their code imports and names."""

import ast
import re

import pytest
from nbformat.v4 import new_code_cell, new_notebook

from book.lab import registry
from book.scripts import execute
from book.scripts.inputs import PAPERS, Inputs, read_code
from book.scripts.sections import ROOT, Section, all_sections

FILES = {
    "book/papers/one/__init__.py": "",
    "book/papers/one/page.py": "from book.papers.shared import tables\nROWS = results['far_rows']",
    "book/papers/one/experiment.py": "E = Experiment('one_rows', Config, others={'one': table})",
    "book/papers/two/__init__.py": "",
    "book/papers/two/page.py": "def late():\n    from book.papers.one import experiment",
    "book/papers/far/quantities.yaml": "book.papers.shared.rows.cell: {mean_q: {mean: q}}",
    "book/papers/shared/rows.py": "",
    "book/papers/two/measures.py": "@measurement\ndef share(results): pass",
    "book/papers/three/__init__.py": "",
    "book/papers/three/page.py": "'far_rows is only spoken of here'",
    "book/papers/shared/__init__.py": "",
    "book/papers/shared/tables.py": "from . import deep",
    "book/papers/shared/deep.py": "",
    "book/papers/shared/unused.py": "",
    "book/papers/far/__init__.py": "",
    "book/papers/far/experiment.py": "E = Experiment(name='far', config=C, others={'far_rows': t})",
    "data/papers/claims.csv": "paper,id\nthree,A\n",
    "data/papers/three/tests.yaml": "A: {measure: share, of: {experiment: told_rows}}\n"
    "B: {measure: mean_q}\n",
    "data/papers/one/tests.yaml": "A: {text: No share is measured here., measure: own}\n",
    "data/results/one_rows.jsonl": "{}",
    "data/results/far.jsonl": "{}",
    "data/results/told_rows.jsonl": "{}",
    "data/results/bench.json": "{}",
}
SECTIONS = ("one/01_a", "two/01_b", "three/01_c")


@pytest.fixture
def root(tmp_path):
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    for name in SECTIONS:
        cells = [new_code_cell("%matplotlib inline\nx = 1")]
        execute.write_atomically(new_notebook(cells=cells), Section(name, tmp_path).notebook)
    return tmp_path


def digests(root):
    inputs = Inputs(root)
    return {name: inputs.digest(name, Section(name, root).notebook) for name in SECTIONS}


@pytest.mark.parametrize(
    ("path", "touched"),
    [
        ("book/papers/one/page.py", {"one"}),
        ("book/papers/one/experiment.py", {"one", "two"}),  # imported inside a function
        ("book/papers/one/__init__.py", {"one", "two"}),  # run by that import
        ("book/papers/shared/tables.py", {"one"}),
        ("book/papers/shared/deep.py", {"one"}),  # by way of tables
        ("book/papers/shared/unused.py", set()),
        ("book/papers/far/experiment.py", {"one"}),  # declares the table that `one` names
        ("book/papers/two/measures.py", {"two", "three"}),  # a claim of `three` asks for it
        ("book/papers/far/quantities.yaml", {"three"}),  # and another for this quantity
        ("book/papers/shared/rows.py", {"three"}),  # of these rows
        ("book/papers/three/page.py", {"three"}),
        ("data/results/one_rows.jsonl", {"one", "two"}),
        ("data/results/far.jsonl", {"one"}),  # the experiment behind the table
        ("data/results/told_rows.jsonl", {"three"}),  # an argument of its claim
        ("data/results/bench.json", set()),
        ("data/papers/claims.csv", {"one", "two", "three"}),
        ("data/papers/three/tests.yaml", {"three"}),
    ],
)
def test_a_change_touches_what_depends_on_it(root, path, touched):
    before = digests(root)
    (root / path).write_text(FILES[path] + "\n")
    after = digests(root)
    assert {name.split("/")[0] for name in SECTIONS if before[name] != after[name]} == touched


def test_what_a_notebook_itself_imports_counts(root):
    notebook = Section("three/01_c", root).notebook
    cells = [new_code_cell("from book.papers.shared import tables")]
    execute.write_atomically(new_notebook(cells=cells), notebook)
    found = {path.name for path in Inputs(root).files("three/01_c", notebook)}
    assert {"tables.py", "deep.py"} <= found and "unused.py" not in found


def test_code_that_does_not_parse_is_no_obstacle():
    assert read_code("def (").imports == frozenset()


# --- the book as it is ----------------------------------------------------------------------


@pytest.fixture(scope="module")
def book():
    inputs = Inputs(ROOT)
    return {s.name: set(inputs.files(s.name, s.notebook)) for s in all_sections()}


def test_the_benchmarks_touch_no_section(book):
    assert not any(ROOT / "data/results/bench.json" in files for files in book.values())


def test_a_papers_page_touches_that_paper_alone(book):
    for path in (ROOT / PAPERS).glob("*/s*/page.py"):
        paper = path.parts[-3]
        assert {name.split("/")[0] for name, files in book.items() if path in files} == {paper}


def test_every_result_file_is_read_by_a_section(book):
    read = set().union(*book.values())
    unread = {path.name for path in (ROOT / "data/results").glob("*.jsonl") if path not in read}
    assert not unread


def test_no_name_of_an_experiment_is_put_together_from_pieces():
    """The rule of ``inputs`` would not see it."""
    names = set(Inputs(ROOT).declared_in)
    assert len(names) > 15
    found = []
    for path in [*(ROOT / PAPERS).rglob("*.py"), *(ROOT / "book/lab").rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text("utf8"))):
            if isinstance(node, ast.JoinedStr):
                parts = [getattr(part, "value", None) for part in node.values]
                told = [part for part in parts if isinstance(part, str)]
                pattern = "".join(
                    re.escape(part) if isinstance(part, str) else r"\w+" for part in parts
                )
                if len("".join(told)) > 3 and any(re.fullmatch(pattern, name) for name in names):
                    found.append(f"{path.relative_to(ROOT)}:{node.lineno}")
    assert not found, found


def test_tables_of_an_experiment_are_found_by_position_or_keyword():
    code = read_code(
        "E = Experiment('rows', Config, measure, rows, ('k',), {'pairs': p})\n"
        "F = Experiment('far', Config, others={'far_rows': t})"
    )
    assert code.declares == {"rows", "pairs", "far", "far_rows"}


def test_what_the_code_declares_is_what_the_registry_finds():
    declared = set().union(*(code.declares for code in Inputs(ROOT).code.values()))
    for experiment in registry.experiments():
        assert {experiment.name, *experiment.tables} <= declared
