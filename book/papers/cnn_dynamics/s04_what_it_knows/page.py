"""Tables and sentences of the section on what the graph knows."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from IPython.display import Markdown
from pandas.io.formats.style import Styler

from book.lab import ledger
from book.lab.show import MISSING, styled
from book.lab.words import say
from book.papers.cnn_dynamics import evidence
from book.papers.cnn_dynamics.page import NOT_RUN
from book.papers.cnn_dynamics.s04_what_it_knows import experiment, measures
from book.papers.cnn_dynamics.s04_what_it_knows.measures import Gain
from book.papers.cnn_dynamics.s04_what_it_knows.pictures import WORDS

__all__ = ["ORDER", "answer", "correlations", "forest", "gain_table", "gains", "predicted"]

ORDER = (*experiment.ALONE, *experiment.TOGETHER)
ADDED = ("settings+change.rolled.degree", "settings+norms", "settings+accuracy")
GROUPS = {"all networks": 0.0, "learners only": experiment.LEARNED}


def forest(
    model: str = "forest by rate", learners: float = 0.0, network: str = "lenet"
) -> pd.DataFrame:
    """Records of a forest at the registered horizon, one a set of features, in order."""
    results = ledger.load_results()
    found = [
        evidence.predicted(results, network=network, features=name, model=model, learners=learners)
        for name in ORDER
    ]
    full = [rows[rows["last"] == experiment.HORIZON] for rows in found if len(rows)]
    return pd.concat(full, ignore_index=True) if full else found[0]


def gains(network: str = "lenet", model: str = "forest by rate") -> dict[str, dict[str, Gain]]:
    """The registered statistic, for all networks and for learners; empty where nothing is run."""
    results = ledger.load_results()
    found = {}
    for group, learners in GROUPS.items():
        own = measures.gains(
            results, network=network, data="cifar10", model=model, learners=learners,
            added=list(ADDED),
        )  # fmt: skip
        if own:
            found[group] = own
    return found


def answer(found: Mapping[str, Mapping[str, Gain]], scale: str = "") -> Markdown:
    """The registered question, answered in words, with its intervals.

    Args:
        scale: in words, how the networks differ from the paper's; empty if they do not.
    """
    if not found:
        return Markdown("**The answer first.** The experiment of this page has not been run yet.")
    own, control = (found["all networks"].get(name) for name in (experiment.GRAPH, ADDED[-1]))
    assert own and control
    words = {
        "yes": "Yes, it knows something",
        "nothing that matters": "It knows nothing that matters",
        "open": "These networks cannot tell",
    }[own.answer]
    weak = " Even this second gain cannot be told from zero, so a small gain cannot be excluded."
    which = f" ({scale})" if scale else ""
    return say(
        f"""
        **The answer first.** {words}. Learning rate and dropout alone, without a step of training,
        predict the final accuracy of {own.networks} LeNets{which}. If five epochs of their graphs
        are added, the mean error falls by {own.points:.2f} points (95% interval {own.low:.2f} to
        {own.high:.2f}; below zero the error grows). If the accuracies of the same five epochs are
        added instead, it falls by {control.points:.2f} ({control.low:.2f} to
        {control.high:.2f}).{weak * (control.low <= 0)}
        """
    )


def gain_table(found: Mapping[str, Mapping[str, Gain]]) -> Styler | Markdown:
    """Every gain with its interval and what it answers."""
    if not found:
        return Markdown(NOT_RUN)
    lines = [
        {
            "networks": f"{group} ({gain.networks})",
            "added to the settings": WORDS[name].removeprefix("settings + "),
            "points saved": f"{gain.points:+.2f}",
            "95% interval": f"{gain.low:+.2f} to {gain.high:+.2f}",
            "does it know more?": gain.answer,
        }
        for group, own in found.items()
        for name, gain in own.items()
    ]
    return styled(pd.DataFrame(lines), "cd04-gains").hide(axis="index")


def correlations(rows: pd.DataFrame) -> pd.DataFrame:
    """Rank correlation of learning rate with the size of the change of mean degree, by epoch."""
    found = {}
    for epoch in (1, 3, 5):
        curves = [np.array(own["rolled.degree"])[:, 1] for own in rows["signatures"]]
        moved = [abs(c[epoch] - c[0]) if len(c) > epoch else np.nan for c in curves]
        pair = pd.DataFrame({"rate": rows["learning_rate"].to_numpy(), "moved": moved}).dropna()
        found[f"epoch {epoch}"] = pair["rate"].corr(pair["moved"], method="spearman")
    return pd.DataFrame([found], index=["rank correlation"]).round(3)


def predicted(network: str = "lenet") -> dict[str, float]:
    """Key of a network -> what the settings and five epochs of its graph predict for it."""
    rows = forest(network=network)
    rows = rows[rows["features"] == experiment.GRAPH]
    networks = evidence.grid(ledger.load_results(), network=network)
    if rows.empty or len(networks) != len(rows.iloc[-1]["predicted"]):
        return {}
    ordered = networks.sort_values("key")["key"]
    return dict(zip(ordered, rows.iloc[-1]["predicted"], strict=True))


def table(rows: pd.DataFrame, name: str) -> Styler | Markdown:
    """Error and R2 of every predictor."""
    if rows.empty:
        return Markdown(NOT_RUN)
    lines = [
        {
            "features": WORDS[row.features],
            "graph": "yes" if "rolled" in row.features else MISSING,
            "MAE": f"{row.mae:.2f}",
            "R2": f"{row.r2:.2f}",
        }
        for row in rows.itertuples()
    ]
    return styled(pd.DataFrame(lines), name).hide(axis="index")
