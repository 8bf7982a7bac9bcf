"""Sphinx extension: what a page says of itself to search engines and in a shared link."""

from __future__ import annotations

import html
from typing import Any

from docutils import nodes

MOST = 200  # characters that are shown
CITATIONS = 'class="citation-list"'


def describe(doctree: nodes.document | None) -> str:
    """A page in one or two sentences: its answer, or else its first paragraph of any length."""
    texts = (
        [" ".join(p.astext().split()) for p in doctree.findall(nodes.paragraph)] if doctree else []
    )
    found = doctree.findall(nodes.paragraph) if doctree else ()
    texts = [" ".join(paragraph.astext().split()) for paragraph in found]
    answers = [text for text in texts if text.startswith("The answer.")]
    long = [text for text in texts if len(text) > 60 and not text.startswith("Paper:")]
    text = (answers or long or texts or [""])[0].removeprefix("The answer. ")
    return text if len(text) <= MOST else text[:MOST].rsplit(" ", 1)[0] + " …"


def add_tags(
    app: Any, pagename: str, templatename: str, context: dict[str, Any], doctree: Any
) -> None:
    """Description and Open Graph tags, in the head of a page."""
    # docutils makes a list of references whose entries are no list items, which readers aloud miss.
    if "body" in context:
        context["body"] = context["body"].replace('role="list" class="citation-list"', CITATIONS)
    if not (said := describe(doctree)):
        return
    facts = {
        "og:title": context.get("title", ""),
        "og:description": said,
        "og:type": "article",
        "og:site_name": app.config.html_title or app.config.project,
    }
    tags = [f'<meta name="description" content="{html.escape(said)}"/>']
    for name, value in facts.items():
        text = html.escape(nodes.unescape(value))
        tags.append(f'<meta property="{name}" content="{text}"/>')
    context["metatags"] = "\n".join([context.get("metatags", ""), *tags])


def setup(app: Any) -> dict[str, bool]:
    """Called by Sphinx."""
    app.connect("html-page-context", add_tags)
    app.add_config_value("comments_config", {}, "")  # Jupyter Book sets it for sphinx_comments
    return {"parallel_read_safe": True, "parallel_write_safe": True}
