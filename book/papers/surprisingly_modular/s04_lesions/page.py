"""Tables and sentences of the chapter on lesions."""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping

import pandas as pd
from IPython.display import Markdown
from pandas.io.formats.style import Styler

from book.lab import ledger, registry
from book.lab.claims import criteria_of
from book.lab.criteria import MET, NOT_MET, Criterion, judge
from book.lab.evidence import Results
from book.lab.show import MISSING, NOT_RUN, styled
from book.lab.words import provenance
from book.papers.surprisingly_modular.s04_lesions.measures import lesion_pairs, lesion_rows

__all__ = [
    "claims_by_kind",
    "classes_beside",
    "edges_beside",
    "graph_panels",
    "kinds_compared",
    "lesion_provenance",
    "one_network",
    "pairs_listed",
    "printed_pairs",
    "printed_submodules",
    "random_sets_by_layer",
    "rules_compared",
    "submodules_listed",
    "which_definition",
]

SECTION = "surprisingly_modular/04_lesions"
KIND_WORDS = {"weights": "bias kept", "weights_and_biases": "activation zero"}
CLASSES = ("important", "small", "sig-but-not-diff", "diff-but-not-sig", "other")


def printed_submodules() -> pd.DataFrame:
    """Table A.18 with the columns of our rows: name, proportion, loss, importance, random_mean."""
    printed = ledger.paper_table("surprisingly_modular/table_a18")
    return pd.DataFrame(
        {
            "seed": -1,
            "depth": printed["layer"].astype(int),
            "module": printed["module"].astype(int),
            "name": printed["layer"] + "-" + printed["module"],
            "proportion": printed["layer_proportion"].astype(float),
            "loss": -printed["accuracy_change_when_lesioned"].astype(float),
            "p_value": printed["p_value"].astype(float),
            "importance": printed["importance_type"],
            "random_mean": printed["random_lesion_accuracy_change_mean"].astype(float),
            "random_std": printed["random_lesion_accuracy_change_std"].astype(float),
        }
    )


def printed_pairs() -> pd.DataFrame:
    """Table A.19 with the columns of our rows: x, y, deltas, importances, depends, same_module."""
    printed = ledger.paper_table("surprisingly_modular/table_a19")
    x_important = printed["x_important_given_y"] == "yes"
    y_important = printed["y_important_given_x"] == "yes"
    module = [printed[name].str.partition("-")[2] for name in ("submodule_x", "submodule_y")]
    return pd.DataFrame(
        {
            "seed": -1,
            "x": printed["submodule_x"],
            "y": printed["submodule_y"],
            "delta_x": printed["delta_x_given_y"].astype(float),
            "delta_y": printed["delta_y_given_x"].astype(float),
            "x_important": x_important,
            "y_important": y_important,
            "depends": ~(x_important & y_important),
            "same_module": module[0] == module[1],
        }
    )


def one_network(rows: pd.DataFrame, seed: int | None = None) -> pd.DataFrame:
    """The rows of one network; by default of the first seed there is."""
    if rows.empty:
        return rows
    return rows[rows["seed"] == (rows["seed"].min() if seed is None else seed)]


def submodules_listed(rows: pd.DataFrame, *, name: str) -> Styler | Markdown:
    """One line a sub-module, as Table A.18 has them, changes and not losses."""
    if rows.empty:
        return Markdown(NOT_RUN)
    frame = pd.DataFrame(
        {
            "sub-module": rows["name"],
            "share of layer": rows["proportion"].map("{:.3f}".format),
            "change of accuracy": (-rows["loss"]).map("{:+.4f}".format),
            "random sets": [
                f"{mean:+.4f} ± {spread:.4f}"
                for mean, spread in zip(rows["random_mean"], rows["random_std"], strict=True)
            ],
            "p": rows["p_value"].map("{:.2g}".format),
            "class": rows["importance"],
        }
    )
    return styled(frame, name).hide(axis="index")


def pairs_listed(rows: pd.DataFrame, *, name: str) -> Styler | Markdown:
    """One line a pair, as Table A.19 has them."""
    if rows.empty:
        return Markdown(NOT_RUN)
    tick = {True: "✓", False: "×"}
    frame = pd.DataFrame(
        {
            "X": rows["x"],
            "Y": rows["y"],
            "X matters given Y": rows["x_important"].map(tick),
            "Y matters given X": rows["y_important"].map(tick),
            "δ(X, Y)": rows["delta_x"].map("{:+.3f}".format),
            "δ(Y, X)": rows["delta_y"].map("{:+.3f}".format),
            "edge": rows["depends"].map({True: "yes", False: ""}),
        }
    )
    return styled(frame, name).hide(axis="index")


