// The map under the trails: where it goes on the page, its relief, contours, axes and colour bar.

const stage = { canvas: byId("surface") };
const toX = (x) => stage.plot.x0 + ((x - left) / (right - left)) * stage.plot.width;
const toY = (y) => stage.plot.y1 - ((y - bottom) / (top - bottom)) * stage.plot.height;
const stageTicks = (low, high, length, spread) => niceTicks(low, high, clamp(length / (spread * theme.font), 2, 8));
const barTicks = () => surface.levels.map(([share, value]) => ({ share, label: typeset(format(value, 3)) }));

function layoutStage() {
  const { font } = theme;
  const { clientWidth } = document.querySelector("main");
  const isWide = window.innerWidth >= 900; // as in the style sheet: the charts stand beside the map
  const room = isWide ? 0.58 * clientWidth : clientWidth;
  const spent = document.querySelector("header").offsetHeight + byId("controls").offsetHeight + 3.4 * font;
  const tall = Math.max(300, isWide ? window.innerHeight - spent : 0.8 * window.innerHeight);
  const [x0, y0] = [widestLabel(niceTicks(bottom, top, 8)) + 0.9 * font, 1.6 * font];
  const [besides, below] = [(room > 460 ? widestLabel(barTicks()) : 0) + 2.2 * font, 2.1 * font];
  // Equal units on both axes where the window allows it: only then is the gradient at right angles to the contours.
  const aspect = clamp((right - left) / (top - bottom), 0.62, 1.7);
  const width = Math.max(120, Math.min(room - x0 - besides, aspect * (tall - y0 - below)));
  const height = width / aspect;
  stage.plot = { x0, y0, width, height, x1: x0 + width, y1: y0 + height };
  stage.unit = clamp(width / 560, 0.8, 1.6);
  stage.width = x0 + width + besides;
  stage.height = y0 + height + below;
  Object.assign(stage.canvas.style, { width: `${stage.width}px`, height: `${stage.height}px` });
  byId("stage").style.maxWidth = isWide ? `${Math.max(stage.width, 50 * font)}px` : "";
  stage.context = sized(stage.canvas, stage.width, stage.height);
  stage.ground = layer(stage.width, stage.height, drawGround);
}

/** 256 colours between the few of the theme. */
function reliefColours() {
  const stops = theme.relief.map((hex) => [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16)));
  return Array.from({ length: 256 }, (_, i) => {
    const place = (i / 255) * (stops.length - 1);
    const k = Math.min(Math.floor(place), stops.length - 2);
    return stops[k].map((channel, j) => channel + (place - k) * (stops[k + 1][j] - channel));
  });
}

/** The relief, one pixel per grid point; the canvas interpolates when it stretches it. */
function reliefImage() {
  const n = surface.resolution;
  const colours = reliefColours();
  const image = new ImageData(n, n);
  heights.forEach((height, k) => {
    if (height === HOLE) return; // left transparent
    const row = n - 1 - Math.floor(k / n); // images begin at the top, grids at the bottom
    image.data.set([...colours[height >> 8], 255], 4 * (row * n + (k % n)));
  });
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = n;
  canvas.getContext("2d").putImageData(image, 0, 0);
  return canvas;
}

const CORNERS = [[0, 0], [1, 0], [1, 1], [0, 1]];

/** Where the edges of a cell with these heights at its corners cross a level: no point, two or four. */
function cellCrossings(h, level) {
  const found = [];
  for (let k = 0; k < 4; k++) {
    const next = (k + 1) % 4;
    if (h[k] < level === h[next] < level) continue;
    const t = (level - h[k]) / (h[next] - h[k]);
    found.push([0, 1].map((axis) => CORNERS[k][axis] + t * (CORNERS[next][axis] - CORNERS[k][axis])));
  }
  return found;
}

/** Marching squares: in each cell, its crossings joined in pairs. */
function traceContours(ctx) {
  const n = surface.resolution;
  const { x0, y1, width, height } = stage.plot;
  const levels = surface.levels.map(([share]) => share * (HOLE - 1));
  for (let cell = 0; cell < n * (n - 1); cell++) {
    const [i, j] = [cell % n, Math.floor(cell / n)];
    if (i === n - 1) continue;
    const h = CORNERS.map(([di, dj]) => heights[cell + di + n * dj]);
    const [low, high] = [Math.min(...h), Math.max(...h)];
    if (high === HOLE) continue;
    for (const level of levels.filter((height) => low < height && height <= high)) {
      cellCrossings(h, level).forEach(([di, dj], k) => {
        const point = [x0 + ((i + di) / (n - 1)) * width, y1 - ((j + dj) / (n - 1)) * height];
        if (k % 2) ctx.lineTo(...point);
        else ctx.moveTo(...point);
      });
    }
  }
}

function drawGround(ctx) {
  const { x0, y0, x1, width, height } = stage.plot;
  ctx.save();
  clipTo(ctx, x0, y0, width, height);
  ctx.fillStyle = theme.page;
  ctx.fill();
  // Grid points lie on the window's edges, so the outer half pixels fall outside.
  const [cellX, cellY] = [width / (surface.resolution - 1), height / (surface.resolution - 1)];
  ctx.imageSmoothingQuality = "high";
  ctx.drawImage(reliefImage(), x0 - cellX / 2, y0 - cellY / 2, width + cellX, height + cellY);
  ctx.strokeStyle = theme.contour;
  ctx.beginPath();
  traceContours(ctx);
  ctx.stroke();
  ctx.restore();
  ctx.strokeStyle = theme.muted;
  ctx.strokeRect(x0, y0, width, height);
  drawStageAxes(ctx);
  if (stage.width - x1 > 3 * theme.font) drawColourBar(ctx);
}

function drawStageAxes(ctx) {
  const { x0, y0, x1, y1, width, height } = stage.plot;
  ctx.beginPath();
  for (const { value, label } of stageTicks(left, right, width, 5)) {
    ctx.moveTo(toX(value), y1);
    ctx.lineTo(toX(value), y1 + 5);
    write(ctx, label, toX(value), y1 + 8, "center", "top");
  }
  for (const { value, label } of stageTicks(bottom, top, height, 4)) {
    ctx.moveTo(x0, toY(value));
    ctx.lineTo(x0 - 5, toY(value));
    write(ctx, label, x0 - 8, toY(value), "right", "middle");
  }
  ctx.stroke();
  write(ctx, "y", x0, y0 - 0.8 * theme.font, "left", "middle", theme.ink, "italic");
  write(ctx, "x", x1 + 1.5 * theme.font, y1 + 7, "left", "top", theme.ink, "italic");
}

function drawColourBar(ctx) {
  const { x1, y0, y1, height } = stage.plot;
  const [x, width] = [x1 + 0.8 * theme.font, 0.8 * theme.font];
  const gradient = ctx.createLinearGradient(0, y1, 0, y0);
  theme.relief.forEach((colour, i) => gradient.addColorStop(i / (theme.relief.length - 1), colour));
  ctx.fillStyle = gradient;
  ctx.fillRect(x, y0, width, height);
  ctx.strokeRect(x, y0, width, height);
  write(ctx, "f", x + 0.2 * theme.font, y0 - 0.8 * theme.font, "left", "middle", theme.ink, "italic");
  ctx.fillStyle = theme.muted;
  let free = y1 - 3; // where the next label may stand, going up
  for (const { share, label } of barTicks()) {
    const y = y1 - share * height;
    ctx.fillRect(x + width, y, 3, 1);
    if (y > free) continue;
    write(ctx, label, x + width + 6, y, "left", "middle");
    free = y - 1.25 * theme.font;
  }
}
