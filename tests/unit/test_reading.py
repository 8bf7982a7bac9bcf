"""A page is arranged from a notebook; what archive, PDF and plain Sphinx make of pages."""

import base64
import io
import tarfile

import numpy as np
import pytest
import yaml
from matplotlib.figure import Figure
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from PIL import Image

from book.lab import words
from book.scripts import dist, pdf, pictures, plain, reading, render

STATUS = (
    "**Paper:** Clusterability in Neural Networks<br>\n**Verdicts so far:** 2<br>\n**Cost:** 1 s"
)


def code(source, text="", **metadata):
    outputs = [new_output("execute_result", data={"text/markdown": text})] if text else []
    return new_code_cell(source, outputs=outputs, metadata=metadata)


def drawing():
    """A chart with some hundred colours, at two dots to a pixel."""
    figure = Figure((0.8, 0.4), dpi=200)
    figure.subplots().scatter(range(9), range(9), c=range(9), s=90)
    stream = io.BytesIO()
    figure.savefig(stream)
    return stream.getvalue()


def encoded(png):
    return base64.b64encode(png).decode()


def notebook():
    figure = {"figure": {"name": "fig-a", "caption": "Ours."}, "image": {"alt": "Dots."}}
    size = {"image/png": {"width": 80, "height": 40}}
    drawn = new_output("display_data", data={"image/png": encoded(drawing())}, metadata=size)
    return new_notebook(
        cells=[
            new_markdown_cell("# Title"),
            code("seeds = 1", tags=["parameters"]),
            code("P = read()"),
            code("status()", STATUS),
            new_markdown_cell("## The question\n\nWhy?"),
            new_markdown_cell("## Table, beside ours\n\n### Part", metadata={"tags": ["evidence"]}),
            new_code_cell("draw()", outputs=[drawn], metadata={"mystnb": figure}),
            new_markdown_cell("## Exercises\n\n(x-bigger)=\n## Run it bigger\n\nSo."),
        ]
    )


def headings(cells):
    texts = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    return [line for line in texts.splitlines() if line.startswith("#")]


def test_lesson_evidence_and_what_a_second_run_needs_stand_in_this_order():
    cells = reading.arranged(notebook()).cells
    assert headings(cells) == [
        "# Title",
        "## The question",
        "## Exercises",
        "## Evidence",
        "### Table, beside ours",
        "#### Part",
        "## Run it bigger",
        "## How this page was made",
    ]
    assert [cell.source for cell in cells[-2:]] == ["seeds = 1", "P = read()"]
    assert "**Cost:** 1 s" in cells[-3].source and "Cost" not in cells[1].source
    assert "(../../papers/clusterability.md)" in cells[1].source


def test_answer_and_figure_open_the_page_and_are_missed_where_they_stood():
    page = reading.arranged(
        reading.for_readers(notebook()), reading.Opening("Yes.", "fig-a", "Dots.")
    )
    sources = [cell.source for cell in page.cells]
    assert sources[2:5] == ["**The answer.** Yes.", "draw()", "**What to see.** Dots."]
    assert page.cells[3].metadata["tags"] == ["remove-input"]
    assert "{numref}`fig-a` is at the top of this page." in sources
    assert sources.count("draw()") == 1


def test_an_opening_without_its_figure_is_an_answer_alone():
    page = reading.arranged(notebook(), reading.Opening("Yes.", "fig-none", "Dots."))
    assert "**The answer.** Yes." in [cell.source for cell in page.cells]
    assert not any("What to see" in cell.source for cell in page.cells)


def test_nothing_of_a_notebook_is_lost():
    before = {cell.source for cell in notebook().cells if cell.cell_type == "code"}
    after = [cell.source for cell in reading.arranged(notebook()).cells if cell.cell_type == "code"]
    assert set(after) == before - {"status()"} and len(after) == len(set(after))


def test_downloads_keep_the_order_in_which_they_run():
    offered = reading.for_download(notebook()).cells
    assert "Needs Python" in offered[1].source
    assert [cell.source for cell in offered[2:]] == [c.source for c in notebook().cells[1:]]


def test_archive_holds_the_source_and_is_the_same_twice(tmp_path):
    root = tmp_path / "book"
    for name in ("a.py", "deep/b.md", "_build/x", ".venv-3.12/y", "data/cache/z"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)
    first, second = (dist.write(tmp_path / name, root) for name in ("1.tar.gz", "2.tar.gz"))
    assert first.read_bytes() == second.read_bytes()
    with tarfile.open(first) as archive:
        assert archive.getnames() == ["modgraph-book/a.py", "modgraph-book/deep/b.md"]


