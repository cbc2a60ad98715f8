"use strict";
// The player of one race. Sections: record, state, numbers and scales, drawing, stage, charts, panels, input, formula.
(() => {
const byId = (id) => document.getElementById(id);
const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

// ---- record -------------------------------------------------------------------------------------------------------

function decode(text, Type) {
  return new Type(Uint8Array.from(atob(text), (c) => c.charCodeAt(0)).buffer);
}

function readRun(raw, index) {
  const points = decode(raw.points, Float32Array);
  const values = decode(raw.values, Float64Array);
  const pairs = raw.series.map(([name, data]) => ({ name, data: decode(data, Float32Array) }));
  // A rate belongs to the step that leaves a row, so the last row has none.
  pairs.push({ name: "effective lr", data: decode(raw.rates, Float32Array) });
  let alive = 0; // rows before the record turns to nan
  while (alive < values.length && Number.isFinite(points[2 * alive]) && Number.isFinite(points[2 * alive + 1])) alive++;
  return { ...raw, index, points, values, pairs, rows: values.length, alive };
}

const record = JSON.parse(byId("record").textContent);
const surface = record.surface;
const HOLE = 65535;
const heights = decode(surface.heights, Uint16Array);
const runs = record.runs.map(readRun);
const lastStep = Math.max(...runs.map((run) => run.rows)) - 1;
const [[left, right], [bottom, top]] = surface.window;

const xOf = (run, row) => run.points[2 * row];
const yOf = (run, row) => run.points[2 * row + 1];
const rowAt = (run, step) => Math.min(step, run.rows - 1);
const aliveRowAt = (run, step) => Math.min(step, run.alive - 1);
const isInside = (x, y) => x >= left && x <= right && y >= bottom && y <= top;

// ---- state --------------------------------------------------------------------------------------------------------

const SPEEDS = [0.25, 0.5, 1, 2, 4, 8, 16];
const STEPS_PER_SECOND = 25; // at 1x
const REST = 1; // seconds on the last step before a loop starts again

const state = {
  step: 0, playing: false, speed: 1, loop: false, trail: Infinity, selected: 0,
  shown: runs.map(() => true), hovered: null,
};
const isDark = matchMedia("(prefers-color-scheme: dark)");
const isCalm = matchMedia("(prefers-reduced-motion: reduce)");
let printing = false;

// ---- numbers and scales -------------------------------------------------------------------------------------------

function format(value, digits = 5) {
  if (value === undefined) return "–";
  if (!Number.isFinite(value)) return Number.isNaN(value) ? "nan" : value > 0 ? "∞" : "-∞";
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-3 || size >= 1e5)) return value.toExponential(Math.min(digits - 1, 3));
  return String(Number(value.toPrecision(digits)));
}

const SUPERSCRIPTS = "⁰¹²³⁴⁵⁶⁷⁸⁹";
function powerOfTen(exponent) {
  const digits = String(Math.abs(exponent)).replace(/\d/g, (digit) => SUPERSCRIPTS[digit]);
  return exponent === 0 ? "1" : exponent === 1 ? "10" : `10${exponent < 0 ? "⁻" : ""}${digits}`;
}

function tickLabel(value, spacing) {
  const size = Math.abs(value);
  if (size < spacing / 1e6) return "0";
  const decimals = Math.max(0, -Math.floor(Math.log10(spacing) + 1e-9));
  const text = size >= 1e5 || decimals > 4 ? String(Number(value.toPrecision(4)).toExponential()) : value.toFixed(decimals);
  return text.replace(/-/g, "−").replace("e+", "e");
}

function niceTicks(low, high, count) {
  const raw = (high - low) / Math.max(count, 1);
  const power = 10 ** Math.floor(Math.log10(raw));
  const spacing = power * ([1, 2, 5].find((m) => m * power >= raw * 0.999) ?? 10);
  const ticks = [];
  for (let i = Math.ceil(low / spacing - 1e-9); i * spacing <= high + spacing * 1e-9; i++) {
    ticks.push({ value: i * spacing, label: tickLabel(i * spacing, spacing) });
  }
  return ticks;
}

function linearScale(low, high) {
  const pad = 0.06 * (high - low) || Math.abs(high) * 0.1 || 1;
  const [from, to] = [low - pad, high + pad];
  return { kind: "linear", map: (v) => (v - from) / (to - from), ticks: (count) => niceTicks(from, to, count) };
}

function logScale(low, high) {
  const pad = 0.04 * Math.log10(high / low) || 0.2;
  const [from, to] = [Math.log10(low) - pad, Math.log10(high) + pad];
  const ticks = (count) => {
    const stride = Math.max(1, Math.ceil((to - from) / count));
    const decades = [];
    for (let k = Math.ceil(from / stride) * stride; k <= to; k += stride) decades.push({ value: 10 ** k, label: powerOfTen(k) });
    // Less than two decades: round numbers say more than a single power.
    return decades.length > 1 ? decades : niceTicks(10 ** from, 10 ** to, count);
  };
  return { kind: "log", map: (v) => (v > 0 ? Math.max(0, (Math.log10(v) - from) / (to - from)) : v === 0 ? 0 : NaN), ticks };
}

function symlogScale(unit, low, high) {
  const bend = (v) => Math.sign(v) * Math.log10(1 + Math.abs(v) / unit);
  const [from, to] = [bend(low), bend(high)];
  const pad = 0.05 * (to - from);
  const first = Math.ceil(Math.log10(unit));
  const ticks = (count) => {
    const stride = Math.max(1, Math.ceil((to - from) / count));
    // Zero, then the largest: where labels collide, the first one stays.
    const all = [{ value: 0, label: "0" }];
    for (let k = Math.floor(Math.log10(Math.max(-low, high))); k >= first; k -= stride) {
      if (10 ** k <= high) all.push({ value: 10 ** k, label: powerOfTen(k) });
      if (-(10 ** k) >= low) all.push({ value: -(10 ** k), label: `−${powerOfTen(k)}` });
    }
    return all;
  };
  return { kind: "symlog", map: (v) => (bend(v) - from + pad) / (to - from + 2 * pad), ticks };
}

/** The scale on which these numbers are readable; `preferLog` asks for log whenever nothing is negative. */
function chooseScale(numbers, preferLog) {
  const finite = numbers.filter(Number.isFinite);
  if (finite.length === 0) return linearScale(0, 1);
  const low = finite.reduce((a, b) => Math.min(a, b));
  const high = finite.reduce((a, b) => Math.max(a, b));
  const sizes = finite.map(Math.abs).filter((v) => v > 0).sort((a, b) => a - b);
  if (sizes.length === 0) return linearScale(-1, 1);
  const largest = sizes[sizes.length - 1];
  // Zero has no logarithm: it is drawn on the floor, 20 decades down at most.
  const floor = Math.max(sizes[0], largest * 1e-20);
  if (low >= 0 && (preferLog || largest > 100 * floor)) return logScale(floor, high);
  const typical = sizes[Math.floor(sizes.length / 2)];
  if (largest <= 30 * typical) return linearScale(low, high);
  return symlogScale(Math.max(sizes[Math.floor(sizes.length / 5)], largest * 1e-8), low, high);
}

