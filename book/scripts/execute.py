"""Execute the sections of the book through papermill, in parallel processes, resumably.

``python -m book.scripts.execute`` runs every section that a change since its last execution can
touch: of its notebook, code, results or locks, by content (:mod:`book.scripts.inputs`). Each is
a process of its own with a kernel of its own; its result appears whole or not at all, so killing
this at any moment loses only the sections that were running.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import fcntl
import os
import platform
import sys
import tempfile
import time
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import joblib
import nbformat

from book.scripts import pictures, warm
from book.scripts.inputs import Inputs
from book.scripts.sections import BUILD, ROOT, Section, all_sections, is_current

VERSIONS = ("torch", "torchvision", "numpy", "scipy", "scikit-learn", "networkx", "papermill")
# Generous: a whole section at quick scale takes under a minute. A hang must still end.
CELL_TIMEOUT = 600
# Exit status of a worker whose kernel died or fell silent: nothing that a cell of ours raised.
LOST_KERNEL = 75


def write_atomically(notebook: nbformat.NotebookNode, path: Path) -> None:
    """Write so that ``path`` holds the old file or the whole new one, whatever happens."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    with part.open("w", encoding="utf8") as file:
        nbformat.write(notebook, file)
        file.flush()
        os.fsync(file.fileno())
    os.replace(part, path)


def machine() -> dict[str, str | int]:
    """What this runs on, for the page of run times."""
    import torch

    processor = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [line for line in info.read_text().splitlines() if line.startswith("model name")]
        processor = names[0].split(":", 1)[1].strip() if names else processor
    device = torch.cuda.get_device_name(0) if torch.cuda.is_available() else "cpu"
    return {
        "processor": processor,
        "cores": os.cpu_count() or 1,
        "device": device,
        "system": f"{platform.system()} {platform.machine()}",
    }


def run_notebook(source: Path, output: Path, *, cwd: Path, timeout: int) -> nbformat.NotebookNode:
    """Execute ``source`` with its defaults; ``output`` keeps what there is if a cell raises.

    Raises:
        papermill.PapermillExecutionError: a cell raised.
    """
    import papermill
    from traitlets.config import Config

    # Kernels talk over files, not TCP ports: parallel kernels race for ports, and about one run
    # in a hundred loses. `ip` is then the sockets' path. It must be given: the default is a fixed
    # name in the working folder, which parallel kernels would share. It must be short: a socket's
    # path may have 107 characters.
    with tempfile.TemporaryDirectory(prefix="mg-", dir="/tmp") as runtime:
        os.environ["JUPYTER_RUNTIME_DIR"] = runtime
        config = Config({"KernelManager": {"transport": "ipc", "ip": f"{runtime}/k"}})
        return papermill.execute_notebook(
            str(source),
            str(output),
            kernel_name="python3",
            cwd=str(cwd),
            progress_bar=False,
            log_output=False,
            execution_timeout=timeout,
            config=config,
            # Two dots to a pixel, for sharp screens; the size to show it at goes with the picture.
            extra_arguments=["--InlineBackend.figure_formats={'retina'}"],
        )


def execute(section: Section, digest: str, *, timeout: int = CELL_TIMEOUT) -> float:
    """Run one section in this process; write ``section.executed``; return its wall seconds.

    Raises:
        papermill.PapermillExecutionError: a cell raised; the notebook up to there is kept in
            ``section.failed``.
    """
    section.failed.parent.mkdir(parents=True, exist_ok=True)
    start = time.monotonic()
    notebook = run_notebook(section.notebook, section.failed, cwd=section.root, timeout=timeout)
    seconds = time.monotonic() - start
    pictures.lighten(notebook)  # here, in parallel and once, and not whenever a page is rendered
    notebook.metadata["modgraph"] = {
        "digest": digest,
        "scale": "quick",
        "seconds": round(seconds, 1),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in VERSIONS},
        "machine": machine(),
    }
    write_atomically(notebook, section.executed)
    section.failed.unlink(missing_ok=True)
    return seconds


