"""Modularity over layers of adversarial images: one record a network, attack and reading.

Source: Understanding the Dynamics of DNNs Using Graph Modularity, section 4.2 and figure 6(a).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import joblib
import numpy as np
import torch
from torch import nn
from tqdm import tqdm

from book.lab import sweep
from book.lab.experiment import Experiment
from book.papers.community_modularity import curves
from modgraph_lib import attacks, cache, communities, training
from modgraph_lib.models import cifar_networks
from modgraph_lib.training import SgdConfig, sgd

__all__ = ["ATTACKS", "AdversarialConfig", "attacked", "measure", "misled_by", "run", "table"]

VARIANTS = ("described", "published")
# The six of figure 6(a), in its order.
ATTACKS = ("fgsm", "pgd", "jsma", "cw", "one_pixel", "local_search")
# Where the released code runs something else under the same name.
PUBLISHED: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "jsma": ("jsma", {"towards": "own"}),
    "cw": ("cw", {"steps": 200}),
    "one_pixel": ("single_pixel", {}),
    "local_search": ("local_search", {"starting_over": True}),
}
KINDS = ("clean", "originals", "adversarial", "answers")
# A graph of fewer images says nothing.
FEWEST = 20

Settings = tuple[tuple[str, Any], ...]


@dataclass(frozen=True)
class AdversarialConfig:
    """One attack on one network.

    Attributes:
        train: the network.
        attack: one of ``ATTACKS``.
        variant: "described" is the attack of its source on pixels in 0..1, with AdverTorch's
            default settings where the library has it. "published" is the released code: images
            are normalised first and then clipped to 0..1 all the same, JSMA is sent to the class
            that an image has already, and OnePixel is an attack of another source.
        samples: images in a graph, all of them misled (paper: 500).
        attempts: attack no more than that many images (0: all there are).
        settings: what differs from ``attacks.SETTINGS``, as (name, value) pairs.
        precision: what the attack looks through, see ``attacks.collect``.
        neighbours: k; layers: see ``cifar_networks.measured_layers``.
        repeats: draws of clean images to compare with.
        seed: of all draws.
    """

    train: SgdConfig
    attack: str
    variant: str = "described"
    samples: int = 500
    attempts: int = 0
    settings: Settings = ()
    precision: str = "float32"
    neighbours: int = 3
    layers: str = "described"
    repeats: int = 5
    seed: int = 0

    def __post_init__(self) -> None:
        pairs = dict(self.settings)
        object.__setattr__(self, "settings", tuple(sorted(pairs.items())))
        for name, allowed in (
            ("attack", ATTACKS),
            ("variant", VARIANTS),
            ("layers", curves.LAYERS),
            ("precision", attacks.PRECISIONS),
        ):
            if getattr(self, name) not in allowed:
                given = getattr(self, name)
                raise ValueError(f"{name} must be one of {', '.join(allowed)}; got {given!r}")
        if unknown := set(pairs) - set(attacks.SETTINGS[self.released()[0]]):
            raise ValueError(f"{self.attack} has no setting {', '.join(sorted(unknown))}")
        if self.samples < FEWEST or self.repeats < 1 or self.attempts < 0:
            raise ValueError(f"a graph needs {FEWEST} samples, and one repeat at least")

    def released(self) -> tuple[str, dict[str, Any]]:
        """Name in ``attacks`` and the settings that hold, those by default included."""
        name, changes = self.attack, {}
        if self.variant == "published":
            name, changes = PUBLISHED.get(self.attack, (self.attack, {}))
        return name, {**attacks.SETTINGS[name], **changes, **dict(self.settings)}


def run(
    configs: Sequence[AdversarialConfig],
    *,
    device: str = "auto",
    workers: int | None = None,
    root: str | None = None,
) -> list[dict]:
    """Records of all configurations, from the store or computed now, in their order.

    Each task of ``joblib.Parallel`` makes one record, so a run that was stopped goes on with the
    next; networks are trained first, one a task.
    """
    device = training.pick_device(device)
    jobs = sweep.jobs(device, workers)
    todo = [c for c in configs if EXPERIMENT.stored(c, root) is None]
    trains = list(dict.fromkeys(config.train for config in todo))
    parallel = joblib.Parallel(n_jobs=jobs)
    parallel(joblib.delayed(_train)(train, device, root) for train in trains)
    parallel, task = joblib.Parallel(n_jobs=jobs, return_as="generator"), EXPERIMENT.task()
    done = parallel(joblib.delayed(task)(c, device=device, root=root) for c in configs)
    return list(tqdm(done, total=len(configs), unit="attack", delay=sweep.BAR_DELAY))


def measure(
    config: AdversarialConfig, *, device: str = "cpu", root: str | None = None
) -> dict[str, Any]:
    """Result and provenance of one configuration, computed anew and not stored."""
    device = "cpu" if device == "mps" else device  # the toolbox does not know mps

    def look(model: nn.Module) -> dict[str, Any]:
        _, test = training.sets.pair(config.train.data, root)
        return attacked(model.to(device), test.images, test.labels, config)

    return curves.looked_at(config.train, "trained", look, device=device, root=root)


def attacked(
    model: nn.Module, images: torch.Tensor, labels: torch.Tensor, config: AdversarialConfig
) -> dict[str, Any]:
    """What a record says of one attack: success, sizes of the changes, and Q by layer.

    Args:
        model: a network of ``cifar_networks`` in evaluation mode, on the device to use.
        images: (N, C, H, W) or (N, H, W) to draw from; labels: (N,).
        config: its ``train`` is not looked at.

    ``curves`` maps each of ``KINDS`` to (repeats, layers): clean draws of as many correctly
    classified images, the attacked images before the attack, after it with their true labels, and
    after it with the labels that the network was misled into. Empty where fewer than ``FEWEST``
    images were misled, or all into one class.
    """
    images = training.with_channels(images)
    layers = cifar_networks.measured_layers(model, config.layers)
    misled = misled_by(model, images, labels, config)
    count = len(misled.labels)
    result = {
        "layers": list(layers),
        "attempted": misled.attempted,
        "succeeded": misled.succeeded,
        "collected": count,
        "success_rate": _number(misled.success_rate),
        "retained_misled": _number(_share(model, misled.adversarial, misled.labels, right=False)),
        "retained_clean_right": _number(_share(model, misled.originals, misled.labels)),
        "curves": {kind: [] for kind in KINDS},
    }
    for name, values in attacks.sizes(misled.originals, misled.adversarial).items():
        result[name] = _number(values.double().median().item() if count else float("nan"))
    if count < FEWEST:
        return result
    looks = {
        "originals": [(misled.originals, misled.labels)],
        "adversarial": [(misled.adversarial, misled.labels)],
        "answers": [(misled.adversarial, misled.answers)],
        "clean": _clean(model, images, labels, count, config),
    }
    for kind, pairs in looks.items():
        result["curves"][kind] = [
            _q(model, *pair, layers=layers, k=config.neighbours)
            for pair in pairs
            if len(pair[1].unique()) > 1
        ]
    return result


def misled_by(
    model: nn.Module, images: torch.Tensor, labels: torch.Tensor, config: AdversarialConfig
) -> attacks.Misled:
    """The images that one configuration's attack misleads."""
    name, settings = config.released()
    return attacks.collect(
        name,
        model,
        images,
        labels,
        samples=config.samples,
        seed=config.seed,
        attempts=config.attempts,
        precision=config.precision,
        space=_space(model, config.variant),
        **settings,
    )


