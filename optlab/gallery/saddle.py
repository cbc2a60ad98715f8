"""Six optimizers at a saddle point: who leaves first depends on what "leave" means.

Alec Radford's second animation (cs231n, `opt1.gif`) on z = 5x^2 - y^2, recovered like the first one. All start at
(0.25, -0.000001), a millionth off the ridge; exactly on it no rule ever leaves, since its gradient along y is 0.

Adaptive rules divide a tiny gradient by its own tiny root mean square, so they break the symmetry within a few steps.
Then they differ: Adadelta's step grows and it is the first to leave the box; Adagrad and RMSprop creep. Momentum and
Nesterov need a hundred steps to notice the slope and then overtake them. So "RMSprop helps at saddles" is true of
breaking the symmetry, not of getting away.
"""

from pathlib import Path
from typing import Any

import numpy as np

import optlab as ol
from optlab.gallery import Setup, _golden, _published, main, save
from optlab.verdict import Verdict, at_most, equals

TITLE = "Six optimizers at a saddle point"
SOURCE = "deck, Optimizers: Comparison (2); after A. Radford's animation in the cs231n notes"
TRY = (
    "Start a thousand times as far from the ridge, START = (0.25, -1e-3): Momentum and NAG leave the box after 68 and "
    "63 steps in place of 126 and 118; for Adagrad and Rmsprop, which divide sizes away, 2 steps change."
)

START, STEPS = (0.25, -1e-6), 800
RULES = {
    "SGD": ol.SGD(lr=0.01),
    "Momentum": ol.Momentum(lr=0.01, beta=0.95, convention="cs231n"),
    "NAG": ol.Momentum(lr=0.01, beta=0.95, nesterov=True, convention="cs231n"),
    "Adagrad": ol.Adagrad(lr=0.05, convention="cs231n"),
    "Adadelta": ol.Adadelta(lr=1.0, convention="cs231n"),
    "Rmsprop": ol.RMSProp(lr=0.01, convention="cs231n"),
    "Adam": ol.Adam(lr=0.01),  # ours: the published animation has none
}
LEVELS = (0.01, 0.1, 0.5, 2.0)  # 2: out of the published box

SYMMETRY = ["Adagrad", "Rmsprop", "Adadelta", "NAG", "Momentum"]  # first |y| > 0.1, within the 199 frames
SOON = 300  # SGD comes later
ESCAPE = ["Adadelta", "NAG", "Momentum", "Rmsprop", "Adagrad"]  # first |y| > 2
EPSILONS = (1e-12, 1e-10, 1e-8, 1e-6)


def first_beyond(run: ol.Run, level: float) -> float:
    """The first step with |y| > level, or inf."""
    beyond = np.abs(run.points[:, 1]) > level
    return int(np.argmax(beyond)) if beyond.any() else np.inf


def epsilon_variants() -> dict[str, list[float]]:
    """Steps to |y| > 0.5 with epsilon of several sizes, inside and outside the root."""
    base = {"Adagrad": ol.Adagrad(lr=0.05), "Rmsprop": ol.RMSProp(lr=0.01, alpha=0.95)}
    steps = {}
    for label, rule in base.items():
        inside = [rule.replace(eps=e, eps_inside=True) for e in EPSILONS]
        outside = [rule.replace(eps=e) for e in (1e-8, 1e-3)]
        runs = [ol.descend("steep-saddle", s, START, 100) for s in (*inside, *outside)]
        steps[label] = [first_beyond(run, 0.5) for run in runs]
    return steps


def run(setup: Setup) -> dict[str, Any]:
    """The race, the same exactly on the ridge, and the variants of epsilon."""
    return {
        "race": ol.race("steep-saddle", RULES, start=START, steps=STEPS),
        "ridge": ol.race("steep-saddle", RULES, start=(0.25, 0.0), steps=STEPS),
        "epsilon": epsilon_variants(),
        "frames": 20 if setup.fast else _published.FRAMES,
    }


def order(crossings: dict[str, list[float]], level: int) -> list[str]:
    """Labels by their step at a level, without those that come late."""
    return [label for step, label in sorted((steps[level], label) for label, steps in crossings.items()) if step < SOON]


