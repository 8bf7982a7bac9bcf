"""Every experiment that leaves records: its tables for the ledger, and how one is recomputed.

A new experiment joins by one line in ``REGISTRY``; ``commit``, ``verify`` and
``ledger.load_results`` then know it.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from book.lab import compare, store
from book.papers.clusterability.s04_imagenet import experiment as imagenet
from book.papers.clusterability.s05_promoting import experiment as promoting
from book.papers.clusterability.s06_your_own_network import experiment as your_own
from book.papers.community_modularity import curves
from book.papers.community_modularity.s01_curves import maps, pretrained, probes
from book.papers.community_modularity.s02_adversarial import experiment as adversarial
from book.papers.community_modularity.s03_training import experiment as training_time
from book.papers.community_modularity.s04_layer_difference import experiment as layer_difference
from book.papers.community_modularity.s05_layer_pruning import experiment as pruning
from book.papers.ncut import cnns, dead_units, mlps, second_looks, settings
from book.papers.surprisingly_modular.s04_lesions import experiment as lesions
from modgraph_lib.training import SgdConfig, TrainConfig

__all__ = ["REGISTRY", "Experiment", "tables"]

Record = dict[str, Any]


@dataclass(frozen=True)
class Experiment:
    """One kind of record.

    Attributes:
        name: folder of its records, and name of the file under data/results.
        tables: name -> function from records to a table, as the ledger's measurements ask for.
        again: record -> its result computed anew, with nothing stored; None where a record
            takes too long to be worth verifying.
        compare: (stored result, new result) -> outcome and a line of detail.
        in_part: ``again`` recomputes a small part, whatever the record itself took.
        keep: which local records are worth committing; a quick run's are not.
    """

    name: str
    tables: Mapping[str, Callable[[Iterable[Record]], pd.DataFrame]] = field(default_factory=dict)
    again: Callable[[Record], Record] | None = None
    compare: Callable[[Record, Record], tuple[str, str]] = compare.results
    in_part: bool = False
    keep: Callable[[Record], bool] = lambda record: True


def tables() -> dict[str, pd.DataFrame]:
    """Tables of all committed and local result rows, by name; empty ones included.

    A page asks a dozen times: an experiment is read anew when one of its files has changed.
    """
    found: dict[str, pd.DataFrame] = {}
    for number, experiment in enumerate(REGISTRY):
        if experiment.tables:
            found |= _tables(number, store.state(experiment.name))
    return {name: table.copy(deep=False) for name, table in found.items()}


@functools.lru_cache(maxsize=32)
def _tables(number: int, state: tuple) -> dict[str, pd.DataFrame]:
    """Tables of one experiment of ``REGISTRY``, whose files are in this ``store.state``."""
    experiment = REGISTRY[number]
    records = store.read(experiment.name)
    return {name: make(records) for name, make in experiment.tables.items()}


def _ncut(record: Record) -> Record:
    return mlps.measure(mlps.NcutConfig(**_fields(record)))["result"]


def _initial(record: Record, networks: int = 5) -> Record:
    """The first few of a record's untrained networks."""
    networks = min(networks, record["config"]["networks"])
    config = mlps.InitialConfig(**{**record["config"], "networks": networks})
    return mlps.run_initial([config], workers=1)[0]["result"]


def _lesions(record: Record) -> Record:
    fields = _fields(record)
    fields.pop("weights_digest")
    return lesions.run_one(lesions.LesionConfig(**fields))["result"]


def _architecture(record: Record) -> Record:
    return your_own.measure(your_own.ArchitectureConfig(**record["config"]))


def _imagenet(record: Record) -> Record:
    fields = {name: value for name, value in record["config"].items() if name != "weights_digest"}
    config = imagenet.ImagenetConfig(**fields)
    return imagenet.measure(config, imagenet.load(config))


