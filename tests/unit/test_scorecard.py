"""What readers see of the ledger: counts, the scorecard, a section's cards."""

from book.lab import ledger, scorecard, verdict
from tests.made_cells import four_cells

SM = "surprisingly_modular/01_clusterability"


def test_summary_counts_every_claim_once():
    counts = ledger.summary(ledger.verdicts({}))
    assert counts.loc["all", "total"] == 401
    assert (counts.drop(columns="total").sum(axis=1) == counts["total"]).all()


def test_the_scorecard_lists_every_claim_and_asks_for_nothing_outside():
    page = ledger.scorecard_markdown(ledger.verdicts({"mlp_ncut": four_cells()}))
    for claim in ledger.load_claims()["id"]:
        assert f'<details class="mg-claim" id="{claim.lower()}"' in page
    assert f'href="../notebooks/{SM}.html#sm-22"' in page
    assert "http" not in page
    assert page.count("<details") == page.count("</details>") == 401
    for select in ("paper", "verdict", "grade"):
        assert f'<select name="{select}">' in page


def test_counts_by_grade_hold_every_decided_claim():
    frame = ledger.verdicts({"mlp_ncut": four_cells(6)})
    counts = scorecard.by_grade(frame)
    decided = ~frame["verdict"].str.startswith("not run")
    assert counts.loc["all", "total"] == decided.sum()
    assert counts.loc["all", "by definition"] > 0 and counts.loc["all", "reduced"] > 0


def test_a_sections_cards_have_anchors_words_and_plain_text():
    table = ledger.claims_table(SM, {"mlp_ncut": four_cells(6)})
    assert table._repr_html_().count("<details class") == 47
    assert "reduced: 6 of 10 networks" in table._repr_html_()
    assert "SM-07  reproduced" in repr(table)
    assert "\n\n" not in table._repr_html_()


def test_an_explanation_shows_only_while_the_verdict_falls_short(monkeypatch):
    explained = ledger.load_claims().assign(explanation="the shuffles <differ>")
    monkeypatch.setattr(verdict, "load_claims", lambda: explained)
    frame = ledger.verdicts({"mlp_ncut": four_cells()}, section=SM)
    assert set(frame["explanation"][frame["verdict"] == "reproduced"]) == {""}
    assert set(frame["explanation"][frame["verdict"] != "reproduced"]) == {"the shuffles <differ>"}