def judge(data: dict[str, Any]) -> list[Verdict]:
    """Golden iterates, both orders, the growth rates in closed form, the ridge, the swing, epsilon."""
    runs = {label: data["race"].runs[label] for label in _golden.SADDLE}  # a rule of one's own has no golden numbers
    at = list(_golden.SADDLE_STEPS)
    error = max(float(np.max(np.abs(runs[r].points[at] / np.array(_golden.SADDLE[r]) - 1.0))) for r in runs)
    crossings = {label: [first_beyond(run, level) for level in LEVELS] for label, run in runs.items()}
    published = {k: v for k, v in crossings.items() if k != "Adam"}
    symmetry, escape = (order(published, LEVELS.index(level)) for level in (0.1, 2.0))
    y = {label: np.abs(run.points[:, 1]) for label, run in runs.items()}
    growth = {label: float((y[label][100] / y[label][60]) ** (1 / 40)) for label in ("Momentum", "NAG")}
    # dominant roots of z^2 - (1 + m + 2a) z + m, and of its Nesterov form, at a = 0.01, m = 0.95
    roots = {"Momentum": max(np.roots([1, -1.97, 0.95])).real, "NAG": max(np.roots([1, -1.989, 0.969])).real}
    swing = {
        k: (round(float(np.nanmin(runs[k].points[:, 0])), 3), int(np.nanargmin(runs[k].points[:, 0]))) for k in roots
    }
    ridge = max(float(np.nanmax(np.abs(run.points[:, 1]))) for run in data["ridge"].runs.values())
    spread = {k: [min(v), max(v)] for k, v in data["epsilon"].items()}
    return [
        at_most(
            "saddle",
            "every rule is at the golden iterates after 5, 20 and 40 steps",
            error,
            5e-4,
            "largest relative difference; the table is printed to five digits, its smallest entries to four",
        ),
        equals("saddle:levels", "first steps with |y| > 0.01, 0.1, 0.5, 2", crossings, _golden.SADDLE_CROSSINGS),
        equals(
            "saddle:order", "first to break the symmetry, |y| > 0.1", symmetry, SYMMETRY, "SGD: not in the animation"
        ),
        equals("saddle:escape", "first to leave the box, |y| > 2", escape, ESCAPE),
        equals(
            "saddle:sgd",
            "SGD multiplies y by 1.02 a step: ceil(ln(5e5) / ln 1.02) steps to 0.5",
            crossings["SGD"][2],
            int(np.ceil(np.log(5e5) / np.log(1.02))),
        ),
        at_most(
            "saddle:not-yet",
            "at the end of the animation, step 198, SGD is still within 0.0001 of the ridge, at y = -5.0e-5",
            abs(float(runs["SGD"].points[198, 1]) + 5.0e-5),
            5e-7,
        ),
        at_most(
            "saddle:growth",
            "momentum and NAG grow over steps 60 to 100 by the root of their characteristic polynomial",
            max(abs(growth[k] - roots[k]) for k in roots),
            1e-6,
            f"{growth['Momentum']:.6f} and {growth['NAG']:.6f} a step",
        ),
        equals(
            "saddle:swing",
            "momentum and NAG swing across the ridge first: lowest x, and when",
            swing,
            {"Momentum": (-0.196, 9), "NAG": (-0.13, 8)},
        ),
        equals("saddle:ridge", "exactly on the ridge no rule ever leaves", ridge, 0.0),
        Verdict(
            "saddle:epsilon",
            "the place and size of epsilon move the escape of Adagrad and RMSprop by at most 4 steps",
            spread,
            "17 to 19 and 19 to 23",
            spread == {"Adagrad": [17, 19], "Rmsprop": [19, 23]},
            "epsilon 1e-12 to 1e-6 inside the root, 1e-8 and 1e-3 outside",
        ),
    ]


def draw(data: dict[str, Any], out: Path) -> list[Path]:
    """The published animation; |y| against the step, where both orders can be read off."""
    from optlab.viz.style import figure, looks

    published = {k: r for k, r in data["race"].runs.items() if k != "Adam"}
    gif = _published.saddle(published, out / "saddle.gif", data["frames"])
    player = data["race"].html(out / "saddle-player.html", title=TITLE)
    fig = figure(size=(8.4, 5.0))
    ax = fig.add_subplot()
    for label, (color, dash, _) in looks(data["race"].runs).items():
        ax.semilogy(np.abs(data["race"].runs[label].points[:, 1]), color=color, linestyle=dash, label=label)
    for level, name, at, side in ((0.1, "symmetry broken", 248, "right"), (2.0, "out of the box", 2, "left")):
        ax.axhline(level, color="grey", linewidth=0.8, linestyle=":")
        ax.text(at, level * 1.15, name, ha=side, fontsize="small", color="dimgrey")
    ax.set(xlim=(0, 250), ylim=(1e-6, 20), xlabel="step", ylabel="|y|, distance from the ridge", title=TITLE)
    ax.legend(fontsize="small", loc="lower right")
    return [player, gif, *save(fig, out, "saddle")]


if __name__ == "__main__":
    main("saddle")