def rows(record: dict) -> list[dict]:
    """One row a kind of images, repeat and layer; one without layer where there is no Q.

    Own columns: those of ``RESULTS``, kind, repeat, layer (from 1), name, q.
    """
    config, result = record["config"], record["result"]
    own = {
        "precision": config["precision"],  # of the attack, not of the training
        "k": config["neighbours"],
        "settings": dict(map(tuple, config["settings"])),
        **{name: result.get(name) for name in RESULTS},
    }
    found = [
        {"kind": kind, "repeat": repeat, "layer": layer, "name": name, "q": value}
        for kind, repeats in result["curves"].items()
        for repeat, q in enumerate(repeats)
        for layer, (name, value) in enumerate(zip(result["layers"], q, strict=True), 1)
    ]
    nothing = {"kind": "", "repeat": 0, "layer": 0, "name": "", "q": np.nan}
    return [{**own, **point} for point in found or [nothing]]


RESULTS = (
    "attempted", "succeeded", "collected", "success_rate", "retained_misled",
    "retained_clean_right", "l2", "linf", "pixels", "test_accuracy",
)  # fmt: skip


def _space(model: nn.Module, variant: str) -> attacks.Space | None:
    if variant == "described":
        return None
    return model.normalise.mean, model.normalise.deviation


def _clean(model, images, labels, count: int, config) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Draws of ``count`` correctly classified images, from a pool at most ten times as large."""
    rng = np.random.default_rng([config.seed, 1])
    pool = torch.from_numpy(rng.permutation(len(images))[: 10 * count])
    device = next(model.parameters()).device
    answers = []
    with torch.inference_mode():
        for index in pool.split(200):
            answers.append(model(images[index].to(device).float() / 255).argmax(1).cpu())
    pool = pool[torch.cat(answers) == labels[pool]]
    drawn = [pool[rng.permutation(len(pool))[:count]] for _ in range(config.repeats)]
    return [(images[index], labels[index]) for index in drawn]


def _q(model, images, labels, *, layers, k: int) -> list[float]:
    curve = communities.modularity_curve(
        model,
        images,
        labels,
        layers=layers,
        k=k,
        zero_norm="isolate",
        device=str(next(model.parameters()).device),
    )
    return cache.rounded(curve.q)


def _share(model, images, labels, right: bool = True) -> float:
    """Share of images whose label the network gives (or does not), looked at once more."""
    if not len(images):
        return float("nan")
    device = next(model.parameters()).device
    with torch.inference_mode():
        answers = torch.cat([model(part.to(device)).argmax(1).cpu() for part in images.split(100)])
    return ((answers == labels) == right).double().mean().item()


def _number(value: float) -> float | None:
    """A number as a record holds it: None for one that there is not."""
    return None if np.isnan(value) else round(float(value), 6)


def _train(train: SgdConfig, device: str, root: str | None) -> None:
    with training.threads_for(device):
        sgd.trained(train, device=device, root=root)


EXPERIMENT = Experiment(
    "community_adversarial",
    AdversarialConfig,
    measure,
    rows,
    ("k", "collected", "kind", "repeat", "layer", "q", "retained_misled", "retained_clean_right"),
    keep=curves.of_colour_images,
)
table = EXPERIMENT.table
