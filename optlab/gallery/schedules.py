"""Schedules: the learning rate as a function of the step, each with its formula and golden values.

Step decay, exponential and inverse-time decay (cs231n), warm-up (Goyal et al. 2017), cosine and warm restarts
(Loshchilov & Hutter 2017), cycles (Smith 2015) and the one cycle (Smith & Topin 2018). t counts updates from 0. The
formulas are in docs/schedules.md; here every curve is drawn by the library's own schedule and held against values that
were worked out by hand.

Smith's claim: a cyclical rate reaches the accuracy of a fixed schedule in fewer steps; on CIFAR-10 with triangular2 in
25,000 against 70,000. In our small network it does so, too, against a fixed rate at the lower bound of the cycle.

The trap: against which fixed rate? The mean rate of the triangles, held fixed, follows the same curve, and the upper
bound, held fixed, is faster. What helps here is the larger rate, not the cycle; the cycle's merit is that one need not
know the best rate, only two bounds around it.
"""

from pathlib import Path
from typing import Any

import numpy as np

import optlab as ol
from optlab.gallery import Setup, line, main, parts, save
from optlab.gallery._network import BATCH, fit, mlp
from optlab.schedules import (
    Constant,
    Cosine,
    Cyclical,
    ExponentialDecay,
    InverseTime,
    OneCycle,
    Schedule,
    StepDecay,
    Warmup,
)
from optlab.verdict import Verdict, at_most

TITLE = "Learning-rate schedules"
SOURCE = (
    "deck, Tips & tricks (warm-up, decay, cyclical); post, Learning Rate Scheduling; Smith 2015, sections 3 and 4.1"
)
TRY = (
    "Give the cosine min_lr=0.02, or the one cycle pct_start=0.1, and look at the curve. With HIGH = 1.0 the cycles "
    "still train, and 1.0 held fixed is again faster than both."
)
DATA = "digits"

LR = 0.1
CLR: dict[str, Any] = {"low": 0.001, "high": 0.006, "up": 2000}
GOLDEN: dict[str, tuple[Schedule, dict[int, float]]] = {  # step: rate
    "step decay": (StepDecay(5, factor=0.5), {4: 0.1, 5: 0.05, 14: 0.025, 15: 0.0125}),
    "exponential": (ExponentialDecay(k=0.05), {10: 0.0606531}),
    "inverse time": (InverseTime(k=0.05), {10: 0.0666667}),
    "warm-up": (Warmup(5), {0: 0.02, 1: 0.04, 2: 0.06, 3: 0.08, 4: 0.1, 5: 0.1}),
    "cosine": (Cosine(100), {25: 0.0853553, 50: 0.05, 75: 0.0146447, 100: 0.0}),
    "warm restarts": (Cosine(period=10, mult=2), {9: 0.00244717, 10: 0.1, 20: 0.05, 29: 6.15583e-4, 30: 0.1}),
    "one cycle": (OneCycle(steps=100), {0: 0.004, 10: 0.0295164, 29: 0.1, 50: 0.0793893, 99: 4e-7}),
    "triangular": (Cyclical(**CLR), {1000: 0.0035, 2000: 0.006, 4000: 0.001, 6000: 0.006}),
    "triangular2": (Cyclical(**CLR, mode="triangular2"), {2000: 0.006, 6000: 0.0035}),
    "exp_range": (Cyclical(**CLR, mode="exp_range", gamma=0.99994), {2000: 0.00543459}),
}
LENGTH = {"triangular": 12_000, "triangular2": 12_000, "exp_range": 12_000, "step decay": 30, "warm-up": 30}  # else 100
LOW, HIGH, EPOCHS, SEEDS = 0.05, 0.3, 60, 5
MEAN = (LOW + HIGH) / 2
HALF_CYCLE = 4  # epochs; Smith: 2 to 10


