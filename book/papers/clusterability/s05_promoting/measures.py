"""Measurements for the claims about promoting clusterability (Clusterability, section 4).

Networks without clusterable initialisation are, for MLPs, the unregularised ones of ``mlp_ncut``.
Differences are oriented so that a positive number is what the paper claims.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pandas as pd

from book.lab.criteria import Part
from book.lab.evidence import Results, equal, measurement, once, one_per_seed, part
from book.papers.clusterability.s05_promoting.experiment import (
    BETA,
    EXPERIMENT,
    PENALTY,
    TAGS,
    initialised,
    plain,
    regularised,
)
from book.papers.ncut.cells import cell
from book.papers.ncut.cnn_rows import named_precision
from book.papers.ncut.measures import BOTH, mean_gap
from book.papers.ncut.mlps import NcutConfig
from modgraph_lib.training import TrainConfig

__all__ = ["PENALTY", "regulariser_cell", "tagged_cell"]

SHUFFLES = 50
WORDS = {"mlp": "MLP", "small_cnn": "small CNN", "vgg": "VGG"}


def tagged_cell(
    results: Results,
    *,
    data: str,
    architecture: str,
    stage: str,
    k: int,
    runs: int,
    tagged: bool = True,
    tag_outputs: bool = False,
) -> pd.DataFrame:
    """Rows of Tables A.13 to A.15 at the paper's settings, or of their control; one per seed.

    ``tagged=False`` gives the networks without clusterable initialisation.
    """
    if architecture == "mlp" and not tagged:
        return cell(results, data=data, regularizer="none", stage=stage, k=k, runs=runs)

    def train(seed: int) -> TrainConfig:
        network = plain(data, seed, architecture=architecture)
        variant = "published" if tag_outputs else "described"
        return initialised(network, variant=variant) if tagged else network

    return _rows(results, train, architecture=architecture, data=data, stage=stage, k=k, runs=runs)


def regulariser_cell(
    results: Results, *, arm: str, stage: str, k: int, runs: int, penalty: float = PENALTY
) -> pd.DataFrame:
    """Rows of one arm of Table 1 (7x7 MNIST) at the paper's settings, one per seed."""

    def train(seed: int) -> TrainConfig:
        return regularised(seed, arm, penalty=penalty)

    return _rows(results, train, architecture="mlp", data="mnist_7x7", stage=stage, k=k, runs=runs)


def word(value: str) -> str:
    """An architecture as the names of parts have it."""
    return WORDS.get(value, value)


@measurement
def tags_gap_growth(
    results: Results, *, data: str, architecture: str, k: int, runs: int
) -> list[Part]:
    """The lowering of n-cut by clusterable initialisation: after pruning minus before."""
    before, after = (_pair(results, data, architecture, stage, k, runs) for stage in BOTH)
    cells = [*before, *after]
    gaps = [mean_gap("", *pair) for pair in (before, after)]
    return [
        part(
            "gap pruned minus gap unpruned",
            cells,
            lambda: gaps[1].observed - gaps[0].observed,
            lambda: math.hypot(gaps[0].spread, gaps[1].spread),
            spread_is="se",
            fewest=2,
        )
    ]


@measurement
def tags_gap_ratio(results: Results, *, data: str, k: int, runs: int) -> list[Part]:
    """Lowering of n-cut by clusterable initialisation: small CNN over MLP."""
    parts = []
    for stage in BOTH:
        small = _pair(results, data, "small_cnn", stage, k, runs)
        large = _pair(results, data, "mlp", stage, k, runs)

        def ratio(small=small, large=large) -> float:
            falls = [pair[0]["ncut"].mean() - pair[1]["ncut"].mean() for pair in (small, large)]
            return falls[0] / falls[1]

        parts.append(part(f"small CNN over MLP, {stage}", [*small, *large], ratio))
    return parts


@measurement
@once
def eigenvalue_derivative(results: Results, *, runs: int) -> list[Part]:
    """Largest entry of d lambda_i / dS - u_i u_i^T, by central differences, for three matrices."""
    parts = []
    for seed in range(3):
        draw = np.random.default_rng(seed).normal(size=(8, 8))
        symmetric = draw + draw.T
        vectors = np.linalg.eigh(symmetric)[1]
        step, worst = 1e-6, 0.0
        for i, j in np.ndindex(8, 8):
            # A symmetric matrix changes at (i, j) and (j, i) together.
            nudge = np.zeros((8, 8))
            nudge[i, j] += step / 2
            nudge[j, i] += step / 2
            slopes = (
                np.linalg.eigvalsh(symmetric + nudge) - np.linalg.eigvalsh(symmetric - nudge)
            ) / (2 * step)
            worst = max(worst, float(abs(slopes - vectors[i] * vectors[j]).max()))
        parts.append(Part(f"random symmetric matrix {seed}", worst, runs=1))
    return parts


