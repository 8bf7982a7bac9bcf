"""Measurements for the claims about adversarial images (community paper, section 4.2)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd

from book.lab.criteria import Part
from book.lab.evidence import Results, measurement
from book.papers.community_modularity.rows import at_best_scale
from book.papers.community_modularity.s02_adversarial.experiment import (
    EXPERIMENT,
    AdversarialConfig,
)
from modgraph_lib.training import SgdConfig

__all__ = ["ATTACKS", "NETWORKS", "attack_rows", "peaks"]

NETWORKS = ("vgg16", "resnet18")
# Attack -> its name in the paper, in the order of figure 6(a).
ATTACKS = {
    "fgsm": "FGSM",
    "pgd": "PGD",
    "jsma": "JSMA",
    "cw": "CW",
    "one_pixel": "OnePixel",
    "local_search": "LocalSearch",
}
SAMPLES, FEWEST = 500, 200


def attack_rows(
    results: Results,
    *,
    network: str,
    attack: str,
    runs: int,
    data: str = "cifar10",
    variant: str = "described",
    fewest: int = FEWEST,
    k: int = 3,
) -> pd.DataFrame:
    """Rows of one attack on one network, of the paper's scale or else the short one.

    Args:
        results: tables by experiment; "community_adversarial" is read, and may be absent.
        network, attack, data, variant, k: see ``s02_adversarial.experiment``.
        runs: seeds 0 to runs-1 count.
        fewest: images a graph needs; the paper has 500.

    Returns:
        Columns of ``adversarial.table``, and ``scale``: in words, how far from the paper. Of
        several records of a seed the one counts whose settings differ least from the defaults,
        then the one with most images, then the last.
    """
    table = EXPERIMENT.among(results)
    keep = (
        (table["network"] == network)
        & (table["data"] == data)
        & (table["attack"] == attack)
        & (table["seed"] < runs)
        & (table["collected"] >= fewest)
    )

    def config(row: Any, train: SgdConfig) -> AdversarialConfig:
        return AdversarialConfig(train, attack, variant, neighbours=k)

    # a search cut short, and fewer images, are named below
    rows = at_best_scale(
        table[keep], network, config, free=("samples", "attempts", "settings", "precision")
    )
    if rows.empty:
        return rows
    rows = rows.assign(changed=[len(found) for found in rows["settings"]])
    order = rows.drop_duplicates("key").sort_values(["changed", "samples"], ascending=[True, False])
    rows = rows[rows["key"].isin(order.drop_duplicates("seed")["key"])]
    return rows.assign(scale=[_scale(*facts) for facts in _facts(rows)])


def peaks(rows: pd.DataFrame) -> pd.DataFrame:
    """Highest Q of any layer, one row a seed: a column a kind, and ``draws``.

    The mean over draws for "clean", whose standard deviation over draws is ``draws``.
    """
    by_draw = rows[rows["layer"] > 0].groupby(["seed", "kind", "repeat"])["q"].max()
    means = by_draw.groupby(["seed", "kind"]).mean().unstack("kind")
    spread = by_draw.groupby(["seed", "kind"]).std(ddof=1).unstack("kind")
    return means.assign(draws=spread.get("clean", np.nan))


@measurement
def adversarial_retained(results: Results, *, runs: int) -> list[Part]:
    """Percentage of retained images whose original is classified correctly, and they wrongly."""
    parts = []
    for network in NETWORKS:
        for attack, word in ATTACKS.items():
            rows = attack_rows(results, network=network, attack=attack, runs=runs)
            name = f"{network}, {word}"
            if rows.empty:
                parts.append(Part(name))
                continue
            found = rows.drop_duplicates("key")
            both = found[["retained_misled", "retained_clean_right"]].astype(float).min(axis=1)
            parts.append(
                Part(
                    name,
                    100 * float(both.min()),
                    runs=len(found),
                    keys=tuple(found["key"]),
                    scale=_one(found["scale"]),
                )
            )
    return parts


@measurement
def adversarial_peak_gap(results: Results, *, network: str, runs: int) -> list[Part]:
    """Peak Q of clean images minus that of adversarial images with their true labels, by attack.

    The mean over networks. Its standard error is that over networks or, where larger or where
    there is one network only, that of single draws of clean images.
    """
    parts = []
    for attack, word in ATTACKS.items():
        rows = attack_rows(results, network=network, attack=attack, runs=runs)
        found = peaks(rows) if len(rows) else rows
        if found.empty or not {"clean", "adversarial"} <= set(found):
            parts.append(Part(word))
            continue
        gaps = (found["clean"] - found["adversarial"]).dropna()
        errors = [
            gaps.std(ddof=1) / math.sqrt(len(gaps)) if len(gaps) > 1 else math.nan,
            found["draws"].mean() / math.sqrt(len(gaps)),
        ]
        known = [error for error in errors if not math.isnan(error)]
        parts.append(
            Part(
                word,
                float(gaps.mean()),
                max(known, default=math.nan),
                len(gaps),
                "se",
                tuple(rows["key"].unique()),
                _one(rows["scale"]),
            )
        )
    return parts


def _facts(rows: pd.DataFrame):
    return zip(rows["scale"], rows["collected"], rows["changed"], strict=True)


def _scale(training: str, collected: int, changed: int) -> str:
    words = [training] if training else []
    if collected < SAMPLES:
        words.append(f"{int(collected)} images")
    if changed:
        words.append("shorter search")
    return ", ".join(words)


def _one(scales: pd.Series) -> str:
    """One description for several networks: the longest covers the others."""
    return max(scales, key=len)