// ---- drawing ------------------------------------------------------------------------------------------------------

// Okabe and Ito's colours; the last is the theme's ink. `halo` is the casing that lifts a line off the relief.
const LIGHT = {
  colours: ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#000000", "#56b4e9", "#f0e442"],
  relief: ["#8ea7bd", "#a9bdca", "#c4d0d4", "#dfe2dd", "#f8f5ec"], hole: "#ffffff", contour: "rgb(40 60 80 / 0.28)",
  ink: "#1b1f24", muted: "#5b6672", line: "#d5dae0", halo: "#ffffff",
};
const DARK = {
  colours: ["#56b4e9", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#ffffff", "#0072b2", "#f0e442"],
  relief: ["#07090c", "#141b22", "#222d37", "#32404c", "#445563"], hole: "#14171b", contour: "rgb(190 215 235 / 0.22)",
  ink: "#e8ecf0", muted: "#9ca8b4", line: "#39424c", halo: "#000000",
};
const DASHES = [[], [9, 4], [2, 3], [9, 3, 2, 3], [14, 4], [4, 4], [9, 3, 2, 3, 2, 3], [6, 2]];
// Corners, turn in degrees, inner radius (1 for a convex shape).
const SHAPES = [[24, 0, 1], [4, 45, 1], [3, -90, 1], [4, 0, 1], [3, 90, 1], [6, 0, 1], [4, -90, 0.35], [5, -90, 1]];
const STAR = [5, -90, 0.42];

const theme = () => (isDark.matches && !printing ? DARK : LIGHT);
const colourOf = (run) => theme().colours[run.index % 8];
const shapeOf = (run) => SHAPES[run.index % 8];
// Past eight rules the colours return with other dashes.
const dashOf = (run) => DASHES[(run.index + Math.floor(run.index / 8)) % 8];

function corners([count, turn, inner], radius) {
  const total = inner < 1 ? 2 * count : count;
  return Array.from({ length: total }, (_, i) => {
    const angle = (turn * Math.PI) / 180 + (2 * Math.PI * i) / total;
    const reach = radius * (i % 2 && inner < 1 ? inner : 1);
    return [reach * Math.cos(angle), reach * Math.sin(angle)];
  });
}

/** Sizes a canvas in CSS pixels, at the screen's own resolution. */
function sized(canvas, width, height) {
  const ratio = (window.devicePixelRatio || 1) * (printing ? 2 : 1);
  canvas.width = Math.max(1, Math.round(width * ratio));
  canvas.height = Math.max(1, Math.round(height * ratio));
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  return context;
}

function layer(width, height, draw) {
  const canvas = document.createElement("canvas");
  draw(sized(canvas, width, height));
  return canvas;
}

function fontSize() {
  return Math.round(0.82 * parseFloat(getComputedStyle(document.documentElement).fontSize));
}

function setFont(ctx, style = "") {
  ctx.font = `${style} ${fontSize()}px system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif`;
  ctx.fillStyle = theme().muted;
}

function drawShape(ctx, shape, x, y, radius, fill, edge) {
  ctx.beginPath();
  corners(shape, radius).forEach(([dx, dy], i) => (i ? ctx.lineTo(x + dx, y + dy) : ctx.moveTo(x + dx, y + dy)));
  ctx.closePath();
  ctx.fillStyle = fill;
  ctx.fill();
  ctx.strokeStyle = edge;
  ctx.lineWidth = 1.5;
  ctx.stroke();
}

/** Liang and Barsky: the part of a segment inside a box, or null. Canvas dashes hang on segments of 1e9 pixels. */
function clipSegment(x0, y0, x1, y1, box) {
  let [start, end] = [0, 1];
  const edges = [[x0 - x1, x0 - box.x0], [x1 - x0, box.x1 - x0], [y0 - y1, y0 - box.y0], [y1 - y0, box.y1 - y0]];
  for (const [along, room] of edges) {
    if (along === 0 && room < 0) return null;
    if (along < 0) start = Math.max(start, room / along);
    if (along > 0) end = Math.min(end, room / along);
  }
  if (!(start <= end)) return null;
  const at = (t) => [x0 + t * (x1 - x0), y0 + t * (y1 - y0)];
  return { from: at(start), to: at(end), entered: start > 0, left: end < 1 };
}

// ---- stage: the surface, the trails, the racers ---------------------------------------------------------------------

const stage = { canvas: byId("surface"), width: 0, height: 0, plot: null, ground: null };
const isWide = () => window.innerWidth >= 900;

const stageX = (x) => stage.plot.x0 + ((x - left) / (right - left)) * stage.plot.width;
const stageY = (y) => stage.plot.y1 - ((y - bottom) / (top - bottom)) * stage.plot.height;
const stageUnit = () => clamp(stage.plot.width / 560, 0.8, 1.6);

/** Equal units on both axes where the window allows it: only then is the gradient seen at right angles to the contours. */
function stageAspect() {
  return clamp((right - left) / (top - bottom), 0.62, 1.7);
}

const stageTicks = (low, high, length, spread) => niceTicks(low, high, clamp(length / (spread * fontSize()), 2, 8));

function widestLabel(ticks) {
  setFont(stage.canvas.getContext("2d"));
  return Math.max(0, ...ticks.map(({ label }) => stage.canvas.getContext("2d").measureText(label).width));
}

function layoutStage() {
  const main = document.querySelector("main");
  const font = fontSize();
  const margin = { left: widestLabel(niceTicks(bottom, top, 8)) + 0.9 * font, top: 1.6 * font, bottom: 2.1 * font };
  const wide = isWide();
  const room = wide ? 0.58 * main.clientWidth : main.clientWidth;
  margin.right = room > 460 ? widestLabel(barTicks()) + 2.2 * font : 2.2 * font;
  const spent = document.querySelector("header").offsetHeight + byId("controls").offsetHeight + 3.4 * font;
  const tall = wide ? window.innerHeight - spent : 0.8 * window.innerHeight;
  const aspect = stageAspect();
  const width = Math.max(120, Math.min(room - margin.left - margin.right, aspect * (Math.max(tall, 300) - margin.top - margin.bottom)));
  const height = width / aspect;
  stage.plot = { x0: margin.left, y0: margin.top, width, height, x1: margin.left + width, y1: margin.top + height };
  stage.width = margin.left + width + margin.right;
  stage.height = margin.top + height + margin.bottom;
  stage.canvas.style.width = `${stage.width}px`;
  stage.canvas.style.height = `${stage.height}px`;
  byId("stage").style.maxWidth = wide ? `${Math.max(stage.width, 50 * font)}px` : "";
  stage.context = sized(stage.canvas, stage.width, stage.height);
  stage.ground = layer(stage.width, stage.height, drawGround);
}

function reliefColours() {
  const stops = theme().relief.map((hex) => [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16)));
  return Array.from({ length: 256 }, (_, i) => {
    const place = (i / 255) * (stops.length - 1);
    const k = Math.min(Math.floor(place), stops.length - 2);
    return stops[k].map((channel, j) => channel + (place - k) * (stops[k + 1][j] - channel));
  });
}

