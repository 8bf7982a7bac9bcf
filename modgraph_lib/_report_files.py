"""A report as files: JSON with its arrays beside it as safetensors, and one HTML page."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy

from modgraph_lib import _page, cache, provenance
from modgraph_lib.clustering import LayeredTest
from modgraph_lib.graphs import LayeredGraph

__all__ = ["page", "read", "write"]

KIND, VERSION = "modgraph report", 1
MEANING = (
    "The n-cut adds up, over k clusters of units, the share of each cluster's edge weight that "
    "leaves it: 0 for separate clusters, towards k - 1 for none. Lower is more clusterable.",
    "The shuffles are the same network with the weights of each layer permuted. p is the share of "
    "them (and the network itself) at or below the network; z says how many standard deviations "
    "it lies from their mean, negative for more clusterable.",
)
SCALARS = ("name", "k", "ncut", "p", "z", "method", "seconds", "ambiguous", "depth")


def write(report: Any, path: Path) -> None:
    """``path`` and, beside it, its arrays; the JSON last, with the digest of the arrays."""
    graph = report.graph
    layered = report.layered
    arrays = {"shuffled": report.shuffled, "labels": report.labels}
    if layered:
        arrays |= {"layered.labels": layered.labels, "layered.shuffled": layered.shuffled}
    arrays |= {f"block.{i}.{j}": block for (i, j), block in graph.blocks.items()}
    data = safetensors.numpy.save({n: np.ascontiguousarray(a) for n, a in arrays.items()})
    sizes = report.cluster_sizes
    facts = {
        "kind": KIND,
        "version": VERSION,
        **{name: getattr(report, name) for name in SCALARS},
        "graph": {
            "layers": list(graph.layers),
            "names": list(graph.names),
            "gaps": graph.gaps,
            "erased": graph.erased,
        },
        "layered": layered and {"k": layered.k, "q": layered.q, "method": layered.method},
        "cluster_sizes": {str(name): [int(n) for n in sizes[name]] for name in sizes},
        "arrays": _beside(path).name,
        "arrays_sha256": hashlib.sha256(data).hexdigest(),
    }
    cache.write_atomically(_beside(path), lambda place: place.write_bytes(data))
    told = json.dumps(facts, indent=1)
    cache.write_atomically(path, lambda place: place.write_text(told + "\n"))


def read(path: Path) -> tuple[dict[str, Any], dict[str, np.ndarray], LayeredGraph]:
    """The scalars of a report and its layered test, its arrays, and its graph.

    Raises:
        FileNotFoundError: no such file, or its arrays are not beside it.
        ValueError: no report, one of a later version, or arrays that are not its own.
    """
    if not path.is_file():
        raise FileNotFoundError(f"no report {path.absolute()}")
    try:
        facts = json.loads(path.read_text("utf8"))
    except ValueError:
        facts = {}
    if not isinstance(facts, dict) or facts.get("kind") != KIND:
        raise ValueError(f"{path} is no report; Report.save writes one")
    if facts["version"] > VERSION:
        raise ValueError(f"{path} was written by a later version of modgraph_lib; update it")
    beside = path.with_name(facts["arrays"])
    if not beside.is_file():
        raise FileNotFoundError(f"{path} needs its arrays beside it: no file {beside.absolute()}")
    data = beside.read_bytes()
    if hashlib.sha256(data).hexdigest() != facts["arrays_sha256"]:
        raise ValueError(f"{beside} is damaged, or another report's; save the two together")
    arrays = safetensors.numpy.load(data)
    blocks = {}
    for name in arrays:
        if name.startswith("block."):
            _, i, j = name.split(".")
            blocks[int(i), int(j)] = arrays[name]
    about = facts["graph"]
    graph = LayeredGraph(
        tuple(about["layers"]),
        dict(sorted(blocks.items())),
        tuple(about["names"]),
        about["gaps"],
        about["erased"],
    )
    found = {name: facts[name] for name in SCALARS}
    found["layered"] = facts["layered"] and LayeredTest(
        labels=arrays["layered.labels"], shuffled=arrays["layered.shuffled"], **facts["layered"]
    )
    return found, arrays, graph


def page(report: Any) -> str:
    """The page of ``Report.html``."""
    first, *others = report.summary().splitlines()
    sizes, shuffled = report.cluster_sizes, report.shuffled
    made = provenance.stamp(device="cpu", threads=1, seconds=report.seconds)
    versions = ", ".join(f"{name} {version}" for name, version in made["versions"].items())
    alt = (
        f"Above, a matrix: the share of each of {len(sizes)} layers in each of {report.k} "
        f"clusters. Below, the n-cut {report.ncut:.3f} beside the histogram of {len(shuffled)} "
        "shuffles."
    )
    measured = {
        "n-cut": f"{report.ncut:.4f}",
        "of its shuffles": f"{shuffled.mean():.4f}",
        "standard deviation": f"{shuffled.std():.4f}",
        "p": f"{report.p:.4f}",
        "z": f"{report.z:.2f}",
        "k": report.k,
        "shuffles": len(shuffled),
    }
    counts = [
        (name, *map(int, row)) for name, row in zip(sizes.index, sizes.to_numpy(), strict=True)
    ]
    return _page.page(
        f"Clusterability of {report.name}",
        [
            _page.text([first]),
            _page.table(list(measured), [list(measured.values())]),
            _page.figure(report.figure(), alt),
            _page.text(others, "In words"),
            _page.text(MEANING, "How to read it"),
            _page.table(["layer", *sizes.columns], counts, "Nodes of each layer in each cluster"),
        ],
        f"{made['date']}; {made['processor']}; {versions}",
    )


def _beside(path: Path) -> Path:
    return path.with_suffix(".arrays.safetensors")  # not beside weights of the same name
