"""Tables of the section on layers taken away."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd
import torch
from IPython.display import Markdown
from pandas.io.formats.style import Styler

from book.lab import ledger
from book.lab.evidence import Results
from book.lab.show import MISSING, styled
from book.papers.community_modularity import shapes
from book.papers.community_modularity.page import NOT_RUN, network_name
from book.papers.community_modularity.s05_layer_pruning import experiment as pruning
from book.papers.community_modularity.s05_layer_pruning import reductions
from book.papers.community_modularity.s05_layer_pruning.rows import (
    one_a_network,
    pruned,
    removal_steps,
)
from modgraph_lib import layer_pruning
from modgraph_lib.models import cifar_networks

__all__ = [
    "PRINTED_PAIRS", "architectures", "costs", "curve_and_kept", "evidence", "nearest_plans",
    "of_records", "plateau", "printed_plans", "ratios", "steps", "stored", "table_1", "thresholds",
]  # fmt: skip

COUNTERS = {"torch": "torch", "thop": "thop 0.0.31", "thop_new": "thop 0.1.1"}
# Section 5.2: what a layer adds to Q, and what its removal costs in points of accuracy.
PRINTED_PAIRS = pd.DataFrame(
    [("CIFAR-10", 0.01, 0.01), ("CIFAR-10", 0.16, 0.57), ("CIFAR-100", 0.08, 0.37),
     ("CIFAR-100", 0.26, 2.11)],
    columns=["dataset", "delta_q", "delta_accuracy"],
)  # fmt: skip


def architectures(table: str, *, name: str) -> Styler:
    """A table of variants (B2, B3, B4 or B5) beside the networks that we build.

    Args:
        table: for instance "table_b2".
        name: fixed id of the table.
    """
    printed = ledger.paper_table(f"community_modularity/{table}")
    count = "conv_layer_count" if "conv_layer_count" in printed else "block_count"
    widths = "channels" if "channels" in printed else "channels_1x1_expand"
    lines = []
    for variant, rows in printed.groupby("variant", sort=False):
        with torch.device("meta"):
            model = cifar_networks.build(variant.lower(), seed=0)
        built = _built(model)
        theirs = [(int(n), int(w)) for n, w in zip(rows[count], rows[widths], strict=True)]
        lines.append(
            {
                "variant": variant,
                "printed": " ".join(f"{n}×{w}" for n, w in theirs),
                "built": " ".join(f"{n}×{w}" for n, w in built),
                "agree": "yes" if theirs == built else "no",
                "parameters": f"{sum(p.numel() for p in model.parameters()):,}",
            }
        )
    return styled(pd.DataFrame(lines), name).hide(axis="index")


def stored(family: str, *, reading: str = "described", results: Results | None = None, **which):
    """Stored networks of a family; see ``s05_layer_pruning.rows.pruned``."""
    results = ledger.load_results() if results is None else results
    return pruned(results, family=family, reading=reading, **which)


def evidence(*networks: pd.DataFrame, results: Results | None = None) -> pd.DataFrame:
    """Rows of ``community_modularity.s05_layer_pruning.experiment.table`` behind networks."""
    rows = (ledger.load_results() if results is None else results)["community_pruning"]
    keys = {key for frame in networks for key in frame["key"]}
    return rows[rows["key"].isin(keys)]


def of_records(records: Iterable[dict]) -> pd.DataFrame:
    """Networks of this execution, one row each, as ``pruned`` has them."""
    return one_a_network(pruning.table(records).assign(scale=""))


def costs(networks: pd.DataFrame, *, name: str) -> Styler | Markdown:
    """What each removal does: Q and accuracy, means over networks."""
    if networks.empty:
        return Markdown(NOT_RUN)
    control = networks[networks["reading"] == "control"].set_index("seed")["test_accuracy"]
    against = control if len(control) else _parents(networks)["test_accuracy"]
    lines = []
    order = {"parent": 0, "control": 1}
    networks = networks.assign(order=networks["reading"].map(order).fillna(2))
    for (_, removed, reading, network), rows in networks.groupby(
        ["order", "removed", "reading", "network"]
    ):
        loss = 100 * (rows["seed"].map(against) - rows["test_accuracy"])
        words = {"parent": "as trained", "control": "trained on"}.get(reading, f"minus {removed}")
        lines.append(
            {
                "network": network_name(network.partition("_")[0]),
                "": words,
                "networks": len(rows),
                "highest Q": _mean([q.max() for q in rows["q"]], 3),
                "last plateau": _mean([shapes.plateau_length(q) for q in rows["q"]], 1),
                "acc. before tuning": _mean(100 * rows["start_accuracy"].astype(float), 1),
                "test acc.": _mean(100 * rows["test_accuracy"], 1),
                "lost, points": MISSING if reading == "parent" else _mean(loss, 2),
            }
        )
    return styled(pd.DataFrame(lines), name).hide(axis="index")


def plateau(networks: pd.DataFrame) -> float:
    """Mean length of the plateau at the end of the parents' curves; NaN without parents."""
    parents = networks[networks["reading"] == "parent"]
    return (
        float(np.mean([shapes.plateau_length(q) for q in parents["q"]])) if len(parents) else np.nan
    )