/** The relief, one pixel per grid point; the canvas interpolates when it stretches it. */
function reliefImage() {
  const { columns, rows } = surface;
  const colours = reliefColours();
  const canvas = document.createElement("canvas");
  canvas.width = columns;
  canvas.height = rows;
  const image = new ImageData(columns, rows);
  for (let j = 0; j < rows; j++) {
    for (let i = 0; i < columns; i++) {
      const height = heights[j * columns + i];
      if (height === HOLE) continue; // transparent: the surface isn't finite there
      image.data.set([...colours[height >> 8], 255], 4 * ((rows - 1 - j) * columns + i));
    }
  }
  canvas.getContext("2d").putImageData(image, 0, 0);
  return canvas;
}

const CORNERS = [[0, 0], [1, 0], [1, 1], [0, 1]];

/** Marching squares: where a cell's edges cross each level, joined in pairs. */
function traceContours(ctx) {
  const { columns, rows } = surface;
  const { x0, y1, width, height } = stage.plot;
  const cuts = surface.levels.map(([level]) => level * 65534);
  for (let j = 0; j + 1 < rows; j++) {
    for (let i = 0; i + 1 < columns; i++) {
      const h = CORNERS.map(([di, dj]) => heights[(j + dj) * columns + i + di]);
      const [low, high] = [Math.min(...h), Math.max(...h)];
      if (high === HOLE) continue;
      for (const cut of cuts) {
        if (cut <= low || cut > high) continue;
        cellCrossings(h, cut).forEach(([di, dj], k) => {
          const [x, y] = [x0 + ((i + di) / (columns - 1)) * width, y1 - ((j + dj) / (rows - 1)) * height];
          if (k % 2) ctx.lineTo(x, y);
          else ctx.moveTo(x, y);
        });
      }
    }
  }
}

function cellCrossings(h, cut) {
  const found = [];
  for (let k = 0; k < 4; k++) {
    const next = (k + 1) % 4;
    if (h[k] < cut === h[next] < cut) continue;
    const t = (cut - h[k]) / (h[next] - h[k]);
    found.push([0, 1].map((axis) => CORNERS[k][axis] + t * (CORNERS[next][axis] - CORNERS[k][axis])));
  }
  return found;
}

function drawGround(ctx) {
  const { x0, y0, x1, y1, width, height } = stage.plot;
  const colours = theme();
  ctx.save();
  ctx.beginPath();
  ctx.rect(x0, y0, width, height);
  ctx.clip();
  ctx.fillStyle = colours.hole;
  ctx.fill();
  // Grid points lie on the window's edges, so the outer half pixels fall outside.
  const [cellX, cellY] = [width / (surface.columns - 1), height / (surface.rows - 1)];
  ctx.imageSmoothingEnabled = true;
  ctx.imageSmoothingQuality = "high";
  ctx.drawImage(reliefImage(), x0 - cellX / 2, y0 - cellY / 2, width + cellX, height + cellY);
  ctx.strokeStyle = colours.contour;
  ctx.lineWidth = 1;
  ctx.beginPath();
  traceContours(ctx);
  ctx.stroke();
  ctx.restore();
  ctx.strokeStyle = colours.muted;
  ctx.strokeRect(x0, y0, width, height);
  drawStageAxes(ctx);
  if (stage.width - x1 > 3 * fontSize()) drawColourBar(ctx);
}

function drawStageAxes(ctx) {
  const { x0, y0, x1, y1 } = stage.plot;
  const font = fontSize();
  setFont(ctx);
  ctx.beginPath();
  ctx.textAlign = "center";
  ctx.textBaseline = "top";
  for (const { value, label } of stageTicks(left, right, stage.plot.width, 5)) {
    ctx.moveTo(stageX(value), y1);
    ctx.lineTo(stageX(value), y1 + 5);
    ctx.fillText(label, stageX(value), y1 + 8);
  }
  ctx.textAlign = "right";
  ctx.textBaseline = "middle";
  for (const { value, label } of stageTicks(bottom, top, stage.plot.height, 4)) {
    ctx.moveTo(x0, stageY(value));
    ctx.lineTo(x0 - 5, stageY(value));
    ctx.fillText(label, x0 - 8, stageY(value));
  }
  ctx.stroke();
  setFont(ctx, "italic");
  ctx.fillStyle = theme().ink;
  ctx.textAlign = "left";
  ctx.fillText("y", x0, y0 - 0.8 * font);
  ctx.textBaseline = "top";
  ctx.fillText("x", x1 + 1.5 * font, y1 + 7);
}

const barTicks = () => surface.levels.map(([share, value]) => (
  { share, label: format(value, 3).replace(/-/g, "−").replace("e+", "e") }));

function drawColourBar(ctx) {
  const { x1, y0, y1, height } = stage.plot;
  const font = fontSize();
  const x = x1 + 0.8 * font;
  const place = (share) => y1 - share * height;
  const colours = theme().relief;
  const gradient = ctx.createLinearGradient(0, y1, 0, y0);
  colours.forEach((colour, i) => gradient.addColorStop(i / (colours.length - 1), colour));
  ctx.fillStyle = gradient;
  ctx.fillRect(x, y0, 0.8 * font, y1 - y0);
  ctx.strokeStyle = theme().muted;
  ctx.strokeRect(x, y0, 0.8 * font, y1 - y0);
  setFont(ctx, "italic");
  ctx.fillStyle = theme().ink;
  ctx.textAlign = "left";
  ctx.textBaseline = "middle";
  ctx.fillText("f", x + 0.2 * font, y0 - 0.8 * font);
  setFont(ctx);
  let free = Infinity;
  for (const { share, label } of barTicks()) {
    const y = place(share);
    ctx.fillRect(x + 0.8 * font, y, 3, 1);
    if (y > free || y > y1 - 3) continue;
    ctx.fillText(label, x + 0.8 * font + 6, y);
    free = y - 1.25 * font;
  }
}

