"""Kernels forked from one process that has imported what all pages import.

Importing torch, pandas and what draws takes seconds, a third of a short page's time. A section's
worker comes from multiprocessing's fork server, which has imported ``book.scripts.preload``; before
the worker has threads or sockets, it forks the process that will be its kernel. This is for Linux:
elsewhere some libraries do not bear forking, and kernels start as usual.
"""

from __future__ import annotations

import atexit
import json
import multiprocessing
import os
import sys
import threading
from importlib.metadata import EntryPoint
from multiprocessing.context import BaseContext
from typing import Any

from jupyter_client.provisioning import KernelProvisionerFactory, LocalProvisioner

__all__ = ["context", "fork", "follow_parent"]

LINUX = sys.platform == "linux"


def context() -> BaseContext:
    """Where workers come from."""
    server = multiprocessing.get_context("forkserver" if LINUX else "spawn")
    if LINUX:
        server.set_forkserver_preload(["book.scripts.preload"])
    return server


def fork() -> None:
    """Fork what will be the kernel of the next notebook that papermill executes here."""
    if LINUX:
        Forked.waiting = Waiting()
        factory = KernelProvisionerFactory.instance()
        point = EntryPoint("forked", f"{__name__}:Forked", factory.GROUP_NAME)
        factory.provisioners["forked"] = point
        factory.default_provisioner_name = "forked"


def follow_parent() -> None:
    """End this process when the one that started it ends, however it does."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        end = threading.Thread(target=lambda: (parent.join(), os._exit(1)), daemon=True)
        end.start()


class Waiting:
    """A child that becomes a kernel once told which; to provisioners a ``subprocess.Popen``."""

    stdin = stdout = stderr = None

    def __init__(self) -> None:
        read, self._write = os.pipe()
        self.returncode: int | None = None
        self.pid = os.fork()
        if self.pid == 0:
            os.close(self._write)
            _become_kernel(read)
        os.close(read)

    def start(self, argv: list[str], cwd: str, env: dict[str, str]) -> None:
        """Tell it its arguments, folder and environment."""
        with os.fdopen(self._write, "w") as pipe:
            json.dump([argv, cwd, env], pipe)

    def poll(self) -> int | None:
        """Its exit status, None while it runs."""
        if self.returncode is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            self.returncode = os.waitstatus_to_exitcode(status) if pid else None
        return self.returncode

    wait = poll  # only asked of one that has ended

    def send_signal(self, number: int) -> None:
        """Nothing is sent to one that has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)


class Forked(LocalProvisioner):
    """Gives papermill the waiting process for its kernel; a second kernel starts as usual."""

    waiting: Waiting | None = None

    async def launch_kernel(self, cmd: list[str], **options: Any) -> Any:
        child, Forked.waiting = Forked.waiting, None
        if child is None:
            return await super().launch_kernel(cmd, **options)
        # cmd: python -m ipykernel_launcher -f FILE ...
        child.start(cmd[3:], str(options.get("cwd") or os.getcwd()), options["env"])
        self.process, self.pid, self.pgid = child, child.pid, child.pid
        return self.connection_info


def _become_kernel(pipe: int) -> None:
    """What the waiting child does; it does not return."""
    status = 1
    try:
        os.setsid()
        with os.fdopen(pipe) as file:
            text = file.read()
        if text:  # else the worker has ended without a notebook
            arguments, folder, environment = json.loads(text)
            os.chdir(folder)
            os.environ.update(environment, JPY_PARENT_PID=str(os.getppid()))
            from ipykernel.kernelapp import launch_new_instance

            launch_new_instance(argv=arguments)
            atexit._run_exitfuncs()
        status = 0
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
