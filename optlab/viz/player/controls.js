// What a hand can do: keys, buttons, mouse and fingers; and what happens to the window.

function show(index, shown) {
  state.shown[index] = shown;
  hover(null);
  layoutChart(valuesChart);
}

function lookInside() {
  buildInternals();
  smallCharts.forEach(layoutChart);
  requestDraw();
}

function changeSpeed(by) {
  const speed = byId("speed");
  speed.selectedIndex = clamp(speed.selectedIndex + by, 0, speed.length - 1);
}

function toggleHelp() {
  const help = byId("help");
  if (!help.open) return help.showModal();
  help.close();
  if (help.contains(document.activeElement)) document.activeElement.blur(); // else it keeps Space until the next frame
}

const KEYS = {
  " ": toggle,
  ArrowLeft: (event) => pause(state.step - (event.shiftKey ? 10 : 1)),
  ArrowRight: (event) => pause(state.step + (event.shiftKey ? 10 : 1)),
  Home: () => pause(0),
  End: () => pause(lastStep),
  "+": () => changeSpeed(1),
  "=": () => changeSpeed(1), // the same key without Shift
  "-": () => changeSpeed(-1),
  "?": toggleHelp,
};

function onKey(event) {
  const { key, target } = event;
  if (event.ctrlKey || event.altKey || event.metaKey) return;
  // A focused control keeps the keys that are its own; an open dialog keeps all but its own toggle.
  if (target.matches("select") || (key === " " && target.matches("button, input[type=checkbox]"))) return;
  if (byId("help").open && key !== "?") return;
  const digit = /^[1-9]$/.test(key) ? Number(key) - 1 : runs.length;
  if (digit < runs.length) show(digit, !state.shown[digit]);
  else if (Object.hasOwn(KEYS, key)) KEYS[key](event);
  else return;
  event.preventDefault();
}

function listenToHover(canvas, nearest) {
  const update = (event) => hover(nearest(event.offsetX, event.offsetY), event);
  canvas.addEventListener("pointermove", update);
  canvas.addEventListener("pointerdown", update);
  // A finger always leaves; what it touched should stay readable.
  canvas.addEventListener("pointerleave", (event) => event.pointerType === "mouse" && hover(null));
}

function listenToChart(chart) {
  const { canvas } = chart;
  listenToHover(canvas, (px, py) => nearestOnChart(chart, px, py));
  const scrub = (event) => event.buttons & 1 && pause(chartStep(chart, event.offsetX));
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    scrub(event);
  });
  canvas.addEventListener("pointermove", scrub);
}

function listenToPage() {
  const on = (id, type, act) => byId(id).addEventListener(type, act);
  on("play", "click", toggle);
  on("restart", "click", () => go(0));
  on("back", "click", () => pause(state.step - 1));
  on("forward", "click", () => pause(state.step + 1));
  on("help-open", "click", toggleHelp);
  on("scrub", "input", () => pause(numberIn("scrub")));
  on("selected", "change", lookInside);
  on("trail", "change", requestDraw);
  on("surface", "click", (event) => {
    const target = nearestOnStage(event.offsetX, event.offsetY);
    if (!target) return;
    byId("selected").selectedIndex = target.run.index;
    lookInside();
    pause(target.row);
  });
  listenToHover(stage.canvas, nearestOnStage);
  listenToChart(valuesChart);
}

/** After a mouse has used a control, Space should mean play again; after the keyboard, focus stays. */
function releaseFocusAfterPointer() {
  let pointed = false;
  addEventListener("pointerdown", () => (pointed = true), true);
  addEventListener("keydown", () => (pointed = false), true);
  const release = () => pointed && document.activeElement?.blur();
  addEventListener("change", release);
  addEventListener("click", (event) => event.target.closest("button") && release());
}

function layout() {
  readTheme();
  layoutStage();
  charts().forEach(layoutChart);
  requestDraw();
}

function repaint() {
  layout();
  buildLegend();
}

function watchResolution() {
  const here = matchMedia(`(resolution: ${window.devicePixelRatio}dppx)`);
  here.addEventListener("change", () => (layout(), watchResolution()), { once: true });
}

function listenToWindow() {
  addEventListener("keydown", onKey);
  addEventListener("resize", layout);
  addEventListener("hashchange", readHash);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", repaint);
  watchResolution();
  for (const [type, isPaper] of [["beforeprint", true], ["afterprint", false]]) {
    addEventListener(type, () => {
      root.classList.toggle("print", isPaper);
      repaint();
      draw(); // at once: printing does not wait for a frame
    });
  }
}
