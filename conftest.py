"""For every test, the notebooks' own (nbval) included."""

import tempfile
from pathlib import Path


def pytest_configure(config):
    """Let the kernels that nbval starts talk over files, not TCP ports.

    Parallel kernels race for ports, and about one run in a hundred loses. A fixture would not
    do: nbval's items are not functions and use none.
    """
    try:
        import nbval.kernel
    except ImportError:
        return
    manager = nbval.kernel.KernelManager

    def with_files(**options):
        # The name must be short: a socket's path may have 107 characters.
        folder = tempfile.TemporaryDirectory(prefix="mg-", dir="/tmp")
        config.add_cleanup(folder.cleanup)
        return manager(transport="ipc", ip=str(Path(folder.name, "k")), **options)

    nbval.kernel.KernelManager = with_files
