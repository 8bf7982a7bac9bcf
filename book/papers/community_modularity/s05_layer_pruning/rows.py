"""Which pruned networks may decide a claim, and what each removal cost (CM, section 5.2).

Networks trained and fine-tuned as the paper says come first; where there are none, those of the
short run (``community_modularity.settings``, and three epochs of fine-tuning) stand in.
"""

from __future__ import annotations

import ast
from typing import Any

import pandas as pd

from book.lab.evidence import Results, equal, remembered
from book.papers.community_modularity import shapes
from book.papers.community_modularity.curves import CurveConfig
from book.papers.community_modularity.rows import RUNS
from book.papers.community_modularity.s05_layer_pruning.experiment import (
    EXPERIMENT,
    FINE_TUNING,
    fine_tuned,
    from_scratch,
)
from book.papers.community_modularity.settings import SAMPLES, SHORT, SHORT_WORDS, training_run
from modgraph_lib.models import cifar_networks

__all__ = ["GUIDED", "of_variant", "one_a_network", "pruned", "removal_steps"]

GUIDED = "resnet56"


@remembered
def pruned(
    results: Results, *, family: str, data: str = "cifar10", runs: int = RUNS,
    reading: str = "described",
) -> pd.DataFrame:  # fmt: skip
    """A network with its control and variants, at the paper's scale or else the short one.

    Args:
        results: tables by experiment; "community_pruning" is read, and may be absent.
        family: "vgg19", "vgg11", "resnet152" or "resnet56".
        runs: seeds 0 to runs-1 count.
        reading: which variants, "described" or "published".

    Returns:
        One row a network: seed, reading ("parent", "control" or the variants'), network, removed,
        kept, q (an array over layers, the mean over repeats), layers (their names), test_accuracy,
        best_accuracy, start_accuracy (shares), key, scale (empty for the paper's, else words).
    """
    table = EXPERIMENT.among(results)
    rows = table[
        (table["family"] == family)
        & (table["data"] == data)
        & (table["seed"] < runs)
        & (table["k"] == 3)
        & table["reading"].isin(("parent", "control", reading))
    ]
    return one_a_network(_at_best_scale(rows, family))


def removal_steps(networks: pd.DataFrame) -> pd.DataFrame:
    """What each removal took off Q and off accuracy: one row a seed and step.

    Step j takes the network after j-1 removals to the one after j. Its ``delta_q`` is what the
    removed unit adds to Q in the network that still has it; its ``delta_accuracy`` what accuracy
    loses, in points. Before the first removal stands the control (where variants are fine-tuned;
    else the parent).

    Args:
        networks: as ``pruned`` returns them, of a VGG.

    Returns:
        Columns seed, step, delta_q, delta_accuracy, printed_accuracy (the same by best epoch and
        with the parent before the first removal), key, scale.
    """
    lines = []
    for seed, found in networks.groupby("seed"):
        parent, control = (_first(found, reading) for reading in ("parent", "control"))
        variants = {row["removed"]: row for _, row in found.iterrows() if row["removed"]}
        if parent is None:
            continue
        before, printed_before = parent if control is None else control, parent
        for step in sorted(variants):
            after = variants[step]
            if before["removed"] != step - 1:
                break
            lines.append(
                {
                    "seed": seed,
                    "step": step,
                    "delta_q": _removed_increment(before, after),
                    "delta_accuracy": 100 * (before["test_accuracy"] - after["test_accuracy"]),
                    "printed_accuracy": 100
                    * (printed_before["best_accuracy"] - after["best_accuracy"]),
                    "key": after["key"],
                    "scale": after["scale"],
                }
            )
            before = printed_before = after
    names = ["seed", "step", "delta_q", "delta_accuracy", "printed_accuracy", "key", "scale"]
    return pd.DataFrame(lines, columns=names)


def of_variant(networks: pd.DataFrame, removed: int, against: str = "parent") -> pd.DataFrame:
    """Networks without ``removed`` units; 0 gives the parents, or the controls."""
    if removed:
        return networks[networks["removed"] == removed]
    return networks[networks["reading"] == against]


def _at_best_scale(rows: pd.DataFrame, family: str) -> pd.DataFrame:
    """Full-size, fully trained and fully fine-tuned networks; failing those, the short run's."""
    tuning = FINE_TUNING["short"]

    def at(scale: str) -> pd.DataFrame:
        def asked(row: Any) -> CurveConfig:
            parent = training_run(family, row.seed, data=row.data, scale=scale)
            if row.reading == "parent":
                train = parent
            elif row.reading == "published":
                train = from_scratch(parent, row.network)
            else:
                kept = ast.literal_eval(row.kept) if row.kept else ()
                train = fine_tuned(parent, row.network, kept=kept, **FINE_TUNING[scale])
            return CurveConfig(train, samples=SAMPLES.get(row.data, 500))

        return equal(rows, asked, free=("neighbours",))

    full = at("paper")
    if (full["removed"] > 0).any():
        return full.assign(scale="")
    size = "full width" if family == GUIDED else f"width {SHORT['width']}"
    words = f"{SHORT_WORDS.format(width=size)}, {tuning['epochs']} of fine-tuning"
    return at("short").assign(scale=words)


def one_a_network(rows: pd.DataFrame) -> pd.DataFrame:
    facts = ["seed", "reading", "network", "removed", "kept", "test_accuracy", "best_accuracy",
             "start_accuracy", "key", "scale"]  # fmt: skip
    lines = []
    if "date" in rows:  # a network measured again replaces the earlier measurement
        latest = rows.sort_values("date", kind="stable").drop_duplicates(
            ["seed", "reading", "network", "kept"], keep="last"
        )
        rows = rows[rows["key"].isin(latest["key"])]
    for _, one in rows.groupby("key", sort=False):
        by_layer = one.groupby("layer")
        line = {name: one[name].iloc[0] for name in facts}
        line["q"] = by_layer["q"].mean().to_numpy()
        line["layers"] = tuple(by_layer["name"].first())
        lines.append(line)
    found = pd.DataFrame(lines, columns=[*facts, "q", "layers"])
    return found.sort_values(["seed", "removed", "reading"], ignore_index=True)


def _removed_increment(before: pd.Series, after: pd.Series) -> float:
    """What the unit that ``after`` lacks adds to Q in ``before``: the last one of its stage."""
    longer, shorter = _stages(before), _stages(after)
    stage = next(i for i, pair in enumerate(zip(longer, shorter, strict=True)) if pair[0] > pair[1])
    layer = sum(longer[: stage + 1]) - 1
    return float(shapes.steps(before["q"])[layer - 1])


def _stages(row: pd.Series) -> tuple[int, ...]:
    return cifar_networks.plan_of(row["network"]).counts


def _first(rows: pd.DataFrame, reading: str) -> pd.Series | None:
    found = rows[rows["reading"] == reading]
    return found.iloc[0] if len(found) else None
