"""Rows of n-cuts as the papers' networks would give them, made up."""

import numpy as np
import pandas as pd

from book.papers.ncut import settings
from tests import made


def networks(data, regularizer, stage, k, ncuts, *, above=0.2, **changes):
    """Rows at the paper's settings; every shuffle lies ``above`` the network's n-cut."""
    shuffles = settings.SHUFFLES[k]
    lines = []
    for seed, ncut in enumerate(ncuts):
        null = ncut + above + 0.01 * np.sin(np.arange(shuffles))
        lines.append(
            {
                "data": data,
                "regularizer": regularizer,
                "variant": "described",
                "seed": seed,
                "stage": stage,
                "k": k,
                "method": "layer",
                "ncut": ncut,
                "shuffle_mean": null.mean(),
                "shuffle_std": null.std(),
                "shuffles": shuffles,
                "shuffled": null,
                "p_value": (1 + (null <= ncut).sum()) / (1 + shuffles),
                "z_score": -1.0,
                "significant": bool(ncut < null.min()),
                "train_accuracy": 0.99,
                "train_accuracy_final": 0.99,
                "test_accuracy": 0.98 + 0.001 * (seed % 3),
                "nodes": 1700,
                "isolated": 118,
                "epochs": 20,
                "prune_epochs": settings.of(data).prune_epochs,
                "dropout": settings.of(data).dropout if regularizer == "dropout" else 0.0,
                "width": 256,
                "batch_size": 128,
                "images": 0,
                "device": "cpu",
                "seconds": 1.0,
                "date": "2026-01-02T03:04:05Z",
                "commit": "abc",
                "data_note": "",
                **changes,
            }
        )
    return made.configured(pd.DataFrame(lines), made.mlp)


def spread(centre, count=10, width=0.02):
    return centre + width * np.linspace(-1, 1, count)


def four_cells(count=10, k=4, data="mnist", **changes):
    centres = {
        ("none", "unpruned"): 2.44,
        ("none", "pruned"): 2.0,
        ("dropout", "unpruned"): 2.23,
        ("dropout", "pruned"): 1.84,
    }
    return pd.concat(
        [
            networks(data, regularizer, stage, k, spread(centre, count), **changes)
            for (regularizer, stage), centre in centres.items()
        ],
        ignore_index=True,
    )
