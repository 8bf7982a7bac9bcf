"""What one configuration costs a cache: ``python -m tests.benchmarks.store``.

It writes data/results/cache_costs.json. With MODGRAPH_CACHE on the file system that is to be shared
and MODGRAPH_RESULTS elsewhere, it says what that one bears.
"""

from __future__ import annotations

import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from unittest import mock

import torch

from book.lab import claim, store
from modgraph_lib import cache, models, provenance
from modgraph_lib.training import checkpoints

TIMES = 200


def measured() -> dict[str, float]:
    """Median seconds of what is done for one configuration of an MLP, by name."""
    origin = provenance.stamp(device="cpu", threads=1, seconds=1)
    clustering = {"ncut": 9.12345, "shuffled": [9.12345] * 320, "cluster_sizes": [90] * 12}
    result = {"clusterings": {"12": clustering}}
    weights = models.mlp(784, 10, widths=(256,) * 4, seed=0).state_dict()
    folder = cache.cache_root() / "networks"

    def claimed(turn: int) -> None:
        found = claim.claim(f"n{turn}")
        assert found
        claim.release(found)

    return {
        "claim": _median(claimed),
        "look": _median(lambda turn: store.get("toy", 1, {"turn": turn})),
        "record": _median(lambda turn: store.put("toy", 1, {"turn": turn}, result, origin)),
        "network": _median(
            lambda turn: checkpoints.save_tensors(folder / f"{turn}.safetensors", weights, {})
        ),
    }


def _median(work: Callable[[int], object]) -> float:
    spent = []
    for turn in range(TIMES):
        begin = time.perf_counter()
        work(turn)
        spent.append(time.perf_counter() - begin)
    return float(f"{statistics.median(spent):.3g}")


def main() -> None:
    store.check_writable()
    cache.check_writable()
    with (
        tempfile.TemporaryDirectory(dir=cache.cache_root()) as own,
        mock.patch.dict(os.environ, {"MODGRAPH_CACHE": own}),
        torch.no_grad(),
    ):
        found = measured()
    origin = provenance.stamp(device="cpu", threads=1, seconds=0)
    path = store.results_root() / "cache_costs.json"
    text = json.dumps({"seconds": found, "times": TIMES, "provenance": origin}, indent=1)
    cache.write_atomically(path, lambda place: place.write_text(text + "\n"))
    print(text)


if __name__ == "__main__":
    main()