function traceTrail(ctx, run, from, to) {
  const { x0, y0, x1, y1 } = stage.plot;
  const box = { x0: x0 - 20, y0: y0 - 20, x1: x1 + 20, y1: y1 + 20 };
  let joined = false;
  ctx.beginPath();
  let [px, py] = [stageX(xOf(run, from)), stageY(yOf(run, from))];
  for (let row = from + 1; row <= to; row++) {
    const [x, y] = [stageX(xOf(run, row)), stageY(yOf(run, row))];
    const part = clipSegment(px, py, x, y, box);
    if (part) {
      if (!joined || part.entered) ctx.moveTo(...part.from);
      ctx.lineTo(...part.to);
    }
    joined = part !== null && !part.left;
    [px, py] = [x, y];
  }
}

/** Dots on the steps that are long enough to be told apart: step length is what a rule is about. */
function drawSteps(ctx, run, from, to) {
  const at = (row) => [stageX(xOf(run, row)), stageY(yOf(run, row))];
  const gap = 8 * stageUnit();
  ctx.fillStyle = colourOf(run);
  ctx.strokeStyle = theme().halo;
  ctx.lineWidth = 1;
  let [px, py] = at(from);
  for (let row = from + 1; row <= to; row++) {
    const [x, y] = at(row);
    if (Math.hypot(x - px, y - py) >= gap && isInside(xOf(run, row - 1), yOf(run, row - 1))) {
      ctx.beginPath();
      ctx.arc(px, py, 2.6 * stageUnit(), 0, 2 * Math.PI);
      ctx.stroke();
      ctx.fill();
    }
    [px, py] = [x, y];
  }
}

const trailStart = (run) => Math.max(0, aliveRowAt(run, state.step) - state.trail);

function drawTrail(ctx, run) {
  const [from, to] = [trailStart(run), aliveRowAt(run, state.step)];
  const unit = stageUnit();
  ctx.lineJoin = "round";
  ctx.lineCap = "butt";
  traceTrail(ctx, run, from, to);
  ctx.setLineDash([]);
  ctx.strokeStyle = theme().halo;
  ctx.globalAlpha = 0.65;
  ctx.lineWidth = 4.6 * unit;
  ctx.stroke();
  ctx.globalAlpha = 1;
  ctx.setLineDash(dashOf(run).map((length) => length * unit));
  ctx.strokeStyle = colourOf(run);
  ctx.lineWidth = 2.4 * unit;
  ctx.stroke();
  ctx.setLineDash([]);
  drawSteps(ctx, run, from, to);
}

function drawRacer(ctx, run, arrows) {
  const row = aliveRowAt(run, state.step);
  if (row < 0) return;
  const [x, y] = [stageX(xOf(run, row)), stageY(yOf(run, row))];
  if (!isInside(xOf(run, row), yOf(run, row))) return drawArrow(ctx, run, x, y, arrows);
  drawShape(ctx, shapeOf(run), x, y, 8 * stageUnit(), colourOf(run), theme().halo);
  if (state.step < run.alive || run.alive === run.rows) return;
  setFont(ctx, "bold");
  ctx.fillStyle = theme().ink;
  ctx.textAlign = "center";
  ctx.textBaseline = "middle";
  ctx.fillText("×", x, y);
}

/** At the border, towards a racer that has left the window; beside the arrows already there. */
function drawArrow(ctx, run, x, y, taken) {
  const { x0, y0, x1, y1 } = stage.plot;
  const reach = 10 * stageUnit();
  let [ax, ay] = [clamp(x, x0 + reach, x1 - reach), clamp(y, y0 + reach, y1 - reach)];
  const turn = (Math.atan2(y - ay, x - ax) * 180) / Math.PI;
  const [alongX, alongY] = Math.abs(y - ay) > Math.abs(x - ax) ? [1, 0] : [0, 1];
  const inward = alongX ? Math.sign((x0 + x1) / 2 - ax) || 1 : Math.sign((y0 + y1) / 2 - ay) || 1;
  while (taken.some(([bx, by]) => Math.hypot(ax - bx, ay - by) < 1.8 * reach)) {
    [ax, ay] = [ax + alongX * inward * reach, ay + alongY * inward * reach];
  }
  taken.push([ax, ay]);
  drawShape(ctx, [3, turn, 1], ax, ay, reach, colourOf(run), theme().halo);
}

function drawStage() {
  const ctx = stage.context;
  const { x0, y0, width, height } = stage.plot;
  ctx.clearRect(0, 0, stage.width, stage.height);
  ctx.drawImage(stage.ground, 0, 0, stage.width, stage.height);
  const shown = runs.filter((run) => state.shown[run.index]);
  ctx.save();
  ctx.beginPath();
  ctx.rect(x0, y0, width, height);
  ctx.clip();
  for (const run of shown) if (run.alive > 0) drawTrail(ctx, run);
  ctx.restore();
  for (const [x, y] of surface.minima) {
    if (isInside(x, y)) drawShape(ctx, STAR, stageX(x), stageY(y), 10 * stageUnit(), theme().halo, theme().ink);
  }
  // Last to first, so that rule 1 is on top where all start from one point.
  const arrows = [];
  for (const run of shown.reverse()) drawRacer(ctx, run, arrows);
  const target = state.hovered;
  if (!target || !isInside(xOf(target.run, target.row), yOf(target.run, target.row))) return;
  ctx.beginPath();
  ctx.arc(stageX(xOf(target.run, target.row)), stageY(yOf(target.run, target.row)), 6 * stageUnit(), 0, 2 * Math.PI);
  ctx.strokeStyle = theme().ink;
  ctx.lineWidth = 2;
  ctx.stroke();
}

/** The drawn point nearest to the pointer, within reach of a finger or a mouse. */
function nearestOnStage(px, py) {
  let best = null;
  let distance = 22 * stageUnit();
  for (const run of runs) {
    if (!state.shown[run.index]) continue;
    // Later steps first: where a run rests, its latest step is the one meant.
    for (let row = aliveRowAt(run, state.step); row >= trailStart(run); row--) {
      const d = Math.hypot(stageX(xOf(run, row)) - px, stageY(yOf(run, row)) - py);
      if (d < distance - 1e-9) [best, distance] = [{ run, row }, d];
    }
  }
  return best;
}

// ---- charts: numbers against the step -------------------------------------------------------------------------------

/**
 * A line chart with the time cursor. `lines()` gives {run, numbers, stride, offset, rows, colour, dash} and
 * `scale(lines)` the vertical scale; both are asked again when the layout changes.
 */
function createChart(canvas, lines, scale) {
  return { canvas, lines, scale, drawn: [] };
}

