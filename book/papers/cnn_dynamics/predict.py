"""Predicting a network's final accuracy from features of its first epochs.

Every score is out of sample, and comes with its spread over draws or splits.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from sklearn.ensemble import RandomForestRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import GroupKFold, KFold, StratifiedKFold, train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.svm import SVC

__all__ = [
    "CLASSIFIERS",
    "balanced",
    "classify",
    "forest",
    "linear_weights",
    "regress",
    "signed_log",
]

CLASSIFIERS = ("svm", "mlp")
FEWEST = 5  # networks of either kind, for five folds
TREES = 200


def signed_log(values: np.ndarray) -> np.ndarray:
    """sign(x) log(1 + |x|): the kurtosis of a network about to diverge no longer swamps all."""
    return np.sign(values) * np.log1p(np.abs(values))


def balanced(high: np.ndarray, rng: np.random.Generator, each: int = 125) -> np.ndarray:
    """Places of as many accurate as inaccurate networks, drawn without replacement.

    Args:
        high: (n,) whether a network is accurate.
        each: of either kind (paper: 125), or as many as there are of the rarer one.

    Raises:
        ValueError: fewer than five of one kind (says how many there are).
    """
    kinds = [np.flatnonzero(high), np.flatnonzero(~high)]
    fewest = min(map(len, kinds))
    if fewest < FEWEST:
        raise ValueError(
            f"{len(kinds[0])} accurate and {len(kinds[1])} inaccurate networks; five-fold "
            f"cross-validation needs {FEWEST} of each: train more, or move the threshold"
        )
    return np.concatenate([rng.choice(kind, min(each, fewest), replace=False) for kind in kinds])


def classify(
    features: np.ndarray, high: np.ndarray, *, model: str, draws: int, permuted: bool, seed: int
) -> dict[str, Any]:
    """Accuracy (%) of five-fold cross-validation on each of several balanced draws.

    Args:
        features: (n, d), one row a network.
        high: (n,) whether it became accurate.
        model: "svm" (radial kernel) or "mlp" (100 hidden units); scikit-learn's defaults.
        permuted: shuffle the labels of each draw, as a control.
    """
    scores, sample = [], np.zeros(0)
    for draw in range(draws):
        rng = np.random.default_rng([seed, draw])
        sample = balanced(high, rng)
        labels = rng.permutation(high[sample]) if permuted else high[sample]
        folds = StratifiedKFold(5, shuffle=True, random_state=int(rng.integers(2**31)))
        right = 0
        for train, test in folds.split(sample, labels):
            fitted = classifier(model, draw).fit(features[sample[train]], labels[train])
            right += int((fitted.predict(features[sample[test]]) == labels[test]).sum())
        scores.append(100 * right / len(sample))
    return {"scores": [round(score, 4) for score in scores], "sample": len(sample)}


def linear_weights(features: np.ndarray, high: np.ndarray, *, draws: int, seed: int) -> list[float]:
    """(d,) mean size of the weights that a linear SVM gives to standardised features."""
    found = []
    for draw in range(draws):
        sample = balanced(high, np.random.default_rng([seed, draw]))
        fitted = _scaled(SVC(kernel="linear")).fit(features[sample], high[sample])
        found.append(np.abs(fitted[-1].coef_[0]))
    return [float(weight) for weight in np.mean(found, 0)]


def regress(
    features: np.ndarray, accuracy: np.ndarray, *, splits: int, seed: int
) -> dict[str, Any]:
    """Least squares: MAE and R2 on the test fifth of each of several random splits."""
    errors, explained = [], []
    for split in range(splits):
        train, test = train_test_split(
            np.arange(len(accuracy)), test_size=0.2, random_state=seed * 1000 + split
        )
        fitted = _scaled(LinearRegression()).fit(features[train], accuracy[train])
        off = fitted.predict(features[test]) - accuracy[test]
        errors.append(float(np.abs(off).mean()))
        around = accuracy[test] - accuracy[test].mean()
        explained.append(1 - float(off @ off) / float(around @ around))
    return {"mae": [round(x, 4) for x in errors], "r2": [round(x, 4) for x in explained]}


def forest(
    features: np.ndarray,
    accuracy: np.ndarray,
    groups: np.ndarray | None,
    *,
    repeats: int,
    seed: int,
) -> list[float]:
    """(n,) out-of-fold predictions of a random forest, the mean over repeats of the folds.

    Args:
        groups: (n,) networks of a group are never on both sides (eight folds); None: ten random
            folds.

    Raises:
        ValueError: fewer than two groups, or than ten networks.
    """
    if len(accuracy) < 10 or (groups is not None and len(set(groups)) < 2):
        raise ValueError("a forest needs ten networks, of two learning rates at least")
    total = np.zeros(len(accuracy))
    for repeat in range(repeats):
        state = seed * 1000 + repeat
        if groups is None:
            folds = KFold(10, shuffle=True, random_state=state).split(features)
        else:
            apart = GroupKFold(min(8, len(set(groups))), shuffle=True, random_state=state)
            folds = apart.split(features, groups=groups)
        for train, test in folds:
            trees = RandomForestRegressor(TREES, random_state=state, n_jobs=1)
            total[test] += trees.fit(features[train], accuracy[train]).predict(features[test])
    return [round(float(value), 4) for value in total / repeats]


def classifier(model: str, seed: int) -> Any:
    """An untrained classifier with its scaling: "svm" or "mlp"."""
    if model == "svm":
        return _scaled(SVC())
    if model == "mlp":
        return _Quiet(_scaled(MLPClassifier(max_iter=500, random_state=seed)))
    raise ValueError(f"a classifier is one of {', '.join(CLASSIFIERS)}; got {model!r}")


def _scaled(last: Any) -> Any:
    return make_pipeline(FunctionTransformer(signed_log), StandardScaler(), last)


class _Quiet:
    """Fits without the warning that 500 passes were not enough: the paper's number is unknown."""

    def __init__(self, model: Any) -> None:
        self.model = model

    def fit(self, features: np.ndarray, labels: np.ndarray) -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            return self.model.fit(features, labels)