def run(setup: Setup) -> dict[str, Any]:
    """The curves; validation loss by epoch of the network under cycles and fixed rates, mean over the seeds."""
    train, val, _ = parts(setup)
    up = HALF_CYCLE * -(-len(train) // BATCH)
    # a cycle has its rates itself
    cases: dict[str, tuple[float, Schedule]] = {
        **{mode: (LOW, Cyclical(low=LOW, high=HIGH, up=up, mode=mode)) for mode in ("triangular", "triangular2")},
        **{f"fixed {rate:g}": (rate, Constant()) for rate in (LOW, MEAN, HIGH)},
    }

    def loss(rate: float, schedule: Schedule, seed: int) -> np.ndarray:
        options: dict[str, Any] = {"epochs": EPOCHS, "batch_size": BATCH, "seed": seed, "schedule": schedule}
        return fit(mlp(train, seed), train, val, ol.SGD(lr=rate), **options)["val_loss"]

    return {
        "curves": {name: s.rates(LENGTH.get(name, 100) + 1, LR) for name, (s, _) in GOLDEN.items()},
        "momentum": np.array([OneCycle(steps=100).momentum(t) for t in range(101)]),
        "network": {
            name: np.mean([loss(*case, s) for s in setup.seeds(SEEDS)], axis=0) for name, case in cases.items()
        },
    }


def judge(data: dict[str, Any]) -> list[Verdict]:
    """The golden values; Smith's claim, and what remains of it against other fixed rates."""
    found, want = [], []
    for name, (_, values) in GOLDEN.items():
        found += [data["curves"][name][t] for t in values]
        want += list(values.values())
    network = data["network"]
    target = network[f"fixed {LOW:g}"][-1]
    reached = {
        name: int(np.argmax(loss <= target)) + 1 if (loss <= target).any() else np.inf for name, loss in network.items()
    }
    triangular, mean = network["triangular"], network[f"fixed {MEAN:g}"]
    whole = slice(2 * HALF_CYCLE - 1, None, 2 * HALF_CYCLE)  # the ends of the cycles
    return [
        at_most(
            "schedules",
            f"{len(want)} rates at steps of ten schedules are those worked out by hand, with 6 digits",
            float(np.max(np.abs(np.array(found) - want) / np.maximum(np.abs(want), 1e-7))),
            5e-6,
            "largest relative difference",
        ),
        at_most(
            "schedules:momentum",
            "the one cycle's momentum is 0.95 at first, 0.85 at the peak and 0.95 at the end",
            float(np.abs(data["momentum"][[0, 29, 99]] - [0.95, 0.85, 0.95]).max()),
            1e-12,
        ),
        at_most(
            "schedules:smith",
            f"triangular2 from {LOW} to {HIGH} has the final validation loss of the fixed rate {LOW} in half of it",
            reached["triangular2"] / EPOCHS,
            0.5,
            f"Smith's 25,000 of 70,000 steps are 0.36. Epochs to {target:.3f}: "
            + ", ".join(f"{name} {epoch}" for name, epoch in reached.items()),
        ),
        at_most(
            "schedules:mean",
            "triangles are no better than their mean rate, held fixed: validation losses at the ends of the cycles, "
            "largest relative difference",
            float(np.max(np.abs(triangular[whole] / mean[whole] - 1))),
            0.1,
        ),
    ]


def draw(data: dict[str, Any], out: Path) -> list[Path]:
    """Ten curves with their golden values; the network under cycles and fixed rates."""
    from optlab.viz.style import COLORS, figure

    fig = figure(size=(15.0, 5.6))
    for ax, (name, rates) in zip(fig.subplots(2, 5).flat, data["curves"].items(), strict=True):
        ax.plot(rates, color=COLORS[0], drawstyle="steps-post" if len(rates) < 50 else "default")
        values = GOLDEN[name][1]
        ax.plot(list(values), list(values.values()), "o", color=COLORS[1], markersize=4)
        ax.set(title=name, ylim=(0, None))
        ax.tick_params(labelsize="small")
        ax.locator_params(nbins=5)
        ax.grid(alpha=0.3)
    fig.supxlabel("step")
    fig.supylabel("learning rate")
    second = figure(size=(8.4, 5.0))
    ax = second.add_subplot()
    for i, (name, loss) in enumerate(data["network"].items()):
        epochs = np.arange(1, EPOCHS + 1)
        ax.semilogy(epochs, loss, **line(i), linewidth=1.8, label=name)
    ax.set(xlabel="epoch", ylabel="validation loss", title="the cycle follows its mean rate; a larger rate is faster")
    ax.grid(alpha=0.3, which="both")
    ax.legend()
    return [*save(fig, out, "schedules"), *save(second, out, "schedules-network")]


if __name__ == "__main__":
    main("schedules")
