"""Tables and sentences of the chapter on ImageNet networks."""

from __future__ import annotations

import pandas as pd
from IPython.display import Markdown
from pandas.io.formats.style import Styler

from book.lab import ledger, words
from book.lab.evidence import Results
from book.lab.show import MISSING, styled
from book.lab.status import status_line
from book.papers.clusterability.s04_imagenet.experiment import READINGS
from book.papers.clusterability.s04_imagenet.measures import NAMES, imagenet_rows

__all__ = [
    "architecture_share",
    "beside",
    "commands",
    "live",
    "printed",
    "provenance",
    "readings_compared",
    "sources",
    "spreads",
    "stability",
    "status",
]

SECTION = "clusterability/04_imagenet"
NEEDS = "not run (needs ImageNet weights)"
NOT_RUN = "not run yet"
FEW = 20  # shuffles that are enough beside, where the graph is too large for 100


def status() -> Markdown:
    """The line under the chapter's title."""
    results = ledger.load_results()
    trained, untrained = (imagenet_rows(results, weights=w) for w in ("imagenet", "random"))
    rows = pd.concat([trained, untrained]) if len(trained) else untrained
    minutes = rows["seconds"].sum() / 60 if len(rows) else 0
    evidence = f"{len(trained)} of {len(NAMES)} networks with ImageNet weights, "
    evidence += f"{len(untrained)} with random weights"
    cost = f"this page about half a minute on 2 cores; paper scale {minutes:.0f} minutes of one "
    cost += "core for the rows so far"
    return status_line(SECTION, rows, evidence=evidence, cost=cost, results=results)


def printed() -> pd.DataFrame:
    """Table A.11 as numbers, indexed by torchvision's names; z follows from the other columns."""
    table = ledger.paper_table("clusterability/table_a11")
    numbers = ["ncut", "shuffle_ncut_mean", "shuffle_ncut_std", "p_value", "top1_accuracy"]
    table[numbers] = table[numbers].astype(float)
    words = {"shuffle_ncut_mean": "shuffle_mean", "shuffle_ncut_std": "shuffle_std"}
    table = table.rename(columns={"network": "name", **words})
    table["z_score"] = (table["ncut"] - table["shuffle_mean"]) / table["shuffle_std"]
    of = {name: key for key, name in NAMES.items()}
    return table.set_index(table["name"].map(of).rename("network"))


def sources(results: Results) -> dict[str, pd.DataFrame]:
    """The paper's networks, ours with ImageNet weights, and ours with random ones."""
    frames = {"paper": printed()}
    for source, weights in (("ours", "imagenet"), ("random", "random")):
        rows = imagenet_rows(results, weights=weights)
        frames[source] = rows.assign(name=[NAMES[name] for name in rows.index])
    return frames


def beside(results: Results, *, name: str) -> Styler:
    """Table A.11: the paper, ours with its kind of weights, and ours with random ones."""
    words = {"paper": "paper", "ours": "ours, ImageNet", "random": "ours, random"}
    lines = {}
    for source, rows in sources(results).items():
        for network, title in NAMES.items():
            missing = NEEDS if source == "ours" else NOT_RUN
            row = rows.loc[network] if network in rows.index else None
            lines[title, words[source]] = _facts(row, missing)
    ordered = {key: lines[key] for key in sorted(lines, key=lambda key: _place(key[0]))}
    frame = pd.DataFrame(list(ordered.values()), index=pd.MultiIndex.from_tuples(ordered))
    return styled(frame, name)


def readings_compared(results: Results, *, name: str, weights: str = "random") -> Styler | Markdown:
    """The same networks under each reading of the graph and its shuffles."""
    lines = {}
    for network, title in NAMES.items():
        for reading in READINGS:
            rows = imagenet_rows(results, weights=weights, reading=reading, shuffles=FEW)
            if network in rows.index:
                row = rows.loc[network]
                size = {"nodes": f"{row['nodes']:,}", "million edges": f"{row['edges'] / 1e6:.1f}"}
                lines[title, reading] = {
                    **size,
                    **_facts(row, NOT_RUN),
                    "shuffles": row["shuffles"],
                }
    if not lines:
        return Markdown(f"*{NOT_RUN.capitalize()} at the paper's scale.*")
    frame = pd.DataFrame(list(lines.values()), index=pd.MultiIndex.from_tuples(lines))
    return styled(frame, name)


