// What is wider than the page scrolls by itself; let the keyboard reach it.
function reach() {
  for (const box of document.querySelectorAll(".pst-scrollable-table-container, .text_html, figure")) {
    if (box.scrollWidth > box.clientWidth && !box.hasAttribute("tabindex")) {
      box.tabIndex = 0;
      if (box.localName === "figure") continue; // has its caption for a name
      box.setAttribute("role", "region");
      box.setAttribute("aria-label", "Table, scrolls sideways");
    }
  }
}
document.addEventListener("DOMContentLoaded", reach);
window.addEventListener("load", reach); // figures have their width by then