const lineValue = (line, row) => line.numbers[row * line.stride + line.offset];

function layoutChart(chart) {
  const font = fontSize();
  chart.width = chart.canvas.clientWidth;
  chart.height = chart.canvas.clientHeight;
  chart.context = sized(chart.canvas, chart.width, chart.height);
  chart.drawn = chart.lines();
  chart.axis = chart.scale(chart.drawn);
  const [y0, y1] = [0.6 * font, chart.height - 1.8 * font];
  chart.ticks = chart.axis.ticks(clamp((y1 - y0) / (2 * font), 2, 6));
  chart.plot = { x0: Math.max(3 * font, widestLabel(chart.ticks) + 0.8 * font), y0, x1: chart.width - 0.9 * font, y1 };
  chart.x = (step) => chart.plot.x0 + (step / Math.max(1, lastStep)) * (chart.plot.x1 - chart.plot.x0);
  chart.y = (value) => chart.plot.y1 - chart.axis.map(value) * (chart.plot.y1 - chart.plot.y0);
  chart.frame = layer(chart.width, chart.height, (ctx) => drawFrame(ctx, chart));
  chart.curves = layer(chart.width, chart.height, (ctx) => drawCurves(ctx, chart));
}

function drawFrame(ctx, chart) {
  const { x0, y0, x1, y1 } = chart.plot;
  const font = fontSize();
  setFont(ctx);
  ctx.strokeStyle = theme().line;
  ctx.beginPath();
  ctx.textAlign = "right";
  ctx.textBaseline = "middle";
  const taken = [];
  for (const { value, label } of chart.ticks) {
    const y = chart.y(value);
    if (!(y >= y0 - 1 && y <= y1 + 1) || taken.some((other) => Math.abs(other - y) < 1.1 * font)) continue;
    taken.push(y);
    ctx.moveTo(x0, y);
    ctx.lineTo(x1, y);
    ctx.fillText(label, x0 - 6, y);
  }
  ctx.textBaseline = "top";
  for (const { value, label } of niceTicks(0, Math.max(1, lastStep), clamp((x1 - x0) / (5 * font), 1, 8))) {
    if (!Number.isInteger(value)) continue;
    const x = chart.x(value);
    ctx.moveTo(x, y1);
    ctx.lineTo(x, y1 + 4);
    const half = ctx.measureText(label).width / 2;
    ctx.textAlign = "center";
    ctx.fillText(label, Math.min(x, chart.width - half - 1), y1 + 6);
  }
  ctx.stroke();
  ctx.strokeStyle = theme().muted;
  ctx.strokeRect(x0, y0, x1 - x0, y1 - y0);
}

function drawCurves(ctx, chart) {
  const { x0, y0, x1, y1 } = chart.plot;
  ctx.beginPath();
  ctx.rect(x0, y0 - 1, x1 - x0, y1 - y0 + 2);
  ctx.clip();
  ctx.lineJoin = "round";
  ctx.lineWidth = 1.8;
  const box = { x0: x0 - 9, y0: y0 - 9, x1: x1 + 9, y1: y1 + 9 };
  for (const line of chart.drawn) {
    ctx.strokeStyle = line.colour;
    ctx.setLineDash(line.dash);
    ctx.beginPath();
    for (let row = 1; row < line.rows; row++) {
      const [a, b] = [chart.y(lineValue(line, row - 1)), chart.y(lineValue(line, row))];
      const part = clipSegment(chart.x(row - 1), a, chart.x(row), b, box);
      if (!part) continue;
      // Joined to the segment before, unless that one was cut or missing.
      if (row === 1 || part.entered || !Number.isFinite(chart.y(lineValue(line, row - 2)))) ctx.moveTo(...part.from);
      ctx.lineTo(...part.to);
    }
    ctx.stroke();
  }
}

function drawChart(chart) {
  const ctx = chart.context;
  const { x0, y0, x1, y1 } = chart.plot;
  const now = chart.x(state.step);
  ctx.clearRect(0, 0, chart.width, chart.height);
  ctx.drawImage(chart.frame, 0, 0, chart.width, chart.height);
  // What is still to come is faint.
  ctx.globalAlpha = 0.3;
  ctx.drawImage(chart.curves, 0, 0, chart.width, chart.height);
  ctx.globalAlpha = 1;
  ctx.save();
  ctx.beginPath();
  ctx.rect(x0, 0, now - x0 + 0.5, chart.height);
  ctx.clip();
  ctx.drawImage(chart.curves, 0, 0, chart.width, chart.height);
  ctx.restore();
  ctx.strokeStyle = theme().ink;
  ctx.lineWidth = 1;
  ctx.beginPath();
  ctx.moveTo(now, y0);
  ctx.lineTo(now, y1);
  ctx.stroke();
  for (const line of chart.drawn) {
    const y = chart.y(lineValue(line, state.step));
    if (state.step >= line.rows || !(y >= y0 - 1 && y <= y1 + 1)) continue;
    ctx.beginPath();
    ctx.arc(now, y, 3.5, 0, 2 * Math.PI);
    ctx.fillStyle = line.colour;
    ctx.fill();
  }
}

const chartStep = (chart, px) => {
  const { x0, x1 } = chart.plot;
  return clamp(Math.round(((px - x0) / (x1 - x0)) * lastStep), 0, lastStep);
};

function nearestOnChart(chart, px, py) {
  const row = chartStep(chart, px);
  let best = null;
  let distance = Infinity;
  for (const line of chart.drawn) {
    const d = Math.abs(chart.y(lineValue(line, row)) - py);
    if (row < line.rows && d < distance) [best, distance] = [{ run: line.run, row }, d];
  }
  return best;
}

/** Rows that decide a chart's range: a run that flies away must not flatten the others. */
function countsForRange(run, row) {
  const [x, y] = [xOf(run, row), yOf(run, row)];
  const [width, height] = [right - left, top - bottom];
  return x >= left - width && x <= right + width && y >= bottom - height && y <= top + height;
}

function rangeOf(lines) {
  const pick = (keep) => lines.flatMap((line) =>
    Array.from({ length: line.rows }, (_, row) => (keep(line.run, row) ? lineValue(line, row) : NaN)));
  const near = pick(countsForRange);
  return near.some(Number.isFinite) ? near : pick(() => true);
}

// Rounding may put the last values a hair below the published minimum; that is zero, not a negative gap.
const SLACK = 1e-9 * (1 + Math.abs(surface.fMin ?? 0));
const isGap = surface.fMin !== null && runs.every((run) => run.values.every((f) => !(f < surface.fMin - SLACK)));
for (const run of runs) run.heights = isGap ? run.values.map((f) => (Number.isNaN(f) ? f : Math.max(0, f - surface.fMin))) : run.values;

