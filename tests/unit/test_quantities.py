"""Quantities as data: the engine by hand and against NumPy, and what a file of them may not say."""

import inspect
import math
import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from book.lab import entries, quantities, registry
from book.lab.claims import load_claims
from book.lab.quantities import Quantity
from book.lab.questions import load_questions

HERE = __name__
ROWS = {
    "a": {"score": [1.0, 2.0, 6.0], "null": [2.0, 2.0, 2.0], "won": [True, False, False]},
    "b": {"score": [5.0, 5.0, 8.0], "null": [1.0, 1.0, 1.0], "won": [True, True, False]},
    "one": {"score": [4.0], "null": [0.0], "won": [True]},
}


def cells(results, *, kind: str, shift: int = 0) -> pd.DataFrame:
    """Made rows of one kind, by seed; ``shift`` is the first seed. None of an unknown kind."""
    frame = pd.DataFrame(results.get(kind, {"score": [], "null": [], "won": []}))
    frame = frame.assign(scale=f"made {kind}", key=[f"{kind}{seed}" for seed in range(len(frame))])
    return frame.set_index(pd.RangeIndex(shift, shift + len(frame)))


def word(value: str) -> str:
    return value.upper()


@pytest.fixture
def quantity(tmp_path):
    """A quantity from the text of its entry."""

    def made(text: str, part: str = "p") -> Quantity:
        path = tmp_path / "quantities.yaml"
        path.write_text(f"{HERE}.cells:\n  made: {{part: '{part}', {text}}}")
        quantities.load.cache_clear()
        return quantities.load(path)["made"]

    return made


def one(parts):
    (part,) = parts
    return part


@pytest.mark.parametrize(
    ("text", "observed", "spread", "spread_is"),
    [
        ("mean: score", 3.0, 7**0.5, "sd"),
        ("mean: score, spread: se", 3.0, (7 / 3) ** 0.5, "se"),
        ("mean: score, spread: none", 3.0, math.nan, "sd"),
        ("mean: 2 * score - null", 4.0, 28**0.5, "sd"),
        ("min: score", 1.0, math.nan, "sd"),
        ("max: score - null", 4.0, math.nan, "sd"),
        ("sd: score", 7**0.5, math.nan, "sd"),
        ("count: won", 1.0, math.nan, "sd"),
        ("count: 2 <= score <= 6", 2.0, math.nan, "sd"),
        ("share: won", 1 / 3, math.nan, "sd"),
        ("share_above_zero: score - null", 1 / 3, math.nan, "sd"),
        # 3 - 6; sqrt(7 / 3 + 3 / 3)
        ("mean: score, minus: {kind: b}", -3.0, (10 / 3) ** 0.5, "se"),
        ("mean: score, minus: {kind: b}, spread: none", -3.0, math.nan, "sd"),
        ("share: won, minus: {kind: b}", -1 / 3, math.nan, "sd"),
        ("sd: score, minus: {kind: b}", 7**0.5 - 3**0.5, math.nan, "sd"),
        # -4, -3, -2
        ("mean: score, minus: {kind: b}, paired: true", -3.0, 3**-0.5, "se"),
        ("share_above_zero: 3.5 - score, minus: {kind: b}, paired: true", 1.0, math.nan, "sd"),
        ("max: score, minus: {kind: b}, paired: true", -2.0, math.nan, "sd"),
        ("mean: score, pool: {kind: [a, one]}", 13 / 4, 14.75**0.5 / 3**0.5, "sd"),
    ],
)
def test_by_hand(quantity, text, observed, spread, spread_is):
    arguments = {} if "pool" in text else {"kind": "a"}
    part = one(quantity(text)(ROWS, runs=3, **arguments))
    assert part.observed == pytest.approx(observed)
    assert part.spread == pytest.approx(spread, nan_ok=True) and part.spread_is == spread_is
    assert part.runs == (1 if "pool" in text else 3)