def _layer_difference(record: Record) -> Record:
    fields = {name: v for name, v in record["config"].items() if name != "data_fingerprint"}
    fields["train"] = SgdConfig(**fields["train"])
    return layer_difference.measure(layer_difference.DifferenceConfig(**fields))["result"]


def _of_paper_size(record: Record) -> bool:
    """The papers' width and every training image: not what a page trains while it is read."""
    train = record["config"]["train"]
    return train["widths"][0] == settings.WIDTH and not train.get("images")


def _of_whole_sets(record: Record) -> bool:
    """Every image of a data set that is not the digits of a quick run."""
    train = record["config"]["train"]
    return not train["data"].startswith("digits") and not train.get("images")


def _of_colour_images(record: Record) -> bool:
    """Not the digits of a quick run, nor a laptop's part of the training images."""
    train = record["config"]["train"]
    return train["data"] != "digits" and not train["images"]


def _fields(record: Record) -> dict[str, Any]:
    """Fields of a configuration; its training run as one, without the data's fingerprint."""
    fields = {name: v for name, v in record["config"].items() if name != "data_fingerprint"}
    return {**fields, "train": TrainConfig(**fields["train"])}


REGISTRY = (
    Experiment(
        mlps.EXPERIMENT, {"mlp_ncut": mlps.table}, _ncut, compare.ncuts, keep=_of_paper_size
    ),
    Experiment(
        mlps.INITIAL_EXPERIMENT,
        {"mlp_initial_ncut": mlps.initial_table},
        _initial,
        compare.initial,
        in_part=True,
    ),
    Experiment(
        lesions.EXPERIMENT,
        {"mlp_lesions": lesions.table, "mlp_lesion_pairs": lesions.pairs_table},
        _lesions,
        compare.lesions,
        keep=_of_paper_size,
    ),
    Experiment(
        cnns.EXPERIMENT,
        {"cnn_ncut": cnns.table},
        keep=lambda record: not record["config"]["train"]["data"].startswith("digits"),
    ),
    Experiment(cnns.INITIAL_EXPERIMENT, {"cnn_initial_ncut": cnns.initial_table}),
    Experiment(
        promoting.EXPERIMENT,
        {"promoting_ncut": promoting.table},
        keep=lambda record: not record["config"]["train"]["data"].startswith("digits"),
    ),
    Experiment(promoting.INITIAL_EXPERIMENT, {"promoting_initial_ncut": promoting.initial_table}),
    *(Experiment(name, keep=_of_paper_size) for name in second_looks.EXPERIMENTS),
    Experiment(
        dead_units.EXPERIMENT,
        {"dead_units": dead_units.table},
        keep=_of_whole_sets,
    ),
    Experiment(curves.EXPERIMENT, {"community_curves": curves.table}, keep=_of_colour_images),
    Experiment(
        training_time.EXPERIMENT, {"community_epochs": training_time.table}, keep=_of_colour_images
    ),
    Experiment(pruning.EXPERIMENT, {"community_pruning": pruning.table}, keep=_of_colour_images),
    Experiment(maps.EXPERIMENT, {"community_maps": maps.table}, keep=_of_colour_images),
    Experiment(probes.EXPERIMENT, {"community_probes": probes.table}, keep=_of_colour_images),
    Experiment(
        pretrained.EXPERIMENT,
        {"community_pretrained": pretrained.table},
        keep=lambda record: record["config"]["weights"] == "imagenet",
    ),
    Experiment(
        adversarial.EXPERIMENT, {"community_adversarial": adversarial.table}, keep=_of_colour_images
    ),
    Experiment(
        layer_difference.EXPERIMENT,
        {"community_layer_difference": layer_difference.table},
        _layer_difference,
        keep=_of_colour_images,
    ),
    Experiment(your_own.EXPERIMENT, again=_architecture),
    Experiment(imagenet.EXPERIMENT, {"imagenet_ncut": imagenet.table}, _imagenet),
)
