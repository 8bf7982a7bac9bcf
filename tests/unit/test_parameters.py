"""The guard between papermill and a notebook."""

import dataclasses
import subprocess
import sys

import nbformat
import pytest
from hypothesis import given
from hypothesis import strategies as st

from book.lab import parameters
from book.lab.parameters import ParameterError, parameter


@dataclasses.dataclass(frozen=True)
class Tiny:
    data: str = parameter("digits", "data set", choices=("digits", "mnist", "fashion_mnist"))
    k: int = parameter(4, "number of clusters", at_least=2)
    seeds: int = parameter(3, "networks per condition", at_least=1)
    dropout: float = parameter(0.5, "dropout rate", at_least=0.0, below=1.0)
    widths: list[int] = parameter([8, 8], "hidden widths", at_least=1, may_repeat=True)
    kinds: list[str] = parameter(["a"], "kinds of network")
    device: str = parameter("auto", "auto, cpu, cuda or mps")
    verbose: bool = parameter(False, "print progress")

    def __post_init__(self):
        if self.k > sum(self.widths):
            raise ValueError(f"k={self.k} is more than the {sum(self.widths)} nodes of the graph")


DEFAULTS = {field.name: parameters.default_of(field) for field in dataclasses.fields(Tiny)}


def read(**changes):
    return parameters.read({**DEFAULTS, **changes}, Tiny)


def test_defaults_pass_and_are_frozen():
    values = read()
    assert values == Tiny()
    with pytest.raises(dataclasses.FrozenInstanceError):
        values.k = 5


def test_a_device_may_have_a_number():
    assert read(device="cuda:1").device == "cuda:1"


def test_int_is_accepted_for_a_float_and_becomes_one():
    assert type(read(dropout=0).dropout) is float


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seed": 3}, "unknown parameter 'seed'. Did you mean 'seeds'?"),
        ({"Widhts": [2]}, "unknown parameter 'Widhts'. Did you mean 'widths'?"),
        ({"zzz": None}, "unknown parameter 'zzz'.\n"),
        ({"rate": 0.5}, "unknown parameter 'rate'. Did you mean 'dropout' (dropout rate)?"),
        ({"seeds": "two"}, "seeds must be an int, got 'two' (str)"),
        ({"seeds": True}, "seeds must be an int, got True (bool)"),
        ({"seeds": 2.0}, "seeds must be an int, got 2.0 (float)"),
        ({"verbose": 1}, "verbose must be a bool, got 1 (int)"),
        ({"dropout": "0.5"}, "dropout must be a float, got '0.5' (str)"),
        ({"dropout": float("nan")}, "dropout must be a number, got nan"),
        ({"dropout": 1.0}, "dropout must be below 1.0, got 1.0"),
        ({"k": 1}, "k must be at least 2, got 1"),
        ({"k": 17}, "k=17 is more than the 16 nodes of the graph"),
        ({"data": "minst"}, "got 'minst'. Did you mean 'mnist'?"),
        ({"data": 3}, "data must be a str, got 3 (int)"),
        ({"widths": 8}, "on the command line write -y 'widths: [8]'"),
        ({"widths": []}, "widths must not be an empty list"),
        ({"widths": [8, "8"]}, "widths[1] must be an int, got '8' (str)"),
        ({"widths": [8, 0]}, "widths[1] must be at least 1, got 0"),
        ({"widths": "[8, 8]"}, "on the command line write -y 'widths: [8, 8]'"),
        ({"kinds": ["a", "b", "a"]}, "kinds names 'a' more than once"),
        ({"device": "gpu"}, "must be one of auto, cpu, cuda, mps; got 'gpu'. Did you mean 'cuda'?"),
        ({"device": "cuda0"}, "got 'cuda0'. Did you mean 'cuda'?"),
    ],
)
def test_every_fault_is_named(changes, message):
    with pytest.raises(ParameterError) as error:
        read(**changes)
    assert message in str(error.value)


def test_all_faults_are_reported_together():
    with pytest.raises(ParameterError) as error:
        read(seed=1, k="4", data="mnits")
    text = str(error.value)
    assert text.startswith("3 parameters cannot be used")
    assert "'seed'" in text and "k must be" in text and "'mnist'?" in text


