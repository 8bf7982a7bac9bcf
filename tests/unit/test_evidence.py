"""A row decides only if its record's whole configuration is the one asked for."""

from __future__ import annotations

import collections

import pandas as pd
import pytest

from book.lab import evidence, ledger, store

# Of the experiments that decide claims today: the fields that may differ. Each is told in the
# selection that frees it: another k of the same network, more shuffles of which the first count,
# or a deviation that is named beside the verdict.
FREE = {
    "cnn_initial_ncut": {"cluster_counts", "first_seed", "networks"},
    "cnn_ncut": {"cluster_counts", "shuffles", "train.precision"},
    "cnn_predictions": {"networks"},
    "cnn_runtimes": set(),
    "cnn_zoo": set(),
    "community_adversarial": {"samples", "attempts", "settings", "precision"},
    "community_curves": {"neighbours", "repeats"},
    "community_epochs": {"neighbours"},
    "community_layer_difference": set(),
    "community_maps": set(),
    "community_probes": set(),
    "community_pruning": {"neighbours"},
    "dm_features": set(),
    "dm_lesions": set(),
    "dm_pictures": {"kept_pictures"},
    "mlp_initial_ncut": {"cluster_counts", "first_seed", "networks"},
    "mlp_lesions": {"pairs"},
    "mlp_ncut": {"cluster_counts", "shuffles"},
    "mlp_penalty": set(),
    "promoting_ncut": {"cluster_counts", "train.precision"},
}
# Of a network's own accuracy: the norm that its kernels are given for an n-cut is nothing to it.
OF_ACCURACY = {"cnn_ncut": FREE["cnn_ncut"] | {"kernel_norm", "fold_batch_norm"}}


@pytest.fixture(scope="module")
def asked_for():
    """Verdicts of the committed rows, and every question that was asked on the way."""
    calls = []
    before = evidence.equal

    def spied(rows, asked, *, free=()):
        kept = before(rows, asked, free=free)
        calls.append((asked, set(free), kept))
        return kept

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MODGRAPH_CACHE", "/nonexistent")
        results = ledger.load_results()
        for module in _users(before):
            patch.setattr(module, "equal", spied)
        verdicts = ledger.verdicts(results)
    return verdicts, calls, _experiment_of_keys()


def _users(function):
    import sys

    return [
        module
        for name, module in list(sys.modules.items())
        if name.startswith("book.") and getattr(module, "equal", None) is function
    ]


def _experiment_of_keys():
    names = [path.stem for path in store.results_root().glob("*.jsonl")]
    return {record["key"]: name for name in names for record in store.read(name)}


def changed(config, free, path=""):
    """The configuration with one field altered, once for each field that is not free."""
    for name, value in config.items():
        where = f"{path}{name}"
        if where in free or where in evidence.DERIVED:
            continue
        if isinstance(value, dict):
            for other in changed(value, free, f"{where}."):
                yield where, {**config, name: other[1]}
        else:
            yield where, {**config, name: _another(value)}
    yield f"{path}added_one_day", {**config, "added_one_day": 1}


def _another(value):
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value + 1
    if isinstance(value, list):
        return [*value, 1]
    return f"{value}x"


def test_every_record_that_decides_was_compared_whole(asked_for):
    verdicts, calls, experiment = asked_for
    kept = {key for _, _, rows in calls for key in rows["key"]}
    used = {key for parts in verdicts["parts"] for part in parts for key in part["keys"]}
    assert used and used <= kept
    assert {experiment[key] for key in used} == set(FREE)


def test_a_record_with_any_other_field_decides_nothing(asked_for):
    _, calls, experiment = asked_for
    tried = collections.Counter()
    for asked, free, rows in calls:
        if rows.empty:
            continue
        row = rows.iloc[[0]]
        name = experiment[row["key"].iloc[0]]
        assert free <= FREE[name] or free == OF_ACCURACY.get(name)
        if tried[name] > 300:
            continue
        assert len(evidence.equal(row, asked, free=free)) == 1
        for where, config in changed(row["config"].iloc[0], free):
            other = row.assign(config=[config])
            assert evidence.equal(other, asked, free=free).empty, (name, where)
            tried[name] += 1
    assert set(tried) == set(FREE)


def test_a_field_of_a_nested_configuration_can_be_free():
    rows = pd.DataFrame({"key": ["a"], "config": [{"train": {"seed": 3, "precision": "float64"}}]})

    def asked(row):
        return {"train": {"seed": 3, "precision": "float32"}}

    assert evidence.equal(rows, asked).empty
    assert len(evidence.equal(rows, asked, free=("train.precision",))) == 1
