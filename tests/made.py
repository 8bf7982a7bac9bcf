"""Configurations for rows that a test made by hand: what their columns say, the paper's else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pandas as pd

from book.papers.clusterability.s05_promoting import experiment as promoting
from book.papers.community_modularity.curves import CurveConfig
from book.papers.community_modularity.s01_curves.maps import MapConfig
from book.papers.community_modularity.s01_curves.pretrained import PretrainedConfig
from book.papers.community_modularity.s01_curves.probes import ProbeConfig
from book.papers.community_modularity.s02_adversarial.experiment import AdversarialConfig
from book.papers.community_modularity.s03_training.experiment import EpochConfig
from book.papers.community_modularity.s04_layer_difference.experiment import DifferenceConfig
from book.papers.community_modularity.s05_layer_pruning.experiment import fine_tuned, from_scratch
from book.papers.community_modularity.settings import SHORT_WORDS, training_run
from book.papers.ncut import cnn_settings, cnns, mlps
from modgraph_lib import cache
from modgraph_lib.training import SgdConfig, TrainConfig

SHORT = SHORT_WORDS.format(width="width 16")


def configured(rows: pd.DataFrame, config: Callable[[Any], Any]) -> pd.DataFrame:
    """The rows with the columns ``config`` and ``key``: what ``config`` makes of each."""
    made = [cache.canonical(config(row)) for row in rows.itertuples(index=False)]
    keys = rows["key"] if "key" in rows else [cache.config_key("made", 1, one) for one in made]
    return rows.assign(config=pd.Series(made, index=rows.index, dtype=object), key=keys)


def mlp(row: Any) -> mlps.NcutConfig:
    train = mlps.condition(row.data, row.regularizer, row.seed, variant=row.variant)
    changes = {name: getattr(row, name) for name in ("epochs", "prune_epochs", "dropout")}
    return mlps.NcutConfig(_sized(train, row, 4, **changes), row.stage, (row.k,), row.shuffles,
                           row.method)  # fmt: skip


def cnn(row: Any) -> cnns.NcutConfig:
    train = (
        cnns.vgg(row.regularizer, row.seed, data=row.data, variant=row.variant)
        if row.architecture == "vgg"
        else cnns.small_cnn(row.data, row.regularizer, row.seed)
    )
    changes = {name: getattr(row, name) for name in ("epochs", "prune_epochs", "precision")}
    train = _sized(train, row, 1, **changes)
    norm, folded = cnn_settings.READINGS[row.reading]
    return cnns.NcutConfig(train, row.stage, norm, folded, (row.k,), row.shuffles, row.method)


def promoted(row: Any) -> mlps.NcutConfig:
    if row.data == "mnist_7x7":
        arm = "none" if row.promotion == "tags" else row.promotion
        train = promoting.regularised(row.seed, arm, penalty=row.penalty or promoting.PENALTY)
    else:
        train = promoting.plain(row.data, row.seed, architecture=row.architecture)
    if row.promotion == "tags":
        train = replace(train, tags=row.tags, tag_beta=row.beta, tag_outputs=bool(row.tag_outputs))
    changes = {name: getattr(row, name) for name in ("epochs", "prune_epochs", "precision")}
    train = _sized(train, row, row.depth, **changes)
    return mlps.NcutConfig(train, row.stage, (row.k,), row.shuffles, row.method)


def curve(row: Any) -> CurveConfig:
    return CurveConfig(
        community(row), row.stage, row.samples, (row.k,), row.similarity, row.symmetrise,
        row.layers, row.sampling,
    )  # fmt: skip


def epoch(row: Any) -> EpochConfig:
    return EpochConfig(community(row), row.epoch, row.samples, (row.k,), row.layers)


def mapped(row: Any) -> MapConfig:
    return MapConfig(community(row), row.samples, layers=row.layers)


def probed(row: Any) -> ProbeConfig:
    return ProbeConfig(community(row), row.fit_images, row.test_images, row.layers)


def pretrained(row: Any) -> PretrainedConfig:
    return PretrainedConfig(row.network, row.weights, row.data, row.samples, row.neighbours)


def attacked(row: Any) -> AdversarialConfig:
    return AdversarialConfig(
        community(row), row.attack, row.variant, row.samples,
        settings=tuple(row.settings.items()), neighbours=row.k, layers=row.layers,
    )  # fmt: skip


def different(row: Any) -> DifferenceConfig:
    return DifferenceConfig(community(row), row.stage, row.parts, row.samples, row.k)


def pruned(row: Any) -> CurveConfig:
    scale = "short" if row.schedule == "one_cycle" else "paper"
    parent = training_run(row.family, row.seed, data=row.data, scale=scale)
    if row.reading == "parent":
        train = replace(parent, epochs=row.epochs)
    elif row.reading == "published":
        train = from_scratch(parent, row.network)
    else:
        rate = {"learning_rate": row.learning_rate} if scale == "short" else {}
        train = fine_tuned(parent, row.network, epochs=row.epochs, **rate)
    train = replace(train, images=row.images)
    return CurveConfig(train, row.stage, row.samples, (row.k,), row.similarity, row.symmetrise)


def community(row: Any) -> SgdConfig:
    scale = "short" if row.schedule == "one_cycle" else "paper"
    train = training_run(row.network, row.seed, data=row.data, scale=scale)
    return replace(train, width=row.width, epochs=row.epochs, images=row.images)


def _sized(train: TrainConfig, row: Any, depth: int, **changes: Any) -> TrainConfig:
    return replace(
        train, widths=(row.width,) * depth, batch_size=row.batch_size, images=row.images, **changes
    )