def steps(networks: pd.DataFrame, *, name: str) -> Styler | Markdown:
    """What each single removal takes off accuracy and what the layer adds to Q."""
    found = removal_steps(networks)
    if found.empty:
        return Markdown(NOT_RUN)
    lines = [
        {
            "removal": step,
            "networks": len(rows),
            "adds to Q": _mean(rows["delta_q"], 3),
            "accuracy lost, points": _mean(rows["delta_accuracy"], 2),
            "points per unit of Q": _ratio(rows["delta_accuracy"].mean(), rows["delta_q"].mean()),
        }
        for step, rows in found.groupby("step")
    ]
    return styled(pd.DataFrame(lines), name).hide(axis="index")


def ratios(*, name: str) -> Styler:
    """The paper's four printed pairs, and what proportional would have to keep constant."""
    frame = PRINTED_PAIRS.assign(ratio=PRINTED_PAIRS["delta_accuracy"] / PRINTED_PAIRS["delta_q"])
    words = {"dataset": "data", "delta_q": "adds to Q", "delta_accuracy": "accuracy lost, points",
             "ratio": "points per unit of Q"}  # fmt: skip
    form = {
        "adds to Q": "{:.2f}",
        "accuracy lost, points": "{:.2f}",
        "points per unit of Q": "{:.1f}",
    }
    return styled(frame.rename(columns=words), name).format(form).hide(axis="index")


def printed_plans() -> pd.DataFrame:
    """Table 1's reductions: columns method, accuracy, parameters, operations, in percent."""
    printed = ledger.paper_table("community_modularity/table_1").iloc[1:]
    columns = {"top1_accuracy_percent": "accuracy", "parameter_reduction_percent": "parameters",
               "flops_reduction_percent": "operations"}  # fmt: skip
    frame = printed.rename(columns=columns)[["method", *columns.values()]]
    frame[list(columns.values())] = frame[list(columns.values())].apply(pd.to_numeric)
    words = {"modularity-guided (ours)": "the paper's own"}
    return frame.replace({"method": words}).reset_index(drop=True)


def nearest_plans(plans: pd.DataFrame, *, name: str, show: int = 1) -> Styler:
    """For each printed row and each way of counting, the plan that comes nearest.

    Args:
        plans: as ``reductions.removals`` gives them.
        show: how many plans of each.
    """
    lines = []
    for row in printed_plans().itertuples():
        parameters = None if np.isnan(row.parameters) else row.parameters
        for count in layer_pruning.CONVENTIONS:
            found = reductions.matching(plans, parameters, row.operations, count=count)
            for best in found.head(show).to_dict("records"):
                gone = ", ".join(f"{best[f'stage_{i}']:.0f}" for i in (1, 2, 3))
                if parameters is None:  # operations alone do not tell the stages apart
                    gone = f"{best['blocks']:.0f} in all"
                lines.append(
                    {
                        "row of Table 1": row.method,
                        "counted by": COUNTERS[count],
                        "blocks removed": gone,
                        "parameters": _pair(parameters, best["parameters"]),
                        "operations": _pair(row.operations, best[count]),
                        "off by, points": f"{best['distance']:.3f}",
                        "to the printed digits": "yes" if best["exact"] else "no",
                    }
                )
    return styled(pd.DataFrame(lines), name).hide(axis="index")


