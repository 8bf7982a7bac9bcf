"""A paper's opening page says what the verdicts say."""

import pytest

from book.lab import abstracts, findings, ledger, questions
from book.lab.claims import PAPERS
from book.lab.verdict import SIGNS, kind_of


@pytest.fixture(scope="module")
def frame():
    return ledger.verdicts()


def test_every_paper_has_a_page_whose_sentences_hold(frame):
    entries, by_id = abstracts.abstracts(), frame.set_index("id")
    assert list(entries) == list(PAPERS)
    for paper, entry in entries.items():
        assert len(entry["answer"]) == 3
        for one in entry["answer"]:
            assert findings.stale([{"claims": {}} | one], by_id) == []
            assert "{" not in findings.said(one["says"], by_id)
        assert set(abstracts.headlines(paper)) <= set(frame["id"][frame["paper"] == paper])


def test_page_shows_every_claim_of_its_paper_and_no_other(frame):
    for paper in PAPERS:
        page = abstracts.paper_markdown(paper, frame)
        below = page.split("## All claims")[1]
        for claim in frame.itertuples():
            assert below.count(f">{claim.id}<") + below.count(f"<li>{claim.id} ") == (
                claim.paper == paper
            )


def test_a_sentence_holds_as_its_decided_claims_do():
    held = abstracts.holds
    assert held(["reproduced", "not run", "reproduced"]) == "reproduced"
    assert held(["reproduced", "not reproduced"]) == held(["partly", "reproduced"]) == "partly"
    assert held(["reproduced", "undecided"]) == "undecided"
    assert held(["not reproduced"]) == "not reproduced"
    assert held(["not run", "not run yet"]) == held([]) == "not run"


def test_counts_are_those_of_the_ledger(frame):
    lines = abstracts.counts_markdown(frame).splitlines()[2:]
    cells = {line.split("|")[1].split(maxsplit=1)[-1].strip(): line for line in lines}
    kinds = frame["verdict"].map(kind_of)
    for kind in SIGNS:
        assert cells[kind].split("|")[3].strip() == str((kinds == kind).sum())
    assert cells["all"].split("|")[2].strip() == str(len(abstracts.headlines()))


def test_every_question_of_our_own_is_listed_with_its_answer():
    answers = questions.answers({})
    page = abstracts.questions_markdown(answers, sections={"beyond/01_calibration"})
    for one in answers.itertuples():
        linked = f">{one.id}</a>" in page
        assert linked == (one.section == "beyond/01_calibration") and one.id in page
    assert page.count("<li>") == len(answers)