const valuesChart = createChart(
  byId("values-chart"),
  () => runs.filter((run) => state.shown[run.index]).map((run) => (
    { run, numbers: run.heights, stride: 1, offset: 0, rows: run.rows, colour: colourOf(run), dash: dashOf(run) })),
  (lines) => chooseScale(rangeOf(lines), isGap),
);
let smallCharts = [];
const charts = () => [valuesChart, ...smallCharts];

// ---- panels: legend, internals, tooltip -----------------------------------------------------------------------------

function element(tag, properties = {}, children = []) {
  const node = Object.assign(document.createElement(tag), properties);
  node.append(...children);
  return node;
}

function svgElement(tag, attributes, children = []) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

function swatch(run) {
  const colour = colourOf(run);
  const outline = corners(shapeOf(run), 7).map(([x, y]) => `${23 + x},${10 + y}`).join(" ");
  return svgElement("svg", { viewBox: "0 0 46 20", "aria-hidden": "true" }, [
    svgElement("path", { d: "M1 10H45", stroke: colour, "stroke-width": 2.4, "stroke-dasharray": dashOf(run).join(" ") }),
    svgElement("polygon", { points: outline, fill: colour, stroke: theme().halo, "stroke-width": 1.5 }),
  ]);
}

function buildLegend() {
  byId("legend").replaceChildren(...runs.map((run) => {
    const box = element("input", { type: "checkbox", checked: state.shown[run.index] });
    box.addEventListener("change", () => show(run.index, box.checked));
    const [value, status] = [element("span", { className: "value" }), element("span", { className: "status" })];
    const name = element("span", { className: "name", dir: "auto", textContent: run.label });
    const label = element("label", { title: run.settings === run.label ? run.label : `${run.label}\n${run.settings}` }, [box, swatch(run), name, status, value]);
    run.row = { box, label, value, status };
    return element("li", {}, [label]);
  }));
}

function statusOf(run) {
  if (state.step >= run.alive && run.alive < run.rows) return `diverged at step ${run.alive}`;
  const row = rowAt(run, state.step);
  const away = isInside(xOf(run, row), yOf(run, row)) ? "" : "outside";
  const fate = state.step >= run.rows - 1 && run.status !== "running" ? run.status : "";
  return [fate, away].filter(Boolean).join(", ") || "running";
}

function drawLegend() {
  for (const run of runs) {
    run.row.box.checked = state.shown[run.index];
    run.row.label.classList.toggle("off", !state.shown[run.index]);
    const f = run.values[rowAt(run, state.step)];
    run.row.value.textContent = Number.isNaN(f) ? "nan" : `f = ${format(f, 4)}`;
    run.row.status.textContent = statusOf(run);
  }
}

function buildInternals() {
  const run = runs[state.selected];
  byId("selected").value = String(state.selected);
  byId("settings").textContent = byId("settings").title = run.settings;
  smallCharts = run.pairs.map(({ name, data }) => {
    const canvas = element("canvas", { className: "chart", role: "img", ariaLabel: `${name} of ${run.label} against the step` });
    const lines = () => [0, 1].map((offset) => (
      { run, numbers: data, stride: 2, offset, rows: data.length / 2, colour: offset ? theme().muted : colourOf(run), dash: offset ? [5, 3] : [] }));
    const chart = createChart(canvas, lines, (drawn) => chooseScale(rangeOf(drawn), name === "effective lr"));
    chart.data = data;
    chart.readouts = ["x", "y"].map((axis) => element("span", { className: `axis-${axis}` }));
    const heading = element("b", { dir: "auto", title: name, textContent: name });
    chart.figure = element("div", {}, [element("h3", {}, [heading, ...chart.readouts]), canvas]);
    listenToChart(chart);
    return chart;
  });
  byId("small-charts").replaceChildren(...smallCharts.map((chart) => chart.figure));
}

function drawReadouts() {
  for (const chart of smallCharts) {
    chart.readouts.forEach((node, axis) => {
      node.textContent = `${"xy"[axis]} ${format(chart.data[2 * state.step + axis], 4)}`;
      // Underlined as its curve is drawn: the legend of the two lines.
      node.style.borderColor = axis ? theme().muted : colourOf(runs[state.selected]);
    });
  }
}

function tooltipRows({ run, row }) {
  const pair = (data) => [format(data[2 * row]), format(data[2 * row + 1])];
  return [["point", ...pair(run.points)], ...run.pairs.map(({ name, data }) => [name, ...pair(data)])];
}

function showTooltip(target, event) {
  const box = byId("tooltip");
  const { run, row } = target;
  const cells = (tag, texts) => texts.map((text) => element(tag, { textContent: text }));
  const gap = surface.fMin === null ? "" : `   f − f* = ${format(run.values[row] - surface.fMin, 6)}`;
  const body = tooltipRows(target).map(([name, ...numbers]) =>
    element("tr", {}, [element("th", { textContent: name, dir: "auto" }), ...cells("td", numbers)]));
  box.replaceChildren(
    element("strong", { dir: "auto", textContent: run.label }),
    element("div", { textContent: `step ${row}   f = ${format(run.values[row], 6)}${gap}` }),
    element("table", {}, [element("tr", {}, [element("th"), ...cells("td", ["x", "y"])]), ...body]),
  );
  box.hidden = false;
  // Beside the pointer, on the side with more room, never past the edge.
  const [width, height] = [box.offsetWidth, box.offsetHeight];
  const beside = event.clientX + 16 + width > window.innerWidth ? event.clientX - 16 - width : event.clientX + 16;
  box.style.transform = `translate(${clamp(beside, 4, Math.max(4, window.innerWidth - width - 4))}px, ${
    clamp(event.clientY - height - 12, 4, Math.max(4, window.innerHeight - height - 4))}px)`;
}

function hover(target, event) {
  state.hovered = target;
  if (target) showTooltip(target, event);
  else byId("tooltip").hidden = true;
  requestDraw();
}

// ---- time ---------------------------------------------------------------------------------------------------------

let phase = 0; // the step with its fraction, so that slow speeds don't round to nothing
let before = 0; // time of the previous frame, 0 after a pause
let requested = false;

function requestDraw() {
  if (requested) return;
  requested = true;
  requestAnimationFrame(frame);
}

function frame(now) {
  requested = false;
  if (state.playing) {
    // A tab that slept for a minute must not jump by a minute.
    const seconds = before ? Math.min(now - before, 250) / 1000 : 0;
    before = now;
    advance(seconds * STEPS_PER_SECOND * state.speed);
    requestDraw();
  }
  draw();
}