def test_one_page_for_print_has_every_article_and_no_outside_link_of_its_own(tmp_path):
    (tmp_path / "sub").mkdir()
    head = '<html><head><link href="_static/a.css"></head><body>'
    (tmp_path / "one.html").write_text(
        f'{head}<article class="x"><h1 id="top">1</h1><a href="sub/two.html#top">2</a>'
        "<script>alert()</script></article></body></html>"
    )
    (tmp_path / "sub" / "two.html").write_text(
        f'{head}<article><p id="top"><img src="../_images/p.png"><a href="#top">up</a>'
        '<a href="https://example.org">out</a></p></article></body></html>'
    )
    page = pdf.whole(tmp_path, ["one", "sub/two"])
    assert 'href="#sub-two--top">2' in page and 'href="#sub-two--top">up' in page
    assert 'id="one--top"' in page and 'id="sub-two--top"' in page
    assert 'src="_images/p.png"' in page and 'href="_static/a.css"' in page
    assert "alert()" not in page and 'href="https://example.org"' in page


def test_a_page_without_an_article_is_named(tmp_path):
    (tmp_path / "one.html").write_text("<html><head></head></html>")
    with pytest.raises(ValueError, match=r"one\.html has no article"):
        pdf.whole(tmp_path, ["one"])


def test_pictures_get_lighter_and_look_the_same():
    whole = drawing()
    light = pictures.light(whole)
    assert len(light) < 0.75 * len(whole)
    one, two = (np.asarray(Image.open(io.BytesIO(p)).convert("RGB"), float) for p in (whole, light))
    assert one.shape == two.shape and np.abs(one - two).mean() < 0.5
    assert len(pictures.light(light)) <= len(light)
    executed = notebook()
    pictures.lighten(executed)
    assert [one.data["image/png"] for cell in executed.cells for one in cell.get("outputs", ())
            if "image/png" in one.data] == [encoded(light)]  # fmt: skip


def test_pictures_are_shown_at_the_size_they_were_drawn_for():
    cells = [cell for cell in reading.for_readers(notebook()).cells if cell.get("outputs")]
    assert cells[-1].metadata["mystnb"]["image"] == {"alt": "Dots.", "width": "80px"}
    assert pictures.width(new_output("display_data", data={"image/png": ""})) == ""


def test_the_pdf_is_linked_once_it_is_there(tmp_path):
    page = tmp_path / "book" / "how_to_rerun.html"
    page.parent.mkdir()
    page.write_text('<p>Printed.<span id="whole-book-as-pdf"></span></p>')
    (tmp_path / pdf.NAME).write_bytes(bytes(2_000_000))
    pdf.offer(tmp_path)
    pdf.offer(tmp_path)  # printing twice links once
    assert page.read_text().count('<a href="../modgraph-book.pdf">') == 1
    assert "2 MB" in page.read_text()
    assert pdf.PLACE.search((pdf.ROOT / f"{pdf.OFFERS}.md").read_text("utf8"))
    page.write_text("<p>Printed.</p>")
    with pytest.raises(ValueError, match="has no place for the link"):
        pdf.offer(tmp_path)


def test_sphinx_alone_builds_from_the_same_configuration(tmp_path, monkeypatch):
    """Two pages with a numbered figure, in a process without Jupyter Book's own command."""
    monkeypatch.setenv("MODGRAPH_PLAIN", "1")
    source, output = tmp_path / "source", tmp_path / "render"
    (source / "book" / "assets").mkdir(parents=True)
    config = yaml.safe_load((render.ROOT / "_config.yml").read_text("utf8"))
    (source / "_config.yml").write_text(yaml.safe_dump(config))
    for name in ("modgraph.css", "modgraph.js", "favicon.svg", "opening.png"):
        (source / "book" / "assets" / name).write_bytes(
            (render.ROOT / "book" / "assets" / name).read_bytes()
        )
    (source / "book" / "references.bib").write_text("")
    (source / "_toc.yml").write_text(
        "format: jb-book\nroot: one\nparts:\n- numbered: 1\n  chapters:\n  - file: two\n"
    )
    long = "See {numref}`fig-a`, and so on, in a sentence that takes more than sixty letters."
    (source / "one.md").write_text(f"# One\n\n{long}\n")
    (source / "two.md").write_text(
        "# Two\n\n```{figure} book/assets/opening.png\n:name: fig-a\n:alt: Maps.\n\nMaps.\n```\n"
    )
    assert plain.wanted()
    html = render.build(source, output, tmp_path / "log")
    render.lead_in(html, "one")
    assert "Figure 1.1" in (html / "one.html").read_text("utf8")
    assert 'property="og:title" content="One"' in (html / "one.html").read_text("utf8")
    assert "one.html" in (html / "index.html").read_text("utf8")


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(3, "1 minute"), (100, "2 minutes"), (3540, "59 minutes"), (3600, "1.0 hours")],
)
def test_work_is_never_told_as_nothing(seconds, said):
    assert words.work(seconds) == f"{said} of work"
