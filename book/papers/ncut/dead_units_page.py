"""What units erased by weight decay do to an n-cut: tables and words."""

from __future__ import annotations

import pandas as pd
from IPython.display import Markdown
from pandas.io.formats.style import Styler

from book.lab import ledger
from book.lab.show import MISSING, NOT_RUN
from book.papers.ncut import cnn_settings, settings
from modgraph_lib.datasets.names import data_name

# Tables with unpruned L2 networks -> data set and architecture.
CELLS = {
    "clusterability/table_a5": ("mnist", "mlp"),
    "clusterability/table_a6": ("fashion_mnist", "mlp"),
    "clusterability/table_a8": ("mnist", "small_cnn"),
    "clusterability/table_a9": ("fashion_mnist", "small_cnn"),
    "clusterability/table_a19": ("polynomials", "mlp"),
}
ARCHITECTURES = {"mlp": "MLP", "small_cnn": "small CNN"}
VARIANTS = {"described": "L2", "published": "L2, first layer L1"}
NEAR_ZERO = 1  # the bound that the claim about such networks is held to


def of_cells(*tables: str) -> pd.DataFrame:
    """Stored rows of the unpruned L2 networks of these tables, at the paper's settings.

    Columns are those of ``dead_units.table``, and the printed n-cut as "paper".
    """
    rows = ledger.load_results()["dead_units"]
    found = []
    for name in tables:
        data, architecture = CELLS[name]
        printed = ledger.paper_table(name).query("regularizer == 'l2' and pruned == 'no'").iloc[0]
        epochs, width, batch_size = _size(data, architecture)
        keep = (
            (rows["data"] == data)
            & (rows["architecture"] == architecture)
            & (rows["regularizer"] == "l2")
            & rows["variant"].isin(VARIANTS)
            & (rows["stage"] == "unpruned")
            & (rows["k"] == int(printed["cluster_count"]))
            & (rows["epochs"] == epochs)
            & (rows["width"] == width)
            & (rows["batch_size"] == batch_size)
            & (rows["images"] == 0)
            & (rows["seed"] < int(printed["run_count"]))
        )
        ours = rows[keep].sort_values(["variant", "seed"])
        found.append(ours.assign(paper=float(printed["ncut_mean"])))
    return pd.concat(found, ignore_index=True)


def dead_units(rows: pd.DataFrame, *, name: str) -> Styler | Markdown:
    """One line a cell: the printed n-cut beside ours, in three ways of counting dead units.

    Args:
        rows: as ``of_cells`` gives them.
    """
    if rows.empty:
        return Markdown(NOT_RUN)
    lines = []
    for keys, part in rows.groupby(["data", "architecture", "variant"], sort=False):
        data, architecture, variant = keys
        shuffled = part["living_shuffled"]
        below = sum(n < s.min() for n, s in zip(part["living_ncut"], shuffled, strict=True))
        lines.append(
            {
                "networks": f"{data_name(data)}, {ARCHITECTURES[architecture]}, "
                f"{VARIANTS[variant]}",
                "dead units": part["dead"].mean(),
                "paper": part["paper"].iloc[0],
                "by definition": part["ncut"].mean(),
                "with 1e-8": part["ncut_released"].mean(),
                "lowest": part["ncut_released"].min(),
                "without them": part["living_ncut"].mean(),
                "their shuffles": shuffled.map(lambda values: values.mean()).mean(),
                "below all": f"{below} of {len(part)}",
            }
        )
    frame = pd.DataFrame(lines)
    forms = dict.fromkeys(frame.columns[2:-1], "{:.3f}") | {"dead units": "{:.1f}"}
    return frame.style.set_uuid(name).format(forms, na_rep=MISSING).hide(axis="index")


def near_zero(rows: pd.DataFrame) -> Markdown:
    """How many networks have an n-cut near zero, by the definition and as released."""
    if rows.empty:
        return Markdown(NOT_RUN)
    exact, released = (int((rows[name] < NEAR_ZERO).sum()) for name in ("ncut", "ncut_released"))
    return Markdown(
        f"Of these {len(rows)} networks, {exact} have an n-cut below {NEAR_ZERO} by the "
        f"definition, {released} with 1e-8 added to every volume, "
        f"{int((rows['living_ncut'] < NEAR_ZERO).sum())} without their dead units."
    )


def here(table: pd.DataFrame) -> Markdown:
    """The same of the networks of this page, in a sentence.

    Args:
        table: as ``dead_units.table`` gives it.
    """
    if table.empty:
        return Markdown("*The parameters ask for no network with L2.*")
    return Markdown(
        f"{len(table)} networks of this page have L2 and are unpruned; the most dead units in "
        f"one of them: {table['dead'].max()}, smallest degree {table['smallest_degree'].min():.1e}."
    )


def _size(data: str, architecture: str) -> tuple[int, int, int]:
    """Epochs before pruning, width and batch size of the paper's networks."""
    if architecture == "mlp":
        return settings.of(data).epochs, settings.WIDTH, settings.BATCH_SIZE
    usual = cnn_settings.of(data)
    return usual.epochs, usual.width, usual.batch_size