def test_a_part_names_all_records_and_scales_that_it_rests_on(quantity):
    minus = one(quantity("mean: score, minus: {kind: one}, spread: none")(ROWS, runs=3, kind="a"))
    assert minus.keys == ("a0", "a1", "a2", "one0") and minus.scale == "made a, made one"
    assert minus.runs == 1  # the fewest of any group


def test_only_seeds_that_both_have_are_paired(quantity):
    found = quantity("mean: score, minus: {kind: b, shift: 1}, paired: true")
    part = one(found(ROWS, runs=3, kind="a"))  # seeds 1 and 2: 2 - 5, 6 - 5
    assert part.observed == pytest.approx(-1) and part.spread == pytest.approx(2) and part.runs == 2
    assert part.keys == ("a1", "a2", "b0", "b1")
    apart = one(quantity("mean: score, minus: {shift: 9}, paired: true")(ROWS, runs=3, kind="a"))
    assert math.isnan(apart.observed) and apart.runs == 0


@pytest.mark.parametrize(
    ("text", "kind", "runs"),
    [
        ("mean: score", "nothing", 0),
        ("count: won", "nothing", 0),
        ("sd: score", "one", 1),
        ("mean: score, spread: se", "one", 1),
        ("mean: score, minus: {kind: one}", "a", 1),
        ("mean: score, minus: {kind: nothing}, spread: none", "a", 0),
        ("share: won, minus: {kind: nothing}", "a", 0),
    ],
)
def test_too_few_rows_give_no_value(quantity, text, kind, runs):
    part = one(quantity(text)(ROWS, runs=3, kind=kind))
    assert math.isnan(part.observed) and math.isnan(part.spread) and part.runs == runs


def test_parts_run_through_values_the_first_the_outermost(quantity):
    found = quantity(
        "min: score, max: score, each: {shift: shifts, kind: [a, b]}",
        part="{statistic} of {kind} from {shift:g}, {runs} runs",
    )
    parts = found(ROWS, runs=3, shifts=[0, 1])
    assert [part.name for part in parts[:3]] == [
        "LOWEST of A from 0, 3 runs", "HIGHEST of A from 0, 3 runs", "LOWEST of B from 0, 3 runs",
    ]  # fmt: skip
    assert len(parts) == 8 and [part.observed for part in parts[:4]] == [1, 6, 5, 8]
    with pytest.raises(ValueError, match="shifts is a list of values, not 'all'"):
        found(ROWS, runs=3, shifts="all")


def test_tables_of_values_come_one_after_the_other(quantity):
    found = quantity("max: score, each: [{kind: [a]}, {kind: [one, b]}]", part="{kind}")
    assert [(part.name, part.observed) for part in found(ROWS, runs=3)] == [
        ("A", 6), ("ONE", 4), ("B", 8),
    ]  # fmt: skip


def test_texts_hold_arguments(quantity):
    found = quantity(
        "count: 'score > {least}', each: {letter: [a, b]}, default: {least: 1.5, first: '{runs}'}, "
        "of: {kind: '{letter}', shift: '{first}'}",
        part="{first:03d}",
    )
    parts = found(ROWS, runs=3)
    assert [(part.name, part.observed) for part in parts] == [("003", 2), ("003", 3)]
    assert found(ROWS, runs=3, least=5)[1].observed == 1
    assert found(ROWS, runs=3, first=7)[0].name == "007"


def test_what_a_claim_has_to_give_is_in_the_signature(quantity):
    found = quantity(
        "mean: 'score - {least}', each: {kind: kinds}, minus: {kind: '{other}'}, "
        "default: {other: b}",
        part="{kind}, {where}",
    )
    signature = inspect.signature(found)
    required = [p.name for p in signature.parameters.values() if p.default is p.empty]
    assert required == ["results", "runs", "kinds", "least", "where"]
    assert set(signature.parameters) - set(required) == {"other", "shift"}
    with pytest.raises(TypeError, match="where"):
        signature.bind({}, runs=1, kinds=["a"], least=1)


