// What moves on the map: the trails, and the racers at their ends.

const spotOf = (run, row) => [toX(xOf(run, row)), toY(yOf(run, row))];
const trailStart = (run) => Math.max(0, aliveRowAt(run, state.step) - numberIn("trail"));

/** Dots on the steps that are long enough to be told apart: step length is what a rule is about. */
function drawSteps(ctx, run, first, last) {
  Object.assign(ctx, { fillStyle: colourOf(run), strokeStyle: theme.halo, lineWidth: 1 });
  let before = spotOf(run, first);
  for (let row = first + 1; row <= last; row++) {
    const after = spotOf(run, row);
    if (Math.hypot(after[0] - before[0], after[1] - before[1]) >= 8 * stage.unit && isInside(run, row - 1)) {
      traceCircle(ctx, before, 2.6 * stage.unit);
      ctx.stroke();
      ctx.fill();
    }
    before = after;
  }
}

function drawTrail(ctx, run) {
  const [first, last] = [trailStart(run), aliveRowAt(run, state.step)];
  traceLine(ctx, (row) => spotOf(run, row), first, last, stage.plot, 20);
  // The casing lifts the line off the relief.
  Object.assign(ctx, { strokeStyle: theme.halo, globalAlpha: 0.65, lineWidth: 4.6 * stage.unit, lineJoin: "round" });
  ctx.stroke();
  Object.assign(ctx, { strokeStyle: colourOf(run), globalAlpha: 1, lineWidth: 2.4 * stage.unit });
  ctx.setLineDash(dashOf(run).map((length) => length * stage.unit));
  ctx.stroke();
  ctx.setLineDash([]);
  drawSteps(ctx, run, first, last);
}

function drawRacer(ctx, run, arrows) {
  const row = aliveRowAt(run, state.step);
  if (row < 0) return;
  const [x, y] = spotOf(run, row);
  if (!isInside(run, row)) return drawArrow(ctx, run, x, y, arrows);
  drawMarker(ctx, markerOf(run), x, y, 8 * stage.unit, colourOf(run), theme.halo);
  if (state.step >= run.alive && run.alive < run.rows) write(ctx, "×", x, y, "center", "middle", theme.ink, "bold");
}

/** At the border, towards a racer that has left the window; beside the arrows already there. */
function drawArrow(ctx, run, x, y, taken) {
  const { x0, y0, x1, y1 } = stage.plot;
  const reach = 10 * stage.unit;
  let [ax, ay] = [clamp(x, x0 + reach, x1 - reach), clamp(y, y0 + reach, y1 - reach)];
  const turn = (Math.atan2(y - ay, x - ax) * 180) / Math.PI;
  const inward = (middle, at) => (Math.sign(middle - at) || 1) * reach;
  const isAbove = Math.abs(y - ay) > Math.abs(x - ax);
  const [dx, dy] = isAbove ? [inward((x0 + x1) / 2, ax), 0] : [0, inward((y0 + y1) / 2, ay)];
  while (taken.some(([bx, by]) => Math.hypot(ax - bx, ay - by) < 1.8 * reach)) [ax, ay] = [ax + dx, ay + dy];
  taken.push([ax, ay]);
  drawMarker(ctx, [3, turn, 1], ax, ay, reach, colourOf(run), theme.halo);
}

function drawStage() {
  const ctx = stage.context;
  const { x0, y0, width, height } = stage.plot;
  ctx.clearRect(0, 0, stage.width, stage.height);
  ctx.drawImage(stage.ground, 0, 0, stage.width, stage.height);
  ctx.save();
  clipTo(ctx, x0, y0, width, height);
  for (const run of shownRuns()) if (run.alive > 0) drawTrail(ctx, run);
  ctx.restore();
  for (const [x, y] of surface.minima) drawMarker(ctx, MINIMUM, toX(x), toY(y), 10 * stage.unit, theme.halo, theme.ink);
  // Last to first, so that rule 1 is on top where all start from one point.
  const arrows = [];
  for (const run of shownRuns().reverse()) drawRacer(ctx, run, arrows);
  const target = state.hovered;
  if (!target || !isInside(target.run, target.row)) return;
  traceCircle(ctx, spotOf(target.run, target.row), 6 * stage.unit);
  Object.assign(ctx, { strokeStyle: theme.ink, lineWidth: 2 });
  ctx.stroke();
}

/** The drawn point nearest to the pointer, within reach of a finger or a mouse. */
function nearestOnStage(px, py) {
  let [best, distance] = [null, 22 * stage.unit];
  for (const run of shownRuns()) {
    // Later steps first: where a run rests, its latest step is the one meant.
    for (let row = aliveRowAt(run, state.step); row >= trailStart(run); row--) {
      const [x, y] = spotOf(run, row);
      const d = Math.hypot(x - px, y - py);
      if (d < distance - 1e-9) [best, distance] = [{ run, row }, d];
    }
  }
  return best;
}
