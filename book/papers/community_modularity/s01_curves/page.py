"""Rows, tables and sentences of the section on curves of Q; nothing here measures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from IPython.display import Markdown
from pandas.io.formats.style import Styler

from book.lab import ledger, store, words
from book.lab.evidence import Results
from book.lab.show import MISSING, styled
from book.lab.status import status_line
from book.papers.community_modularity import shapes
from book.papers.community_modularity.parts import NETWORKS, SINGLE, VGGS, network_word
from book.papers.community_modularity.rows import at_best_scale, curves
from book.papers.community_modularity.s01_curves import maps
from book.papers.community_modularity.s01_curves.probes import ProbeConfig
from book.papers.community_modularity.s01_curves.sensitivity_measures import FEW, MANY, SIZES
from book.papers.community_modularity.settings import DATA_WORDS

__all__ = [
    "READINGS",
    "SIMILARITIES",
    "STAGES",
    "SYMMETRISED",
    "WORDS",
    "accuracies_beside",
    "changes",
    "live_rows",
    "map_of",
    "missing",
    "over_k",
    "over_samples",
    "probe_rows",
    "provenance",
    "readings",
    "rows",
    "shape_table",
    "stand_in",
    "status",
    "stored_maps",
    "surprises",
    "titled",
]

SECTION = "community_modularity/01_curves"
NOT_RUN = "not run yet"
# ResNet50 takes five minutes an epoch on a core at a sixteenth of the paper's arithmetic.
NEED_GPU = ("resnet101", "resnet152")
NEEDS = {"cifar100": "CIFAR-100", "imagenet50": "ImageNet"}
WORDS = {network: network_word(network) for network in NETWORKS}
# What a reading changes of the curves that decide -> its words.
READINGS: Mapping[str, dict] = {
    "as described": {},
    "bare convolutions (code)": {"layers": "published"},
    "consecutive images (code)": {"sampling": "consecutive"},
    "both (code)": {"layers": "published", "sampling": "consecutive"},
}
SYMMETRISED: Mapping[str, dict] = {
    "mean": {},
    "union": {"symmetrise": "union"},
    "mutual": {"symmetrise": "mutual"},
}
SIMILARITIES: Mapping[str, dict] = {"cosine": {}, "Pearson": {"similarity": "pearson"}}
STAGES: Mapping[str, dict] = {"trained": {}, "untrained": {"stage": "untrained"}}


# --- rows -------------------------------------------------------------------------------------


def rows(
    results: Results, *, data: str = "cifar10", networks: Sequence[str] = NETWORKS, **options
) -> pd.DataFrame:
    """Stored rows of these networks' curves at the best scale there is, in the order given."""
    found = [curves(results, network=network, data=data, **options) for network in networks]
    return titled(pd.concat(found, ignore_index=True))


def readings(
    results: Results, which: Mapping[str, dict], *, networks: Sequence[str] = SINGLE
) -> pd.DataFrame:
    """``rows`` for several ways of measuring, told apart by the column "reading"."""
    found = [
        rows(results, networks=networks, **options).assign(reading=word)
        for word, options in which.items()
    ]
    return titled(pd.concat(found, ignore_index=True))


def over_samples(results: Results) -> pd.DataFrame:
    """Figure 7(a): rows at each N."""
    found = [rows(results, networks=SINGLE, samples=size) for size in SIZES]
    return titled(pd.concat(found, ignore_index=True))


def over_k(results: Results, ks: Sequence[int] = (*FEW, *MANY)) -> pd.DataFrame:
    """Figures 7(b) and B3: rows at each k."""
    found = [rows(results, networks=SINGLE, k=k) for k in ks]
    return titled(pd.concat(found, ignore_index=True))


def live_rows(table: pd.DataFrame, **keep) -> pd.DataFrame:
    """Rows of this execution with these values, otherwise measured as the text describes."""
    usual = {"stage": "trained", "similarity": "cosine", "symmetrise": "mean",
             "layers": "described", "sampling": "random"}  # fmt: skip
    for name, value in {**usual, **keep}.items():
        if value is not None:
            table = table[table[name] == value]
    return titled(table)