def classes_beside(results: Results, *, name: str, kind: str = "weights") -> Styler | Markdown:
    """What can be compared between networks: counts by class, ranges of losses and sizes.

    Args:
        results: tables by experiment.
        name: id of the table.
        kind: of lesion.
    """
    ours = lesion_rows(results, kind=kind)
    if ours.empty:
        return Markdown(NOT_RUN)
    columns = {"paper": _profile(printed_submodules())}
    for seed, rows in ours.groupby("seed"):
        columns[f"ours, seed {seed}"] = _profile(rows)
    return styled(pd.DataFrame(columns), name)


def edges_beside(results: Results, *, name: str, kind: str = "weights") -> Styler | Markdown:
    """Pairs, edges inside and between modules, and which of the two is not needed."""
    ours = lesion_pairs(results, kind=kind)
    if ours.empty:
        return Markdown(NOT_RUN)
    columns = {"paper": _edge_profile(printed_pairs())}
    for seed, rows in ours.groupby("seed"):
        columns[f"ours, seed {seed}"] = _edge_profile(rows)
    columns["ours, all"] = _edge_profile(ours)
    return styled(pd.DataFrame(columns), name)


def kinds_compared(results: Results, *, name: str) -> Styler | Markdown:
    """The two definitions of a lesion on the same sub-modules, one line a network.

    "Changes class" counts sub-modules that are in another class of importance.
    """
    weights, zero = (lesion_rows(results, kind=k) for k in ("weights", "weights_and_biases"))
    lines = []
    for seed in sorted(set(weights["seed"]) & set(zero["seed"])):
        one, two = (frame[frame["seed"] == seed].set_index("name") for frame in (weights, zero))
        two = two.loc[one.index]
        lines.append(
            {
                "network": f"seed {seed}",
                "sub-modules": len(one),
                "important, bias kept": int((one["importance"] == "important").sum()),
                "important, activation zero": int((two["importance"] == "important").sum()),
                "changes class": int((one["importance"] != two["importance"]).sum()),
                "mean loss, bias kept": f"{100 * one['loss'].mean():.2f}",
                "activation zero": f"{100 * two['loss'].mean():.2f}",
                "largest difference": f"{100 * (one['loss'] - two['loss']).abs().max():.2f}",
            }
        )
    if not lines:
        return Markdown(NOT_RUN)
    return styled(pd.DataFrame(lines), name).hide(axis="index")


def random_sets_by_layer(results: Results, *, name: str) -> Styler | Markdown:
    """Mean loss under random sets in points, averaged over a layer's sub-modules by definition."""
    means = _random_means(results)
    if len(means.columns) < 2:
        return Markdown(NOT_RUN)
    return styled(means.rename(index="layer {}".format), name).format("{:.2f}", na_rep=MISSING)


def which_definition(results: Results) -> Markdown:
    """Which definition's random sets are nearer to the printed ones, in a sentence."""
    means = _random_means(results)
    if len(means.columns) < 3:
        return Markdown(NOT_RUN)
    off = {word: (means[word] - means["paper"]).abs().max() for word in KIND_WORDS.values()}
    near = min(off, key=lambda word: off[word])
    listed = " and ".join(f"{value:.1f} points ({word})" for word, value in off.items())
    return Markdown(
        f"The largest differences from the paper in any layer are {listed}. The definition "
        f'"{near}" is nearer to the printed numbers.'
    )


def _lesioned_both_ways(results: Results) -> Results:
    """The tables, those of lesions cut to networks that have rows of both definitions."""
    seeds = [set(lesion_rows(results, kind=kind)["seed"]) for kind in KIND_WORDS]
    names = {"mlp_lesions", "mlp_lesion_pairs"} & results.keys()
    cut = {name: results[name] for name in names if len(results[name])}
    cut = {name: table[table["seed"].isin(set.intersection(*seeds))] for name, table in cut.items()}
    return {**results, **cut}


def _random_means(results: Results) -> pd.DataFrame:
    """layer -> mean loss under random sets, in points: the paper's, and ours by definition.

    Over networks lesioned in both ways, where there are any.
    """
    both = _lesioned_both_ways(results)
    if all(len(lesion_rows(both, kind=kind)) for kind in KIND_WORDS):
        results = both
    frames = {"paper": printed_submodules()}
    for kind, word in KIND_WORDS.items():
        if len(rows := lesion_rows(results, kind=kind)):
            frames[word] = rows
    means = {
        word: -100 * rows.groupby("depth")["random_mean"].mean() for word, rows in frames.items()
    }
    return pd.DataFrame(means)


def rules_compared(results: Results, *, name: str) -> Styler | Markdown:
    """Class of importance by the text's rules and by the released code's, over all networks."""
    frames = [lesion_rows(results, rules=rules) for rules in ("described", "published")]
    if any(frame.empty for frame in frames):
        return Markdown(NOT_RUN)
    one, two = (frame.set_index(["seed", "name"])["importance"] for frame in frames)
    both = pd.crosstab(one, two.loc[one.index])
    both.index.name, both.columns.name = "text", "code"
    return styled(both, name)