@measurement
@once
def closed_form_error(results: Results, *, runs: int) -> list[Part]:
    """Closed form of appendix A.9 as printed minus central differences, over the latter's size."""
    from book.papers.clusterability.s05_promoting import closed_form

    parts = []
    for seed in range(3):
        weights = closed_form.example(seed)
        numerical = closed_form.differences(weights)
        printed = closed_form.gradient(weights, factor=0.25)
        parts.append(Part(f"random MLP {seed}", closed_form.distance(printed, numerical), runs=1))
    return parts


@measurement
@once
def normalised_output_change(results: Results, *, runs: int) -> list[Part]:
    """Largest change of an output by Algorithm 2, over the largest output, in double precision."""
    import copy

    import torch

    from modgraph_lib import promoting

    parts = []
    for name, model in _models().items():
        images = torch.rand(
            100, 49, dtype=torch.float64, generator=torch.Generator().manual_seed(0)
        )
        with torch.no_grad():
            before = model(images)
            after = promoting.normalise_units(copy.deepcopy(model))(images)
        change = (after - before).abs().max() / before.abs().max()
        parts.append(Part(name, float(change), runs=1))
    return parts


@measurement
@once
def normalised_norms(results: Results, *, runs: int) -> list[Part]:
    """Lowest and highest incoming norm of a live hidden unit after Algorithm 2."""
    import torch

    from modgraph_lib import promoting

    parts = []
    for name, model in _models().items():
        layers = [part for part in promoting.normalise_units(model) if hasattr(part, "weight")]
        with torch.no_grad():
            norms = torch.cat(
                [torch.cat([p.weight, p.bias[:, None]], 1).norm(dim=1) for p in layers[:-1]]
            )
        live = norms[norms > 0]
        parts.append(Part(f"{name}, lowest", float(live.min()), runs=1))
        parts.append(Part(f"{name}, highest", float(live.max()), runs=1))
    return parts


@measurement
@once
def tag_factor_mean(results: Results, *, runs: int) -> list[Part]:
    """Mean absolute weight after the tag-based rescaling over before, for the paper's settings.

    Once over all pairs of tags, once over a million weights between units with random tags.
    """
    from modgraph_lib import promoting

    parts = []
    for beta in sorted(set(BETA.values())):
        every = np.arange(TAGS)
        exact = promoting.tag_factors(every, every, tags=TAGS, beta=beta).mean()
        parts.append(Part(f"beta = {beta}, all pairs of tags", float(exact), runs=1))
        rng = np.random.default_rng(0)
        ratios = []
        for _ in range(20):
            lower, upper = rng.integers(TAGS, size=(2, 256))
            weights = abs(rng.uniform(-1, 1, size=(256, 256)))
            factors = promoting.tag_factors(lower, upper, tags=TAGS, beta=beta)
            ratios.append((weights * factors).sum() / weights.sum())
        parts.append(Part(f"beta = {beta}, random tags", float(np.mean(ratios)), runs=1))
    return parts


def _models() -> dict:
    """Networks of the regulariser's experiment with biases: untrained, and with 90% zeros."""
    import torch

    from modgraph_lib import models

    found = {}
    for name, sparsity in {"untrained": 0.0, "pruned to 90%": 0.9}.items():
        model = models.mlp(49, 10, widths=(64, 64, 64), seed=0).double()
        generator = torch.Generator().manual_seed(1)
        with torch.no_grad():
            for parameter in model.parameters():
                if parameter.ndim == 1:
                    parameter.copy_(torch.randn(parameter.shape, generator=generator) / 10)
                else:
                    parameter[parameter.abs() < parameter.abs().quantile(sparsity)] = 0.0
        # A dead unit: nothing comes in.
        model[1].weight.data[0], model[1].bias.data[0] = 0.0, 0.0
        found[name] = model
    return found


def _pair(results, data, architecture, stage, k, runs) -> tuple[pd.DataFrame, pd.DataFrame]:
    """(without, with) clusterable initialisation."""
    return tuple(
        tagged_cell(
            results,
            data=data,
            architecture=architecture,
            stage=stage,
            k=k,
            runs=runs,
            tagged=tagged,
        )
        for tagged in (False, True)
    )


def _rows(
    results: Results,
    train: Callable[[int], TrainConfig],
    *,
    architecture: str,
    data: str,
    stage: str,
    k: int,
    runs: int,
) -> pd.DataFrame:
    """Rows of ``promoting_ncut`` whose network is ``train(seed)``, one per seed."""
    table = EXPERIMENT.among(results)
    rows = table[
        (table["architecture"] == architecture)
        & (table["data"] == data)
        & (table["stage"] == stage)
        & (table["k"] == k)
        & (table["seed"] < runs)
        & (table["shuffles"] == SHUFFLES)
    ]
    rows = equal(
        rows,
        lambda row: NcutConfig(train(row.seed), stage, (k,), SHUFFLES),
        free=("cluster_counts", "train.precision"),
    )
    return one_per_seed(named_precision(rows))
