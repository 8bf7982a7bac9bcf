"""Style and script of the claims' cards: bars, one line a claim, filters that live in the address.

They stand inside the page, so that reading it asks for nothing outside. Without scripts every claim
is shown, and unfolds all the same.
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
.mg-claim {border-bottom: 1px solid color-mix(in srgb, currentColor 25%, transparent)}
.mg-claim > summary {padding: .3rem 0; overflow-wrap: anywhere}
.mg-claim:target > summary {outline: 2px solid currentColor; outline-offset: 2px}
.mg-id {font-variant-numeric: tabular-nums; white-space: nowrap}
.mg-verdict {font-weight: 600}
.mg-grade {border: 1px solid currentColor; border-radius: .6em; padding: 0 .4em; font-size: .8em;
  white-space: nowrap}
.mg-number {font-size: .9em; opacity: .85}
.mg-behind {padding: 0 0 .6rem 1.2rem}
.mg-behind > div {margin: .3rem 0}
.mg-behind ul {margin: 0}
.mg-short .mg-claim:not([open]) .mg-said {display: inline-block; max-width: 100%; overflow: hidden;
  text-overflow: ellipsis; white-space: nowrap; vertical-align: bottom}
.mg-short .mg-claim:not([open]) .mg-number {display: none}
.mg-filter {display: flex; flex-wrap: wrap; gap: .75rem; margin: 1rem 0}
.mg-filter label {display: flex; gap: .4rem; align-items: center}
.mg-claim[hidden] {display: none}
@media print {.mg-filter {display: none} .mg-claim {break-inside: avoid; font-size: .85em}}
</style>"""
# Works on the cards that follow it.
SCRIPT = """<form class="mg-filter" hidden>
<label>Words <input type="search" name="words"></label>
%s
<span role="status"></span>
</form>
<script>
document.addEventListener("DOMContentLoaded", () => {
  const form = document.querySelector(".mg-filter");
  const cards = [...document.querySelectorAll(".mg-claim")];
  const names = ["paper", "verdict", "grade"];
  const given = new URLSearchParams(location.search);
  for (const name of ["words", ...names]) form.elements[name].value = given.get(name) || "";
  const show = () => {
    const words = form.elements.words.value.toLowerCase().split(/\\s+/);
    let shown = 0;
    for (const card of cards) {
      const text = card.textContent.toLowerCase();
      card.hidden = !(words.every(word => text.includes(word)) && names.every(name =>
        !form.elements[name].value || card.dataset[name] === form.elements[name].value));
      shown += !card.hidden;
    }
    form.querySelector("[role=status]").textContent = shown + " of " + cards.length + " claims";
    const kept = [...new FormData(form)].filter(([, value]) => value);
    const query = kept.length ? "?" + new URLSearchParams(kept) : "";
    history.replaceState(null, "", location.pathname + query + location.hash);
  };
  const open = () => {
    const card = location.hash && document.getElementById(location.hash.slice(1));
    if (card && card.matches(".mg-claim")) { card.hidden = false; card.open = true; }
  };
  form.addEventListener("input", show);
  form.addEventListener("submit", event => event.preventDefault());
  addEventListener("hashchange", open);
  form.hidden = false;
  show();
  open();
});
</script>"""
