"""A far start: adaptive rules do not overflow, and end in the wrong valley.

Louis Tiao's tutorial starts on Beale's surface at (3, 4) to show that too much momentum overshoots. The gradient is
63,000 long there. SGD and momentum overflow at rates that are fine elsewhere; at a tenth of them SGD comes near, and
momentum is thrown to the far end of the valley, where it freezes. Adagrad, RMSprop and Adam divide the length of the
gradient away, stay finite, and walk into the valley at x < 0, where f falls for ever and the minimum is not.

So "adaptive rules are safer" is true of overflow only. They do not choose the right valley, and a run that ends
without an error is not a run that found the minimum.
"""

from pathlib import Path
from typing import Any

import optlab as ol
from optlab.gallery import Setup, main, save
from optlab.verdict import Verdict, equals

TITLE = "From a far start: finite is not right"
SOURCE = (
    "deck, Optimizers: Comparison (1), the same surface; start of L. Tiao's matplotlib tutorial, with rules of ours"
)
TRY = (
    "Clip the gradient: the loop by hand with `ol.Optimizer([w], ol.SGD(lr=1e-3), clip_norm=1.0)` ends at the minimum, "
    "f = 8.4e-7 after the same 20,000 steps."
)

START, STEPS = (3.0, 4.0), 20_000
RULES = {
    "SGD 1e-3": ol.SGD(lr=1e-3),
    "SGD 1e-4": ol.SGD(lr=1e-4),
    "Momentum 1e-4": ol.Momentum(lr=1e-4),
    "Momentum 1e-5": ol.Momentum(lr=1e-5),
    "Adagrad 1": ol.Adagrad(lr=1.0),
    "RMSprop 0.1": ol.RMSProp(lr=0.1, alpha=0.9),
    "Adam 0.1": ol.Adam(lr=0.1),
}
ADAPTIVE = ("Adagrad 1", "RMSprop 0.1", "Adam 0.1")
# An independent float64 NumPy program.
OVERFLOW = {"SGD 1e-3": 2, "Momentum 1e-4": 5}  # at the latest in this step
ENDS = {"SGD 1e-4": (2.62, 0.39), "Momentum 1e-5": (0.018, -4.886)}
VALUES = {"Momentum 1e-5": 9.28, "Adagrad 1": 1.58, "RMSprop 0.1": 1.49}


def run(setup: Setup) -> dict[str, Any]:
    """One race."""
    return {"race": ol.race("beale", RULES, start=START, steps=STEPS)}


def judge(data: dict[str, Any]) -> list[Verdict]:
    """What overflows; where the others end."""
    runs = data["race"].runs
    start = runs["Adam 0.1"]  # as good as any other
    overflowed = {label: run.rows - 1 for label, run in runs.items() if run.status == "diverged"}
    ends = {label: run.points[-1] for label, run in runs.items() if label not in overflowed}
    values = {label: float(runs[label].values[-1]) for label in ends}
    shown = {label: f"({x:.3f}, {y:.3f}), f = {values[label]:.3g}" for label, (x, y) in ends.items()}
    return [
        Verdict(
            "false-valley",
            "all three adaptive rules end in the false valley: x < 0, y slightly above 1",
            {label: shown[label] for label in ADAPTIVE},
            "x < 0, 1 < y < 2",
            all(ends[label][0] < 0 and 1 < ends[label][1] < 2 for label in ADAPTIVE),
            "an adaptive rate keeps a run finite; it does not choose the valley",
        ),
        equals(
            "false-valley:start",
            "f and its gradient at the start",
            (float(start.values[0]), *map(float, start.gradients[0])),
            (39_062.953125, 25_625.25, 57_519.0),
        ),
        Verdict(
            "false-valley:overflow",
            "SGD at 1e-3 overflows within 2 steps, momentum at 1e-4 within 5, and no other does",
            overflowed,
            OVERFLOW,
            set(overflowed) == set(OVERFLOW) and all(overflowed[label] <= OVERFLOW[label] for label in OVERFLOW),
        ),
        Verdict(
            "false-valley:ends",
            "SGD at 1e-4 comes near the minimum, momentum at 1e-5 freezes in a corner",
            {label: shown[label] for label in ENDS},
            {label: f"within 0.005 of {end}" for label, end in ENDS.items()},
            all(abs(ends[label] - end).max() <= 0.005 for label, end in ENDS.items()),
        ),
        Verdict(
            "false-valley:values",
            "f at the end",
            {label: round(values[label], 3) for label in VALUES},
            {label: f"{value:g} within 1 %" for label, value in VALUES.items()},
            all(abs(values[label] / value - 1) < 0.01 for label, value in VALUES.items()),
            "Adam's f there, 0.58 in the other program, depends on rounding: Adam is thrown about in the valley, "
            "between 0.54 and 8 in the last 2,000 steps",
        ),
    ]


def draw(data: dict[str, Any], out: Path) -> list[Path]:
    """The paths that stay finite."""
    from optlab.viz.contour import plot_paths
    from optlab.viz.style import figure

    fig = figure(size=(8.4, 6.2))
    ax = fig.add_subplot()
    plot_paths(
        {k: r for k, r in data["race"].runs.items() if r.status != "diverged"}, ax, window=((-5, 4.5), (-5.2, 4.5))
    )
    ax.set_title("Beale from (3, 4), 20,000 steps: three end in the false valley")
    return save(fig, out, "false-valley")


if __name__ == "__main__":
    main("false-valley")
