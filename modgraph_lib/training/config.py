"""What a training run is: a frozen, hashable description that its cache key is made from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from modgraph_lib import _checks, cache
from modgraph_lib.models import cifar_networks
from modgraph_lib.training.augment import AUGMENTATIONS, check_augmentation
from modgraph_lib.training.inherit import check_kept
from modgraph_lib.training.pruning import PruningSchedule

__all__ = ["ARCHITECTURES", "LOSSES", "SCHEDULES", "SgdConfig", "TrainConfig"]

ARCHITECTURES = ("mlp", "small_cnn", "vgg")
# Their batch norms keep running statistics, which one vmapped pass cannot update.
BATCH_NORMED = ("vgg",)
LOSSES = ("cross_entropy", "mse")
SCHEDULES = ("steps", "one_cycle", "constant")


@dataclass(frozen=True)
class TrainConfig:
    """One network: its data, architecture, regularisation, two training phases and seed.

    Phase one trains ``epochs`` without pruning; phase two goes on for ``prune_epochs`` with a
    fresh Adam and the pruning schedule. Defaults are the MLP settings of both n-cut papers
    (Adam 0.001, 0.9, 0.999; eps 1e-7 as in Keras; batch 128; 20 + 20 epochs).

    ``l1`` and ``l2`` multiply sum|w| and sum w^2 (no factor 1/2) over kernels. With
    ``first_layer_l1`` the first kernel gets its L2 strength as an L1 penalty: what the
    published code of Clusterability in Neural Networks does in its "L2" condition. With
    ``regrowth`` masks are taken from the weights as the optimiser left them, so that a pruned
    weight can come back; without it a pruned weight stays pruned (Zhu and Gupta, section 3).

    ``widths`` and ``dropout`` of a CNN are those of ``models.small_cnn`` (channels, rate after
    convolutions) and ``models.vgg`` (width, highest rate). ``augmentation`` distorts training
    images at random, see ``training.augment``.
    ``images`` trains on the first that many images only (0: all of them).

    MLPs only: ``eigenvalue_penalty`` multiplies lambda_2 + lambda_3 + lambda_4 of the normalised
    Laplacian; with ``normalise`` every hidden unit's incoming weights are given the norm sqrt 2
    before each batch, after masking, and once more at the end of each epoch. ``tags`` > 0 starts
    from a clusterable initialisation with factor ``tag_beta`` between tags; ``tag_outputs`` has it
    scale the output layer of an MLP too (see ``promoting``).
    """

    data: str
    seed: int
    architecture: str = "mlp"
    widths: tuple[int, ...] = (256, 256, 256, 256)
    dropout: float = 0.0
    dense_dropout: float = 0.0
    l1: float = 0.0
    l2: float = 0.0
    first_layer_l1: bool = False
    epochs: int = 20
    prune_epochs: int = 20
    batch_size: int = 128
    learning_rate: float = 1e-3
    loss: str = "cross_entropy"
    reshuffle: bool = True
    initial_sparsity: float = 0.5
    final_sparsity: float = 0.9
    precision: str = "float32"
    regrowth: bool = field(default=False, metadata=cache.ADDED_LATER)
    augmentation: str = field(default="none", metadata=cache.ADDED_LATER)
    images: int = field(default=0, metadata=cache.ADDED_LATER)
    eigenvalue_penalty: float = field(default=0.0, metadata=cache.ADDED_LATER)
    normalise: bool = field(default=False, metadata=cache.ADDED_LATER)
    tags: int = field(default=0, metadata=cache.ADDED_LATER)
    tag_beta: float = field(default=1.0, metadata=cache.ADDED_LATER)
    tag_outputs: bool = field(default=False, metadata=cache.ADDED_LATER)

    def __post_init__(self) -> None:
        _one_of("architecture", self.architecture, ARCHITECTURES)
        _one_of("loss", self.loss, LOSSES)
        _one_of("precision", self.precision, ("float32", "bfloat16"))
        _one_of("augmentation", self.augmentation, AUGMENTATIONS)
        for name, least in (("seed", 0), ("epochs", 0), ("prune_epochs", 0), ("images", 0)):
            _checks.whole(getattr(self, name), name, least=least)
        _checks.whole(self.batch_size, "batch_size", least=1)
        _checks.instance(self.data, str, "data as the name of a data set")
        _checks.instance(self.widths, Sequence, "widths as a list, one number a layer")
        if not self.widths and self.architecture != "mlp":
            raise ValueError(f"widths of a {self.architecture} must name its channels, got ()")
        for name in ("first_layer_l1", "reshuffle", "regrowth", "normalise", "tag_outputs"):
            _checks.instance(getattr(self, name), bool, f"{name} as True or False")
        for width in self.widths:
            _checks.whole(width, "each of widths", least=1)
        _checks.number(self.learning_rate, "learning_rate", above=0)
        for name in ("l1", "l2", "eigenvalue_penalty"):
            _checks.number(getattr(self, name), name, least=0)
        for name in ("dropout", "dense_dropout"):
            _checks.number(getattr(self, name), name, least=0, below=1)
        _checks.whole(self.tags, "tags")
        _checks.number(self.tag_beta, "tag_beta", above=0, most=1)
        if self.architecture != "mlp" and (self.eigenvalue_penalty or self.normalise):
            raise ValueError("eigenvalue_penalty and normalise are defined for MLPs only")
        if self.tags == 1:
            raise ValueError("tags is 0 (none) or at least 2, got 1")
        object.__setattr__(self, "widths", tuple(self.widths))
        _ = self.schedule

    @property
    def schedule(self) -> PruningSchedule:
        """The pruning schedule of phase two."""
        return PruningSchedule(self.initial_sparsity, self.final_sparsity)

    @property
    def stacks(self) -> bool:
        """Whether several networks of this kind can be trained in one vmapped pass."""
        return self.architecture not in BATCH_NORMED

    def without_seed(self) -> TrainConfig:
        """The same run with seed 0: what members of one ensemble have in common."""
        return replace(self, seed=0)


@dataclass(frozen=True)
class SgdConfig:
    """One image classifier and how it is trained; the defaults are the community paper's.

    Attributes:
        data: name of ``datasets.load``.
        network: name of ``cifar_networks.build``.
        seed: fixes initial weights, batch order and random crops.
        width: channels of the first stage; 0 is the paper's.
        schedule: "steps" divides the rate by ten after a third and two thirds of the epochs
            (the released code's 50 and 100 of 150), "one_cycle" rises for a third and falls to
            nothing (linear; made for short runs), "constant" is the paper's text, which names an
            initial rate and nothing else.
        augmentation: "crop_flip" or any other of ``training.augment``.
        precision: "float32" or "bfloat16" (autocast, channels-last).
        images: train on the first that many images only (0: all).
        parent: the run whose trained weights this one starts from, as far as they fit
            (``training.inherit``); None starts fresh.
        kept: units of each of the parent's stages that this network consists of, from 0; empty:
            the first ones, so that units go from the back.
    """

    data: str
    network: str
    seed: int
    width: int = 0
    epochs: int = 150
    batch_size: int = 256
    learning_rate: float = 0.01
    momentum: float = 0.9
    nesterov: bool = False
    weight_decay: float = 0.005
    schedule: str = "steps"
    augmentation: str = "crop_flip"
    precision: str = "float32"
    images: int = 0
    parent: SgdConfig | None = field(default=None, metadata=cache.ADDED_LATER)
    kept: tuple[tuple[int, ...], ...] = field(default=(), metadata=cache.ADDED_LATER)

    def __post_init__(self) -> None:
        cifar_networks.plan_of(self.network)
        self._check_parent()
        check_augmentation(self.augmentation)
        _one_of("schedule", self.schedule, SCHEDULES)
        _one_of("precision", self.precision, ("float32", "bfloat16"))
        _checks.instance(self.data, str, "data as the name of a data set")
        for name, least in (
            ("epochs", 1),
            ("batch_size", 1),
            ("seed", 0),
            ("width", 0),
            ("images", 0),
        ):
            _checks.whole(getattr(self, name), name, least=least)
        _checks.number(self.weight_decay, "weight_decay", least=0)
        _checks.number(self.learning_rate, "learning_rate", above=0)
        _checks.number(self.momentum, "momentum", least=0, below=1)
        if _checks.instance(self.nesterov, bool, "nesterov as True or False") and not self.momentum:
            raise ValueError("nesterov needs a momentum above 0")

    def _check_parent(self) -> None:
        if isinstance(self.parent, Mapping):  # as a record holds it
            object.__setattr__(self, "parent", SgdConfig(**self.parent))
        object.__setattr__(self, "kept", tuple(tuple(units) for units in self.kept))
        if self.parent is None:
            if self.kept:
                raise ValueError("kept names units of a parent, and there is no parent")
            return
        _checks.instance(self.parent, SgdConfig, "the parent as a SgdConfig")
        if self.parent.data != self.data:
            raise ValueError(f"a network for {self.data} cannot inherit from {self.parent.data}")
        check_kept(self.network, self.parent.network, self.kept)

    def without_seed(self) -> SgdConfig:
        """The same run with seed 0."""
        return replace(self, seed=0)


def _one_of(name: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise ValueError(f"{name} must be one of {', '.join(allowed)}; got {value!r}")
