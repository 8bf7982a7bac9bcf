"""A clusterability report of one's own network.

Five lines::

    from modgraph_lib import report

    model = report.load_model("torchvision.models:resnet18", weights="resnet18.safetensors")
    found = report.clusterability(model, k=12, shuffles=50)
    print(found.summary())
    found.figure()
"""

from __future__ import annotations

import difflib
import functools
import importlib
import importlib.util
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import joblib
import numpy as np
import safetensors
import safetensors.torch
import torch
from torch import nn

from modgraph_lib import _checks, clustering
from modgraph_lib.graphs import LayeredGraph, kernel_shuffles, weight_graph
from modgraph_lib.graphs.plain import plain

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

__all__ = ["Report", "clusterability", "fill", "load_model", "load_weights"]

NESTED = ("state_dict", "model_state_dict", "model", "module")
SHOWN = 5
ERASED = 1e-8  # of the median degree


@dataclass(frozen=True, eq=False)
class Report:
    """How clusterable one network is.

    Attributes:
        name: what the network is called.
        k: number of clusters.
        ncut: n-cut of the network's clustering.
        p: (r + 1) / (S + 1), r of S shuffles at or below the network's n-cut.
        z: distance to the shuffles' mean in their standard deviations; negative: clusterable.
        shuffled: (S,) n-cuts of the shuffles.
        cluster_sizes: one row a layer; columns 1..k (clusters, the largest first), isolated, nodes.
        labels: (N,) cluster 1..k of each node, in the order of the layers; 0 for isolated nodes.
        graph: the graph, isolated nodes included.
        method: how weights were shuffled.
        seconds: of wall time, for the graph and for the shuffle test.
        ambiguous: whether k ends within a multiple eigenvalue, see ``clustering.cluster``.
    """

    name: str
    k: int
    ncut: float
    p: float
    z: float
    shuffled: np.ndarray = field(repr=False)
    cluster_sizes: pd.DataFrame = field(repr=False)
    labels: np.ndarray = field(repr=False)
    graph: LayeredGraph = field(repr=False)
    method: str
    seconds: float
    ambiguous: bool = False

    def summary(self) -> str:
        """The report in words, a few lines."""
        sizes = self.cluster_sizes.drop(columns=["isolated", "nodes"]).sum()
        beaten = int((self.shuffled > self.ncut).sum())
        isolated = int(self.cluster_sizes["isolated"].sum())
        edges = sum(int(np.count_nonzero(block)) for block in self.graph.blocks.values())
        notes = "" if not isolated else f", {isolated} of them isolated and left out"
        null = f"{self.shuffled.mean():.3f} ± {self.shuffled.std():.3f}"
        return "\n".join(
            [
                f"{self.name}: {len(self.graph.layers)} layers, {self.graph.nodes} nodes{notes}, "
                f"{edges} edges",
                f"n-cut at k = {self.k}: {self.ncut:.3f}; its shuffles: {null} "
                f"({len(self.shuffled)}, method {self.method!r})",
                f"below {beaten} of {len(self.shuffled)} shuffles: p = {self.p:.3f}, "
                f"z = {self.z:.1f}",
                f"an edge end leaves its cluster with probability {self.ncut / self.k:.2f} on "
                f"average over clusters; {self.shuffled.mean() / self.k:.2f} in shuffles",
                f"cluster sizes: {', '.join(str(int(size)) for size in sizes)}",
                *self._ambiguous(),
                *self._erased(),
                f"{self.seconds:.1f} s",
            ]
        )

    def _ambiguous(self) -> list[str]:
        """A line where another k would say more."""
        if not self.ambiguous:
            return []
        return [
            f"k = {self.k} is ambiguous: eigenvalues {self.k} and {self.k + 1} are equal (equal "
            "parts, or more separate ones than k); the clusters are one choice of several"
        ]

    def _erased(self) -> list[str]:
        """A line on units that weight decay has all but erased, if there are any."""
        degrees = self.graph.degrees()
        degrees = degrees[degrees > 0]
        limit = float(f"{ERASED * np.median(degrees):.0e}")
        erased = int((degrees <= limit).sum())
        if not erased:
            return []
        return [
            f"nodes with next to no weights: {erased} (degree at most {limit:.0e}); alone in a "
            f"cluster each costs 1. Without: clusterability(graph.without_isolated({limit:.0e})[0])"
        ]

    def figure(self) -> Figure:
        """Which layers each cluster lies in, and the n-cut beside its null."""
        from modgraph_lib.plots.clusters import clusters_by_layer  # loads matplotlib

        return clusters_by_layer(
            self.cluster_sizes, ncut=self.ncut, shuffled=self.shuffled, k=self.k, title=self.name
        )


