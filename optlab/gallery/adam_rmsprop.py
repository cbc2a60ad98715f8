"""Is Adam momentum plus RMSProp? At b1 = 0 exactly; with momentum, not quite.

Without correction and with b1 = 0 Adam is RMSProp, to the last bit. With correction it is RMSProp whose rate is
multiplied by sqrt(1 - b2^t): what RMSProp lacks is the correction, and so its first step is a / sqrt(1 - rho), ten
times the rate for rho = 0.99 and 32 times for 0.999.

With b1 > 0 the order matters. Adam averages the gradients and divides the mean by the root of the mean square. RMSProp
with momentum divides each gradient by the root of its time and averages the quotients. While the mean square is nearly
constant both are the same; where it changes fast, as in the first steps, they are not.
"""

from pathlib import Path
from typing import Any

import numpy as np

import optlab as ol
from optlab.gallery import Setup, line, main, save
from optlab.verdict import Verdict, at_least, at_most

TITLE = "Adam as momentum plus RMSProp"
SOURCE = "post, The Role of Adam Optimizer Hyperparameters (momentum and RMSProp); Kingma & Ba 2015, section 5"
TRY = (
    "Use BETA2 = 0.9: RMSProp's first step shrinks from 32 rates to 3, and it no longer jumps across the valley. Both "
    "identities hold as before."
)

START, STEPS, RATE, BETA2 = (1.0, 1.6), 300, 0.1, 0.999
RULES = {
    "Adam, b1 = 0, not corrected": ol.Adam(lr=RATE, beta1=0.0, beta2=BETA2, bias_correction=False),
    "RMSProp": ol.RMSProp(lr=RATE, alpha=BETA2, lr_inside=True),  # multiplies before it divides, as Adam does
    # epsilon before the correction, as in RMSProp
    "Adam, b1 = 0": ol.Adam(lr=RATE, beta1=0.0, beta2=BETA2, eps_hat=True),
    "Adam, not corrected": ol.Adam(lr=RATE, beta2=BETA2, bias_correction=False),
    "RMSProp with momentum": ol.RMSProp(lr=0.1 * RATE, alpha=BETA2, momentum=0.9),  # 1 - b1 = 0.1
}


def scheduled() -> np.ndarray:
    """(STEPS + 1, 2): RMSProp on Beale with the rate times sqrt(1 - b2^t) in step t."""
    w = ol.Tensor(np.array(START), requires_grad=True)
    optimizer = ol.Optimizer([w], ol.RMSProp(lr=RATE, alpha=BETA2))
    points = [w.data.copy()]
    for t in range(1, STEPS + 1):
        w.grad = np.array(ol.SURFACES["beale"].gradient(*w.data))
        optimizer.lr = RATE * np.sqrt(1 - BETA2**t)
        optimizer.step()
        points.append(w.data.copy())
    return np.array(points)


def run(setup: Setup) -> dict[str, Any]:
    """All five rules on Beale, and RMSProp with the rate that makes it Adam."""
    runs = {name: ol.descend("beale", rule, START, STEPS) for name, rule in RULES.items()}
    return {"runs": runs, "scheduled": scheduled()}


def judge(data: dict[str, Any]) -> list[Verdict]:
    """Two identities and a difference."""
    plain, rmsprop, corrected, adam, heavy = (r.points for r in data["runs"].values())
    first = float(np.abs(rmsprop[1] - rmsprop[0]).max()) / RATE
    return [
        at_most(
            "adam-rmsprop",
            "uncorrected Adam with b1 = 0 is RMSProp, to the last bit",
            np.abs(plain - rmsprop).max(),
            0.0,
            f"largest distance over {STEPS} steps on Beale",
        ),
        at_most(
            "adam-rmsprop:corrected",
            "corrected Adam with b1 = 0 is RMSProp with the rate times sqrt(1 - b2^t), to rounding",
            np.abs(corrected - data["scheduled"]).max(),
            1e-12,
        ),
        at_most(
            "adam-rmsprop:first",
            "RMSProp's first step is 1 / sqrt(1 - rho) rates long: relative difference",
            abs(first * np.sqrt(1 - BETA2) - 1),
            1e-6,
            f"{first:.2f} rates for rho = {BETA2}",
        ),
        at_least(
            "adam-rmsprop:momentum",
            "with b1 = 0.9 Adam is not RMSProp with momentum",
            np.abs(adam - heavy).max(),
            0.01,
            "largest distance on Beale; both without correction",
        ),
    ]


def draw(data: dict[str, Any], out: Path) -> list[Path]:
    """The paths; how far apart the pairs are."""
    from optlab.viz.contour import plot_paths
    from optlab.viz.style import figure

    fig = figure(size=(12.8, 5.0))
    left, right = fig.subplots(1, 2)
    plain, rmsprop, corrected, adam, heavy = data["runs"].values()
    plot_paths(data["runs"], left, window=((-3.0, 4.2), (-3.0, 2.4)))
    left.set_title(f"Beale, {STEPS} steps")
    pairs = {
        "b1 = 0, not corrected: RMSProp": plain.points - rmsprop.points,
        "b1 = 0, corrected: RMSProp, rate times sqrt(1 − b2^t)": corrected.points - data["scheduled"],
        "b1 = 0.9, not corrected: RMSProp with momentum": adam.points - heavy.points,
    }
    for i, (name, apart) in enumerate(pairs.items()):
        distance = np.maximum(np.abs(apart).max(1), 1e-17)
        right.semilogy(distance, **line(i), linewidth=1.8, label=name)
    right.set(
        xlabel="step", ylabel="distance (1e-17 is none)", ylim=(1e-18, 1e3), title="Adam and what it is compared with"
    )
    right.grid(alpha=0.3)
    right.legend(fontsize="small", loc="upper right")
    return save(fig, out, "adam-rmsprop")


if __name__ == "__main__":
    main("adam-rmsprop")
