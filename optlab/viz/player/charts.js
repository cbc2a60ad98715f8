// Charts of numbers against the step, with the time cursor. A chart is its canvas, `lines()`, which gives
// {run, at(row), rows, colour, dash} and is asked again when the layout changes, and whether it prefers a log scale.

const valuesChart = {
  canvas: byId("values-chart"),
  preferLog: isGap,
  lines: () => shownRuns().map((run) => (
    { run, at: (row) => run.gaps[row], rows: run.rows, colour: colourOf(run), dash: dashOf(run) })),
};
let smallCharts = []; // of the selected rule
const charts = () => [valuesChart, ...smallCharts];

/** The numbers that decide a chart's range: a run that flies away must not flatten the others. */
function rangeOf(lines) {
  const pick = (keep) => lines.flatMap(({ run, at, rows }) =>
    [...Array(rows).keys()].filter((row) => keep(run, row)).map(at));
  const near = pick((run, row) => isInside(run, row, 1));
  return near.some(Number.isFinite) ? near : pick(() => true);
}

function layoutChart(chart) {
  const { font } = theme;
  const { clientWidth: width, clientHeight: height } = chart.canvas;
  const lines = chart.lines();
  const axis = chooseScale(rangeOf(lines), chart.preferLog);
  const [y0, y1] = [0.6 * font, height - 1.8 * font];
  const ticks = axis.ticks(clamp((y1 - y0) / (2 * font), 2, 6));
  const [x0, x1] = [Math.max(3 * font, widestLabel(ticks) + 0.8 * font), width - 0.9 * font];
  Object.assign(chart, {
    width, height, axis, ticks,
    drawn: lines,
    plot: { x0, y0, x1, y1 },
    x: (step) => x0 + (step / Math.max(1, lastStep)) * (x1 - x0),
    y: (value) => y1 - axis.map(value) * (y1 - y0),
    context: sized(chart.canvas, width, height),
  });
  chart.frame = layer(width, height, (ctx) => drawFrame(ctx, chart));
  chart.curves = layer(width, height, (ctx) => drawCurves(ctx, chart));
}

const isOnPlot = ({ plot }, y) => y >= plot.y0 - 1 && y <= plot.y1 + 1;

function drawFrame(ctx, chart) {
  const { x0, y0, x1, y1 } = chart.plot;
  const taken = [];
  ctx.beginPath();
  for (const { value, label } of chart.ticks) {
    const y = chart.y(value);
    if (!isOnPlot(chart, y) || taken.some((other) => Math.abs(other - y) < 1.1 * theme.font)) continue;
    taken.push(y);
    ctx.moveTo(x0, y);
    ctx.lineTo(x1, y);
    write(ctx, label, x0 - 6, y, "right", "middle");
  }
  for (const { value, label } of niceTicks(0, Math.max(1, lastStep), clamp((x1 - x0) / (5 * theme.font), 1, 8))) {
    if (!Number.isInteger(value)) continue;
    const x = chart.x(value);
    ctx.moveTo(x, y1);
    ctx.lineTo(x, y1 + 4);
    write(ctx, label, Math.min(x, chart.width - textWidth(label) / 2 - 1), y1 + 6, "center", "top");
  }
  ctx.strokeStyle = theme.line;
  ctx.stroke();
  ctx.strokeStyle = theme.muted;
  ctx.strokeRect(x0, y0, x1 - x0, y1 - y0);
}

function drawCurves(ctx, chart) {
  const { x0, y0, x1, y1 } = chart.plot;
  clipTo(ctx, x0, y0 - 1, x1 - x0, y1 - y0 + 2);
  for (const { at, rows, colour, dash } of chart.drawn) {
    Object.assign(ctx, { strokeStyle: colour, lineWidth: 1.8, lineJoin: "round" });
    ctx.setLineDash(dash);
    traceLine(ctx, (row) => [chart.x(row), chart.y(at(row))], 0, rows - 1, chart.plot, 9);
    ctx.stroke();
  }
}

function drawChart(chart) {
  const { context: ctx, plot, width, height } = chart;
  const now = chart.x(state.step);
  ctx.clearRect(0, 0, width, height);
  ctx.drawImage(chart.frame, 0, 0, width, height);
  // What is still to come is faint.
  ctx.globalAlpha = 0.3;
  ctx.drawImage(chart.curves, 0, 0, width, height);
  ctx.globalAlpha = 1;
  ctx.save();
  clipTo(ctx, plot.x0, 0, now - plot.x0 + 0.5, height);
  ctx.drawImage(chart.curves, 0, 0, width, height);
  ctx.restore();
  ctx.strokeStyle = theme.ink;
  ctx.beginPath();
  ctx.moveTo(now, plot.y0);
  ctx.lineTo(now, plot.y1);
  ctx.stroke();
  for (const { at, rows, colour } of chart.drawn) {
    const y = chart.y(at(state.step));
    if (state.step >= rows || !isOnPlot(chart, y)) continue;
    traceCircle(ctx, [now, y], 3.5);
    ctx.fillStyle = colour;
    ctx.fill();
  }
}

const chartStep = ({ plot }, px) => clamp(Math.round(((px - plot.x0) / (plot.x1 - plot.x0)) * lastStep), 0, lastStep);

function nearestOnChart(chart, px, py) {
  const row = chartStep(chart, px);
  let [best, distance] = [null, Infinity];
  for (const { run, at, rows } of chart.drawn) {
    const d = Math.abs(chart.y(at(row)) - py);
    if (row < rows && d < distance) [best, distance] = [{ run, row }, d];
  }
  return best;
}
