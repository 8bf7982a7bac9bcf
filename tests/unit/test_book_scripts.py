"""The scripts that execute, derive, stage and render, on a book of a few lines."""

import copy
import json
import shutil

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from book.scripts import docstrings, execute, pages, reading, render, sync
from book.scripts.inputs import Inputs
from book.scripts.sections import Section, all_sections, is_current, read_executed
from tests.benchmarks.__main__ import together

TEXT = """\
---
jupytext:
  text_representation: {extension: .md, format_name: myst}
kernelspec: {display_name: Other, language: python, name: other}
---

# A section

```{code-cell} ipython3
:tags: [parameters]
seed = 0  # where to start
```

```{code-cell} ipython3
# NBVAL_CHECK_OUTPUT
print(seed + 1)
seed
```

```{code-cell} ipython3
print("not kept")
```
"""


@pytest.fixture
def section(tmp_path):
    """One section in a repository of its own."""
    one = Section("paper/01_topic", tmp_path)
    one.text.parent.mkdir(parents=True)
    one.text.write_text(TEXT, "utf8")
    (tmp_path / "modgraph_lib").mkdir()
    (tmp_path / "modgraph_lib" / "part.py").write_text("x = 1\n")
    (tmp_path / "constraints.txt").write_text("a==1\n")
    notebook = sync.from_text(one)
    execute.write_atomically(notebook, one.notebook)
    return one


def finished(section, digest):
    """An executed notebook as `execute` leaves it, without the wait for a kernel."""
    notebook = sync.from_text(section)
    notebook.metadata["modgraph"] = {
        "digest": digest,
        "scale": "quick",
        "seconds": 12.3,
        "date": "2026-01-02T03:04:05+00:00",
        "python": "3.11.7",
        "versions": {"torch": "2.13.0"},
        "machine": {"processor": "a|b", "cores": 2},
    }
    execute.write_atomically(notebook, section.executed)
    return notebook


def digest(section):
    """Of all that a section depends on, as it lies on the disk now."""
    return Inputs(section.root).digest(section.name, section.notebook)


class TestDigests:
    def test_current_follows_content(self, section):
        assert not is_current(section, digest(section))
        finished(section, digest(section))
        assert is_current(section, digest(section))
        section.notebook.touch()
        (section.root / "modgraph_lib" / "part.py").touch()
        assert is_current(section, digest(section))
        (section.root / "modgraph_lib" / "part.py").write_text("x = 2\n")
        assert not is_current(section, digest(section))

    @pytest.mark.parametrize(
        "path", ["modgraph_lib/part.py", "constraints.txt", "data/papers/b.csv", "book/lab/a.py"]
    )
    def test_what_all_share_counts(self, section, path):
        before = digest(section)
        target = section.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text("changed\n")
        assert digest(section) != before

    def test_a_renamed_input_counts(self, section):
        before = digest(section)
        path = section.root / "modgraph_lib" / "part.py"
        path.rename(path.with_name("other.py"))
        assert digest(section) != before

    @pytest.mark.parametrize(
        "path", ["data/cache/big.bin", "data/results/bench.json", "data/papers/b.yaml"]
    )
    def test_downloads_and_benchmarks_do_not_count(self, section, path):
        before = digest(section)
        target = section.root / path
        target.parent.mkdir(parents=True)
        target.write_text("x")
        assert digest(section) == before

    def test_the_notebook_counts(self, section):
        before = digest(section)
        notebook = sync.from_text(section)
        notebook.cells[1].source = "seed = 1  # where to start"
        execute.write_atomically(notebook, section.notebook)
        assert digest(section) != before

    @pytest.mark.parametrize("keep", [0, 1, 200])
    def test_damaged_result_is_told_and_not_used(self, section, capsys, keep):
        finished(section, "d")
        whole = section.executed.read_bytes()
        section.executed.write_bytes(whole[:keep])
        assert read_executed(section) is None
        assert "damaged" in capsys.readouterr().out

    def test_foreign_notebook_is_not_used(self, section):
        execute.write_atomically(new_notebook(), section.executed)
        assert read_executed(section) is None


