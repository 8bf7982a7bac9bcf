"""Style and script of the scorecard: bars, a filter by words and verdict, sorting by column.

They stand inside the page, so that reading it asks for nothing outside.
"""

__all__ = ["SCRIPT", "STYLE"]

STYLE = """<style>
.mg-bar {display: flex; min-width: 8rem; height: 1.2em; margin-top: .3em;
  border: 1px solid currentColor}
.mg-bar span {overflow: hidden; text-align: center; font-size: .75em; line-height: 1.4em;
  border-right: 1px solid currentColor}
.mg-bar span:last-child {border-right: 0}
.mg-bar .mg-reproduced {background: color-mix(in srgb, currentColor 35%, transparent)}
.mg-bar .mg-partly {background: repeating-linear-gradient(45deg, transparent 0 4px,
  color-mix(in srgb, currentColor 35%, transparent) 4px 8px)}
.mg-bar .mg-not-reproduced {background: repeating-linear-gradient(-45deg, transparent 0 2px,
  color-mix(in srgb, currentColor 50%, transparent) 2px 4px)}
.mg-claims td, .mg-claims th, table:has(.mg-id) td {vertical-align: top}
.mg-claims {overflow-x: auto}
.mg-id, .mg-claims tbody th, .mg-verdict {white-space: nowrap}
.mg-verdict {font-weight: 600}
.mg-filter {display: flex; flex-wrap: wrap; gap: .75rem; margin: 1rem 0}
.mg-filter label {display: flex; gap: .4rem; align-items: center}
tr[hidden] {display: none !important}
@media (max-width: 40rem) {
  .mg-claims :is(tr, th, td), table:has(.mg-id) :is(tr, th, td) {display: block; border: 0}
  .mg-claims thead, table:has(.mg-id) thead {display: none}
}
@media print {.mg-filter {display: none}}
</style>"""
# Works on the tables that follow it; without scripts the page simply shows every row.
SCRIPT = """<div class="mg-filter" hidden>
<label>Words <input type="search" id="mg-words"></label>
<label>Verdict <select id="mg-verdict"><option value="">all</option>%s</select></label>
<span id="mg-shown" role="status"></span>
</div>
<script>
document.addEventListener("DOMContentLoaded", () => {
  const box = document.querySelector(".mg-filter");
  const rows = [...document.querySelectorAll("table tr")].filter(r => r.querySelector(".mg-id"));
  const words = document.getElementById("mg-words");
  const verdict = document.getElementById("mg-verdict");
  const show = () => {
    const wanted = words.value.toLowerCase().split(/\\s+/);
    let shown = 0;
    for (const row of rows) {
      const text = row.textContent.toLowerCase();
      const mark = row.querySelector(".mg-verdict").dataset.verdict;
      const fits = !verdict.value || mark === verdict.value;
      row.hidden = !(fits && wanted.every(word => text.includes(word)));
      shown += !row.hidden;
    }
    document.getElementById("mg-shown").textContent = shown + " of " + rows.length + " claims";
  };
  for (const table of new Set(rows.map(r => r.closest("table"))))
    table.querySelectorAll("th").forEach((head, column) => {
      const button = document.createElement("button");
      button.append(...head.childNodes);
      button.style = "all: unset; cursor: pointer; text-decoration: underline dotted";
      button.tabIndex = 0;
      button.title = "sort by this column";
      head.append(button);
      button.onclick = () => {
        const down = head.getAttribute("aria-sort") === "ascending";
        table.querySelectorAll("th").forEach(other => other.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", down ? "descending" : "ascending");
        const key = row => row.cells[column].textContent.trim();
        const body = table.tBodies[0];
        [...body.rows].sort((a, b) => (down ? -1 : 1) *
          key(a).localeCompare(key(b), undefined, {numeric: true})).forEach(r => body.append(r));
      };
    });
  words.oninput = verdict.onchange = show;
  box.hidden = false;
  show();
});
</script>"""
