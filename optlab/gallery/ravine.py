"""A ravine: plain descent zig-zags between its walls, momentum averages the zig-zag away.

f = (x^2 + k y^2) / 2 is k times as steep along y as along x. The rate that suits both coordinates best, 2 / (k + 1),
still leaves each step on the far wall, and the error shrinks by (k - 1)/(k + 1) a step. The heavy ball at its best
rate and momentum (Polyak 1964) shrinks it by (sqrt k - 1)/(sqrt k + 1): at k = 100, 95 steps in place of 691. The usual
momentum of 0.9 is near the best only around k = 1,000; at k = 10 it is too much and hurts.
"""

from pathlib import Path
from typing import Any

import numpy as np

import optlab as ol
from optlab.gallery import Setup, main, save
from optlab.verdict import Verdict, at_least, at_most, equals

TITLE = "SGD with and without momentum in a ravine"
SOURCE = "deck, Optimizers: SGD + Momentum; Polyak 1964; Deep Learning book 8.3.2"
TRY = (
    "In draw, set SGD's rate on the left to 0.099, just below the limit 2/20 = 0.1: after 30 steps the path still "
    "jumps from wall to wall, at more than half its height."
)

START, CLOSE = (1.0, 1.0), 1e-6
CONDITIONS = (10, 100, 1000)
STEPS = {10: (69, 27), 100: (691, 95), 1000: (6908, 321)}  # plain, momentum: exact
USUAL = (10, 100)
ENVELOPE = int(np.ceil(np.log(CLOSE) / np.log(np.sqrt(0.9))))  # 263: every stable rate shrinks by sqrt(b) a step


def ravine(k: float) -> ol.Surface:
    """(x^2 + k y^2) / 2."""
    return ol.Surface(
        lambda x, y: (x * x + k * y * y) / 2,
        gradient=lambda x, y: (x, k * y),
        domain=((-1.2, 1.2), (-1.2, 1.2)),
        minima=[(0.0, 0.0)],
        start=START,
        name=f"ravine-{k}",
        title=f"(x² + {k} y²) / 2",
    )


def plain(k: float) -> ol.Settings:
    """SGD at its best rate."""
    return ol.SGD(lr=2.0 / (k + 1))


def ball(k: float) -> ol.Settings:
    """The heavy ball at its best rate and momentum."""
    root = np.sqrt(k)
    return ol.Momentum(lr=4.0 / (root + 1) ** 2, beta=((root - 1) / (root + 1)) ** 2)


def steps_to_both(run: ol.Run) -> float:
    """The first step with both coordinates below 1e-6, or inf."""
    close = (np.abs(run.points) < CLOSE).all(axis=1)
    return int(np.argmax(close)) if close.any() else np.inf


def usual(k: float) -> tuple[int, int]:
    """The fewest and the median steps that momentum 0.9 takes, over 400 stable rates."""
    rates, surface = np.linspace(0.0, 2 * (1 + 0.9) / k, 402)[1:-1], ravine(k)
    runs = (ol.descend(surface, ol.Momentum(lr=float(rate), beta=0.9), START, 1000) for rate in rates)
    taken = [t for t in map(steps_to_both, runs) if t < np.inf]
    return int(min(taken)), int(np.median(taken))


def run(setup: Setup) -> dict[str, Any]:
    """Both rules at each condition number; momentum 0.9; plain descent on either side of its limit."""
    pairs = {k: [ol.descend(ravine(k), s, START, 8000) for s in (plain(k), ball(k))] for k in CONDITIONS}
    k = 100
    edge = {f: ol.descend(ravine(k), ol.SGD(lr=f * 2.0 / k), START, 20_000) for f in (0.999, 1.001)}
    return {"pairs": pairs, "usual": {k: usual(k) for k in USUAL}, "edge": edge}


def judge(data: dict[str, Any]) -> list[Verdict]:
    """Exact step counts; momentum 0.9; the limit of stability."""
    taken = {k: tuple(steps_to_both(r) for r in pair) for k, pair in data["pairs"].items()}
    final = {f: float(np.nanmax(np.abs(r.points[: r.rows][-1]))) for f, r in data["edge"].items()}
    shrunk = {k: ((k - 1) / (k + 1)) ** np.arange(50)[:, None] for k in CONDITIONS}
    best = {k: fewest for k, (fewest, _) in data["usual"].items()}
    return [
        equals("ravine", "steps until both coordinates are below 1e-6, plain and with optimal momentum", taken, STEPS),
        at_most(
            "ravine:rate",
            "plain descent at its best rate shrinks both coordinates by (k - 1)/(k + 1) in every step",
            max(float(np.abs(np.abs(pair[0].points[:50]) / shrunk[k] - 1).max()) for k, pair in data["pairs"].items()),
            1e-9,
            "largest relative difference from its power over 50 steps",
        ),
        at_least("ravine:gain", "momentum is 7 times as fast at condition 100", taken[100][0] / taken[100][1], 7.0),
        Verdict(
            "ravine:usual",
            "momentum 0.9 takes at least 1.5 times the best momentum's steps at condition 100 and is slower than plain "
            "descent at condition 10, at every rate",
            {f"condition {k}": f"fewest {a}, median {b}" for k, (a, b) in data["usual"].items()},
            f"fewest > {1.5 * taken[100][1]:g} and > {taken[10][0]}, median within 10% of {ENVELOPE}",
            best[100] > 1.5 * taken[100][1]
            and best[10] > taken[10][0]
            and all(abs(median / ENVELOPE - 1) < 0.1 for _, median in data["usual"].values()),
            "every rate shrinks the error by sqrt(0.9) a step; the fewest steps are a lucky phase of the swing, so the "
            "best of a coarse sweep varies (213 and 217 are of a sweep of about 40 rates)",
        ),
        Verdict(
            "ravine:limit",
            "plain descent diverges if and only if its rate is above 2/k",
            {f"{f} x 2/k": value for f, value in final.items()},
            "shrinks below, grows above",
            final[0.999] < CLOSE < 1 < final[1.001],
        ),
    ]


def draw(data: dict[str, Any], out: Path) -> list[Path]:
    """Thirty steps on a gentler ravine, where the zig-zag can be seen, and the error at condition 100."""
    from optlab.viz.contour import plot_paths
    from optlab.viz.curves import plot_loss
    from optlab.viz.style import figure

    k = 20
    shown = {
        "SGD, rate 0.092": ol.descend(ravine(k), ol.SGD(lr=0.092), (-1.0, 0.6), 30),
        "Momentum 0.6, rate 0.05": ol.descend(ravine(k), ol.Momentum(lr=0.05, beta=0.6), (-1.0, 0.6), 30),
    }
    fig = figure(size=(12.5, 4.6))
    left, right = fig.subplots(1, 2, width_ratios=(1.25, 1.0))
    plot_paths(shown, left, window=((-1.2, 0.6), (-0.8, 0.8)), lines=18)
    left.set_title("condition 20, 30 steps")
    pair = data["pairs"][100]
    plot_loss(
        {f"{name}, {steps_to_both(r):g} steps": r for name, r in zip(("SGD", "Momentum"), pair, strict=True)}, right
    )
    right.set(title="condition 100, best rates", xlim=(0, 720), ylim=(1e-14, 1e3))
    return save(fig, out, "ravine")


if __name__ == "__main__":
    main("ravine")