class TestSync:
    def test_same_text_gives_the_same_bytes(self, section):
        first = section.notebook.read_bytes()
        execute.write_atomically(sync.from_text(section), section.notebook)
        assert section.notebook.read_bytes() == first

    def test_kernel_is_the_one_papermill_finds(self, section):
        assert sync.from_text(section).metadata.kernelspec.name == "python3"

    def test_missing_reference_output_is_a_difference(self, section):
        (line,) = sync.differences(section)
        assert "has no reference output" in line

    def test_edited_text_is_a_difference(self, section):
        notebook = sync.from_text(section)
        notebook.cells[2].outputs = [new_output("stream", text="1\n")]
        notebook.cells[2].execution_count = 2
        execute.write_atomically(notebook, section.notebook)
        assert sync.differences(section) == []
        section.text.write_text(TEXT.replace("seed + 1", "seed + 2"), "utf8")
        assert any("source of cell-002 differs" in line for line in sync.differences(section))

    def test_stray_output_is_a_difference(self, section):
        notebook = sync.from_text(section)
        for cell in notebook.cells[2:]:
            cell.outputs = [new_output("stream", text="1\n")]
            cell.execution_count = 2
        execute.write_atomically(notebook, section.notebook)
        assert sync.differences(section) == ["paper/01_topic: cell-003 holds outputs"]

    def test_missing_twin_is_a_difference(self, section):
        section.text.unlink()
        assert "no text twin" in sync.differences(section)[0]
        assert [s.name for s in all_sections(section.root)] == [section.name]

    def test_only_checked_outputs_are_kept(self, section):
        notebook = sync.from_text(section)
        sync.add_reference_outputs(notebook, section)
        kept = [len(c.outputs) for c in notebook.cells if c.cell_type == "code"]
        assert kept == [0, 2, 0]
        stream, result = notebook.cells[2].outputs
        assert stream.text == "1\n" and result.execution_count == 2
        assert [c.execution_count for c in notebook.cells[1:]] == [None, 2, None]

    def test_edited_prose_keeps_the_outputs_and_edited_code_does_not(self, section):
        assert not sync.keep_reference_outputs(sync.from_text(section), section)  # none yet
        notebook = sync.from_text(section)
        sync.add_reference_outputs(notebook, section)
        execute.write_atomically(notebook, section.notebook)
        section.text.write_text(TEXT + "\nOne sentence more.\n", "utf8")
        edited = sync.from_text(section)
        assert sync.keep_reference_outputs(edited, section)
        execute.write_atomically(edited, section.notebook)
        assert sync.differences(section) == []
        assert edited.cells[2].outputs == notebook.cells[2].outputs
        section.text.write_text(TEXT.replace("seed + 1", "seed + 2"), "utf8")
        assert not sync.keep_reference_outputs(sync.from_text(section), section)

    def test_pieces_of_a_stream_are_put_together(self):
        pieces = [("stdout", "a\n"), ("stdout", "b\n"), ("stderr", "c\n"), ("stdout", "d\n")]
        outputs = [new_output("stream", name=name, text=text) for name, text in pieces]
        merged = sync.merged_streams(outputs)
        assert [one.text for one in merged] == ["a\nb\n", "c\n", "d\n"]
        assert outputs[0].text == "a\n"


