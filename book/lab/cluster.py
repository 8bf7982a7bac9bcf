"""A sweep on a Dask cluster: joblib's own backend, and a look at the workers before any work."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import joblib

from modgraph_lib import cache, provenance

__all__ = ["ClusterError", "on_cluster"]

PATIENCE = 60  # seconds that a scheduler and its first worker may take to answer


class ClusterError(Exception):
    """One line on why a cluster cannot do this work."""


@contextmanager
def on_cluster(address: str) -> Iterator[Any]:
    """Let every ``joblib.Parallel`` in the block run on a cluster; gives the Dask client.

    Args:
        address: of the scheduler, "tcp://host:8786", or the path of its scheduler file.

    Raises:
        ClusterError: no Dask here, nobody answers, or a worker with another cache or another code.
    """
    try:
        from distributed import Client
    except ImportError:
        raise ClusterError("Dask is not installed: pip install 'modgraph-lib[cluster]'") from None
    place = {"address": address} if "://" in address else {"scheduler_file": address}
    if "://" not in address and not Path(address).is_file():
        raise ClusterError(
            f"{address} is neither the address of a scheduler (tcp://host:8786) nor its file"
        )
    try:
        client = Client(**place, timeout=PATIENCE)
        client.wait_for_workers(1, timeout=PATIENCE)
    except (OSError, TimeoutError, ValueError) as error:
        raise ClusterError(f"no answer from the cluster at {address}: {error}") from None
    with client:
        _check(client)
        with joblib.parallel_config(backend="dask", wait_for_workers_timeout=PATIENCE):
            yield client


def _check(client: Any) -> None:
    """ClusterError unless every worker sees this cache, and runs this code."""
    token = cache.cache_root() / f"seen-{secrets.token_hex(8)}"
    cache.write_atomically(token, lambda path: path.write_text("here"))
    try:
        found = client.run(_seen, str(token))
    finally:
        token.unlink(missing_ok=True)
    own = _code()
    for worker, (seen, root, code) in found.items():
        if not seen:
            raise ClusterError(
                f"worker {worker} keeps its records in {root} and does not see "
                f"{cache.cache_root()}; give all one MODGRAPH_CACHE on a shared file system"
            )
        if code != own:
            raise ClusterError(f"worker {worker} runs code {code}, this is {own}; update one")


def _seen(token: str) -> tuple[bool, str, str]:
    root = cache.cache_root()
    return (root / Path(token).name).exists(), str(root), _code()


def _code() -> str:
    return provenance.stamp(device="cpu", threads=1, seconds=0)["commit"]