def curve_and_kept(record: dict, threshold: float) -> tuple[np.ndarray, tuple, tuple]:
    """Mean Q after each block of a recorded ResNet, its blocks by stage, and those that stay."""
    curves = next(iter(record["result"]["curves"].values()))
    q = np.mean(curves["q"], axis=0)
    counts = cifar_networks.plan_of(record["config"]["train"]["network"]).counts
    return q, counts, layer_pruning.choose(q, counts, threshold)


def thresholds(q: np.ndarray, plans: pd.DataFrame, values: Iterable[float], *, name: str) -> Styler:
    """How many blocks go, and what that saves, as "grows slowly" takes in more.

    Args:
        q: (27,) Q after each block of ResNet56; plans: as for ``nearest_plans``.
        values: thresholds.
    """
    lines = []
    for value in values:
        kept = layer_pruning.choose(q, (9, 9, 9), value)
        gone = tuple(9 - len(units) for units in kept)
        row = plans.set_index(["stage_1", "stage_2", "stage_3"]).loc[gone]
        lines.append(
            {
                "grows by at most": f"{value:g}",
                "blocks removed": ", ".join(map(str, gone)),
                "parameters": f"{row['parameters']:.1f} %",
                "operations": f"{row['torch']:.1f} %",
            }
        )
    return styled(pd.DataFrame(lines), name).hide(axis="index")


def table_1(plans: pd.DataFrame, *, name: str, results: Results | None = None) -> Styler:
    """Table 1 of the paper with ours under it."""
    printed = ledger.paper_table("community_modularity/table_1")
    lines = [
        {
            "": row["method"].replace("(ours)", "(the paper's)"),
            "top-1, %": row["top1_accuracy_percent"],
            "parameters saved, %": row["parameter_reduction_percent"] or MISSING,
            "FLOPs saved, %": row["flops_reduction_percent"] or MISSING,
        }
        for row in printed.to_dict("records")
    ]
    found = stored("resnet56", results=results)
    for row in found[found["removed"] > 0].to_dict("records"):
        gone = tuple(map(int, row["network"].split("_")[1:]))
        saved = plans.set_index(["stage_1", "stage_2", "stage_3"]).loc[gone]
        lines.append(
            {
                "": f"ours, seed {row['seed']}" + (f" ({row['scale']})" if row["scale"] else ""),
                "top-1, %": f"{100 * row['best_accuracy']:.2f}",
                "parameters saved, %": f"{saved['parameters']:.2f}",
                "FLOPs saved, %": f"{saved['torch']:.2f}",
            }
        )
    if len(lines) == len(printed):
        lines.append({"": "ours: not run yet (needs a GPU)"})
    return styled(pd.DataFrame(lines).fillna(MISSING), name).hide(axis="index")


def _built(model) -> list[tuple[int, int]]:
    """Units of each stage and the channels they give, read off the module itself."""
    found: dict[int, list[int]] = {}
    shapes_of = model.state_dict()
    for name, (place, _) in cifar_networks.places(model).items():
        if not isinstance(place, str) and shapes_of[name].ndim == 4 and "shortcut" not in name:
            found.setdefault(place[0], []).append((place[1], shapes_of[name].shape[0]))
    return [
        (len({unit for unit, _ in layers}), max(width for _, width in layers))
        for layers in found.values()
    ]


def _parents(networks: pd.DataFrame) -> pd.DataFrame:
    return networks[networks["reading"] == "parent"].set_index("seed")


def _mean(values: Iterable[float], digits: int) -> str:
    values = pd.Series(list(values), dtype=float).dropna()
    if values.empty:
        return MISSING
    spread = f" ± {values.std(ddof=1):.{digits}f}" if len(values) > 1 else ""
    return f"{values.mean():z.{digits}f}{spread}"  # z: no negative zero


def _ratio(loss: float, worth: float) -> str:
    return f"{loss / worth:.1f}" if worth > shapes.STEP else MISSING


def _pair(printed: float | None, found: float) -> str:
    return MISSING if printed is None else f"{found:.2f} ({printed:.2f})"
