"""An explorer for a static page: every state drawn beforehand, menus that choose one.

It needs no kernel and asks nobody for anything. Without scripts, and on paper, all states stand
one under the other.
"""

from __future__ import annotations

import base64
import html
from collections.abc import Mapping, Sequence
from io import BytesIO

from matplotlib import rc_context
from matplotlib.figure import Figure

from book.lab.scorecard import Html

__all__ = ["chooser"]

HEAVY = 30_000  # bytes


def chooser(
    states: Mapping[tuple[str, ...], tuple[Figure, str]], menus: Sequence[str], *, name: str
) -> Html:
    """Menus, and the picture of the state that they choose.

    Args:
        states: what each menu says -> picture, and a sentence that says what it shows, which is
            its caption and its description.
        menus: name of each menu.
        name: tells several on one page apart.

    Raises:
        ValueError: no state, or a state that does not answer every menu.
    """
    if not states:
        raise ValueError("an explorer needs at least one state")
    if wrong := [choice for choice in states if len(choice) != len(menus)]:
        raise ValueError(f"{len(menus)} menus, but the state {wrong[0]}")
    boxes = []
    for place, menu in enumerate(menus):
        offered = dict.fromkeys(choice[place] for choice in states)
        options = "".join(f"<option>{html.escape(one)}</option>" for one in offered)
        boxes.append(f"<label>{html.escape(menu)} <select>{options}</select></label>")
    pictures = [
        f"<figure class='mg-state' data-state='{html.escape('|'.join(choice))}'>"
        f'<img alt="{html.escape(said)}" src="{_address(figure)}">'
        f"<figcaption>{html.escape(said)}</figcaption></figure>"
        for choice, (figure, said) in states.items()
    ]
    head = f'<div class="mg-explorer" id="{name}" role="group" aria-label="Explorer">'
    text = f"{head}<p hidden>{' '.join(boxes)}</p><div aria-live='polite'>{''.join(pictures)}</div>"
    return Html(f"{text}</div>{SCRIPT % name}", "\n".join(said for _, said in states.values()))


def _address(figure: Figure) -> str:
    """The picture in a data address: SVG with plain text, or WebP where that would be heavy."""
    stream = BytesIO()
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "modgraph"}):
        figure.savefig(stream, format="svg", metadata={"Date": None})
    if stream.tell() < HEAVY:
        return f"data:image/svg+xml;base64,{base64.b64encode(stream.getvalue()).decode()}"
    stream = BytesIO()
    figure.savefig(stream, format="webp", dpi=130, pil_kwargs={"quality": 70})
    return f"data:image/webp;base64,{base64.b64encode(stream.getvalue()).decode()}"


# Where no state answers all menus, the first that answers the menu just used is shown.
SCRIPT = """<script>
(() => {
  const box = document.getElementById("%s"), menus = [...box.querySelectorAll("select")];
  const states = [...box.querySelectorAll("figure")];
  const says = state => state.dataset.state.split("|");
  const show = (place = 0) => {
    const fits = state => menus.every((menu, i) => menu.value === says(state)[i]);
    const chosen = states.find(fits) || states.find(s => says(s)[place] === menus[place].value);
    says(chosen).forEach((word, i) => { menus[i].value = word; });
    for (const state of states) state.hidden = state !== chosen;
  };
  menus.forEach((menu, place) => menu.addEventListener("input", () => show(place)));
  box.querySelector("p").hidden = false;
  show();
})();
</script>"""
