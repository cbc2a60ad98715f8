"""Six optimizers on Beale's function, as in the animation that every course shows, and Adam beside them.

Alec Radford's animation (cs231n, `opt2.gif`) gives no settings. They were recovered by tracking its discs: start
(1, 1.6), one frame per step, contours at the percentiles 2, 4, ..., 98 of f over the window, epsilon under the root,
Nesterov's momentum in its rewritten form, and Adadelta accumulating its step with the rate in it. All but RMSprop
follow the published discs to under half a pixel; for RMSprop rates of 0.073 to 0.075 fit equally (1.5 pixels).

Look for: momentum overshoots far below the valley and comes back, Nesterov turns earlier; the adaptive rules head for
the minimum at once, Adagrad with a jump of exactly its rate; SGD takes twelve times as long as the slowest other.

From Louis Tiao's start (3, 4), where the gradient is 63,000 long, none of this helps: SGD and momentum overflow at
those rates, and the adaptive rules settle in the false valley behind the saddle. Adaptive is not safer.
"""

from pathlib import Path
from typing import Any

import numpy as np

import optlab as ol
from optlab.gallery import _published
from optlab.gallery._pictures import save
from optlab.gallery._setup import Setup
from optlab.verdict import Verdict, at_most, equals

TITLE = "Six optimizers on a loss surface"
SOURCE = "deck, Optimizers: Comparison (1); after A. Radford's animation in the cs231n notes"

START, STEPS, NEAR = (1.0, 1.6), 1200, 0.5
RULES = {
    "SGD": ol.SGD(lr=0.001),
    "Momentum": ol.Momentum(lr=0.001, beta=0.95, convention="cs231n"),
    "NAG": ol.Momentum(lr=0.001, beta=0.95, nesterov=True, convention="cs231n"),
    "Adagrad": ol.Adagrad(lr=1.0, convention="cs231n"),
    "Adadelta": ol.Adadelta(lr=5.0, convention="cs231n"),
    "Rmsprop": ol.RMSProp(lr=0.075, convention="cs231n"),
    "Adam": ol.Adam(lr=0.1),  # ours: the published animation has none
}
FALSE_START, FALSE_STEPS = (3.0, 4.0), 20_000
FALSE_RULES = {
    "SGD 1e-3": ol.SGD(lr=1e-3),
    "SGD 1e-4": ol.SGD(lr=1e-4),
    "Momentum 1e-4": ol.Momentum(lr=1e-4),
    "Momentum 1e-5": ol.Momentum(lr=1e-5),
    "Adagrad 1": ol.Adagrad(lr=1.0),
    "RMSprop 0.1": ol.RMSProp(lr=0.1, alpha=0.9),
    "Adam 0.1": ol.Adam(lr=0.1),
}

# Points after 1, 10, 50 and 100 steps, from an independent float64 NumPy program.
GOLDEN_STEPS = (1, 10, 50, 100)
GOLDEN = {
    "SGD": ((0.950168, 1.483541), (0.837614, 1.062099), (1.007414, 0.508716), (1.305403, 0.246445)),
    "Momentum": ((0.950168, 1.483541), (0.409188, -0.531331), (0.643900, -1.403443), (2.812550, 0.436705)),
    "NAG": ((0.902828, 1.372906), (0.571639, -0.364041), (1.357428, -0.586839), (2.919164, 0.455670)),
    "Adagrad": ((0.000000, 0.600000), (1.253951, 0.279453), (2.363616, 0.278463), (2.621600, 0.385841)),
    "Adadelta": ((0.977639, 1.577639), (1.031198, 0.421567), (2.619014, 0.382160), (2.841466, 0.456589)),
    "Rmsprop": ((0.664590, 1.264590), (0.588650, 0.808735), (2.148103, 0.186260), (2.698127, 0.412593)),
    "Adam": ((0.900000, 1.500000), (0.264702, 0.802768), (1.742453, 0.003203), (2.373903, 0.310619)),
}
ARRIVALS = {"Adadelta": 40, "Adagrad": 76, "NAG": 80, "Rmsprop": 81, "Momentum": 92, "Adam": 124, "SGD": 1171}


