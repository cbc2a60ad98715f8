"""Adam's bias correction: without it the first steps are too long, not too short.

Both moments start at 0 and so are too small at first: m by 1 - b1^t, the root of v by sqrt(1 - b2^t). A step divides
one by the other. Since b2 is closer to 1 than b1, the denominator is the smaller one for longer, and an uncorrected
step is (1 - b1^t) / sqrt(1 - b2^t) times a corrected one: 3.16 times at t = 1 and at most 6.57 times at t = 12 for the
usual b2 = 0.999, 10 and 20.7 times for the 0.9999 of the slides, and the excess lasts for thousands of steps.

Papers and libraries have b2 = 0.999, which is the default here too. In training, "without correction" can look better
at small rates for no other reason than that its steps are longer.
"""

from pathlib import Path
from typing import Any

import numpy as np

import optlab as ol
from optlab.gallery import Setup, line, main, save
from optlab.verdict import Verdict, at_most, equals

TITLE = "Adam with and without bias correction"
SOURCE = "deck, Optimizers: ADAM; Kingma & Ba 2015, sections 3 and 6.4"
TRY = (
    "Add (0.99, 0.999) to CASES: R_1 is 0.01 / sqrt(0.001) = 0.32. Now the mean is the slower of the two, and "
    "uncorrected steps begin too short."
)

STEPS, RATE = 40_000, 1e-3
SLOPE = ol.Surface(lambda x, y: x + y, gradient=lambda x, y: (1.0, 1.0), name="slope")
CASES = ((0.9, 0.99), (0.9, 0.999), (0.9, 0.9999), (0.0, 0.999), (0.0, 0.9999))  # (b1, b2)
# R_1, the largest R_t and its t, the last t with R_t > 1.01 if it was worked out
GOLDEN: dict[tuple[float, float], tuple[float, float, int, int | None]] = {
    (0.9, 0.999): (3.1623, 6.5685, 12, 3924),
    (0.9, 0.9999): (10.0, 20.7202, 12, 39267),
    (0.9, 0.99): (1.0, 2.1311, 13, None),
    (0.0, 0.999): (31.62, 31.62, 1, None),
    (0.0, 0.9999): (100.0, 100.0, 1, None),
}


def ratio(beta1: float, beta2: float) -> np.ndarray:
    """(STEPS,): length of the uncorrected over that of the corrected step under a constant gradient."""
    lengths = []
    for correct in (False, True):
        rule = ol.Adam(lr=RATE, beta1=beta1, beta2=beta2, eps=1e-12, bias_correction=correct)
        lengths.append(np.abs(np.diff(ol.descend(SLOPE, rule, (0.0, 0.0), STEPS).points[:, 0])))
    return lengths[0] / lengths[1]


def run(setup: Setup) -> dict[str, Any]:
    """The ratio for each pair of decays; Beale with and without."""
    beale = {
        name: ol.descend("beale", ol.Adam(lr=0.1, bias_correction=on), (1.0, 1.6), 300)
        for name, on in (("corrected", True), ("not corrected", False))
    }
    return {"ratios": {case: ratio(*case) for case in CASES}, "beale": beale}


def judge(data: dict[str, Any]) -> list[Verdict]:
    """The closed form; its landmarks; the first step and its length on Beale."""
    t = np.arange(1, STEPS + 1)
    error = max(
        float(np.abs(r / ((1 - b1**t) / np.sqrt(1 - b2**t)) - 1).max()) for (b1, b2), r in data["ratios"].items()
    )
    found = {}
    for case, want in GOLDEN.items():
        r = data["ratios"][case]
        last = int(np.flatnonzero(r > 1.01)[-1]) + 1 if want[3] is not None else None
        found[case] = (float(r[0]), float(r.max()), int(r.argmax()) + 1, last)
    off = max(max(abs(f[0] / GOLDEN[c][0] - 1), abs(f[1] / GOLDEN[c][1] - 1)) for c, f in found.items())
    first = {name: [round(float(x), 4) for x in r.points[1]] for name, r in data["beale"].items()}
    shown = {
        f"b1 {a}, b2 {b}": tuple(round(v, 4) if isinstance(v, float) else v for v in f) for (a, b), f in found.items()
    }
    return [
        at_most(
            "adam-bias",
            "an uncorrected step is (1 - b1^t) / sqrt(1 - b2^t) times a corrected one",
            error,
            1e-6,
            "largest relative difference over 40,000 steps; steps are differences of points, hence the rounding",
        ),
        Verdict(
            "adam-bias:landmarks",
            "first ratio, largest ratio and its step, last step above 1.01",
            shown,
            {f"b1 {a}, b2 {b}": g for (a, b), g in GOLDEN.items()},
            off < 5e-4 and all(f[2:] == g[2:] for f, g in zip(found.values(), GOLDEN.values(), strict=True)),
            "ratios to 5e-4, the digits of the table; steps exactly",
        ),
        equals(
            "adam-bias:beale",
            "on Beale from (1, 1.6) the first step of rate 0.1 is 0.1 long in each coordinate, 0.3162 uncorrected",
            first,
            {"corrected": [0.9, 1.5], "not corrected": [0.6838, 1.2838]},
        ),
    ]


def draw(data: dict[str, Any], out: Path) -> list[Path]:
    """The ratio against the step; the two paths on Beale."""
    from optlab.viz.contour import plot_paths
    from optlab.viz.style import figure

    fig = figure(size=(12.0, 4.8))
    left, right = fig.subplots(1, 2)
    for i, ((b1, b2), r) in enumerate(data["ratios"].items()):
        left.loglog(np.arange(1, STEPS + 1), r, **line(i), label=f"b1 = {b1}, b2 = {b2}")
    left.axhline(1.0, color="grey", linewidth=0.8)
    left.set(
        xlabel="step t", ylabel="uncorrected / corrected step", title="how much longer a step is without correction"
    )
    left.grid(alpha=0.3)
    left.legend(fontsize="small")
    plot_paths(data["beale"], right, window=((-1.0, 3.8), (-2.2, 2.0)))
    right.set_title("Beale, Adam 0.1, 300 steps")
    return save(fig, out, "adam-bias")


if __name__ == "__main__":
    main("adam-bias")