def clusterability(
    network: nn.Module | LayeredGraph | Sequence[Any],
    k: int = 12,
    shuffles: int = 50,
    seed: int = 0,
    *,
    method: str = "",
    n_init: int = 10,
    name: str = "",
    workers: int | None = None,
    **graph_options: Any,
) -> Report:
    """The clusterability report of a network.

    Args:
        network: a torch module, a list of weight matrices, or a graph made before.
        k: number of clusters.
        shuffles: size of the null sample; p can be no smaller than 1 / (shuffles + 1).
        seed: fixes shuffles and k-means.
        method: "layer" (the papers'), "layer_nonzero" where zeros belong to the architecture, or
            "kernel", which keeps gaps and ties that splits, groups and sums make
            (``graphs.kernel_shuffles``; modules only). "" chooses "layer" for a chain, a graph
            or matrices, else "kernel".
        n_init: k-means restarts.
        name: for text and picture; by default the class of the module.
        workers: threads; by default one per core.
        graph_options: of ``graphs.weight_graph`` (residual="merge", example=(1, 28, 28), ...).

    Raises:
        TypeError: graph options together with a graph.
        ValueError: what ``graphs.weight_graph`` or ``clustering.shuffle_test`` cannot take.

    >>> weights, _ = toys.strands(2, (12, 12, 12), leak=0.05, seed=0)
    >>> found = report.clusterability(weights, k=2, shuffles=19)
    >>> round(found.ncut, 2), found.p, found.z < -3
    (0.09, 0.05, True)
    """
    start = time.perf_counter()
    _checks.whole(k, "k (one cluster has n-cut 0 in every network)", least=2)
    _checks.whole(shuffles, "shuffles", least=1)
    _checks.whole(seed, "seed")
    if isinstance(network, LayeredGraph):
        if graph_options:
            raise TypeError(f"a graph is made already; drop {', '.join(graph_options)}")
        graph = network
    else:
        graph = weight_graph(network, **graph_options)
    method = method or _fitting_method(network, graph)
    settings: dict[str, Any] = {"n_init": n_init, "seed": seed, "workers": workers}
    if method == "kernel":
        test = _kernel_test(network, graph, k, shuffles, graph_options, **settings)
    else:
        test = clustering.shuffle_test(graph, k, shuffles=shuffles, method=method, **settings)
    labels = _by_size(test.labels, k)
    return Report(
        name=name or (type(network).__name__ if isinstance(network, nn.Module) else "network"),
        k=k,
        ncut=test.ncut,
        p=test.p_value,
        z=test.z_score,
        shuffled=test.shuffled,
        cluster_sizes=_sizes(graph, labels, k),
        labels=labels,
        graph=graph,
        method=method,
        seconds=time.perf_counter() - start,
        ambiguous=test.ambiguous,
    )


def load_model(
    factory: str | Callable[..., nn.Module],
    weights: str | Path = "",
    arguments: Mapping[str, Any] | None = None,
) -> nn.Module:
    """A module made by a factory, with weights from a file if there is one; in evaluation mode.

    Args:
        factory: "package.module:function" or "path/to/file.py:Class" (either is imported, which
            runs its code), or the function itself.
        weights: a .safetensors file, or one that ``torch.load(weights_only=True)`` reads.
            Without it the network keeps the weights its factory gives.
        arguments: keyword arguments of the factory.

    Raises:
        ValueError: no such factory, arguments it does not take, or something else than a module.
        FileNotFoundError: no such weights file.
        ValueError: weights whose names or shapes do not fit, all of them in one message.

    >>> arguments = {"inputs": 4, "outputs": 2, "widths": [8], "seed": 0}
    >>> model = report.load_model("modgraph_lib.models:mlp", arguments=arguments)
    >>> type(model).__name__, model.training
    ('Sequential', False)
    """
    make = factory if callable(factory) else _imported(str(factory))
    arguments = dict(_checks.instance(arguments or {}, Mapping, "arguments by name"))
    try:
        model = make(**arguments)
    except TypeError as error:
        raise ValueError(f"{factory} with the arguments {arguments}: {error}") from error
    if not isinstance(model, nn.Module):
        raise ValueError(f"{factory} gave a {type(model).__name__}, not a torch module")
    if weights:
        fill(model, load_weights(weights), str(weights))
    return model.eval()