function advance(steps) {
  phase += steps;
  if (phase >= lastStep && !state.loop) return pause(lastStep);
  if (phase > lastStep + REST * STEPS_PER_SECOND * state.speed) phase = 0;
  state.step = Math.min(Math.floor(phase), lastStep);
}

function draw() {
  drawStage();
  for (const chart of charts()) drawChart(chart);
  drawLegend();
  drawReadouts();
  byId("scrub").value = String(state.step);
  byId("clock").textContent = `step ${state.step} / ${lastStep}`;
}

function describe() {
  const parts = runs.map((run) => `${run.label}: f ${format(run.values[rowAt(run, state.step)], 3)}, ${statusOf(run)}`);
  byId("announcer").textContent = `Step ${state.step} of ${lastStep}. ${parts.join("; ")}`;
}

let settled = 0;
/** Once the step rests: tell screen readers, and make the address a link to this instant. */
function settle() {
  clearTimeout(settled);
  settled = setTimeout(() => {
    if (state.playing) return;
    describe();
    try {
      history.replaceState(null, "", `#step=${state.step}`);
    } catch {
      // A sandboxed frame has no address to change.
    }
  }, 300);
}

function showPlaying() {
  byId("play-icon").setAttribute("d", state.playing ? "M6 5h4v14H6zM14 5h4v14h-4z" : "M7 4v16l13-8z");
  byId("play").setAttribute("aria-label", state.playing ? "Pause" : "Play");
}

function play() {
  if (lastStep === 0) return;
  if (state.step >= lastStep) state.step = 0;
  phase = state.step;
  before = 0;
  state.playing = true;
  showPlaying();
  requestDraw();
}

function pause(step = state.step) {
  state.playing = false;
  go(step);
  showPlaying();
}

/** To a step; a race that is playing plays on from there. */
function go(step) {
  state.step = phase = clamp(Math.round(step), 0, lastStep);
  requestDraw();
  settle();
}

function readHash() {
  const found = /^#step=(\d+)$/.exec(location.hash);
  if (found) pause(Number(found[1]));
  return found !== null;
}

// ---- input --------------------------------------------------------------------------------------------------------

function show(index, shown) {
  state.shown[index] = shown;
  hover(null);
  layoutChart(valuesChart);
  requestDraw();
}

function select(index) {
  if (state.selected === index) return;
  state.selected = index;
  buildInternals();
  smallCharts.forEach(layoutChart);
  requestDraw();
}

function setSpeed(speed) {
  state.speed = speed;
  byId("speed").value = String(speed);
}

function toggleHelp() {
  const help = byId("help");
  if (help.open) help.close();
  else help.showModal();
}

const KEYS = {
  " ": () => (state.playing ? pause() : play()),
  ArrowLeft: (event) => pause(state.step - (event.shiftKey ? 10 : 1)),
  ArrowRight: (event) => pause(state.step + (event.shiftKey ? 10 : 1)),
  Home: () => pause(0),
  End: () => pause(lastStep),
  "+": () => setSpeed(SPEEDS[Math.min(SPEEDS.indexOf(state.speed) + 1, SPEEDS.length - 1)]),
  "-": () => setSpeed(SPEEDS[Math.max(SPEEDS.indexOf(state.speed) - 1, 0)]),
  "?": toggleHelp,
};
KEYS["="] = KEYS["+"]; // the same key without Shift

function onKey(event) {
  if (event.ctrlKey || event.altKey || event.metaKey) return;
  const target = event.target;
  const own = target.matches("select") || (event.key === " " && target.matches("button, input[type=checkbox]"));
  // A focused control keeps the keys that are its own; an open dialog keeps all but its own toggle.
  if (own || (byId("help").open && event.key !== "?")) return;
  const digit = /^[1-9]$/.test(event.key) ? Number(event.key) - 1 : -1;
  if (digit >= 0 && digit < runs.length) show(digit, !state.shown[digit]);
  else if (Object.hasOwn(KEYS, event.key)) KEYS[event.key](event);
  else return;
  event.preventDefault();
}

function within(canvas, event) {
  const box = canvas.getBoundingClientRect();
  return [event.clientX - box.left, event.clientY - box.top];
}

function listenToHover(canvas, nearest) {
  const update = (event) => hover(nearest(...within(canvas, event)), event);
  canvas.addEventListener("pointermove", update);
  canvas.addEventListener("pointerdown", update);
  // A finger always leaves; what it touched should stay readable.
  canvas.addEventListener("pointerleave", (event) => event.pointerType === "mouse" && hover(null));
}

function listenToChart(chart) {
  const { canvas } = chart;
  listenToHover(canvas, (px, py) => nearestOnChart(chart, px, py));
  const scrub = (event) => event.buttons & 1 && pause(chartStep(chart, within(canvas, event)[0]));
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    scrub(event);
  });
  canvas.addEventListener("pointermove", scrub);
}

function listenToStage() {
  listenToHover(stage.canvas, nearestOnStage);
  stage.canvas.addEventListener("click", (event) => {
    const target = nearestOnStage(...within(stage.canvas, event));
    if (!target) return;
    select(target.run.index);
    pause(target.row);
  });
}

function listenToControls() {
  byId("play").addEventListener("click", () => (state.playing ? pause() : play()));
  byId("restart").addEventListener("click", () => go(0));
  byId("back").addEventListener("click", () => pause(state.step - 1));
  byId("forward").addEventListener("click", () => pause(state.step + 1));
  byId("scrub").addEventListener("input", (event) => pause(Number(event.target.value)));
  byId("speed").addEventListener("change", (event) => setSpeed(Number(event.target.value)));
  byId("loop").addEventListener("change", (event) => (state.loop = event.target.checked));
  byId("selected").addEventListener("change", (event) => select(Number(event.target.value)));
  byId("help-open").addEventListener("click", toggleHelp);
  byId("trail").addEventListener("change", (event) => {
    state.trail = event.target.value === "all" ? Infinity : Number(event.target.value);
    requestDraw();
  });
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
  layoutStage();
  charts().forEach(layoutChart);
  requestDraw();
}

function repaint() {
  buildLegend();
  drawLegend();
  layout();
}

function watchResolution() {
  matchMedia(`(resolution: ${window.devicePixelRatio}dppx)`).addEventListener("change", () => {
    layout();
    watchResolution();
  }, { once: true });
}

function listenToWindow() {
  addEventListener("keydown", onKey);
  addEventListener("resize", layout);
  addEventListener("hashchange", readHash);
  isDark.addEventListener("change", repaint);
  for (const [name, value] of [["beforeprint", true], ["afterprint", false]]) {
    addEventListener(name, () => {
      printing = value;
      repaint();
      draw();
    });
  }
  watchResolution();
}

// ---- formula: the common part of TeX as MathML ----------------------------------------------------------------------

