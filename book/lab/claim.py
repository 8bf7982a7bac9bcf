"""Who works on what, on a cache that several processes and machines share.

A claim is a file ``claims/<name>.<generation>`` in the cache, made with O_EXCL, so that one alone
can make it. It names its owner and is touched while the owner works. The next generation is open
once the owner is dead (known at once on its own machine) or has not touched it for ``STALE``
seconds by the file server's clock.

Assumed of a shared file system: O_EXCL makes a file once for all (local ones, NFS from version 3,
Lustre, GPFS, CephFS), and a new name is seen elsewhere within ``STALE`` seconds. Where that fails
a task is done twice, which costs time and nothing else: both write the same record, each whole.
"""

from __future__ import annotations

import json
import os
import secrets
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from modgraph_lib import cache

__all__ = ["Claim", "claim", "kept_alive", "release"]

BEAT, STALE = 30.0, 300.0


@dataclass(frozen=True)
class Claim:
    """One name, claimed by this process: its file, and what that file says."""

    path: Path
    text: str


def claim(name: str) -> Claim | None:
    """The claim of a name, or None while another process has it.

    Raises:
        OSError: the cache cannot be written (names the folder).
    """
    folder = cache.cache_root() / "claims"
    generation, before = _newest(folder, name)
    if before is not None and _lives(before):
        return None
    mine = _make(folder / f"{name}.{generation + 1}")
    if mine is None:
        return None
    # Between the look and the making the earlier owner may have let go, and a third one come.
    if _newest(folder, name)[0] == generation + 1 and (before is None or _unchanged(before)):
        return mine
    mine.path.unlink(missing_ok=True)
    return None


def release(held: Claim) -> None:
    """Let go of a name, with what dead owners left of it; nothing where another has taken over."""
    name, _, generation = held.path.name.rpartition(".")
    if not _unchanged(held):
        return
    for old in range(int(generation)):
        (held.path.parent / f"{name}.{old}").unlink(missing_ok=True)
    held.path.unlink(missing_ok=True)


@contextmanager
def kept_alive() -> Iterator[list[Claim]]:
    """A list; the claims put into it are touched while the block runs, and let go of at its end."""
    held: list[Claim] = []
    ended = threading.Event()

    def beat() -> None:
        while not ended.wait(BEAT):
            for one in list(held):
                with suppress(OSError):
                    os.utime(one.path)

    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield held
    finally:
        ended.set()
        thread.join()
        for one in held:
            release(one)


def _newest(folder: Path, name: str) -> tuple[int, Claim | None]:
    """The highest generation of a name and its claim; -1 and None where there is none."""
    try:
        found = [entry for entry in os.listdir(folder) if entry.startswith(f"{name}.")]
    except (FileNotFoundError, NotADirectoryError):
        return -1, None
    generations = [int(entry.rpartition(".")[2]) for entry in found]
    for generation in sorted(generations, reverse=True):
        path = folder / f"{name}.{generation}"
        with suppress(FileNotFoundError):
            return generation, Claim(path, path.read_text())
    return -1, None


def _make(path: Path) -> Claim | None:
    text = json.dumps({**_here(), "token": secrets.token_hex(8)})
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644)
    except FileExistsError:
        return None
    except OSError:
        cache.check_writable()  # says which folder, and what to do
        raise
    try:
        os.write(file, text.encode())
    finally:
        os.close(file)
    return Claim(path, text)


def _unchanged(one: Claim) -> bool:
    try:
        return one.path.read_text() == one.text
    except FileNotFoundError:
        return False


def _lives(one: Claim) -> bool:
    """Whether the owner of a claim is at work, as far as can be told from here."""
    try:
        owner = json.loads(one.text)
    except ValueError:  # its maker has not got as far as its name, or never will
        owner = {}
    if owner and {**owner, **_here(), "pid": owner["pid"]} == owner:
        try:
            os.kill(owner["pid"], 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            pass
    try:
        age = _server_time(one.path.parent) - one.path.stat().st_mtime
    except FileNotFoundError:
        return True  # let go this moment; the next look will tell
    return age < (STALE if owner else BEAT)


def _here() -> dict[str, str | int]:
    """This process: a number means a process only within one start and one pid namespace."""
    place = ""
    for fact in (Path("/proc/sys/kernel/random/boot_id").read_text,
                 lambda: os.readlink("/proc/self/ns/pid")):  # fmt: skip
        with suppress(OSError):
            place += fact().strip()
    return {"host": socket.gethostname(), "place": place, "pid": os.getpid()}


def _server_time(folder: Path) -> float:
    """Now by the clock that dates files in this folder."""
    probe = folder / f"now-{secrets.token_hex(8)}"
    probe.touch()
    try:
        return probe.stat().st_mtime
    finally:
        probe.unlink(missing_ok=True)
