"""Clipping: a gradient that explodes is cut to length, and the descent arrives.

g <- g min(1, c / |g|) keeps the direction and bounds the length of a step by a c (Pascanu et al. 2013). Beale from
(3, 4) is such a place: the gradient there is 62,969 long, along the valley below 1. A rate of 0.001 is right for the
valley, and throws the first two steps out of the world. With the gradient clipped to length 1 or 10 the same rate
arrives at the minimum.

Look at the second picture: while the gradient is long, every step has the length a c; from then on clipping has nothing
to do, and what follows is plain SGD, to the last bit.

The trap: clipping does not make a rate right. It bounds the steps, so it costs time: with c = 1 they are 0.001 long,
and 3,908 of the 20,000 go into the way down that c = 100 makes in 30.
"""

from pathlib import Path
from typing import Any

import numpy as np

import optlab as ol
from optlab.gallery import Setup, line, main, save
from optlab.verdict import Verdict, at_least, at_most, equals

TITLE = "Clipping an exploding gradient"
SOURCE = "post, Best Practices; Pascanu, Mikolov & Bengio 2013, algorithm 1; the start is Tiao's"
TRY = (
    "Set c = 0.1: 20,000 steps of 0.0001 are 2 long, and the minimum is 3.5 away; the descent ends on the slope, "
    "at f = 632. Set c = 1000: three clipped steps are enough."
)

START, RATE, STEPS = (3.0, 4.0), 1e-3, 20_000
LIMITS = (1.0, 10.0, 100.0)
ENDS = {1.0: 8.4e-7, 10.0: 1.0e-7}  # f after STEPS
NORM = 62_969  # of the first gradient


def clipped(limit: float | None, steps: int, start: Any = START) -> np.ndarray:
    """(steps + 1, 2): the points of SGD on Beale, its gradient clipped to ``limit``."""
    gradient = ol.SURFACES["beale"].gradient
    w = ol.Tensor(np.array(start), requires_grad=True)
    optimizer = ol.Optimizer([w], ol.SGD(lr=RATE), clip_norm=limit)
    points = [w.data.copy()]
    for _ in range(steps):
        w.grad = np.array(gradient(*w.data))
        optimizer.step()
        points.append(w.data.copy())
    return np.array(points)


def run(setup: Setup) -> dict[str, Any]:
    """Clipped descents with the lengths of their gradients; two steps without; SGD from where clipping ends."""
    beale = ol.SURFACES["beale"]
    steps = 5000 if setup.fast else STEPS
    points = {limit: clipped(limit, steps) for limit in LIMITS}
    lengths = {limit: np.hypot(*beale.gradient(*p.T)) for limit, p in points.items()}
    last = {limit: int(np.flatnonzero(row > limit)[-1]) + 1 for limit, row in lengths.items()}  # clipped steps
    return {
        "points": points,
        "values": {limit: beale.value(*p.T) for limit, p in points.items()},
        "gradient": lengths,
        "clipped": last,
        "plain": {limit: clipped(None, steps - last[limit], p[last[limit]]) for limit, p in points.items()},
        "without": clipped(None, 2),
    }


def judge(data: dict[str, Any]) -> list[Verdict]:
    """The ends; the way out without clipping; the lengths of the clipped steps; that the rest is plain SGD."""
    ends = {limit: float(values[-1]) for limit, values in data["values"].items()}
    lengths = []
    same = {}
    for limit, points in data["points"].items():
        n = data["clipped"][limit]
        lengths.append(np.linalg.norm(np.diff(points[: n + 1], axis=0), axis=1) / (RATE * limit))
        same[f"{limit:g}"] = bool((points[n:] == data["plain"][limit]).all())
    return [
        at_most(
            "clipping",
            "f after 20,000 steps is 8.4e-7 with c = 1 and 1.0e-7 with c = 10, relatively",
            max(abs(ends[limit] / want - 1) for limit, want in ENDS.items()),
            0.05,
            ", ".join(f"c = {limit:g}: {value:.2g}" for limit, value in ends.items()) + "; the table has two digits",
        ),
        at_least(
            "clipping:without",
            "without clipping the second step ends beyond a thousand million",
            float(np.abs(data["without"][2]).max()),
            1e9,
            "the next gradients overflow",
        ),
        at_most(
            "clipping:norm",
            "the first gradient is 62,969 long, before it is clipped",
            abs(float(data["gradient"][1.0][0]) - NORM),
            0.5,
        ),
        at_most(
            "clipping:length",
            "every clipped step has the length a c, relatively",
            float(np.abs(np.concatenate(lengths) - 1).max()),
            1e-9,
            "clipped steps: " + ", ".join(f"c = {limit:g}: {n}" for limit, n in data["clipped"].items()),
        ),
        equals(
            "clipping:rest",
            "once the gradient is short, what follows is plain SGD to the last bit",
            same,
            {f"{limit:g}": True for limit in LIMITS},
        ),
    ]


def draw(data: dict[str, Any], out: Path) -> list[Path]:
    """The ways on the surface; the length of each step and f against the step."""
    from optlab.viz.style import figure

    fig = figure(size=(14.0, 4.8))
    left, middle, right = fig.subplots(1, 3)
    xs, ys, values = ol.SURFACES["beale"].grid(300, ((1.5, 3.6), (-0.2, 4.3)))
    left.contour(xs, ys, values, levels=np.geomspace(0.01, 6e4, 22), colors="silver", linewidths=0.7)
    left.plot(*START, "o", color="black")
    left.text(3.06, 4.02, "start")
    left.plot(*ol.SURFACES["beale"].minima[0], "*", color="grey", markersize=15)
    first = data["without"][1]
    away = (first - START) / np.linalg.norm(first - START)
    left.annotate("", START + 0.6 * away, START, arrowprops={"arrowstyle": "->"})
    left.text(2.02, 3.55, f"not clipped: to\n({first[0]:.1f}, {first[1]:.1f})".replace("-", "−"), fontsize="small")
    for i, (limit, points) in enumerate(data["points"].items()):
        look = line(i) | {"linewidth": 1.8}
        left.plot(*points.T, label=f"c = {limit:g}", **look)
        middle.loglog(np.arange(1, len(points)), np.linalg.norm(np.diff(points, axis=0), axis=1), **look)
        right.loglog(np.arange(1, len(points)), data["values"][limit][1:], **look)
    left.set(xlabel="x", ylabel="y", title="Beale from (3, 4), SGD 0.001")
    left.legend(loc="lower left")
    middle.set(xlabel="step", ylabel="length of the step", title="a c while clipped, then plain SGD")
    right.set(xlabel="step", ylabel="f", title="f on the way")
    for ax in (middle, right):
        ax.grid(alpha=0.3)
    return save(fig, out, "clipping")


if __name__ == "__main__":
    main("clipping")
