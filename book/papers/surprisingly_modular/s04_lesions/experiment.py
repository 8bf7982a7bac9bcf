"""Lesions of a network's sub-modules, one at a time and in pairs: records and their tables."""

from __future__ import annotations

import functools
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np

from book.lab import compare, sweep
from book.lab.experiment import Experiment
from book.lab.parameters import Run, parameter
from book.lab.section import Section, Sweep
from book.lab.tables import Table
from book.papers.ncut import mlps
from modgraph_lib import clustering, datasets, graphs, lesions, provenance, training
from modgraph_lib.datasets import Dataset
from modgraph_lib.lesions import DoubleLesion, SingleLesion, Submodule
from modgraph_lib.training import TrainConfig

__all__ = [
    "LesionConfig",
    "LesionParameters",
    "configs",
    "found",
    "pairs_table",
    "run",
    "run_one",
    "table",
]

PAIRS = ("important", "all")
# What the paper and its code do; cutting outgoing weights is a later paper's.
KINDS = ("weights", "activations", "weights_and_biases")


@dataclass(frozen=True)
class LesionConfig:
    """Single and double lesions of one clustered network.

    ``pairs`` are those of two important sub-modules (important by either set of rules) or, for
    the paper's figure A.6, all pairs of sub-modules of different layers.
    """

    train: TrainConfig
    stage: str = "pruned"
    k: int = 10
    kind: str = "weights"
    single_controls: int = 100
    double_controls: int = 50
    pairs: str = "important"
    n_init: int = 10
    seed: int = 0

    def __post_init__(self) -> None:
        if self.stage not in ("unpruned", "pruned"):
            raise ValueError(f"stage is unpruned or pruned, got {self.stage!r}")
        if self.kind not in KINDS:
            raise ValueError(f"kind is one of {', '.join(KINDS)}; got {self.kind!r}")
        if self.pairs not in PAIRS:
            raise ValueError(f"pairs is one of {', '.join(PAIRS)}; got {self.pairs!r}")
        for name in ("k", "single_controls", "double_controls", "n_init"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")


@dataclass(frozen=True)
class LesionParameters(Run):
    """Parameters of ``surprisingly_modular/04_lesions``; the defaults are quick."""

    data: str = parameter(
        "digits",
        "data set: digits, mnist, fashion_mnist (paper) or cifar10_grey",
        choices=("digits", "mnist", "fashion_mnist", "cifar10_grey"),
    )
    seeds: int = parameter(2, "networks, each trained with dropout (paper: 1)", at_least=1)
    clusters: int = parameter(10, "clusters of the weight graph (paper: 10)", at_least=2)
    kind: str = parameter(
        "weights",
        "lesion: weights (bias kept), activations or weights_and_biases (code)",
        choices=KINDS,
    )
    single_controls: int = parameter(100, "random sets per sub-module (paper: 100)", at_least=1)
    double_controls: int = parameter(50, "random sets per member of a pair (paper: 50)", at_least=1)
    pairs: str = parameter(
        "all", "pairs lesioned: important (figure 6) or all (figure A.6)", choices=PAIRS
    )
    epochs: int = parameter(20, "epochs before pruning (paper: 20)", at_least=1)
    prune_epochs: int = parameter(20, "epochs with pruning (paper: 20)", at_least=1)
    width: int = parameter(64, "units in each of the four hidden layers (paper: 256)", at_least=2)
    batch_size: int = parameter(32, "images per optimiser step (paper: 128)", at_least=1)

    def __post_init__(self) -> None:
        mlps.check_sizes([self.data], self.width, [self.clusters])


def configs(parameters: LesionParameters, *, kinds: Sequence[str] = ()) -> list[LesionConfig]:
    """One configuration a network, for each kind of lesion (by default the chosen one)."""
    p = parameters
    return [
        LesionConfig(
            mlps.condition(
                p.data,
                "dropout",
                seed,
                **p.given("epochs", "prune_epochs", "width", "batch_size"),
            ),
            k=p.clusters,
            kind=kind,
            **p.given("single_controls", "double_controls", "pairs"),
        )
        for kind, seed in product(kinds or (p.kind,), range(p.seed, p.seed + p.seeds))
    ]


def run(
    wanted: Sequence[LesionConfig],
    *,
    device: str = "auto",
    workers: int | None = None,
    root: str | None = None,
) -> list[dict]:
    """Records of all configurations; their networks are trained first, for a key needs them."""
    device = training.pick_device(device)
    trains = list({c.train: None for c in wanted})
    training.train_many(trains, device=device, workers=workers, root=root)
    return EXPERIMENT.run(wanted, device=device, workers=workers, root=root)


def key_of(config: LesionConfig, root: str | None = None) -> dict:
    """Data and trained weights by digest: a network trained anew gets a record of its own."""
    network = training.trained(config.train, root=root)
    digest = provenance.weights_digest(network.weights[config.stage])
    return {**sweep.key_config(config, root), "weights_digest": digest}


def measure(config: LesionConfig, *, device: str = "cpu", root: str | None = None) -> dict:
    """Result and provenance of one configuration, computed anew and not stored."""
    network = training.trained(config.train, device=device, root=root)
    data = datasets.load(config.train.data, "test", root=root)
    with training.single_thread():
        start = time.perf_counter()
        result = _measure(config, network.model(config.stage), data, device)
        seconds = time.perf_counter() - start
    note = training.data_note(config.train.data, root)
    origin = provenance.stamp(device=device, threads=1, seconds=seconds, data_note=note)
    result["train_seconds"] = round(network.seconds, 3)
    return {"result": result, "provenance": origin}


def parts_of(config: LesionConfig, model: Any) -> list[Submodule]:
    """Sub-modules of a network, by the clustering that its record rests on."""
    graph = graphs.weight_graph(model, floor=0)
    labels = clustering.spectral_clustering(graph, config.k, n_init=config.n_init, seed=config.seed)
    return lesions.submodules(graph, labels)


def _measure(
    config: LesionConfig, model: Any, data: Dataset, device: str, first: int | None = None
) -> dict:
    """Lesions of all sub-modules and pairs, or of the ``first`` sub-modules alone."""
    parts = parts_of(config, model)[:first]
    given = {"kind": config.kind, "seed": config.seed, "device": device}
    images, labels = data.images, data.labels
    singles = lesions.single_lesions(
        model, parts, images, labels, controls=config.single_controls, **given
    )
    chosen = [
        one.submodule
        for one in singles
        if first is None
        if config.pairs == "all" or "important" in map(one.importance, lesions.RULES)
    ]
    pairs = lesions.pairs_across_layers(chosen)
    given["controls"] = config.double_controls
    doubles = lesions.double_lesions(model, pairs, images, labels, **given) if pairs else []
    counts = np.bincount(labels.numpy())
    total = int(counts.sum())
    return {
        "classes": counts.tolist(),
        "intact": _counts(singles[0].intact, total),
        "submodules": [
            {
                "layer": one.submodule.layer,
                "depth": one.submodule.depth,
                "module": one.submodule.module,
                "size": len(one.submodule.units),
                "population": len(one.submodule.population),
                "width": one.submodule.width,
                "correct": _counts(one.accuracy, total),
                "by_class": _counts(np.nan_to_num(one.by_class[: len(counts)]), counts),
                "random": _counts(one.random, total),
            }
            for one in singles
        ],
        "pairs": [
            {
                "x": two.x.name,
                "y": two.y.name,
                "both": _counts(two.accuracy_both, total),
                "random_x": _counts(two.random_x, total),
                "random_y": _counts(two.random_y, total),
            }
            for two in doubles
        ],
    }


def _again(config: LesionConfig) -> dict:
    """What takes seconds once there is the network: four sub-modules, with their random sets."""
    model = training.trained(config.train, device="cpu").model(config.stage)
    with training.single_thread():
        return _measure(config, model, datasets.load(config.train.data, "test"), "cpu", 4)


def _counts(shares: Any, totals: Any) -> Any:
    """Right answers as whole numbers: exact, and shorter to commit than accuracies."""
    return np.rint(np.asarray(shares) * totals).astype(int).tolist()


def found(record: Mapping[str, Any]) -> tuple[list[SingleLesion], list[DoubleLesion]]:
    """The lesions of a record; which units a sub-module has is not kept, only how many."""
    result = record["result"]
    classes = np.array(result["classes"])
    total = classes.sum()
    intact = result["intact"] / total
    singles, by_name = [], {}
    for row in result["submodules"]:
        units = (np.arange(row[name]) for name in ("size", "population"))
        part = Submodule(row["layer"], row["depth"], row["module"], *units, row["width"])
        one = SingleLesion(
            part,
            intact,
            row["correct"] / total,
            np.array(row["by_class"]) / np.maximum(classes, 1),
            np.array(row["random"]) / total,
        )
        singles.append(one)
        by_name[part.name] = one
    doubles = []
    for row in result["pairs"]:
        x, y = by_name[row["x"]], by_name[row["y"]]
        null = (np.array(row[name]) / total for name in ("random_x", "random_y"))
        three = (x.accuracy, y.accuracy, row["both"] / total)
        doubles.append(DoubleLesion(x.submodule, y.submodule, intact, *three, *null))
    return singles, doubles


def rows(record: dict) -> list[dict]:
    """One row per (rules, sub-module).

    Own columns: rules ("described" or "published"), depth, module, name, size, population,
    proportion, intact, accuracy, loss, p_value, importance, random_mean and random_std (of the
    change of accuracy, ddof 0), by_class (accuracies).
    """
    singles, _ = found(record)
    return [
        {
            **_run(record),
            "rules": rules,
            "depth": one.submodule.depth,
            "module": one.submodule.module,
            "name": one.submodule.name,
            "size": len(one.submodule.units),
            "population": len(one.submodule.population),
            "proportion": one.submodule.proportion,
            "intact": one.intact,
            "accuracy": one.accuracy,
            "loss": one.loss,
            "p_value": one.p_value(rules),
            "importance": one.importance(rules),
            "random_mean": float((one.random - one.intact).mean()),
            "random_std": float(one.random.std()),
            "by_class": one.by_class,
        }
        for rules, one in product(lesions.RULES, singles)
    ]


def pair_rows(record: dict) -> list[dict]:
    """One row per (rules, pair of sub-modules).

    Own columns: rules, x, y (names), same_module, both_important (each by itself), delta_x,
    delta_y, p_x, p_y, x_important (given Y), y_important (given X), depends (at least one of the
    two is not), identity: delta(X, Y) - delta(Y, X) minus the difference of the two single losses.
    """
    rows = []
    singles, doubles = found(record)
    loss = {one.submodule.name: one.loss for one in singles}
    for rules in lesions.RULES:
        important = {o.submodule.name for o in singles if o.importance(rules) == "important"}
        for two in doubles:
            p, given = two.p_values(rules), two.important(rules)
            x, y = two.x.name, two.y.name
            rows.append(
                {
                    **_run(record),
                    "rules": rules,
                    "x": x,
                    "y": y,
                    "same_module": two.x.module == two.y.module,
                    "both_important": {x, y} <= important,
                    "delta_x": two.delta_x,
                    "delta_y": two.delta_y,
                    "p_x": p[0],
                    "p_y": p[1],
                    "x_important": given[0],
                    "y_important": given[1],
                    "depends": two.depends(rules),
                    "identity": two.delta_x - two.delta_y - (loss[x] - loss[y]),
                }
            )
    return rows


def _run(record: dict) -> dict:
    result = record["result"]
    about = {"images": sum(result["classes"]), "train_seconds": result["train_seconds"]}
    return {**mlps.words(record), **about}


EXPERIMENT = Experiment(
    "mlp_lesions",
    LesionConfig,
    measure,
    rows,
    ("rules", "depth", "name", "loss", "p_value", "importance"),
    {"mlp_lesion_pairs": Table(pair_rows, ("rules", "x", "y", "both_important", "depends"))},
    key=key_of,
    recompute=_again,
    share=0.1,
    compare=compare.lesions,
    keep=mlps.of_paper_size,
)
run_one, table = EXPERIMENT.run_one, EXPERIMENT.table
pairs_table = functools.partial(EXPERIMENT.table, name="mlp_lesion_pairs")


SECTION = Section(
    "surprisingly_modular/04_lesions", LesionParameters, lambda p: [Sweep(run, configs(p))]
)
