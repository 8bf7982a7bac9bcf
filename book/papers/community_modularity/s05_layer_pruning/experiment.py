"""Layers taken away: Q of every layer and accuracy of a network, and of it without some units.

One record is one network: a parent, the same parent trained on (the control that the paper lacks),
or a variant. A variant is fine-tuned from its parent's weights ("described") or trained from
scratch ("published": the released code has no step that inherits weights).

Source: Understanding the Dynamics of DNNs Using Graph Modularity, section 5.2, figures 9 and 10,
table 1 and tables B2 to B5.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import joblib
import numpy as np
import torch
from tqdm import tqdm

from book.lab import sweep
from book.lab.experiment import Experiment
from book.papers.community_modularity import curves, shapes
from book.papers.community_modularity.curves import CurveConfig
from modgraph_lib import layer_pruning, training
from modgraph_lib.models import cifar_networks
from modgraph_lib.training import SgdConfig, sgd

__all__ = [
    "FINE_TUNING",
    "REMOVED",
    "family",
    "fine_tuned",
    "from_scratch",
    "guided",
    "run",
    "run_guided",
    "table",
]

READINGS = ("described", "published")
# Units taken away one after another (tables B2 to B5).
REMOVED = {
    "vgg19": (1, 2, 3, 4, 5, 6),
    "vgg11": (1, 2, 3),
    "resnet152": (5, 11, 16, 21, 26, 30),
}
# Fine-tuning, by scale. The paper repeats its whole recipe; three epochs at a lower peak are ours.
FINE_TUNING = {"paper": {}, "short": {"epochs": 3, "learning_rate": 0.02}}


def fine_tuned(
    parent: SgdConfig, network: str, *, kept: Sequence[Sequence[int]] = (), **changes
) -> SgdConfig:
    """Training of a variant that starts from its parent's weights.

    Args:
        parent: a run that starts fresh.
        network: the variant ("vgg19_3"), or the parent's own name: trained on, the control.
        kept: units of each stage that it consists of; empty: the first ones.
        changes: fields of ``SgdConfig`` in which fine-tuning differs from the parent's training.

    Raises:
        ValueError: a network that cannot be cut out of the parent.
    """
    if parent.parent is not None:
        raise ValueError(f"a parent starts fresh; this one starts from {parent.parent.network}")
    return replace(parent, network=network, parent=parent, kept=tuple(kept), **changes)


def from_scratch(parent: SgdConfig, network: str) -> SgdConfig:
    """Training of a variant as its parent was trained, from its own initial weights."""
    return replace(parent, network=network)


def family(
    parent: SgdConfig, removed: Sequence[int], *, reading: str = "described", **changes
) -> list[SgdConfig]:
    """The parent, its control (where variants are fine-tuned) and one variant a count.

    Args:
        removed: how many units each variant loses, from the back (ResNets: of stage 3).
        reading: "described" fine-tunes, "published" trains from scratch.
        changes: as for ``fine_tuned``; without effect on what is trained from scratch.

    Raises:
        ValueError: an unknown reading.
    """
    if reading not in READINGS:
        raise ValueError(f"reading must be one of {', '.join(READINGS)}; got {reading!r}")
    names = [f"{parent.network}_{count}" for count in removed]
    if reading == "published":
        return [parent, *(from_scratch(parent, name) for name in names)]
    return [parent, *(fine_tuned(parent, name, **changes) for name in (parent.network, *names))]


def guided(parent: SgdConfig, q: Sequence[float], threshold: float, **changes) -> SgdConfig:
    """Fine-tuning of a ResNet without the blocks in which Q grows by a threshold at most.

    Args:
        parent: a ResNet's run; q: its Q after each block.
        threshold: see ``layer_pruning.choose``.

    Raises:
        ValueError: no block for the threshold to take away, or Q of another number of blocks.
    """
    counts = cifar_networks.plan_of(parent.network).counts
    kept = layer_pruning.choose(q, counts, threshold)
    gone = [count - len(units) for count, units in zip(counts, kept, strict=True)]
    if not any(gone):
        raise ValueError(f"Q grows by more than {threshold} in every block: none goes")
    name = "_".join([parent.network, *map(str, gone)])
    return fine_tuned(parent, name, kept=kept, **changes)


def run(
    configs: Sequence[CurveConfig],
    *,
    device: str = "auto",
    workers: int | None = None,
    root: str | None = None,
) -> list[dict]:
    """Records of all configurations, from the store or computed now, in their order.

    Parents are trained first, so that no two tasks train the same one. Each task trains one
    network; no backend is named. An accelerator trains one network after another.
    """
    device = training.pick_device(device)
    jobs = sweep.jobs(device, workers)
    wanted = list(dict.fromkeys(configs))
    done = {config: EXPERIMENT.stored(config, root) for config in wanted}
    missing = [config for config in wanted if done[config] is None]
    parents = dict.fromkeys(config.train.parent for config in missing if config.train.parent)
    first = [config for config in missing if config.train in parents]
    first += [
        replace(missing[0], train=parent)
        for parent in parents
        if parent not in {config.train for config in wanted}
    ]
    for group in (first, [config for config in missing if config not in first]):
        if not group:
            continue
        task = joblib.delayed(EXPERIMENT.task())
        tasks = [task(config, device=device, root=root) for config in group]
        parallel = joblib.Parallel(n_jobs=jobs, return_as="generator")
        bar = tqdm(parallel(tasks), total=len(tasks), unit="network", delay=sweep.BAR_DELAY)
        done |= dict(zip(group, bar, strict=True))
    return [done[config] for config in configs]


def run_guided(
    config: CurveConfig,
    *,
    threshold: float = shapes.STEP,
    device: str = "auto",
    workers: int | None = None,
    root: str | None = None,
    **changes,
) -> list[dict]:
    """Records of a ResNet, of its control and of the variant that its own Q asks for.

    Args:
        config: the ResNet and how its curve is measured, at the first of its k.
        threshold, changes: see ``guided``.
    """
    shared = {"device": device, "workers": workers, "root": root}
    (whole,) = run([config], **shared)
    q = np.mean(whole["result"]["curves"][str(config.neighbours[0])]["q"], axis=0)
    variant = guided(config.train, q, threshold, **changes)
    control = fine_tuned(config.train, config.train.network, **changes)
    return [whole, *run([replace(config, train=one) for one in (control, variant)], **shared)]


def measure(config: CurveConfig, *, device: str = "cpu", root: str | None = None) -> dict:
    """Result and provenance of ``curves.measure``, and the accuracy that was inherited."""
    found = curves.measure(config, device=device, root=root)
    accuracy = _start_accuracy(config.train, device, root)
    return {**found, "result": {**found["result"], "start_accuracy": accuracy}}


def rows(record: dict) -> list[dict]:
    """One row a k, repeat and layer.

    Columns: those of ``curves.rows``; family ("vgg19"); parent and parent_epochs (None and 0
    without one); removed (units fewer than the family's full network has); kept (as text, empty
    for the first units of each stage); reading ("parent"; "control", the parent trained on;
    "described", a variant that inherits; "published", one trained from scratch); start_accuracy
    (of what inherits, before the first step).
    """
    train = record["config"]["train"]
    parent = train.get("parent")
    plan = cifar_networks.plan_of(train["network"])
    full = cifar_networks.plan_of(plan.family).counts
    removed = sum(full) - sum(plan.counts)
    kind = ("control" if parent else "parent") if not removed else None
    own = {
        "family": plan.family,
        "parent": parent["network"] if parent else None,
        "parent_epochs": parent["epochs"] if parent else 0,
        "removed": removed,
        "kept": str(train["kept"]) if "kept" in train else "",
        "reading": kind or ("described" if parent else "published"),
        "start_accuracy": record["result"]["start_accuracy"],
    }
    return [{**row, **own} for row in curves.rows(record)]


OWN = ("family", "parent", "parent_epochs", "removed", "kept", "reading", "start_accuracy")


def _start_accuracy(train: SgdConfig, device: str, root: str | None) -> float | None:
    """Test accuracy with the inherited weights as they are, before any fine-tuning."""
    if train.parent is None:
        return None
    _, test = training.sets.pair(train.data, root)
    images = training.with_channels(test.images)
    model = sgd.at_start(train, device=device, root=root).to(device)
    with training.single_thread(), torch.inference_mode():
        _, accuracy = training.evaluate(model, images.to(device), test.labels.to(device))
    return round(accuracy, 6)


EXPERIMENT = Experiment(
    "community_pruning",
    CurveConfig,
    measure,
    rows,
    (*curves.COLUMNS, *OWN),
    keep=curves.of_colour_images,
)
table = EXPERIMENT.table
