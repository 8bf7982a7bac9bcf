"""Rows, tables and pictures of the section on adversarial images; nothing here measures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import torch
from IPython.display import Markdown
from pandas.io.formats.style import Styler

from book.lab import ledger
from book.lab.evidence import Results
from book.lab.show import MISSING, styled
from book.papers.community_modularity import curves
from book.papers.community_modularity.page import NOT_RUN, network_name
from book.papers.community_modularity.rows import RUNS
from book.papers.community_modularity.s02_adversarial.experiment import AdversarialConfig
from book.papers.community_modularity.s02_adversarial.measures import (
    ATTACKS,
    NETWORKS,
    attack_rows,
    peaks,
)
from modgraph_lib import attacks, communities
from modgraph_lib.pixels import with_channels
from modgraph_lib.training import SgdConfig, sets

__all__ = [
    "examples",
    "live_rows",
    "peaks_table",
    "scattering",
    "settings",
    "stored",
    "success",
]

# Attack -> its source and what it changes, in a few words.
WORDS = {
    "fgsm": "every value by ε, once",
    "pgd": "every value, many small steps within ε",
    "jsma": "few values, up to 1",
    "cw": "every value, as little as possible",
    "one_pixel": "one pixel",
    "local_search": "a few pixels a round",
}
NAMES = {
    "eps": "ε", "step": "step", "steps": "steps", "theta": "θ", "gamma": "γ", "towards": "towards",
    "searches": "searches", "rate": "rate", "constant": "first c", "population": "candidates",
    "generations": "generations", "trials": "pixels tried", "p": "p", "r": "r",
    "half_side": "half side", "pixels": "pixels a round", "rounds": "rounds",
    "start_share": "share tried first", "most": "tried at most", "starting_over": "starts over",
}  # fmt: skip


def stored(
    results: Results | None = None, *, variant: str = "described", fewest: int = 20
) -> pd.DataFrame:
    """Stored rows behind figure 6(a), with titles for ``plots``; empty where nothing was run."""
    results = ledger.load_results() if results is None else results
    found = [
        attack_rows(
            results, network=network, attack=attack, runs=RUNS, variant=variant, fewest=fewest
        )
        for network in NETWORKS
        for attack in ATTACKS
    ]
    full = [rows for rows in found if len(rows)]
    rows = pd.concat(full, ignore_index=True) if full else found[0]
    return live_rows(rows)


def live_rows(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows of ``adversarial.table`` with titles for ``plots``."""
    return rows.assign(title=[network_name(network) for network in rows["network"]])


def examples(configs: Sequence[AdversarialConfig], count: int = 6) -> tuple[dict, dict]:
    """Pictures and answers for ``pictures.attacked_images``: the same images under several attacks.

    Args:
        configs: attacks on one network; it is trained already.
        count: correctly classified images, spread over the classes.

    Whether an attack succeeds is not looked at again: an answer may still be the right one.
    """
    first = configs[0]
    model, _ = curves.network(first.train, "trained")
    _, test = sets.pair(first.train.data)
    images = with_channels(test.images)
    images, labels = images[:400].float() / 255, test.labels[:400]
    with torch.no_grad():
        right = (model(images).argmax(1) == labels).nonzero().flatten()
    order = labels[right].argsort(stable=True)
    chosen = right[order[torch.linspace(0, len(order) - 1, count).round().long()]]
    rows, answers = {"clean": images[chosen]}, {"clean": labels[chosen].tolist()}
    for config in configs:
        name, options = config.released()
        space = None
        if config.variant == "published":
            space = (model.normalise.mean, model.normalise.deviation)
        moved = attacks.attack(
            name, model, images[chosen], labels[chosen], seed=config.seed, space=space, **options
        )
        with torch.no_grad():
            rows[ATTACKS[config.attack]] = moved
            answers[ATTACKS[config.attack]] = model(moved).argmax(1).tolist()
    return {name: pictures.numpy() for name, pictures in rows.items()}, answers


def scattering(classes: int = 10, images: int = 90) -> pd.DataFrame:
    """Q with true labels of a network that misleads every image, in two ways.

    Images with the same answer are all joined with each other and with no others. Either the
    images of a class are spread evenly over all other answers, or all of them get the next class.

    Args:
        images: of each class, a multiple of ``classes - 1``.

    Returns:
        Columns way, q (from the graph) and by_hand.
    """
    labels = np.repeat(np.arange(classes), images)
    within = np.tile(np.arange(images), classes)
    ways = {
        "each class spread over all others": (labels + 1 + within % (classes - 1)) % classes,
        "each class moved to the next": (labels + 1) % classes,
    }
    each = images // (classes - 1)
    inside = {"each class spread over all others": (each - 1) / (images - 1)}
    rows = []
    for way, answers in ways.items():
        graph = (answers[:, None] == answers).astype(float)
        np.fill_diagonal(graph, 0)
        by_hand = inside.get(way, 1.0) - 1 / classes
        rows.append((way, communities.modularity(graph, labels), by_hand))
    return pd.DataFrame(rows, columns=["way", "q", "by_hand"])


