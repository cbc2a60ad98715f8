// Time: frames, playing and pausing, and the step as part of the page's address.

const STEPS_PER_SECOND = 25; // at speed 1
const REST = 1; // seconds on the last step before a loop starts again

let phase = 0; // the step with its fraction, so that slow speeds don't round to nothing
let before = 0; // time of the previous frame, 0 after a pause
let pending = 0; // the frame asked for, and the timer of `settle`
let settling = 0;

const requestDraw = () => (pending ||= requestAnimationFrame(frame));

function frame(now) {
  pending = 0;
  if (state.playing) {
    // A tab that slept for a minute must not jump by a minute.
    advance(before ? Math.min(now - before, 250) / 1000 : 0);
    before = now;
    requestDraw();
  }
  draw();
}

function advance(seconds) {
  const rate = STEPS_PER_SECOND * numberIn("speed");
  phase += seconds * rate;
  if (phase >= lastStep && !byId("loop").checked) return pause(lastStep);
  if (phase > lastStep + REST * rate) phase = 0;
  state.step = Math.min(Math.floor(phase), lastStep);
}

function draw() {
  drawStage();
  charts().forEach(drawChart);
  drawLegend();
  drawReadouts();
  byId("scrub").value = String(state.step);
  byId("clock").textContent = `step ${state.step} / ${lastStep}`;
}

/** Once the step rests: tell screen readers, and make the address a link to this instant. */
function settle() {
  clearTimeout(settling);
  settling = setTimeout(() => {
    if (state.playing) return;
    const parts = runs.map((run) => `${run.label}: f ${format(run.values[rowAt(run, state.step)], 3)}, ${statusOf(run)}`);
    byId("announcer").textContent = `Step ${state.step} of ${lastStep}. ${parts.join("; ")}`;
    try {
      history.replaceState(null, "", `#step=${state.step}`);
    } catch {
      // A sandboxed frame has no address to change.
    }
  }, 300);
}

function readHash() {
  const found = /^#step=(\d+)$/.exec(location.hash);
  if (found) pause(Number(found[1]));
  return found !== null;
}

function setPlaying(isPlaying) {
  state.playing = isPlaying;
  byId("play-icon").setAttribute("d", state.playing ? "M6 5h4v14H6zM14 5h4v14h-4z" : "M7 4v16l13-8z");
  byId("play").setAttribute("aria-label", state.playing ? "Pause" : "Play");
}

function play() {
  if (lastStep === 0) return;
  if (state.step >= lastStep) state.step = 0;
  phase = state.step;
  before = 0;
  setPlaying(true);
  requestDraw();
}

function pause(step = state.step) {
  setPlaying(false);
  go(step);
}

const toggle = () => (state.playing ? pause() : play());

/** To a step; a race that is playing plays on from there. */
function go(step) {
  state.step = phase = clamp(Math.round(step), 0, lastStep);
  requestDraw();
  settle();
}