def claims_by_kind(results: Results, *, name: str) -> Styler | Markdown:
    """The claims' tests under both definitions of a lesion; "bias kept" decides the verdicts.

    Only networks that were lesioned in both ways count here, so that the columns differ by the
    definition alone.
    """
    results = _lesioned_both_ways(results)
    if any(lesion_rows(results, kind=kind).empty for kind in KIND_WORDS):
        return Markdown(NOT_RUN)
    lines = []
    claims = ledger.load_claims()
    for claim in claims[claims["section"] == SECTION].itertuples(index=False):
        for criterion in criteria_of(claim):
            measure = registry.measurement(criterion.measurement)
            if "kind" not in inspect.signature(measure).parameters:
                continue
            line = {"claim": claim.id}
            for kind, word in KIND_WORDS.items():
                arguments = {**dict(criterion.arguments), "kind": kind}
                (part,) = measure(results, runs=criterion.runs, **arguments)
                mark = {MET: "✓", NOT_MET: "✗"}.get(judge(part, criterion), "")
                number = MISSING if math.isnan(part.observed) else f"{part.observed:.3g} {mark}"
                line |= {"measured": part.name, word: number.strip(), "networks": part.runs}
            lines.append({**line, "asked for": _bounds(criterion)})
    return styled(pd.DataFrame(lines), name).hide(axis="index")


def graph_panels(
    pairs: pd.DataFrame, singles: pd.DataFrame
) -> dict[str, tuple[pd.DataFrame, list[str]]]:
    """The paper's dependency graph and ours, as ``pictures.dependency_graphs`` takes them."""
    both = {"paper": (printed_pairs(), printed_submodules()), "ours": (pairs, singles)}
    return {
        title: (links, rows.loc[rows["importance"] == "important", "name"].tolist())
        for title, (links, rows) in both.items()
        if len(rows)
    }


def lesion_provenance(rows: pd.DataFrame) -> Markdown:
    """Who ran what and when, from the rows themselves."""
    images = 0 if rows.empty else rows["images"].iloc[0]
    return provenance(rows, f"{rows['key'].nunique()} networks, {images:,} test images each")


def _bounds(criterion: Criterion) -> str:
    low, high, tolerance = criterion.low, criterion.high, criterion.tolerance
    match criterion.test:
        case "within":
            return f"{low:g} ± {tolerance:g}"
        case "between":
            return f"{low:g} to {high:g}"
        case "at_most":
            return f"at most {high:g}"
        case "at_least":
            return f"at least {low:.2g}"
    return f"{criterion.test} {low:g}"


def _profile(rows: pd.DataFrame) -> Mapping[str, str]:
    counts = rows["importance"].value_counts()
    important = rows[rows["importance"] == "important"]
    worst = rows.loc[rows["loss"].idxmax()]
    layers = important["depth"].value_counts()
    found = {"sub-modules": str(len(rows))}
    found |= {kind: str(counts.get(kind, 0)) for kind in CLASSES}
    found |= {
        "important by layer": " ".join(str(layers.get(depth, 0)) for depth in range(1, 5)),
        "their shares of the layer": _span(important["proportion"], "{:.2f}"),
        "their losses, points": _span(100 * important["loss"], "{:.1f}"),
        "most damaging": f"{worst['name']}: {100 * worst['loss']:.1f}",
        "random sets, mean loss, points": _span(-100 * rows["random_mean"], "{:.2f}"),
    }
    return found


def _edge_profile(rows: pd.DataFrame) -> Mapping[str, str]:
    same = rows["same_module"].astype(bool)
    x, y = rows["x_important"].astype(bool), rows["y_important"].astype(bool)
    return {
        "pairs": str(len(rows)),
        "edges": str(int(rows["depends"].sum())),
        "edges inside a module": _of(rows[same]),
        "edges between modules": _of(rows[~same]),
        "earlier one not needed": str(int((~x & y).sum())),
        "later one not needed": str(int((x & ~y).sum())),
        "neither needed alone": str(int((~x & ~y).sum())),
        "largest δ, points": f"{100 * rows[['delta_x', 'delta_y']].max().max():.1f}",
        "smallest δ, points": f"{100 * rows[['delta_x', 'delta_y']].min().min():.1f}",
    }


def _of(rows: pd.DataFrame) -> str:
    return f"{int(rows['depends'].sum())} of {len(rows)}"


def _span(values: pd.Series, form: str) -> str:
    if values.empty:
        return MISSING
    return f"{form.format(values.min())} to {form.format(values.max())}"