def settings(rows: pd.DataFrame, *, name: str) -> Styler:
    """Each attack: what it changes, its settings as described and as released, and what was run.

    Args:
        rows: of ``stored``, whose records' settings are the last column.
    """
    lines = []
    for attack, word in ATTACKS.items():
        described = _config(attack, "described").released()[1]
        released, published = _config(attack, "published").released()
        run = rows[rows["attack"] == attack].drop_duplicates("key") if len(rows) else rows
        changed = [found for found in run["settings"] if found] if len(run) else []
        lines.append(
            {
                "attack": word,
                "changes": WORDS[attack],
                "described": _said(described),
                "published": _published(attack, released, described, published),
                "stored rows differ in": _said(changed[0]) if changed else MISSING,
            }
        )
    table = pd.DataFrame(lines)
    left = {"text-align": "left"}
    return styled(table, name).set_properties(**left).hide(axis="index")


def success(rows: pd.DataFrame, *, name: str) -> Styler | Markdown:
    """How often each attack succeeds before any selection, and how large its changes are."""
    if rows.empty:
        return Markdown(NOT_RUN)
    lines = []
    for (title, attack), own in _groups(rows):
        each = own.drop_duplicates("key")
        kept = each[["retained_misled", "retained_clean_right"]].astype(float).min().min()
        lines.append(
            {
                "network": title,
                "attack": ATTACKS[attack],
                "attacked": int(each["attempted"].sum()),
                "misled": f"{each['succeeded'].sum() / each['attempted'].sum():.1%}",
                "of those kept": f"{kept:.0%}",
                "L2": f"{each['l2'].astype(float).mean():.2f}",
                "L∞": f"{each['linf'].astype(float).mean():.3f}",
                "pixels": f"{each['pixels'].astype(float).mean():.0f}",
                "images a graph": _range(each["collected"]),
                "networks": len(each),
            }
        )
    return styled(pd.DataFrame(lines), name).hide(axis="index")


def peaks_table(rows: pd.DataFrame, *, name: str) -> Styler | Markdown:
    """Highest Q of any layer: clean draws, the same images before and after, the answers."""
    rows = rows[rows["layer"] > 0] if len(rows) else rows
    if rows.empty:
        return Markdown(NOT_RUN)
    lines = []
    for (title, attack), own in _groups(rows):
        found = peaks(own).reindex(
            columns=["clean", "originals", "adversarial", "answers", "draws"]
        )
        mean = found.mean()
        lines.append(
            {
                "network": title,
                "attack": ATTACKS[attack],
                "clean": f"{mean['clean']:.3f} ± {mean['draws']:.3f}",
                "same images, clean": _q(mean["originals"]),
                "adversarial": _q(mean["adversarial"]),
                "lower by": _q(mean["clean"] - mean["adversarial"]),
                "adversarial, by answer": _q(mean["answers"]),
                "networks": len(found),
            }
        )
    return styled(pd.DataFrame(lines), name).hide(axis="index")


def _groups(rows: pd.DataFrame):
    """Rows by network, in their order, and by attack in the order of figure 6(a)."""
    titles = list(dict.fromkeys(rows["title"]))
    places = rows.assign(first=rows["title"].map(titles.index), then=_places(rows["attack"]))
    ordered = places.sort_values(["first", "then"], kind="stable")
    return ordered.groupby(["title", "attack"], sort=False)


def _places(attacks: pd.Series) -> pd.Series:
    return attacks.map(list(ATTACKS).index)


def _config(attack: str, variant: str) -> AdversarialConfig:
    train = SgdConfig(data="cifar10", network="vgg16", seed=0)
    return AdversarialConfig(train, attack, variant)


def _said(options: Mapping[str, object]) -> str:
    def value(found: object) -> str:
        if isinstance(found, bool):
            return "yes" if found else "no"
        return f"{found:,}" if isinstance(found, int) else str(found).replace("_", " ")

    return ", ".join(f"{NAMES[option]} {value(found)}" for option, found in options.items())


def _published(attack: str, released: str, described: Mapping, published: Mapping) -> str:
    """What the released code does otherwise, besides clipping normalised images."""
    if released != attack:
        return f"{released.replace('_', ' ')}: {_said(published)}"
    changed = {name: value for name, value in published.items() if value != described[name]}
    return _said(changed) or "the same"


def _q(value: float) -> str:
    return MISSING if pd.isna(value) else f"{value:.3f}"


def _range(values: pd.Series) -> str:
    low, high = int(values.min()), int(values.max())
    return str(low) if low == high else f"{low} to {high}"
