"""Tables of the section on predicting accuracy."""

from __future__ import annotations

import pandas as pd
from IPython.display import Markdown
from pandas.io.formats.style import Styler

from book.lab import ledger
from book.lab.show import MISSING, styled
from book.lab.words import say
from book.papers.cnn_dynamics import evidence
from book.papers.cnn_dynamics.page import NOT_RUN, paper_table
from book.papers.cnn_dynamics.s03_predicting.measures import windows

__all__ = ["answer", "forms", "ours_by_window", "paper_by_window", "stored", "table_4", "weights"]


def stored(network: str = "lenet", data: str = "cifar10") -> pd.DataFrame:
    """Classification records that count as evidence, all features and horizons."""
    results = ledger.load_results()
    table = results.get("cnn_predictions", pd.DataFrame())
    if table.empty:
        return pd.DataFrame(columns=["features", "model", "last", "key"])
    kinds = table[["features", "model", "average"]].drop_duplicates()
    found = [
        evidence.predicted(
            results, network=network, data=data, features=kind.features, model=kind.model,
            average=kind.average,
        )
        for kind in kinds.itertuples()
    ]  # fmt: skip
    full = [rows for rows in found if len(rows)]
    return pd.concat(full, ignore_index=True) if full else found[0]


def answer(rows: pd.DataFrame) -> Markdown:
    """What degree signatures of five epochs achieve, and on how many networks."""
    own = rows[(rows["features"] == "rolled.degree") & (rows["last"] == 5)]
    own = own[own["model"].isin(["svm", "mlp"])]
    if own.empty:
        return Markdown("**The answer first.** The predictors of this page have not been run yet.")
    best = own.loc[own["scores"].astype(float).idxmax()]
    scale = f" ({best['scale']})" if best["scale"] else ""
    return say(
        f"""
        **The answer first.** Five epochs of degree signatures tell accurate LeNets from inaccurate
        ones{scale} in {best["scores"]:.0f} of 100 cases ({best["model"].upper()}, ±
        {best["scores_sd"]:.1f} over balanced draws of {int(best["sample"])} of
        {int(best["networks"])} networks). The paper has over 93, and chance is 50. But chance is
        not the only comparison; [page 4](04_what_it_knows.html) makes a better one.
        """
    )


def forms(rows: pd.DataFrame) -> Styler | Markdown:
    """Accuracy by features and epochs seen: one line each, SVM / MLP."""
    rows = rows[rows["model"].isin(["svm", "mlp"]) & (rows["average"] == "none")]
    if rows.empty:
        return Markdown(NOT_RUN)
    cells = rows.assign(text=rows["scores"].map("{:.0f}".format)).pivot_table(
        index="features", columns=["last", "model"], values="text", aggfunc="first"
    )
    lines = {}
    for features, line in cells.iterrows():
        horizons = sorted({last for last, _ in cells.columns})
        lines[str(features).replace(".", " ")] = {
            f"{last}": " / ".join(
                str(line.get((last, model), MISSING)) for model in ("svm", "mlp")
            ).replace("nan", MISSING)
            for last in horizons
        }
    table = pd.DataFrame.from_dict(lines, orient="index")
    return styled(table.rename_axis("epochs seen", axis=1), "cd03-forms")


def ours_by_window(network: str = "lenet", data: str = "cifar10") -> pd.DataFrame:
    """Least squares by window; empty where it has not been run."""
    return windows(ledger.load_results(), network, data)


def paper_by_window(name: str, architecture: str) -> dict[str, tuple[float, float]]:
    """Window -> printed MAE and R2 of one architecture."""
    table = paper_table(name)
    own = table[table["architecture"] == architecture]
    return {
        f"{row.epoch_window_start}-{row.epoch_window_end}": (row.mae, row.r2)
        for row in own.itertuples()
    }


def table_4(rows: pd.DataFrame) -> Styler:
    """Table 4, LeNet, beside ours."""
    lines: dict[str, dict[str, str]] = {}
    for window, (mae, r2) in paper_by_window("table_4", "LeNet").items():
        seen = tuple(int(end) for end in window.split("-"))
        lines[window] = {"MAE, paper": f"{mae:g}", "R2, paper": f"{r2:g}"}
        if len(rows):
            own = rows.loc[[seen]].iloc[0]
            lines[window]["MAE, ours"] = f"{own['mae']:.2f} ± {own['mae_sd']:.2f}"
            lines[window]["R2, ours"] = f"{own['r2']:.2f} ± {own['r2_sd']:.2f}"
        else:
            lines[window] |= {"MAE, ours": MISSING, "R2, ours": MISSING}
    table = pd.DataFrame.from_dict(lines, orient="index")
    return styled(table.rename_axis("epochs"), "cd03-table4")


def weights(rows: pd.DataFrame) -> list[float]:
    """Weights of the linear SVM on degree signatures, one sum a statistic."""
    own = rows[(rows["features"] == "rolled.degree") & (rows["model"] == "linear svm")].tail(1)
    found = own["weights"].iloc[0]
    return [sum(found[place::5]) for place in range(5)]