def test_an_unknown_column_is_named(quantity):
    found = quantity("mean: scoer - null")
    with pytest.raises(ValueError, match=r"made: no column for 'scoer - null'.*'scoer'"):
        found(ROWS, runs=3, kind="a")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("meen: score", "made: 'meen' is none of mean, .* Did you mean 'mean'"),
        ("minus: {kind: b}", "made: needs a part and one of mean, min"),
        ("mean: score -", "made: mean: 'score -' is no expression"),
        ("mean: score, spread: iqr", "made: spread is one of none, se, sd, not 'iqr'"),
        ("mean: score, minus: {kind: b}, spread: sd", "made: spread is one of none, se, not 'sd'"),
        ("max: score, spread: se", "made: spread is that of a mean"),
        ("mean: score, paired: true", "made: a pool has no minus, and paired needs one"),
        ("mean: score, pool: {kind: [a]}, minus: {kind: b}", "made: a pool has no minus"),
        ("mean: score, mean: null", "mean occurs more than once"),
    ],
)
def test_a_faulty_entry_is_refused_with_its_name(quantity, text, message):
    with pytest.raises(ValueError, match=f"quantities.yaml: .*{message}"):
        quantity(text)


@pytest.mark.parametrize(
    ("of", "message"),
    [
        ("{k: 12, regularizers: [none]}", "A: test_accuracy: missing a required argument: 'data'"),
        ("{data: mnist, k: 12, stage: pruned}", "A: test_accuracy: got an unexpected .*'stage'"),
        ("{data: mnist, k: 12, stages: pruned}", "A: test_accuracy: stages is a list of values"),
    ],
)
def test_a_claim_is_checked_against_its_quantity(tmp_path, of, message):
    path = tmp_path / "tests.yaml"
    path.write_text(
        "A: {section: s, text: t, reason: r, measure: test_accuracy, test: at_least, low: 1, "
        f"of: {of}}}"
    )
    _, (fault,) = entries.read(path, arguments=True)
    assert re.search(message, fault)


numbers = st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=12).map(np.array)
NUMPY = {
    "mean": np.mean, "min": np.min, "max": np.max, "count": np.sum, "share": np.mean,
    "sd": lambda x: np.std(x, ddof=1), "share_above_zero": lambda x: np.mean(x > 0),
}  # fmt: skip


@pytest.mark.parametrize("statistic", quantities.STATISTICS)
@given(first=numbers, second=numbers)
def test_against_numpy(statistic, first, second):
    made = {"statistics": {statistic: "score"}, "part": "p", "function": f"{HERE}.cells"}
    rows = {"x": {"score": first}, "y": {"score": second}}
    of, minus = NUMPY[statistic], {"kind": "y"}
    alone = one(Quantity("alone", **made)(rows, runs=1, kind="x"))
    assert alone.observed == pytest.approx(of(first), abs=1e-6)
    gap = one(Quantity("gap", minus=minus, **made)(rows, runs=1, kind="x"))
    assert gap.observed == pytest.approx(of(first) - of(second), abs=1e-6)
    count = min(len(first), len(second))
    pairs = first[:count] - second[:count]
    paired = one(Quantity("paired", minus=minus, paired=True, **made)(rows, runs=1, kind="x"))
    assert paired.observed == pytest.approx(of(pairs), abs=1e-6)
    if statistic == "mean":
        errors = [np.std(x, ddof=1) / len(x) ** 0.5 for x in (first, second, pairs)]
        assert alone.spread == pytest.approx(np.std(first, ddof=1), abs=1e-6)
        assert gap.spread == pytest.approx(np.hypot(*errors[:2]), abs=1e-6)
        assert paired.spread == pytest.approx(errors[2], abs=1e-6)


def test_every_quantity_is_used():
    tests = [one for table in (load_claims(), load_questions()) for tests in table["tests"]
             for one in tests]  # fmt: skip
    assert set(registry.measurement_names()) == {one.measurement for one in tests}
