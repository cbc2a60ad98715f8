// The start: fill the page, listen, draw, and show `optlab` to the outside.

function fillPage() {
  byId("title").textContent = byId("title").title = document.title = record.title;
  byId("source").textContent = byId("source").title = surface.source;
  byId("values-title").textContent = isGap ? "f − f*, the height above the minimum" : "f(x, y)";
  byId("scrub").max = String(lastStep);
  for (const id of ["scrub", "play", "back", "forward", "restart"]) byId(id).disabled = lastStep === 0;
  byId("selected").append(...runs.map((run) => element("option", { textContent: run.label, value: run.index })));
  stage.canvas.setAttribute("aria-label", `Contours of ${surface.name} with the trails of ${runs.length} rules`);
}

/** The formula as MathML, nested lists of [tag, attributes, ...children]; as its source where it has none. */
function showFormula() {
  const build = ([tag, attributes, ...children]) => elementOf("http://www.w3.org/1998/Math/MathML", tag, attributes,
    children.map((child) => (typeof child === "string" ? child : build(child))));
  byId("formula").title = surface.formula;
  byId("formula").append(surface.mathml ? build(surface.mathml) : surface.formula);
}

/** What the page is doing, for tests and the curious: readable, not writable. */
function expose() {
  const view = {
    labels: Object.freeze(runs.map((run) => run.label)),
    steps: lastStep,
    get step() { return state.step; },
    get playing() { return state.playing; },
    get speed() { return numberIn("speed"); },
    get trail() { return numberIn("trail"); },
    get loop() { return byId("loop").checked; },
    get shown() { return shownRuns().map((run) => run.label); },
    get selected() { return selectedRun().label; },
    get scale() { return valuesChart.axis.kind; },
    /** Where a row of a run is drawn, in client pixels. */
    locate(index, row) {
      const [box, [x, y]] = [stage.canvas.getBoundingClientRect(), spotOf(runs[index], row)];
      return { x: box.left + x, y: box.top + y };
    },
  };
  Object.defineProperty(window, "optlab", { value: Object.freeze(view) });
}

fillPage();
showFormula();
buildInternals();
listenToPage();
releaseFocusAfterPointer();
listenToWindow();
repaint();
expose();
draw();
if (!readHash() && !matchMedia("(prefers-reduced-motion: reduce)").matches) play();
