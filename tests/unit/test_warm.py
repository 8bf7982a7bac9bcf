"""Sections' workers and the kernels that are forked from them, on notebooks of a line."""

import multiprocessing
import os
import subprocess
import sys

import pytest
from nbformat.v4 import new_code_cell, new_notebook

from book.scripts import execute, warm
from book.scripts.sections import Section, read_executed

pytestmark = pytest.mark.skipif(not warm.LINUX, reason="kernels are forked on Linux alone")


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Exit status and outputs of a notebook, in a worker of a server that preloads nothing."""
    server = multiprocessing.get_context("forkserver")
    monkeypatch.setattr(warm, "context", lambda: server)

    def run(*sources):
        section = Section("a/01_x", tmp_path)
        notebook = new_notebook(cells=[new_code_cell(source) for source in sources])
        execute.write_atomically(notebook, section.notebook)
        status, _ = execute.run_worker(section, "digest", 3)
        found = read_executed(section)
        texts = [o["data"]["text/plain"] for c in found.cells for o in c.outputs] if found else []
        return status, texts, section.log.read_text()

    return run


def test_the_kernel_is_a_forked_process_with_the_sections_folder_and_cores(run, tmp_path):
    command, folder = "open('/proc/self/cmdline').read()", "import os; os.getcwd()"
    status, (cmdline, cwd, cores), _ = run(command, folder, "os.environ['LOKY_MAX_CPU_COUNT']")
    assert status == 0 and cwd == repr(str(tmp_path))
    assert cores == repr(os.environ.get("LOKY_MAX_CPU_COUNT", "3"))
    assert "forkserver" in cmdline and "ipykernel_launcher" not in cmdline


def test_a_cell_that_raises_is_told_and_its_notebook_kept(run, tmp_path):
    status, texts, log = run("1 / 0")
    assert status == 1 and not texts and "ZeroDivisionError" in log
    assert Section("a/01_x", tmp_path).failed.exists()


def test_a_lost_kernel_gets_one_more_try(run, capsys):
    status, texts, log = run("import os; os._exit(9)")
    assert status == execute.LOST_KERNEL and not texts and "the kernel was lost" in log
    assert capsys.readouterr().out.count("once more") == 1


def test_what_is_preloaded_starts_no_thread():
    code = "import os, sys, book.scripts.preload; print(len(os.listdir('/proc/self/task')))"
    code += "; print({'torch', 'seaborn', 'papermill', 'ipykernel.kernelapp'} <= set(sys.modules))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.split() == ["1", "True"]