def work(section: Section, digest: str, cores: int) -> None:
    """What a worker process does; ``cores`` is how many processes the section's sweeps may start.

    One process a core, one thread a process. A sweep that has one core runs in the kernel itself
    and saves the seconds in which two more processes import torch.
    """
    from papermill import PapermillExecutionError

    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ.setdefault("LOKY_MAX_CPU_COUNT", str(cores))
    os.environ.setdefault("PYDEVD_DISABLE_FILE_VALIDATION", "1")
    with section.log.open("w") as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
    os.chdir(section.root)
    warm.fork()
    warm.follow_parent()
    try:
        print(f"{section.name}: {execute(section, digest):.1f} s", flush=True)
    except PapermillExecutionError:
        raise
    except (RuntimeError, TimeoutError) as error:  # nbclient's words for a lost kernel
        print(f"{section.name}: the kernel was lost: {error!r}", flush=True)
        sys.exit(LOST_KERNEL)


def run_worker(section: Section, digest: str, cores: int) -> tuple[int, float]:
    """Run one section in a new process; return its exit status and wall seconds.

    Messages between a kernel and its client are lost once in a great while, on a busy machine
    above all. That says nothing about the section, so it gets a second and last try.
    """
    section.log.parent.mkdir(parents=True, exist_ok=True)
    start = time.monotonic()
    for attempt in (1, 2):
        process = warm.context().Process(target=work, args=(section, digest, cores))
        process.start()
        process.join()
        if process.exitcode != LOST_KERNEL:
            break
        if attempt == 1:
            print(f"{section.name}: the kernel was lost, once more", flush=True)
    return process.exitcode or 0, time.monotonic() - start


def apart(sections: list[Section]) -> list[Section]:
    """The first section of every paper, then the second of every paper, and so on.

    Sections of one paper train the same networks. Side by side each would train them; one after
    the other the second finds them in the cache.
    """
    return sorted(sections, key=lambda section: section.name.split("/")[::-1])


def build_all(jobs: int, *, force: bool = False) -> int:
    """Bring every section up to date; return the number that failed."""
    BUILD.mkdir(exist_ok=True)
    with (BUILD / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("book: another build is at work here, waiting for it", flush=True)
            fcntl.flock(lock, fcntl.LOCK_EX)
        inputs, sections = Inputs(ROOT), apart(all_sections())
        digests = {s.name: inputs.digest(s.name, s.notebook) for s in sections}
        todo = [s for s in sections if force or not is_current(s, digests[s.name])]
        print(f"book: {len(sections)} sections, {len(todo)} to execute", flush=True)
        if not todo:
            return 0
        failed = 0
        cores = max(1, joblib.cpu_count() // min(jobs, len(todo)))
        with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
            runs = {pool.submit(run_worker, s, digests[s.name], cores): s for s in todo}
            for done, run in enumerate(concurrent.futures.as_completed(runs), 1):
                section, (status, seconds) = runs[run], run.result()
                word = "done" if status == 0 else f"FAILED (exit status {status})"
                print(f"[{done}/{len(todo)}] {section.name}: {word}, {seconds:.0f} s", flush=True)
                if status:
                    failed += 1
                    report(section)
    return failed


def report(section: Section) -> None:
    """Print the end of a failed section's log and where to look further."""
    lines = section.log.read_text("utf8", errors="replace").splitlines()
    print("\n".join(f"    {line}" for line in lines[-25:]))
    print(f"    log: {section.log}\n    notebook: {section.failed}", flush=True)


def main(argv: list[str] | None = None) -> int:
    """Command line; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--jobs", type=int, default=2, help="processes at a time (default 2)")
    parser.add_argument("--force", action="store_true", help="execute what has not changed too")
    options = parser.parse_args(argv)
    if options.jobs < 1:
        parser.error(f"--jobs must be at least 1, not {options.jobs}")
    failed = build_all(options.jobs, force=options.force)
    if failed:
        print(f"book: {failed} section(s) failed, nothing rendered", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