class TestExecute:
    def test_result_appears_whole_with_its_metadata(self, section):
        execute.execute(section, "digest")
        notebook = read_executed(section)
        run = notebook.metadata["modgraph"]
        assert run["digest"] == "digest" and run["seconds"] > 0
        assert run["machine"]["cores"] >= 1 and run["versions"]["torch"]
        assert not section.failed.exists()

    def test_failure_keeps_the_notebook_and_writes_no_result(self, section):
        from papermill import PapermillExecutionError

        section.text.write_text(TEXT.replace('print("not kept")', "1 / 0"), "utf8")
        execute.write_atomically(sync.from_text(section), section.notebook)
        with pytest.raises(PapermillExecutionError, match="ZeroDivisionError"):
            execute.execute(section, "digest")
        assert section.failed.exists() and not section.executed.exists()

    def test_committed_notebook_is_never_touched(self, section):
        before = section.notebook.read_bytes()
        execute.execute(section, "digest")
        assert section.notebook.read_bytes() == before

    def test_interrupted_write_leaves_the_old_file(self, section, monkeypatch):
        old = finished(section, "old")

        def killed(*_):
            raise KeyboardInterrupt

        monkeypatch.setattr(execute.os, "replace", killed)
        with pytest.raises(KeyboardInterrupt):
            finished(section, "new")
        assert read_executed(section).metadata == old.metadata

    def test_jobs_must_be_positive(self, capsys):
        with pytest.raises(SystemExit):
            execute.main(["--jobs", "0"])
        assert "at least 1" in capsys.readouterr().err

    def test_sections_of_one_paper_do_not_start_side_by_side(self):
        names = ["a/01_x", "a/02_y", "b/01_z", "b/02_w"]
        found = execute.apart([Section(name) for name in names])
        assert [s.name for s in found] == ["a/01_x", "b/01_z", "b/02_w", "a/02_y"]

    @pytest.mark.parametrize(("jobs", "sections", "cores"), [(2, 3, 4), (2, 1, 8), (16, 20, 1)])
    def test_sections_at_work_share_the_cores(self, tmp_path, monkeypatch, jobs, sections, cores):
        given = []
        monkeypatch.setattr(execute, "BUILD", tmp_path / "build")
        names = [Section(f"paper/{number:02}_x", tmp_path) for number in range(sections)]
        monkeypatch.setattr(execute, "all_sections", lambda: names)
        monkeypatch.setattr(execute.Inputs, "digest", lambda *_: "d")
        monkeypatch.setattr(execute.joblib, "cpu_count", lambda: 8)
        monkeypatch.setattr(execute, "run_worker", lambda *args: given.append(args[-1]) or (0, 0.0))
        assert execute.build_all(jobs, force=True) == 0
        assert given == [cores] * sections


class TestRender:
    TOC = {
        "root": "a",
        "parts": [{"chapters": [{"file": "b", "sections": [{"file": "c"}]}, {"file": "d"}]}],
    }

    def test_toc_is_read_in_order(self):
        assert list(render.toc_files(self.TOC)) == ["a", "b", "c", "d"]

    def test_promised_pages_are_asserted(self, tmp_path):
        for name in ("index", "search", "genindex", "a", "b", "d"):
            (tmp_path / f"{name}.html").touch()
        assert render.missing_pages(tmp_path, self.TOC) == ["c.html"]

    def test_folder_is_replaced(self, tmp_path):
        old, new = tmp_path / "html", tmp_path / "new"
        for folder in (old, new):
            folder.mkdir()
            (folder / folder.name).touch()
        render.replace_folder(new, old)
        assert [p.name for p in old.iterdir()] == ["new"] and not new.exists()
        new.mkdir()
        shutil.rmtree(old)
        render.replace_folder(new, old)
        assert old.exists()

    def test_readers_see_neither_marks_nor_progress_bars(self):
        bar = new_output("stream", name="stderr", text="\r 50%|#####     |")
        warning = new_output("stream", name="stderr", text="careful\n")
        cell = new_code_cell("# NBVAL_CHECK_OUTPUT\nx = 1", outputs=[bar, warning])
        notebook = new_notebook(cells=[new_markdown_cell("NBVAL"), cell])
        shown = reading.for_readers(notebook).cells
        assert shown[0].source == "NBVAL" and shown[1].source == "x = 1"
        assert shown[1].outputs == [warning]

    def test_a_figure_that_was_not_drawn_has_no_caption(self):
        prompt = {"code_prompt_show": "Show"}
        caption = {"mystnb": {"figure": {"name": "fig-a", "caption": "Ours."}, **prompt}}
        drawn = {"image/svg+xml": "<svg/>"}
        kinds = ({"text/markdown": "*Not run yet.*", "text/plain": "..."}, drawn)
        cells = [
            new_code_cell("f()", outputs=[new_output("execute_result", data=kind)],
                          metadata=copy.deepcopy(caption))
            for kind in kinds
        ]  # fmt: skip
        line, figure = reading.for_readers(new_notebook(cells=cells)).cells
        assert line.metadata == {"mystnb": prompt}
        assert figure.metadata == caption | {"tags": ["remove-input"]}


