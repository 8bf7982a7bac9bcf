"""The verdicts and tables that the committed rows give are the ones that were committed."""

from tests.golden.verdicts import FILE, today


def test_the_rows_give_the_committed_verdicts(tmp_path, monkeypatch):
    monkeypatch.setenv("MODGRAPH_CACHE", str(tmp_path))
    before = FILE.read_text("utf8").splitlines()
    now = today()
    changed = [f"- {old}\n+ {new}" for old, new in zip(before, now, strict=False) if old != new]
    assert not changed, (
        f"{len(changed)} entries differ; if on purpose (new rows, another test), write them anew "
        "with 'python -m tests.golden' and say why in the commit\n" + "\n".join(changed[:10])
    )
    assert len(before) == len(now)