def load_weights(path: str | Path) -> dict[str, torch.Tensor]:
    """Tensors by name, from safetensors or a pickle read with ``weights_only=True``.

    A dictionary nested under "state_dict" or "model", the prefix "module." of DataParallel and
    "_orig_mod." of torch.compile are taken off.

    Raises:
        FileNotFoundError: no such file.
        ValueError: a file that cannot be read safely, or holds no tensors by name.

    >>> path = cache.cache_root() / "weights.pt"
    >>> torch.save({"state_dict": {"module.1.weight": torch.zeros(8, 4)}}, path)
    >>> list(report.load_weights(path))
    ['1.weight']
    """
    path = Path(_checks.instance(path, str | Path, "the path of a weights file"))
    found: Any
    if not path.is_file():
        raise FileNotFoundError(f"no weights file {path.absolute()}")
    try:
        if path.suffix == ".safetensors":
            found = safetensors.torch.load_file(path)
        else:
            found = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # the readers raise anything on a file that is none of theirs
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        reason = reason if path.stat().st_size else "the file is empty"
        raise ValueError(
            f"{path} cannot be read as safetensors or weights: {reason}; save "
            "model.state_dict() with safetensors.torch.save_file"
        ) from None
    for name in NESTED:
        if isinstance(found, Mapping) and isinstance(found.get(name), Mapping):
            found = found[name]
    if not isinstance(found, Mapping) or not found:
        raise ValueError(f"{path} holds a {type(found).__name__}, not tensors by name")
    found = {str(name).replace("_orig_mod.", ""): value for name, value in found.items()}
    while all(name.startswith("module.") for name in found):
        found = {name.removeprefix("module."): value for name, value in found.items()}
    return found


def _fitting_method(network: Any, graph: LayeredGraph) -> str:
    chain = all(j == i + 1 for i, j in graph.blocks)
    if not isinstance(network, nn.Module) or chain:
        return "layer"
    return "kernel"


def _kernel_test(
    network: Any,
    graph: LayeredGraph,
    k: int,
    shuffles: int,
    options: Mapping[str, Any],
    *,
    n_init: int,
    seed: int,
    workers: int | None,
) -> clustering.ShuffleTest:
    """``clustering.shuffle_test`` against networks whose kernels are permuted."""
    if not isinstance(network, nn.Module):
        raise ValueError("method 'kernel' permutes a module's kernels; pass the module itself")
    if shuffles < 1:
        raise ValueError(f"a shuffle test needs at least 1 shuffle, got {shuffles}")
    own = clustering.cluster(graph, k, n_init=n_init, seed=seed)
    seeds = [[seed, index] for index in range(shuffles)]

    def ncut(shuffled: LayeredGraph, pair: list[int]) -> float:
        start = clustering.hash_seed(*pair)
        return clustering.cluster(shuffled, k, n_init=n_init, seed=start).ncut

    made = kernel_shuffles(network, seeds=seeds, **options)
    tasks = (joblib.delayed(ncut)(*pair) for pair in zip(made, seeds, strict=True))
    null = joblib.Parallel(workers or joblib.cpu_count(), prefer="threads", pre_dispatch=2)(tasks)
    return clustering.ShuffleTest(k, own.ncut, own.labels, np.array(null), "kernel", own.ambiguous)


