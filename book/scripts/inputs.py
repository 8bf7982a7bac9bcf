"""What a section depends on, so that a change executes again those sections that it can touch.

The rule. Every section depends on the library, the lab, the papers' facts (``data/papers``), the
locks and the Python. Beyond these it depends on

- our tests of its own paper's claims, the code of that paper, and whatever of ``book.papers``
  that code, or the notebook, imports, directly or not;
- the modules that declare what is asked for by name: the measurements of the paper's claims (a
  ``quantities.yaml`` is such a module, which imports those that find its rows), and the
  experiments and tables whose name is a string in this code or an argument of those claims;
- the result files (``data/results``) of the experiments that are declared or named there.

A name put together from pieces would be missed; tests/unit/test_inputs.py sees to it that there is
none. The benchmarks' results are named by no section, so that measuring them executes none.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import platform
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import nbformat
import yaml

# Of every section. Downloads and trained networks are not here: they are keyed by content. Nor are
# the sentences in data/papers/*.yaml, which are put into pages when the site is rendered.
SHARED = ("modgraph_lib/**/*.py", "book/lab/**/*.py", "data/papers/*.csv", "data/papers/*.md",
          "data/papers/tables/**/*", "constraints.txt")  # fmt: skip
PAPERS, RESULTS = "book/papers", "data/results"
WORD = re.compile(r"\w+")
MEASURE = re.compile(r"\bmeasure: *[\"']?(\w+)")
MAGIC = re.compile(r"^\s*[%!].*$", re.MULTILINE)


@dataclass(frozen=True)
class Code:
    """What one module or notebook says, as far as it matters here.

    Attributes:
        imports: dotted names that may be modules below ``book.papers``.
        words: every string that could be a name.
        declares: names of the experiments and tables that it declares.
        measures: names of the measurements that it declares.
    """

    imports: frozenset[str]
    words: frozenset[str]
    declares: frozenset[str] = frozenset()
    measures: frozenset[str] = frozenset()


def read_code(source: str, package: str = "") -> Code:
    """Imports, words and declarations of a piece of Python; none where it does not parse.

    Args:
        source: the text.
        package: dotted name of the package that relative imports start from.
    """
    try:
        tree = ast.parse(MAGIC.sub("", source))
    except SyntaxError:
        return Code(frozenset(), frozenset())
    imports, words, declares, measures = set[str](), set[str](), set[str](), set[str]()
    exported = [one.value for one in tree.body if isinstance(one, ast.Assign) and _is_all(one)]
    passed_over = {id(node) for value in exported for node in ast.walk(value)}
    for node in ast.walk(tree):
        if id(node) in passed_over:
            continue
        if isinstance(node, ast.Import):
            imports |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) + 1 - node.level]
            start = ".".join([*(above if node.level else []), *filter(None, [node.module])])
            imports |= {start, *(f"{start}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            words |= {node.value} if WORD.fullmatch(node.value) else set()
        elif isinstance(node, ast.Call) and _called(node.func) == "Experiment":
            declares |= _names_of_experiment(node)
        elif isinstance(node, ast.FunctionDef):
            decorated = "measurement" in map(_called, node.decorator_list)
            measures |= {node.name} if decorated else set()
    return Code(*map(frozenset, (imports, words, declares, measures)))


def read_quantities(text: str) -> Code:
    """The same of a ``quantities.yaml``: where its functions lie, and the quantities' names."""
    groups = yaml.safe_load(text) or {}
    names = frozenset(name for group in groups.values() for name in group)
    imports = frozenset(function.rpartition(".")[0] for function in groups)
    return Code(imports, frozenset(), measures=names)


def _is_all(node: ast.Assign) -> bool:
    return any(isinstance(one, ast.Name) and one.id == "__all__" for one in node.targets)


def _called(node: ast.expr) -> str:
    """Last part of the name of a function: ``lab.Experiment`` -> ``Experiment``."""
    return getattr(node, "id", "") or getattr(node, "attr", "")


