"use strict";
// Draws the panels of the page, and lets its one legend switch families in all of them.
(function () {
  const drawn = JSON.parse(document.getElementById("drawn").textContent);
  const coarse = matchMedia("(pointer: coarse)");
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const hidden = new Set();
  const plots = [];
  const PRINT_PIXELS = 680;

  function colours(printing) {
    if (printing) return { page: "#ffffff", ink: "#000000", line: "#dddddd" };
    const style = getComputedStyle(document.documentElement);
    const of = (name) => style.getPropertyValue(name).trim();
    return { page: of("--page"), ink: of("--ink"), line: of("--line") };
  }

  function themed(layout, printing) {
    const { page, ink, line } = colours(printing);
    const axis = { gridcolor: line, linecolor: line, tickcolor: line };
    const result = Object.assign({}, layout, {
      paper_bgcolor: page, plot_bgcolor: page,
      font: { color: ink, size: 12, family: getComputedStyle(document.body).fontFamily },
      hoverlabel: Object.assign({}, layout.hoverlabel, { bgcolor: page, bordercolor: ink, font: { color: ink } }),
      dragmode: coarse.matches ? false : "zoom",
      xaxis: Object.assign({}, layout.xaxis, axis),
      yaxis: Object.assign({}, layout.yaxis, axis),
      shapes: (layout.shapes || []).map((s) => Object.assign({}, s, { line: Object.assign({}, s.line, { color: ink }) })),
    });
    return result;
  }

  function data(panel, printing) {
    const { ink } = colours(printing);
    return panel.data.map((trace) => {
      const made = Object.assign({}, trace, { visible: !hidden.has(trace.meta.family) });
      if (trace.texts) made.text = trace.texts.map((i) => drawn.texts[i]);
      delete made.texts;
      if (trace.meta.family === null) {
        if (made.line) made.line = Object.assign({}, made.line, { color: ink });
        if (made.marker) made.marker = Object.assign({}, made.marker, { color: ink });
      }
      return made;
    });
  }

  const config = { responsive: true, displayModeBar: false };

  function draw(printing) {
    for (const { div, panel } of plots) {
      const layout = themed(panel.layout, printing);
      if (printing) layout.width = Math.min(PRINT_PIXELS, PRINT_PIXELS / div.parentElement.children.length);
      Plotly.react(div, data(panel, printing), layout, config);
    }
  }

  for (const panel of drawn.panels) plots.push({ div: document.getElementById(panel.id), panel });
  draw(false);
  dark.addEventListener("change", () => draw(false));
  addEventListener("beforeprint", () => draw(true));
  addEventListener("afterprint", () => draw(false));

  const buttons = Array.from(document.querySelectorAll(".legend .family"));
  const every = document.getElementById("every");

  function switched() {
    for (const button of buttons) button.setAttribute("aria-pressed", String(!hidden.has(button.dataset.family)));
    for (const row of document.querySelectorAll("tr[data-family]")) {
      row.classList.toggle("off", hidden.has(row.dataset.family));
    }
    every.textContent = hidden.size === buttons.length ? "Show all" : "Hide all";
    for (const { div, panel } of plots) {
      Plotly.restyle(div, { visible: panel.data.map((trace) => !hidden.has(trace.meta.family)) });
    }
  }

  for (const button of buttons) {
    button.addEventListener("click", () => {
      const family = button.dataset.family;
      if (!hidden.delete(family)) hidden.add(family);
      switched();
    });
  }
  if (every) {
    every.addEventListener("click", () => {
      if (hidden.size === buttons.length) hidden.clear();
      else for (const button of buttons) hidden.add(button.dataset.family);
      switched();
    });
  }
  document.documentElement.dataset.drawn = String(plots.length);
})();
