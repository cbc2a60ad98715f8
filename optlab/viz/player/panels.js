// What is told in words and numbers: the legend, the inside of one rule, the tooltip. Texts go in as text, never as
// markup.

function element(tag, properties = {}, children = []) {
  const node = Object.assign(document.createElement(tag), properties);
  node.append(...children);
  return node;
}

function elementOf(namespace, tag, attributes = {}, children = []) {
  const node = document.createElementNS(namespace, tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

function swatch(run) {
  const svg = (tag, attributes, children) => elementOf("http://www.w3.org/2000/svg", tag, attributes, children);
  const [fill, dash] = [colourOf(run), dashOf(run).join(" ")];
  const points = corners(markerOf(run), 7).map(([x, y]) => `${23 + x},${10 + y}`).join(" ");
  return svg("svg", { viewBox: "0 0 46 20", "aria-hidden": "true" }, [
    svg("path", { d: "M1 10H45", stroke: fill, "stroke-width": 2.4, "stroke-dasharray": dash }),
    svg("polygon", { points, fill, stroke: theme.halo, "stroke-width": 1.5 }),
  ]);
}

function buildLegend() {
  byId("legend").replaceChildren(...runs.map((run) => {
    const box = element("input", { type: "checkbox" });
    box.addEventListener("change", () => show(run.index, box.checked));
    const [value, status] = ["value", "status"].map((className) => element("span", { className }));
    const name = element("span", { className: "name", dir: "auto", textContent: run.label });
    const title = run.settings === run.label ? run.label : `${run.label}\n${run.settings}`;
    const label = element("label", { title }, [box, swatch(run), name, status, value]);
    run.entry = { box, label, value, status };
    return element("li", {}, [label]);
  }));
}

function statusOf(run) {
  if (state.step >= run.alive && run.alive < run.rows) return `diverged at step ${run.alive}`;
  const away = isInside(run, rowAt(run, state.step)) ? "" : "outside";
  const fate = state.step >= run.rows - 1 && run.status !== "running" ? run.status : "";
  return [fate, away].filter(Boolean).join(", ") || "running";
}

function drawLegend() {
  for (const run of runs) {
    const { box, label, value, status } = run.entry;
    box.checked = state.shown[run.index];
    label.classList.toggle("off", !box.checked);
    const f = run.values[rowAt(run, state.step)];
    value.textContent = Number.isNaN(f) ? "nan" : `f = ${format(f, 4)}`;
    status.textContent = statusOf(run);
  }
}

function buildInternals() {
  const run = selectedRun();
  // x as the rule is drawn, y grey and dashed; the readouts are underlined alike, which makes them the legend.
  const looks = [() => ({ colour: colourOf(run), dash: [] }), () => ({ colour: theme.muted, dash: [5, 3] })];
  byId("settings").textContent = byId("settings").title = run.settings;
  smallCharts = run.pairs.map(({ name, data }) => {
    const ariaLabel = `${name} of ${run.label} against the step`;
    const chart = {
      canvas: element("canvas", { className: "chart", role: "img", ariaLabel }),
      preferLog: name === "effective lr",
      lines: () => looks.map((look, axis) => (
        { run, at: (row) => data[2 * row + axis], rows: data.length / 2, ...look() })),
      readouts: ["x", "y"].map((axis) => element("span", { className: `axis-${axis}` })),
    };
    const heading = element("b", { dir: "auto", title: name, textContent: name });
    chart.figure = element("div", {}, [element("h3", {}, [heading, ...chart.readouts]), chart.canvas]);
    listenToChart(chart);
    return chart;
  });
  byId("small-charts").replaceChildren(...smallCharts.map((chart) => chart.figure));
}

function drawReadouts() {
  for (const { readouts, drawn } of smallCharts) {
    drawn.forEach(({ at, colour }, axis) => {
      readouts[axis].textContent = `${"xy"[axis]} ${format(at(state.step), 4)}`;
      readouts[axis].style.borderColor = colour;
    });
  }
}

function showTooltip({ run, row }, event) {
  const box = byId("tooltip");
  const line = (name, texts) => element("tr", {}, [
    element("th", { textContent: name, dir: "auto" }), ...texts.map((textContent) => element("td", { textContent }))]);
  const pairs = [{ name: "point", data: run.points }, ...run.pairs];
  const gap = surface.fMin === null ? "" : `   f − f* = ${format(run.values[row] - surface.fMin, 6)}`;
  box.replaceChildren(
    element("strong", { dir: "auto", textContent: run.label }),
    element("div", { textContent: `step ${row}   f = ${format(run.values[row], 6)}${gap}` }),
    element("table", {}, [
      line("", ["x", "y"]),
      ...pairs.map(({ name, data }) => line(name, [format(data[2 * row]), format(data[2 * row + 1])])),
    ]),
  );
  box.hidden = false;
  // Beside the pointer, on the side with more room, never past the edge.
  const { innerWidth, innerHeight } = window;
  const [width, height] = [box.offsetWidth, box.offsetHeight];
  const beside = event.clientX + 16 + width > innerWidth ? event.clientX - 16 - width : event.clientX + 16;
  const x = clamp(beside, 4, Math.max(4, innerWidth - width - 4));
  const y = clamp(event.clientY - height - 12, 4, Math.max(4, innerHeight - height - 4));
  box.style.transform = `translate(${x}px, ${y}px)`;
}

function hover(target, event) {
  state.hovered = target;
  if (target) showTooltip(target, event);
  else byId("tooltip").hidden = true;
  requestDraw();
}