def _names_of_experiment(call: ast.Call) -> set[str]:
    """Names of an ``Experiment`` and of its further tables, by position or keyword.

    Where they are not literal, none.
    """
    positions = ("name", "config", "measure", "rows", "columns", "others")
    given = dict(zip(positions, call.args, strict=False))
    given |= {keyword.arg: keyword.value for keyword in call.keywords if keyword.arg}
    others = given.get("others")
    nodes = [*filter(None, [given.get("name")])]
    nodes += [key for key in others.keys if key] if isinstance(others, ast.Dict) else []
    found = (getattr(node, "value", None) for node in nodes)
    return {value for value in found if isinstance(value, str)}


class Inputs:
    """The files that sections depend on, in one state of the repository (read once)."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.modules = dict(self._modules())
        self.code = {
            name: read_quantities(path.read_text("utf8"))
            if path.suffix == ".yaml"
            else read_code(
                path.read_text("utf8"),
                name if path.name == "__init__.py" else name.rpartition(".")[0],
            )
            for name, path in self.modules.items()
        }
        self.declared_in: dict[str, set[str]] = {}
        self.measured_in: dict[str, set[str]] = {}
        for name, code in self.code.items():
            for where, words in (
                (self.declared_in, code.declares),
                (self.measured_in, code.measures),
            ):
                for word in words:
                    where.setdefault(word, set()).add(name)
        self.results = {path.stem: path for path in self._files([f"{RESULTS}/**/*"])}
        self.shared = list(self._files(SHARED))

    def files(self, section: str, notebook: Path) -> list[Path]:
        """Everything that a section depends on, its notebook left out, by path."""
        paper = section.split("/")[0]
        own = f"{PAPERS}/{paper}".replace("/", ".")
        page = _code_of_notebook(notebook)
        tests = list(self._files([f"data/papers/{paper}/**/*"]))
        told = "\n".join(path.read_text("utf8") for path in tests if path.suffix == ".yaml")
        words = {*WORD.findall(told), *page.words}
        todo = [name for name in self.modules if name == own or name.startswith(f"{own}.")]
        todo += [
            *self._imported(page),
            *_at(self.declared_in, words),
            *_at(self.measured_in, MEASURE.findall(told)),
        ]
        found: set[str] = set()
        while todo:
            name = todo.pop()
            if name in found:
                continue
            found.add(name)
            code = self.code[name]
            words |= code.words | code.declares
            todo += [*self._imported(code), *_at(self.declared_in, code.words)]
        results = [path for stem, path in self.results.items() if stem in words]
        return sorted({*self.shared, *tests, *(self.modules[name] for name in found), *results})

    def digest(self, section: str, notebook: Path) -> str:
        """SHA-256 over Python's version and the names and contents of all that it depends on."""
        sha = hashlib.sha256(platform.python_version().encode())
        for path in [notebook, *self.files(section, notebook)]:
            sha.update(path.relative_to(self.root).as_posix().encode() + b"\0")
            sha.update(_digest_of(path, path.stat().st_mtime_ns, path.stat().st_size))
        return sha.hexdigest()

    def _modules(self) -> Iterator[tuple[str, Path]]:
        for path in self._files([f"{PAPERS}/**/*.py", f"{PAPERS}/**/quantities.yaml"]):
            parts = path.relative_to(self.root).with_suffix("").parts
            yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), path

    def _files(self, patterns: Iterable[str]) -> Iterator[Path]:
        for pattern in patterns:
            yield from sorted(p for p in self.root.glob(pattern) if p.is_file())

    def _imported(self, code: Code) -> Iterator[str]:
        """Modules of the papers that are imported, with the packages that they lie in."""
        for name in code.imports:
            parts = name.split(".")
            for end in range(1, len(parts) + 1):
                if (part := ".".join(parts[:end])) in self.modules:
                    yield part


def _at(where: dict[str, set[str]], words: Iterable[str]) -> Iterator[str]:
    for word in words:
        yield from where.get(word, ())


@functools.lru_cache(maxsize=4096)
def _digest_of(path: Path, changed: int, size: int) -> bytes:
    """SHA-256 of a file's content; read once for all the sections that depend on it."""
    return hashlib.sha256(path.read_bytes()).digest()


def _code_of_notebook(path: Path) -> Code:
    cells = nbformat.read(path, as_version=4).cells if path.exists() else []
    found = [read_code(cell.source) for cell in cells if cell.cell_type == "code"]
    return Code(
        frozenset().union(*(code.imports for code in found)),
        frozenset().union(*(code.words for code in found)),
    )