class TestPages:
    @pytest.mark.parametrize(
        ("seconds", "text"),
        [
            (0.04, "0.0 s"),
            (9.94, "9.9 s"),
            (12.3, "12 s"),
            (119.4, "119 s"),
            (119.6, "2 min 00 s"),
            (185, "3 min 05 s"),
            (7800, "2 h 10 min"),
        ],
    )
    def test_duration(self, seconds, text):
        assert pages.duration(seconds) == text

    def test_table_escapes_bars_and_shows_gaps(self):
        assert pages.table(["a", "b"], [["x|y", None]]).splitlines()[-1] == "| x\\|y | – |"

    def test_run_times(self, section, tmp_path):
        executed = {section.name: finished(section, "d")}
        text = pages.run_times(executed, tmp_path / "nothing")
        assert "[paper/01_topic](../notebooks/paper/01_topic.ipynb)" in text
        assert "12 s" in text and "2.13.0" in text and "a\\|b" in text
        assert "Not measured yet" in text and "No rows are committed yet" in text

    def test_records(self, tmp_path):
        notes = [
            {"seconds": 50, "date": "2026-01-03T00:00:00", "device": "cpu", "processor": "P"},
            {"seconds": 75, "date": "2026-01-02T00:00:00", "device": "cpu", "processor": "P"},
        ]
        notes[0]["commit"], notes[1]["commit"] = "abc", "abc+changes"
        lines = [json.dumps({"key": str(i), "provenance": n}) for i, n in enumerate(notes)]
        (tmp_path / "mlp_ncut.jsonl").write_text("\n".join(lines) + "\n")
        row = pages.records_table(tmp_path).splitlines()[-1]
        assert row == "| `mlp_ncut` | 2 | 1 | 2 min 05 s | 2026-01-02 to 2026-01-03 | cpu, P |"

    def test_bench(self, tmp_path):
        row = {
            "title": "50 shuffles",
            "peer": "scikit-learn",
            "ratio": 8.12345,
            "repeats": 3,
            "date": "2026-01-02T03:04:05Z",
            "ours_seconds": [1.0, 5.0, 2.0],
            "peer_seconds": [16.0, 17.0, 15.0],
            "outcome_name": "mean n-cut",
            "ours_outcome": 9.16001,
            "peer_outcome": 9.16102,
            "ours_memory_mib": 300,
            "peer_memory_mib": 400,
        }
        origin = {"processor": "P", "date": "2026-01-02T03:04:05Z"}
        bench = {"rows": [row], "data": "mnist", "cores": 2, "provenance": origin}
        (tmp_path / "bench.json").write_text(json.dumps(bench))
        text = pages.bench_table(tmp_path / "bench.json")
        assert "| 50 shuffles | scikit-learn | 8.1× | 2.0 s | 16 s | mean n-cut: 9.16 and" in text
        assert "300 and 400 MiB | 3 repeats, 2026-01-02 |" in text
        assert text.endswith("Data: mnist; 2 cores, P; medians over the repeats.")

    def test_a_case_measured_again_leaves_the_others(self, tmp_path):
        path = tmp_path / "bench.json"
        rows = [{"case": "training", "ratio": 1.0}, {"case": "shuffle_test", "ratio": 8.0}]
        path.write_text(json.dumps({"rows": rows, "provenance": {"date": "2026-01-02"}}))
        merged = together(path, [{"case": "training", "ratio": 2.0, "date": "2026-03-04"}])
        assert [(row["case"], row["ratio"], row["date"]) for row in merged] == [
            ("shuffle_test", 8.0, "2026-01-02"),
            ("training", 2.0, "2026-03-04"),
        ]

    def test_api_names_every_public_name(self):
        text = pages.api()
        for module, names in pages.PUBLIC.items():
            for name in names:
                assert f"{module}.{name}" in text


class TestDocstrings:
    def test_bars(self):
        assert docstrings.escape_bars("the sum of |w|, not ``|w|``") == (
            r"the sum of \|w\|, not ``|w|``"
        )
        assert docstrings.escape_bars("    >>> a | b") == "    >>> a | b"

    @given(st.text(alphabet="ab|` "))
    def test_nothing_but_bars_changes(self, line):
        assert docstrings.escape_bars(line).replace("\\|", "|") == line
