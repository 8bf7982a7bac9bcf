"""The findings say what the verdicts say."""

import pandas as pd
import pytest

from book.lab import findings, ledger, questions


@pytest.fixture(scope="module")
def frame():
    found = pd.concat([ledger.verdicts(), questions.answers()])
    return found.set_index("id", drop=False)


def test_every_finding_still_holds(frame):
    entries = findings.findings()
    assert 6 <= len(entries) <= 14
    assert findings.stale(entries, frame) == []
    for entry in entries:
        text = findings.said(entry["says"], frame)
        assert "{" not in text and text.endswith(".")
        named = {found[1] for found in findings.NUMBER.finditer(entry["says"])}
        assert named <= set(entry["claims"])


def test_numbers_come_from_the_parts():
    parts = [{"observed": 0.25}, {"observed": -3.0}]
    frame = pd.DataFrame({"parts": [parts], "runs": [7]}, index=["AB-01"])
    said = findings.said("{AB-01[0]:.0%}, {AB-01[1]:.1f} of {AB-01.runs}", frame)
    assert said == "25%, 3.0 of 7"
    with pytest.raises(ValueError, match=r"no number \{AB-01\[2\]\}"):
        findings.said("{AB-01[2]}", frame)


def test_a_finding_whose_verdict_changed_is_not_shown():
    page = findings.markdown(pd.concat([ledger.verdicts({}), questions.answers({})]))
    assert "not shown" not in page and "easier to cut" not in page
    assert "The counts" in page