def run(setup: Setup) -> dict[str, Any]:
    """Both races."""
    return {
        "race": ol.race("beale", RULES, start=START, steps=STEPS),
        "shown": ol.race("beale", RULES, start=START, steps=_published.FRAMES - 1),
        "false": ol.race("beale", FALSE_RULES, start=FALSE_START, steps=FALSE_STEPS),
        "frames": 20 if setup.fast else _published.FRAMES,
    }


def judge(data: dict[str, Any]) -> list[Verdict]:
    """Golden iterates, order of arrival, overshoot, the slow one, the false valley."""
    race, false = data["race"], data["false"]
    runs = race.runs
    error = max(np.abs(runs[r].points[list(GOLDEN_STEPS)] - np.array(GOLDEN[r])).max() for r in RULES)
    arrivals = {label: runs[label].steps_within(NEAR) for label in race.order(NEAR)}
    others = max(step for label, step in arrivals.items() if label not in {"SGD", "Adam"})
    lowest = {label: float(run.points[:199, 1].min()) for label, run in runs.items()}
    turns = {label: int(runs[label].points[:199, 1].argmin()) for label in ("Momentum", "NAG")}
    ends = {label: (r.status, float(r.values[r.rows - 1])) for label, r in false.runs.items()}
    lost = [label for label in ("Adagrad 1", "RMSprop 0.1", "Adam 0.1") if false.runs[label].points[-1, 0] < 0]
    return [
        at_most(
            "contours",
            "every rule is at the golden iterates after 1, 10, 50 and 100 steps",
            float(error),
            1e-6,
            "largest distance per coordinate over seven rules and four steps; the table is printed to six decimals",
        ),
        equals("contours:arrival", "first step within 0.5 of the minimum, in this order", arrivals, ARRIVALS),
        Verdict(
            "contours:overshoot",
            "momentum overshoots below the valley; Nesterov turns back earlier and less deep",
            {"lowest y": {k: round(lowest[k], 3) for k in turns}, "at step": turns},
            "Momentum -2.060 at 31, NAG -1.441 at 21",
            bool(
                abs(lowest["Momentum"] + 2.060) < 1e-3
                and abs(lowest["NAG"] + 1.441) < 1e-3
                and turns == {"Momentum": 31, "NAG": 21}
            ),
        ),
        Verdict(
            "contours:direct",
            "Adadelta, Adagrad and Rmsprop never go below y = 0",
            {k: round(lowest[k], 3) for k in ("Adadelta", "Adagrad", "Rmsprop")},
            "all > 0",
            all(lowest[k] > 0 for k in ("Adadelta", "Adagrad", "Rmsprop")),
        ),
        Verdict(
            "contours:slow",
            "SGD takes over 12 times as long as the slowest other rule of the picture",
            round(arrivals["SGD"] / others, 2),
            "> 12",
            arrivals["SGD"] > 12 * others,
        ),
        Verdict(
            "contours:not-safer",
            "from (3, 4) SGD 1e-3 and momentum 1e-4 overflow; all three adaptive rules end in the false valley, x < 0",
            {label: f"{status}, f = {f:.3g}" for label, (status, f) in ends.items()},
            "2 diverged, 3 at x < 0",
            len(lost) == 3
            and [label for label, (s, _) in ends.items() if s == "diverged"] == ["SGD 1e-3", "Momentum 1e-4"],
            "an adaptive rate keeps a run finite; it does not choose the right valley",
        ),
    ]


def draw(data: dict[str, Any], out: Path) -> list[Path]:
    """The published animation with its window, colours and frame count; all paths; the false valley."""
    from optlab.viz.contour import plot_paths
    from optlab.viz.style import figure

    runs = data["shown"].runs
    gif = _published.contours({k: runs[k] for k in _published.COLORS}, out / "contours.gif", data["frames"])
    fig = figure(size=(12.0, 5.2))
    left, right = fig.subplots(1, 2)
    plot_paths(runs, left, window=((-1.0, 4.5), (-2.5, 2.5)))
    left.set_title("Beale from (1, 1.6), the 198 steps of the animation")
    plot_paths({k: r for k, r in data["false"].runs.items() if r.status != "diverged"}, right)
    right.set_title("from (3, 4), 20,000 steps: three fall into the false valley")
    return [gif, *save(fig, out, "contours")]


if __name__ == "__main__":
    from optlab.gallery import main

    raise SystemExit(main("contours"))
