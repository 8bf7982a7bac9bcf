"""Pick a network of the grid, slide the epoch: a small explorer that a static page can run.

All of it is one piece of HTML: the numbers, a menu, a slider and a script that draws two
panels. It asks nobody for anything, so it works where no kernel runs.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

import numpy as np
import pandas as pd
from IPython.display import HTML

__all__ = ["explore", "states"]

MOST = 48  # networks on offer: more would make the page heavy


def states(rows: pd.DataFrame, predicted: Mapping[str, float] | None = None) -> list[dict]:
    """What the explorer knows of each network, in the order of its menu.

    Args:
        rows: of ``zoo.table``.
        predicted: key of a network -> final accuracy (%) that a predictor expected.
    """
    ordered = rows.sort_values(["dropout", "learning_rate"])
    if len(ordered) > MOST:
        places = np.linspace(0, len(ordered) - 1, MOST).round().astype(int)
        ordered = ordered.iloc[places]
    predicted = predicted or {}
    return [
        {
            "name": f"rate {row.learning_rate:g}, dropout {row.dropout:g}",
            "deciles": [[_short(value) for value in one] for one in row.deciles],
            "curve": [round(float(value), 1) for value in row.curve],
            "final": round(float(row.accuracy), 1),
            "predicted": round(predicted[row.key], 1) if row.key in predicted else None,
            "diverged": int(row.diverged),
        }
        for row in ordered.itertuples()
    ]


def explore(
    rows: pd.DataFrame, predicted: Mapping[str, float] | None = None, *, name: str = "cd-explorer"
) -> HTML:
    """The explorer as HTML; ``name`` tells several on one page apart.

    Raises:
        ValueError: no network.
    """
    if rows.empty:
        raise ValueError("the explorer needs at least one network")
    data = json.dumps(states(rows, predicted), separators=(",", ":"))
    return HTML(TEMPLATE.replace("{{name}}", name).replace("{{data}}", data))


def _short(value: float) -> float:
    return float(f"{value:.3g}")


TEMPLATE = """
<div id="{{name}}" role="group" aria-label="Explorer of the grid: choose a network and an epoch">
<p><label>network <select></select></label>
<label>epoch <input type="range" min="0" max="15" value="0"></label> <output></output></p>
<svg viewBox="0 0 720 250" width="100%" role="img" font-size="12" font-family="sans-serif"
 aria-label="Left: deciles of node degree at the epoch, over those at the start. Right: accuracy."
></svg>
<p aria-live="polite"></p></div>
<script>
(() => {
  const data = {{data}};
  const box = document.getElementById("{{name}}");
  const [menu, slider, out] = ["select", "input", "output"].map((tag) => box.querySelector(tag));
  const svg = box.querySelector("svg"), words = box.querySelector("p[aria-live]");
  data.forEach((one, i) => menu.add(new Option(one.name, i)));
  const line = (points, colour, dash) =>
    `<polyline fill="none" stroke="${colour}" stroke-width="2" stroke-dasharray="${dash}"
      points="${points.map(([x, y]) => `${x.toFixed(1)},${y.toFixed(1)}`).join(" ")}"/>`;
  const text = (x, y, s, anchor) =>
    `<text x="${x}" y="${y}" fill="currentColor" text-anchor="${anchor || "middle"}">${s}</text>`;
  const frame = (x) => `<path d="M${x} 20 V210 H${x + 290}" fill="none" stroke="#8C8C8C"/>`;
  function draw() {
    const one = data[menu.value], last = one.deciles.length - 1;
    slider.max = last;
    const epoch = Math.min(slider.value, last), now = one.deciles[epoch];
    const top = Math.max(...one.deciles.flat());
    const left = (values) => values.map((v, i) => [50 + 29 * i, 210 - (180 * v) / top]);
    const span = Math.max(1, one.curve.length - 1);
    const right = one.curve.map((v, i) => [410 + (290 * i) / span, 210 - 1.8 * v]);
    const [x, y] = right[epoch];
    svg.innerHTML = frame(50) + frame(410) + line(left(one.deciles[0]), "#8C8C8C", "4 3") +
      line(left(now), "#0072B2", "") + line(right, "#0072B2", "") +
      `<circle cx="${x}" cy="${y}" r="5" fill="#D55E00"/>` +
      (one.predicted === null ? "" : line([[410, 210 - 1.8 * one.predicted],
        [700, 210 - 1.8 * one.predicted]], "#7B3FA0", "2 4")) +
      text(195, 235, "deciles of degree (dashed: before training)") +
      text(555, 235, "test accuracy (%) over epochs") +
      text(44, 34, top.toPrecision(2), "end") + text(44, 214, "0", "end") +
      text(404, 34, "100", "end") + text(404, 214, "0", "end");
    out.value = epoch;
    words.textContent = `After epoch ${epoch}: accuracy ${one.curve[epoch]}%. In the end: ` +
      `${one.final}%` + (one.predicted === null ? "" : `; predicted: ${one.predicted}%`) +
      (one.diverged < 0 ? "." : `; it diverged in epoch ${one.diverged}.`);
  }
  menu.oninput = draw;
  slider.oninput = draw;
  draw();
})();
</script>
"""