def spreads(results: Results) -> Markdown:
    """How unequal the shuffles' SDs are over networks, printed and measured."""
    said = []
    for source, word in (("paper", "printed"), ("random", "ours with random weights")):
        rows = sources(results)[source]
        if len(rows) < 2:
            said.append(f"{word}: {NOT_RUN}")
            continue
        low, high = rows["shuffle_std"].idxmin(), rows["shuffle_std"].idxmax()
        least, most = rows["shuffle_std"][[low, high]]
        said.append(
            f"{word}: from {least:.4f} ({NAMES[low]}) to {most:.4f} ({NAMES[high]}), "
            f"a factor of {most / least:.0f}"
        )
    return Markdown("Smallest and largest SD of shuffles, " + "; ".join(said) + ".")


def architecture_share(results: Results, *, name: str) -> Styler | Markdown:
    """What the layers alone allow, beside n-cuts: random weights, and the paper's networks."""
    rows, paper = imagenet_rows(results, weights="random"), printed()
    if rows.empty:
        return Markdown(f"*{NOT_RUN.capitalize()} at the paper's scale.*")
    frame = pd.DataFrame(
        {
            "network": [NAMES[name] for name in rows.index],
            "layers alone allow": rows["layer_bound"].map("{:.3f}".format),
            "random weights": rows["ncut"].map("{:.3f}".format),
            "their shuffles": rows["shuffle_mean"].map("{:.3f}".format),
            "paper's shuffles": paper.loc[rows.index, "shuffle_mean"].map("{:.3f}".format),
            "paper, ImageNet weights": paper.loc[rows.index, "ncut"].map("{:.3f}".format),
        }
    )
    return styled(frame, name).hide(axis="index")


def stability(results: Results, *, name: str) -> Styler | Markdown:
    """SD of the n-cut over 20 clusterings as a share of its mean, one line a network."""
    table = results["imagenet_ncut"]
    mlps = table[table["network"] == "mlp"]
    words = {"random": "random weights", "mnist": "trained on MNIST"}
    lines = [
        (f"perceptron 784-256×4-10, {words.get(row.weights, row.weights)}", row.restart_spread)
        for row in mlps.itertuples()
    ]
    for weights, word in (("imagenet", "ImageNet weights"), ("random", "random weights")):
        rows = imagenet_rows(results, weights=weights)
        lines += [(f"{NAMES[key]}, {word}", rows["restart_spread"][key]) for key in rows.index]
    if not lines:
        return Markdown(f"*{NOT_RUN.capitalize()}.*")
    frame = pd.DataFrame(lines, columns=["network", "SD / mean"])
    return styled(frame, name).format({"SD / mean": "{:.2%}"}).hide(axis="index")


def live(table: pd.DataFrame, *, name: str) -> Styler:
    """What this execution measured, a line a network and reading."""
    frame = pd.DataFrame(
        {
            "network": table["network"].map(NAMES),
            "weights": table["weights"],
            "reading": table["reading"],
            "nodes": table["nodes"].map("{:,}".format),
            "layers alone allow": table["layer_bound"].map("{:.3f}".format),
            "n-cut": table["ncut"].map("{:.3f}".format),
            "shuffles": [
                f"{row.shuffle_mean:.3f} ± {row.shuffle_std:.3f} ({row.shuffles})"
                for row in table.itertuples()
            ],
            "p": table["p_value"].map("{:.2f}".format),
        }
    )
    return styled(frame, name).hide(axis="index")


def commands() -> Markdown:
    """How to run it with ImageNet weights, where there is a connection and where there is none."""
    base = (
        f"papermill notebooks/{SECTION}.ipynb out.ipynb \\\n"
        f"  -f notebooks/params/paper/{SECTION}.yaml"
    )
    return Markdown(
        "With a connection (torchvision fetches and checks the files, 1 GB):\n\n"
        f"```bash\n{base}\n```\n\n"
        "Without one: put `vgg16.pth`, `resnet18.pth` and so on (or `.safetensors`) into a folder, "
        "and\n\n"
        f"```bash\n{base} -p weights path/to/folder\n```"
    )


def provenance(results: Results) -> Markdown:
    """Who ran what and when, from the rows themselves."""
    table = results["imagenet_ncut"]
    rows = table[table["network"].isin(NAMES) & (table["n_init"] >= 100)]
    return words.provenance(rows)


def _facts(row: pd.Series | None, missing: str) -> dict[str, str]:
    if row is None:
        return {"n-cut": missing, "shuffles' n-cut": MISSING, "z": MISSING, "p": MISSING}
    return {
        "n-cut": f"{row['ncut']:.3f}",
        "shuffles' n-cut": f"{row['shuffle_mean']:.3f} ± {row['shuffle_std']:.3f}",
        "z": f"{row['z_score']:.1f}",
        "p": f"{row['p_value']:.2g}",
    }


def _place(title: str) -> int:
    return list(NAMES.values()).index(title)