def fill(model: nn.Module, given: Mapping[str, torch.Tensor], where: str) -> None:
    """Load weights by name into a model after comparing every name and shape.

    A prefix that all names share and the model lacks ("model." of Lightning) is taken off.

    Args:
        model: changed in place.
        given: tensors by name.
        where: what to call them in a message.

    Raises:
        ValueError: names or shapes that do not fit, all of them in one message.

    >>> model, other = (models.mlp(4, 2, widths=(8,), seed=seed) for seed in (0, 1))
    >>> report.fill(model, other.state_dict(), "mine")
    >>> torch.equal(model[1].weight, other[1].weight)
    True
    """
    _checks.instance(given, Mapping, "tensors by name")
    state = _checks.module(model).state_dict()
    wanted = {name.replace("_orig_mod.", ""): value for name, value in state.items()}
    given = {name: value for name, value in given.items() if isinstance(value, torch.Tensor)}
    given = {name: plain(value, name) for name, value in given.items()}
    while given and not given.keys() & wanted.keys():
        first = next(iter(given)).partition(".")[0] + "."
        if not all(name.startswith(first) and name != first for name in given):
            break
        given = {name.removeprefix(first): value for name, value in given.items()}
    for name, value in given.items():
        if name in wanted and wanted[name].is_floating_point() and not value.is_floating_point():
            kind = str(value.dtype).removeprefix("torch.")
            raise ValueError(
                f"{where}: {name} holds {kind} numbers where the model has weights (codes of a "
                "quantised network?); save the weights as floats"
            )
    # Counters that a batch norm does not need to evaluate; older files lack them.
    missing = [n for n in wanted if n not in given and not n.endswith("num_batches_tracked")]
    unexpected = [name for name in given if name not in wanted]
    shapes = [
        f"{name} is {tuple(given[name].shape)}, the model has {tuple(value.shape)}"
        for name, value in wanted.items()
        if name in given and given[name].shape != value.shape
    ]
    problems = [
        f"{len(found)} {word}: {', '.join(found[:SHOWN])}{' ...' if len(found) > SHOWN else ''}"
        for word, found in (
            ("missing", missing),
            ("unexpected", unexpected),
            ("of another shape", shapes),
        )
        if found
    ]
    if problems:
        raise ValueError(
            f"{where} does not fit {type(model).__name__}; {'; '.join(problems)}. Other arguments "
            "of the factory (classes, width)?"
        )
    own = {name.replace("_orig_mod.", ""): name for name in state}
    model.load_state_dict({own[name]: value for name, value in given.items()}, strict=False)


def _imported(factory: str) -> Callable[..., Any]:
    """The object behind "package.module:name" or "file.py:name"."""
    place, _, name = factory.rpartition(":")
    if not place or not name:
        raise ValueError(
            f"factory {factory!r}: write 'package.module:function', for instance "
            "'torchvision.models:resnet18', or 'path/to/file.py:Class'"
        )
    module: Any = _module(place, factory)
    try:
        return functools.reduce(getattr, name.split("."), module)
    except AttributeError:
        close = difflib.get_close_matches(name, [n for n in dir(module) if n[0] != "_"], n=3)
        hint = f"; did you mean {' or '.join(close)}?" if close else ""
        raise ValueError(f"{place} has no {name!r}{hint}") from None


def _module(place: str, factory: str) -> ModuleType:
    if place.endswith(".py"):
        path = Path(place)
        if not path.is_file():
            raise ValueError(f"factory {factory!r}: no file {path.absolute()}")
        spec = importlib.util.spec_from_file_location(path.stem, path)
        assert spec and spec.loader  # a name that ends in .py has a loader
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module
    if place.split(".")[0] == "torchvision":
        importlib.import_module("modgraph_lib._torchvision")  # before torchvision itself
    try:
        return importlib.import_module(place)
    except ModuleNotFoundError as error:
        raise ValueError(
            f"factory {factory!r}: {error}; is it installed here, and spelt as in an import?"
        ) from None


def _by_size(labels: np.ndarray, k: int) -> np.ndarray:
    """Labels 1..k, the largest cluster first; 0 for isolated nodes."""
    order = np.argsort(-np.bincount(labels[labels >= 0], minlength=k), kind="stable")
    rank = np.empty(k, dtype=int)
    rank[order] = np.arange(1, k + 1)
    return np.where(labels >= 0, rank[labels], 0)


def _sizes(graph: LayeredGraph, labels: np.ndarray, k: int) -> pd.DataFrame:
    import pandas as pd  # slow to import

    parts = np.split(labels, graph.offsets[1:-1])
    counts = np.array([np.bincount(part, minlength=k + 1) for part in parts])
    frame = pd.DataFrame(counts[:, 1:], columns=range(1, k + 1), index=list(graph.names))
    frame.index.name = "layer"
    return frame.assign(isolated=counts[:, 0], nodes=list(graph.layers))
