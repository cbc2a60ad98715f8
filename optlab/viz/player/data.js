// The record, decoded once and then only looked up; and the little that changes while the page is open.

const byId = (id) => document.getElementById(id);
const clamp = (value, low, high) => Math.min(Math.max(value, low), high);
const decode = (text, Type) => new Type(Uint8Array.from(atob(text), (c) => c.charCodeAt(0)).buffer);

const record = JSON.parse(byId("record").textContent);
const { surface } = record;
const [[left, right], [bottom, top]] = surface.window;
const HOLE = 65535; // the height of a cell where the surface is not finite
const heights = decode(surface.heights, Uint16Array);

function readRun(raw, index) {
  const points = decode(raw.points, Float32Array);
  const values = decode(raw.values, Float64Array);
  const pairs = raw.series.map(([name, data]) => ({ name, data: decode(data, Float32Array) }));
  // A rate belongs to the step that leaves a row, so the last row has none.
  pairs.push({ name: "effective lr", data: decode(raw.rates, Float32Array) });
  let alive = 0; // rows before the record turns to nan
  while (alive < values.length && Number.isFinite(points[2 * alive] + points[2 * alive + 1])) alive++;
  return { ...raw, index, points, values, pairs, rows: values.length, alive };
}

const runs = record.runs.map(readRun);
const lastStep = Math.max(...runs.map((run) => run.rows)) - 1;

// Heights are measured from the published minimum where it holds. Rounding may put the last values a hair below it;
// that is zero, not a negative gap.
const slack = 1e-9 * (1 + Math.abs(surface.fMin));
const isGap = surface.fMin !== null && !runs.some((run) => run.values.some((f) => f < surface.fMin - slack));
for (const run of runs) run.gaps = isGap ? run.values.map((f) => Math.max(0, f - surface.fMin)) : run.values;

const xOf = (run, row) => run.points[2 * row];
const yOf = (run, row) => run.points[2 * row + 1];
const rowAt = (run, step) => Math.min(step, run.rows - 1);
const aliveRowAt = (run, step) => Math.min(step, run.alive - 1);

/** Whether a row lies in the window, grown by so many of its widths and heights on each side. */
function isInside(run, row, margin = 0) {
  const [x, y, dx, dy] = [xOf(run, row), yOf(run, row), margin * (right - left), margin * (top - bottom)];
  return x >= left - dx && x <= right + dx && y >= bottom - dy && y <= top + dy;
}

// Speed, trail, loop and the selected rule have no copy here: their controls hold them.
const state = { step: 0, playing: false, shown: runs.map(() => true), hovered: null };
const numberIn = (id) => Number(byId(id).value);
const selectedRun = () => runs[byId("selected").selectedIndex];
const shownRuns = () => runs.filter((run) => state.shown[run.index]);
