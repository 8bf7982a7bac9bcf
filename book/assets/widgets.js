// Runs between require.js and the widget manager (see nb_ipywidgets_js in _config.yml).
// Where the manager finds its icon fonts: beside itself, not at a public address.
(() => {
  const here = new URL(".", document.currentScript.src).href;
  window.requirejs.config({
    paths: { "@jupyter-widgets/html-manager/dist": `${here}vendor/html-manager` },
  });
  // The manager typesets through MathJax 2; the pages have MathJax 3.
  document.addEventListener("DOMContentLoaded", () => {
    if (!window.MathJax || window.MathJax.Hub) return;
    window.MathJax.Hub = {
      Queue: ([, , element]) =>
        window.MathJax.startup?.promise.then(() => window.MathJax.typesetPromise([element])),
    };
  });
})();