def probe_rows(results: Results) -> pd.DataFrame:
    """Q and the accuracy of probes by network, seed and layer, from stored rows."""
    probes = results["community_probes"]
    found = []
    for network in SINGLE:
        q = curves(results, network=network)
        own = probes[(probes["network"] == network) & (probes["data"] == "cifar10")]
        judged = at_best_scale(own, network, lambda row, train: ProbeConfig(train))
        if q.empty or judged.empty:
            continue
        q = q.groupby(["network", "seed", "layer"], as_index=False)["q"].mean()
        found.append(q.merge(judged[["network", "seed", "layer", "accuracy"]]))
    return titled(pd.concat(found, ignore_index=True) if found else pd.DataFrame())


def titled(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame, with titles of its networks for ``plots``."""
    frame.attrs["titles"] = WORDS
    return frame


def stored_maps(results: Results) -> tuple:
    """Points, labels and titles of VGG11's layers on CIFAR-10, first seed; empty if not run."""
    table = results["community_maps"]
    table = table[(table["data"] == "cifar10") & (table["network"] == "vgg11")]
    best = at_best_scale(table, "vgg11", lambda row, train: maps.MapConfig(train))
    best = best.sort_values("seed")
    if best.empty:
        return ()
    (record,) = [r for r in store.read(maps.EXPERIMENT.name) if r["key"] == best["key"].iloc[0]]
    return map_of(record)


def map_of(record: dict) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Points, labels and titles of one record, as ``pictures.class_maps`` takes them."""
    points, labels = maps.points(record)
    separated = record["result"]["silhouette"]
    return points, labels, [f"layer {i + 1}, silhouette {s:.2f}" for i, s in enumerate(separated)]


# --- tables -----------------------------------------------------------------------------------


def shape_table(frame: pd.DataFrame, *, name: str) -> Styler | Markdown:
    """What each network's mean curve does, in numbers of ``community_modularity.shapes``."""
    if frame.empty:
        return Markdown(f"*{NOT_RUN.capitalize()}.*")
    lines = []
    for network, found in frame.groupby("network", sort=False):
        q = found.groupby("layer")["q"].mean().to_numpy()
        still = shapes.not_rising(q)
        lines.append(
            {
                "network": network_word(network),
                "seeds": found["seed"].nunique(),
                "layers": len(q),
                "first Q": f"{q[0]:.3f}",
                "last Q": f"{q[-1]:.3f}",
                "rank corr. with depth": f"{shapes.trend(q):.2f}",
                "add nothing": f"{still.sum()} ({still.mean():.0%})",
                "drops": shapes.drops(q),
                "last plateau": shapes.plateau_length(q),
                "longest plateau": shapes.longest_plateau(q),
            }
        )
    return styled(pd.DataFrame(lines), name).hide(axis="index")


def changes(table: pd.DataFrame, samples: int, *, name: str) -> Styler:
    """What each other way of measuring does to mean Q, in this execution.

    Args:
        table: of ``community_modularity.curves``; rows at ``samples`` images count.
    """
    lines = []
    for network, found in table[table["samples"] == samples].groupby("network", sort=False):
        found = found[found["k"] == found["k"].min()]
        usual = live_rows(found)["q"].mean()
        line = {"network": network_word(network), "as described": f"{usual:.3f}"}
        for options in (SIMILARITIES, SYMMETRISED, READINGS):
            for word, change in list(options.items())[1:]:
                line[word] = _difference(live_rows(found, **change)["q"].mean() - usual)
        lines.append(line)
    return styled(pd.DataFrame(lines), name).hide(axis="index")


def accuracies_beside(results: Results, *, name: str) -> Styler:
    """Table B1 beside ours: last epoch, and the best epoch that the released code reports."""
    names = {"CIFAR-10": "cifar10", "CIFAR-100": "cifar100", "ImageNet50": "imagenet50"}
    lines = []
    for row in ledger.paper_table("community_modularity/table_b1").itertuples(index=False):
        data, network = names[row.dataset], row.architecture.lower()
        found = curves(results, network=network, data=data).drop_duplicates("seed")
        needs = NEEDS.get(data, "GPU" if network in NEED_GPU else "")
        absent = f"not run (needs {needs})" if needs else NOT_RUN
        accuracies = (
            {
                "ours, last epoch": _percent(found["test_accuracy"]),
                "ours, best epoch": _percent(found["best_accuracy"]),
                "trained": found["scale"].iloc[0] or "as the paper says",
            }
            if len(found)
            else {"ours, last epoch": MISSING, "ours, best epoch": MISSING, "trained": absent}
        )
        printed = f"{float(row.top1_accuracy_percent):.2f}"
        lines.append(
            {"data": row.dataset, "network": row.architecture, "paper": printed, **accuracies}
        )
    return styled(pd.DataFrame(lines), name).hide(axis="index")


# --- sentences --------------------------------------------------------------------------------


def status() -> Markdown:
    """The line under the section's title."""
    results = ledger.load_results()
    found = rows(results)
    cost = "this page half a minute on 2 cores; the paper's nine networks need a GPU"
    return status_line(SECTION, found, evidence=_evidence(found), cost=cost, results=results)


def provenance(frame: pd.DataFrame) -> Markdown:
    """Who ran what and when, from the rows themselves."""
    scales = "; ".join(sorted({scale or "the paper's training" for scale in frame["scale"]}))
    return words.provenance(frame, f"{_evidence(frame)}; {scales}")


def missing(*data: str) -> Markdown:
    """What is not run for want of data, and the command for those who have it."""
    lines = []
    for one in data:
        lines.append(
            f"**{DATA_WORDS[one]}: not run (needs {NEEDS[one]}).** With the data in "
            f"`$MODGRAPH_DATA`:\n\n```bash\npapermill notebooks/{SECTION}.ipynb out.ipynb \\\n"
            f"  -f notebooks/params/paper/{SECTION}.yaml -y 'data: [{one}]'\n```"
        )
    return Markdown("\n\n".join(lines))


def stand_in(results: Results, *, name: str) -> Styler | Markdown:
    """Last plateaus on CIFAR-10 beside the harder stand-in, for the networks that have both."""
    lines = []
    for network in VGGS:
        pair = [curves(results, network=network, data=d) for d in ("cifar10", "tiny_imagenet_50")]
        if all(len(found) for found in pair):
            line = {"network": network_word(network)}
            for found in pair:
                q = found.groupby("layer")["q"].mean().to_numpy()
                word = DATA_WORDS[found["data"].iloc[0]]
                line |= {
                    f"last Q, {word}": f"{q[-1]:.3f}",
                    f"last plateau, {word}": shapes.plateau_length(q),
                    f"accuracy, {word}": _percent(found.drop_duplicates("seed")["test_accuracy"]),
                }
            lines.append(line)
    if not lines:
        return Markdown(f"*The stand-in (Tiny ImageNet, 50 classes, 32×32): {NOT_RUN}.*")
    return styled(pd.DataFrame(lines), name).hide(axis="index")


def surprises(frame: pd.DataFrame) -> Markdown:
    """What stands out in the curves on CIFAR-10, from the rows alone."""
    if frame.empty:
        return Markdown(f"*CIFAR-10: {NOT_RUN}, so there is nothing to be surprised by yet.*")
    lines = []
    for network, found in frame.groupby("network", sort=False):
        q = found.groupby("layer")["q"].mean()
        steps = q.diff()
        half = int((q >= (q.iloc[0] + q.max()) / 2).idxmax())
        most = int(steps.idxmax())
        lines.append(
            f"- {network_word(network)}: Q goes from {q.iloc[0]:.2f} to {q.iloc[-1]:.2f}; half of "
            f"its rise is reached after layer {half} of {len(q)}; one layer (number {most}) adds "
            f"{steps[most]:.2f}"
            + (f"; {shapes.drops(q)} of {len(q) - 1} steps go down" if shapes.drops(q) else "")
            + "."
        )
    return Markdown("\n".join(lines))


def _evidence(frame: pd.DataFrame) -> str:
    if frame.empty:
        return "no network on CIFAR-10 yet, only digits"
    networks = frame.drop_duplicates(["data", "network", "seed"])
    said = ", ".join(
        f"{network_word(name)} ({count})"
        for name, count in networks["network"].value_counts(sort=False).items()
    )
    data = ", ".join(DATA_WORDS.get(one, one) for one in dict.fromkeys(frame["data"]))
    return f"networks on {data}, with number of seeds: {said}"


def _difference(value: float) -> str:
    return MISSING if np.isnan(value) else f"{value:+.3f}"


def _percent(values: pd.Series) -> str:
    values = 100 * values.astype(float)
    spread = f" ± {values.std(ddof=1):.2f}" if len(values) > 1 else ""
    return f"{values.mean():.2f}{spread}" if np.isfinite(values).all() else MISSING
