// What everything is drawn with: the theme, the look of each rule, and the few shapes that canvas has no word for.

const root = document.documentElement;
const ruler = document.createElement("canvas").getContext("2d");
const theme = {};

/** The style sheet owns the colours, but for the rules', which come with the record: a canvas has to be told. */
function readTheme() {
  const style = getComputedStyle(root);
  const css = (name) => style.getPropertyValue(`--${name}`).trim();
  for (const name of ["page", "ink", "muted", "line", "halo", "contour"]) theme[name] = css(name);
  theme.relief = css("relief").split(" ");
  theme.colours = record.colours[css("palette")];
  theme.family = style.fontFamily;
  theme.font = Math.round(0.82 * parseFloat(style.fontSize));
  ruler.font = fontOf("");
}

// A marker is its corners, its turn in degrees, and its inner radius (1 where convex).
const MARKERS = [
  [24, 0, 1], // disc
  [4, 45, 1], // square
  [3, -90, 1], // triangle
  [4, 0, 1], // diamond
  [3, 90, 1], // triangle, point down
  [6, 0, 1], // hexagon
  [4, -90, 0.35], // star of four
  [5, -90, 1], // pentagon
];
const MINIMUM = [5, -90, 0.42]; // star of five
const DASHES = [[], [9, 4], [2, 3], [9, 3, 2, 3], [14, 4], [4, 4], [9, 3, 2, 3, 2, 3], [6, 2]];

const colourOf = ({ index }) => theme.colours[index % theme.colours.length];
const markerOf = ({ index }) => MARKERS[index % MARKERS.length];
// Past eight rules the colours return with other dashes.
const dashOf = ({ index }) => DASHES[(index + Math.floor(index / MARKERS.length)) % DASHES.length];

function corners([count, turn, inner], radius) {
  const total = inner < 1 ? 2 * count : count;
  return Array.from({ length: total }, (_, i) => {
    const angle = (turn * Math.PI) / 180 + (2 * Math.PI * i) / total;
    const reach = radius * (i % 2 ? inner : 1);
    return [reach * Math.cos(angle), reach * Math.sin(angle)];
  });
}

/** Sizes a canvas in CSS pixels, at the screen's own resolution or twice that on paper. */
function sized(canvas, width, height) {
  const ratio = window.devicePixelRatio * (root.classList.contains("print") ? 2 : 1);
  canvas.width = Math.max(1, Math.round(width * ratio));
  canvas.height = Math.max(1, Math.round(height * ratio));
  const ctx = canvas.getContext("2d");
  ctx.setTransform(ratio, 0, 0, ratio, 0, 0);
  return ctx;
}

/** What changes with the layout only is drawn once, on a canvas of its own. */
function layer(width, height, draw) {
  const canvas = document.createElement("canvas");
  draw(sized(canvas, width, height));
  return canvas;
}

const fontOf = (style) => `${style} ${theme.font}px ${theme.family}`;
const textWidth = (text) => ruler.measureText(text).width;
const widestLabel = (ticks) => Math.max(0, ...ticks.map(({ label }) => textWidth(label)));

function write(ctx, text, x, y, textAlign, textBaseline, fillStyle = theme.muted, style = "") {
  Object.assign(ctx, { font: fontOf(style), textAlign, textBaseline, fillStyle });
  ctx.fillText(text, x, y);
}

function drawMarker(ctx, marker, x, y, radius, fill, edge) {
  ctx.beginPath();
  for (const [dx, dy] of corners(marker, radius)) ctx.lineTo(x + dx, y + dy);
  ctx.closePath();
  Object.assign(ctx, { fillStyle: fill, strokeStyle: edge, lineWidth: 1.5 });
  ctx.fill();
  ctx.stroke();
}

function traceCircle(ctx, [x, y], radius) {
  ctx.beginPath();
  ctx.arc(x, y, radius, 0, 2 * Math.PI);
}

function clipTo(ctx, x, y, width, height) {
  ctx.beginPath();
  ctx.rect(x, y, width, height);
  ctx.clip();
}

/** Liang and Barsky: the part of a segment inside a box; null where there is none, or an end is nan. */
function clipSegment([x0, y0], [x1, y1], box) {
  let [start, end] = [0, 1];
  const edges = [[x0 - x1, x0 - box.x0], [x1 - x0, box.x1 - x0], [y0 - y1, y0 - box.y0], [y1 - y0, box.y1 - y0]];
  for (const [along, room] of edges) {
    if (Number.isNaN(along) || (along === 0 && room < 0)) return null;
    if (along < 0) start = Math.max(start, room / along);
    if (along > 0) end = Math.min(end, room / along);
  }
  if (!(start <= end)) return null;
  const at = (t) => [x0 + t * (x1 - x0), y0 + t * (y1 - y0)];
  return { from: at(start), to: at(end), entered: start > 0 };
}

/** The line at(first) ... at(last), cut a little outside the plot: canvas dashes hang on segments of 1e9 pixels. */
function traceLine(ctx, at, first, last, { x0, y0, x1, y1 }, room) {
  const box = { x0: x0 - room, y0: y0 - room, x1: x1 + room, y1: y1 + room };
  let joined = false;
  let before = at(first);
  ctx.beginPath();
  for (let row = first + 1; row <= last; row++) {
    const after = at(row);
    const part = clipSegment(before, after, box);
    if (part) {
      if (!joined || part.entered) ctx.moveTo(...part.from);
      ctx.lineTo(...part.to);
    }
    joined = part !== null;
    before = after;
  }
}
