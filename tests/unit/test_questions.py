"""Questions of our own: read, answered and shown apart from the claims."""

import pandas as pd
import pytest

from book.lab import ledger, questions
from book.lab.verdict import kind_of

ENTRY = """
Q-1:
  section: beyond/01_calibration
  runs: 2
  question: Is one less than two & more?
  text: The mean is at most 0.5.
  reason: A half.
  measure: planted_mean
  of: {instruments: [ncut_2], leaks: [0.3], inputs: [separate]}
  test: at_most
  high: 0.5
"""


@pytest.fixture
def papers(tmp_path, monkeypatch):
    folder = tmp_path / "beyond"
    folder.mkdir()
    monkeypatch.setenv("MODGRAPH_PAPERS", str(tmp_path))
    return folder / "questions.yaml"


def test_every_question_has_a_criterion_that_can_be_computed():
    found = questions.load_questions(arguments=True)
    assert len(found) and found["id"].is_unique
    assert all(found["tests"]) and (found["criterion_text"] != "").all()


def test_questions_are_in_no_count_of_claims():
    ours = set(questions.load_questions()["id"])
    assert not ours & set(ledger.load_claims()["id"])
    assert len(ledger.load_claims()) == 401


def test_without_rows_nothing_is_answered(papers):
    papers.write_text(ENTRY)
    (row,) = questions.answers({}).itertuples(index=False)
    assert kind_of(row.verdict) == "not run yet" and row.claim == "Is one less than two & more?"


@pytest.mark.parametrize(("value", "word"), [(0.25, "yes"), (0.75, "no")])
def test_rows_decide_and_the_card_says_yes_or_no(papers, value, word):
    papers.write_text(ENTRY)
    shown = questions.questions_table("beyond/01_calibration", {"planted": rows(value)})
    assert f"</span> {word}</span>" in shown.text and repr(shown) == f"Q-1  {word}"
    assert "Our question:" in shown.text and "The paper" not in shown.text
    assert "less than two &amp; more" in shown.text


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("  question: Is one less than two & more?\n", "", "needs its words"),
        ("planted_mean", "planted_maen", "no measurement 'planted_maen'"),
    ],
)
def test_faults_of_the_file_are_named(papers, old, new, said):
    papers.write_text(ENTRY.replace(old, new))
    with pytest.raises(ValueError, match=said):
        questions.load_questions()


def rows(value: float) -> pd.DataFrame:
    """Two networks' rows of the experiment, with this agreement."""
    from book.papers.beyond.s01_calibration import experiment
    from modgraph_lib import cache

    made = []
    for seed in (1, 2):
        config = experiment.PlantedConfig(0.3, seed)
        made.append(
            {
                "key": f"k{seed}",
                "config": {**cache.canonical(config), "data_fingerprint": "x"},
                "seed": seed,
                "leak": 0.3,
                "inputs": "separate",
                "trained": True,
                "instrument": "ncut_2",
                "ari": value,
                "date": "2026-01-01T00:00:00Z",
                "device": "cpu",
                "data_note": "",
            }
        )
    return pd.DataFrame(made).reindex(columns=list(experiment.table([])))