def test_a_field_missing_from_the_cell_is_an_error():
    with pytest.raises(ParameterError, match="k is missing from the parameters cell"):
        parameters.read({name: DEFAULTS[name] for name in DEFAULTS if name != "k"}, Tiny)


def test_modules_functions_and_ipython_names_are_not_parameters():
    class Shell:
        user_ns_hidden = frozenset({"special"})

    extra = {
        "get_ipython": lambda: Shell(),
        "In": [""],
        "Out": {},
        "special": 3,
        "_private": 1,
        "parameters": parameters,
        "Tiny": Tiny,
        "helper": len,
    }
    assert read(**extra) == Tiny()


def test_running_the_cell_again_ignores_names_of_later_cells():
    assert read(P=Tiny(), rows=[1, 2]) == Tiny()


@given(st.text(min_size=1).filter(lambda text: text not in DEFAULTS and text[0] != "_"))
def test_any_other_name_is_refused(name):
    if name in {"In", "Out"}:
        return
    with pytest.raises(ParameterError, match="unknown parameter"):
        read(**{name: 1})


@given(st.one_of(st.text(), st.booleans(), st.none(), st.floats(), st.lists(st.integers())))
def test_no_value_of_another_type_is_an_int(value):
    with pytest.raises(ParameterError, match="k must be"):
        read(k=value)


def test_unsupported_declaration_is_a_programming_error():
    @dataclasses.dataclass(frozen=True)
    class Wrong:
        names: dict = dataclasses.field(default_factory=dict)

    with pytest.raises(TypeError, match="only str, int, float, bool and list"):
        parameters.read({"names": {}}, Wrong)


def test_cell_executes_to_the_defaults_and_every_line_has_a_comment():
    source = parameters.cell(Tiny)
    namespace = {}
    exec(source, namespace)
    assert parameters.read(namespace, Tiny) == Tiny()
    assert all("  # " in line for line in source.splitlines())
    assert "widths: list[int] = [8, 8]  # hidden widths" in source


def test_import_is_light():
    code = (
        "import sys, book.lab.parameters; "
        "print([m for m in ('torch', 'numpy', 'matplotlib') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


NOTEBOOK = """
import dataclasses
from book.lab import parameters

@dataclasses.dataclass(frozen=True)
class P1:
    seeds: int = parameters.parameter(2, "networks", at_least=1)

P = parameters.read(globals(), P1)
"""


@pytest.fixture
def tiny_notebook(tmp_path):
    book = nbformat.v4.new_notebook()
    book.metadata["kernelspec"] = {
        "name": "python3",
        "display_name": "Python 3",
        "language": "python",
    }
    book.cells = [
        nbformat.v4.new_code_cell("seeds: int = 2  # networks", metadata={"tags": ["parameters"]}),
        nbformat.v4.new_code_cell(NOTEBOOK),
        nbformat.v4.new_code_cell("P.seeds"),
    ]
    path = tmp_path / "tiny.ipynb"
    nbformat.write(book, path)
    return path


def papermill(notebook, *arguments):
    command = [sys.executable, "-m", "papermill", str(notebook), str(notebook.parent / "out.ipynb")]
    return subprocess.run(
        [*command, *arguments, "--no-progress-bar"], capture_output=True, text=True, check=False
    )


def test_papermill_runs_with_an_injected_value(tiny_notebook):
    done = papermill(tiny_notebook, "-p", "seeds", "5")
    assert done.returncode == 0, done.stderr
    written = nbformat.read(tiny_notebook.parent / "out.ipynb", as_version=4)
    assert written.cells[-1].outputs[0]["data"]["text/plain"] == "5"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("-p", "seedz", "5"), "unknown parameter 'seedz'. Did you mean 'seeds'?"),
        (("-p", "seeds", "two"), "seeds must be an int, got 'two' (str)"),
        (("-p", "seeds", "-1"), "seeds must be at least 1, got -1"),
    ],
)
def test_papermill_stops_with_the_remedy(tiny_notebook, arguments, message):
    done = papermill(tiny_notebook, *arguments)
    assert done.returncode != 0
    assert message in done.stderr
