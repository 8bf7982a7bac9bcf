"""What a recomputed result may differ by: identical here, within tolerances elsewhere.

Training is chaotic in the last bits, so another processor gives another network of the same
kind. Tolerances are wide enough for that and narrow enough for any change of method to show.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

__all__ = ["TOLERANCES", "accuracies", "initial", "lesions", "ncuts", "results", "times"]

# n-cut and the shuffles' mean relative, accuracies absolute; "number" is any other, relative
# to the larger of itself and one.
TOLERANCES = {"ncut": 0.05, "shuffle_mean": 0.02, "accuracy": 0.05, "number": 0.05}


def results(before: Any, now: Any) -> tuple[str, str]:
    """Any two results: words and structure must agree, numbers to 5%, lists by their means.

    Times (names that end in "seconds") are not compared.
    """
    one, two = dict(_leaves(before)), dict(_leaves(now))
    if one.keys() != two.keys():
        other = sorted(one.keys() ^ two.keys())
        return "differs", f"only one of the two has {', '.join(other[:3])}"
    off = {name: _distance(one[name], two[name]) for name in one}
    if not off:
        return "identical", "nothing to compare"
    worst = max(off, key=lambda name: off[name])
    detail = f"{worst} off by {off[worst]:.2g}"
    if one == two:
        return "identical", detail
    return ("agrees" if off[worst] <= TOLERANCES["number"] else "differs"), detail


def ncuts(before: dict, now: dict) -> tuple[str, str]:
    """Two results of ``mlps.measure``."""
    same = all(before[name] == now[name] for name in ("metrics", "nodes", "clusterings"))
    worst = {"ncut": 0.0, "shuffle_mean": 0.0, "accuracy": 0.0}
    for k, old in before["clusterings"].items():
        new = now["clusterings"][k]
        means = np.mean(old["shuffled"]), np.mean(new["shuffled"])
        worst["ncut"] = max(worst["ncut"], _relative(old["ncut"], new["ncut"]))
        worst["shuffle_mean"] = max(worst["shuffle_mean"], _relative(*means))
    for name, old in before["metrics"].items():
        if name.endswith("accuracy") and old is not None:
            worst["accuracy"] = max(worst["accuracy"], abs(now["metrics"][name] - old))
    return _within(same, worst)


def initial(before: dict, now: dict) -> tuple[str, str]:
    """Two results of ``mlps.run_initial``, the second one of fewer networks."""
    pairs = [
        (old, new)
        for k, values in now["ncuts"].items()
        for old, new in zip(before["ncuts"][k], values, strict=False)
    ]
    worst = max(_relative(old, new) for old, new in pairs)
    return _within(all(old == new for old, new in pairs), {"shuffle_mean": worst}, "n-cut")


def lesions(before: dict, now: dict) -> tuple[str, str]:
    """Two results of ``s04_lesions.experiment``.

    The second holds the first sub-modules only. A network trained anew has other clusters, so that
    sub-modules cannot be matched: unless all is identical the accuracies without a lesion are held
    together.
    """
    first = before["submodules"][: len(now["submodules"])]
    same = before["intact"] == now["intact"] and first == now["submodules"]
    images = sum(before["classes"])
    worst = {"accuracy": abs(before["intact"] - now["intact"]) / images}
    return _within(same, worst, "accuracy without a lesion")


def times(before: dict, now: dict) -> tuple[str, str]:
    """Two results that are seconds: their proportions, to a factor of three; never identical."""
    whole = sum(before.values()), sum(now.values())
    off = max(
        abs(np.log((now[name] / whole[1]) / (value / whole[0]))) for name, value in before.items()
    )
    outcome = "agrees" if off <= np.log(3) else "differs"
    return outcome, f"proportions of times off by a factor of {np.exp(off):.2g}"


def accuracies(before: Any, now: Any) -> bool:
    """Whether two results have accuracies, and agree in all of them."""
    one, two = dict(_leaves(before)), dict(_leaves(now))
    names = [n for n in one if n.endswith("accuracy") and isinstance(one[n], float)]
    return bool(names) and all(
        isinstance(two.get(n), float) and abs(one[n] - two[n]) <= TOLERANCES["accuracy"]
        for n in names
    )


def _relative(old: float, new: float) -> float:
    return 0.0 if old == new else abs(new - old) / max(abs(old), 1e-12)


def _within(same: bool, worst: dict[str, float], name: str = "") -> tuple[str, str]:
    detail = ", ".join(f"{name or key} off by {value:.2g}" for key, value in worst.items())
    if same:
        return "identical", detail
    within = all(value <= TOLERANCES[key] for key, value in worst.items())
    return ("agrees" if within else "differs"), detail


def _leaves(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted name and value of everything but mappings and times; lists are one value."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if not key.endswith("seconds"):
                yield from _leaves(inner, f"{name}.{key}" if name else key)
    else:
        yield name, value


def _distance(one: Any, two: Any) -> float:
    """Relative difference of numbers, of means for lists of them; infinite for other words."""
    if one == two:
        return 0.0
    try:
        old, new = (float(np.mean(np.asarray(x, dtype=float))) for x in (one, two))
    except (TypeError, ValueError):
        return float("inf")
    return abs(old - new) / max(1.0, abs(old))