const LETTERS = { alpha: "α", beta: "β", gamma: "γ", delta: "δ", epsilon: "ε", varepsilon: "ε", eta: "η", theta: "θ", kappa: "κ", lambda: "λ", mu: "μ", nu: "ν", xi: "ξ", pi: "π", rho: "ρ", sigma: "σ", tau: "τ", phi: "φ", varphi: "φ", omega: "ω", infty: "∞", ell: "ℓ" };
const OPERATORS = { cdot: "·", times: "×", pm: "±", le: "≤", leq: "≤", ge: "≥", geq: "≥", ne: "≠", neq: "≠", approx: "≈", sum: "∑", prod: "∏", ldots: "…", cdots: "⋯", dots: "…", to: "→", in: "∈", lvert: "|", rvert: "|", vert: "|", lVert: "‖", rVert: "‖", Vert: "‖", "{": "{", "}": "}", "|": "‖" };
const FUNCTIONS = /^(sin|cos|tan|sinh|cosh|tanh|arctan|exp|log|ln|min|max|sign)$/;
const IGNORED = /^\\([,;:!> ]|quad|qquad|displaystyle|limits|left|right|[bB]ig[lr]?|mathbf|boldsymbol)$/;
const CLOSING = { "(": ")", "[": "]" };
const WORDS = /^(text|mathrm|operatorname|textrm)$/;

function math(tag, ...children) {
  const node = document.createElementNS("http://www.w3.org/1998/Math/MathML", tag);
  node.append(...children);
  return node;
}

/** An operator rather than an identifier, so that cos x has its space, with or without a power on cos. */
function functionName(name, after) {
  const node = math("mo", name);
  node.setAttribute("lspace", "0.14em");
  node.setAttribute("rspace", after === "(" || after === "[" ? "0" : "0.17em");
  return node;
}

/** MathML for TeX; throws on anything it does not know, so that the caller can show the source instead. */
function parseTex(source) {
  const tokens = (source.match(/\\[A-Za-z]+|\\[^A-Za-z]|\d+(?:\.\d+)?|\S/gu) ?? []).filter((token) => !IGNORED.test(token));
  let next = 0;
  const unknown = (token) => { throw new Error(`unknown TeX: ${token}`); };
  const row = (end) => {
    const items = [];
    while (next < tokens.length && tokens[next] !== end) items.push(scripted());
    if (end && tokens[next++] !== end) unknown("unbalanced braces");
    return math("mrow", ...items);
  };
  const scripted = () => {
    const base = atom();
    const marks = {};
    while (tokens[next] === "^" || tokens[next] === "_") marks[tokens[next++]] = atom();
    if (marks["^"] && marks._) return math("msubsup", base, marks._, marks["^"]);
    if (marks["^"]) return math("msup", base, marks["^"]);
    return marks._ ? math("msub", base, marks._) : base;
  };
  const word = () => {
    if (tokens[next++] !== "{") unknown("word");
    let text = "";
    while (next < tokens.length && tokens[next] !== "}") text += tokens[next++];
    next++;
    return math("mtext", text);
  };
  const command = (name) => {
    if (name === "frac" || name === "tfrac" || name === "dfrac") return math("mfrac", atom(), atom());
    if (name === "sqrt") return math("msqrt", atom());
    if (WORDS.test(name)) return word();
    if (FUNCTIONS.test(name)) return functionName(name, tokens[next]);
    if (Object.hasOwn(LETTERS, name)) return math("mi", LETTERS[name]);
    if (Object.hasOwn(OPERATORS, name)) return math("mo", OPERATORS[name]);
    return unknown(name);
  };
  const atom = () => {
    const token = tokens[next++];
    if (token === undefined || token === "}") return unknown("end");
    if (token === "{") return row("}");
    // A pair of brackets is one base, so that a power after it belongs to all of it.
    if (token === "(" || token === "[") return math("mrow", math("mo", token), row(CLOSING[token]), math("mo", CLOSING[token]));
    if (token[0] === "\\") return command(token.slice(1));
    if (/^\d/.test(token)) return math("mn", token);
    if (/^\p{L}$/u.test(token)) return math("mi", token);
    if (!/^[-+*/=,.|<>!;:']$/.test(token)) unknown(token);
    return math("mo", { "-": "−", "*": "·" }[token] ?? token);
  };
  return row("");
}

function showFormula() {
  const host = byId("formula");
  const source = surface.formula.replace(/^\$+|\$+$/g, "");
  host.title = surface.formula;
  try {
    host.replaceChildren(math("math", parseTex(/^f\s*\(/.test(source) ? source : `f(x, y) = ${source}`)));
  } catch {
    host.textContent = surface.formula;
  }
}

// ---- start --------------------------------------------------------------------------------------------------------

function fillPage() {
  document.title = record.title;
  byId("title").textContent = byId("title").title = record.title;
  byId("source").textContent = byId("source").title = surface.source;
  byId("values-title").textContent = isGap ? "f − f*, the height above the minimum" : "f(x, y)";
  byId("scrub").max = String(lastStep);
  for (const id of ["scrub", "play", "back", "forward", "restart"]) byId(id).disabled = lastStep === 0;
  byId("speed").append(...SPEEDS.map((speed) => element("option", { value: String(speed), textContent: `${speed}×` })));
  byId("selected").append(...runs.map((run) => element("option", { value: String(run.index), textContent: run.label })));
  stage.canvas.setAttribute("aria-label", `Contours of ${surface.name} with the trails of ${runs.length} rules`);
  valuesChart.canvas.setAttribute("aria-label", "Function value of every rule against the step");
}

/** What the page is doing, for tests and the curious: readable, not writable. */
function expose() {
  const labels = Object.freeze(runs.map((run) => run.label));
  const view = {
    get step() { return state.step; },
    get playing() { return state.playing; },
    get speed() { return state.speed; },
    get loop() { return state.loop; },
    get trail() { return state.trail; },
    get shown() { return labels.filter((_, index) => state.shown[index]); },
    get selected() { return labels[state.selected]; },
    get scale() { return valuesChart.axis.kind; },
    labels,
    steps: lastStep,
    /** Where a row of a run is drawn, in client pixels. */
    locate(index, row) {
      const box = stage.canvas.getBoundingClientRect();
      return { x: box.left + stageX(xOf(runs[index], row)), y: box.top + stageY(yOf(runs[index], row)) };
    },
  };
  Object.defineProperty(window, "optlab", { value: Object.freeze(view) });
}

fillPage();
showFormula();
setSpeed(1);
buildInternals();
listenToStage();
listenToChart(valuesChart);
listenToControls();
releaseFocusAfterPointer();
listenToWindow();
repaint();
expose();
showPlaying();
draw();
if (!readHash() && !isCalm.matches) play();
})();
