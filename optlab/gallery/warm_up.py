"""Warm-up: small rates for the first epochs carry a training over a start that would kill it.

The rate climbs in a straight line, a_t = a (t + 1) / T for t < T, and stays. Two starts need it, for two reasons. Adam
without bias correction takes first steps that are far too long, ten times and more with b2 = 0.9999 (see adam-bias);
warm-up shortens just those. SGD at the edge of stability: 1.5 kills most seeds when they start with it, and most
networks that are on their way can bear it.

The trap: it is no cure for a rate that is too large for good. At 2.0 nothing is learned with warm-up either.
"""

from pathlib import Path
from typing import Any

import numpy as np

import optlab as ol
from optlab.gallery import Setup, main, parts, save
from optlab.gallery._network import BATCH, fit, mlp
from optlab.schedules import Constant, Warmup
from optlab.verdict import Verdict

TITLE = "Warm-up, with and without"
SOURCE = "deck, Tips & tricks (warm-up); post, Practical Tips; Goyal et al. 2017, section 2.2; the experiments are ours"
TRY = (
    "Shorten LENGTH to 1 epoch: a third of uncorrected Adam's seeds die in spite of it, and SGD at 1.5 gains nothing. "
    "With bias_correction=True Adam needs no warm-up at 0.03."
)
DATA = "digits"

LENGTH = 5  # epochs of the climb
CASES: dict[str, tuple[ol.Settings, int]] = {  # rule and epochs
    "Adam 0.03, uncorrected": (ol.Adam(lr=0.03, beta2=0.9999, bias_correction=False), 20),
    "SGD 1.5": (ol.SGD(lr=1.5), 30),
    "SGD 2.0": (ol.SGD(lr=2.0), 30),
}
SEEDS, GOOD = 40, 0.9  # a seed has learned with this accuracy


def run(setup: Setup) -> dict[str, Any]:
    """Validation accuracy by epoch, (seeds, epochs), of each case without and with warm-up."""
    train, val, _ = parts(setup)
    steps = LENGTH * -(-len(train) // BATCH)

    def accuracy(rule: ol.Settings, epochs: int, warm: bool, seed: int) -> np.ndarray:
        schedule = Warmup(steps) if warm else Constant()
        options: dict[str, Any] = {"epochs": epochs, "batch_size": BATCH, "seed": seed, "schedule": schedule}
        curve = fit(mlp(train, seed), train, val, rule, **options)["val_accuracy"]
        return np.pad(curve, (0, epochs - len(curve)), constant_values=0.0)  # what diverges ends early

    return {
        name: {
            "warm-up" if warm else "none": np.array([accuracy(rule, epochs, warm, s) for s in setup.seeds(SEEDS)])
            for warm in (False, True)
        }
        for name, (rule, epochs) in CASES.items()
    }


def judge(data: dict[str, Any]) -> list[Verdict]:
    """Shares of the seeds that learn."""
    share = {name: {k: float((a[:, -1] >= GOOD).mean()) for k, a in row.items()} for name, row in data.items()}
    ends = {name: {k: np.quantile(a[:, -1], (0.0, 0.5, 1.0)) for k, a in row.items()} for name, row in data.items()}
    told = {
        name: "; ".join(f"{k}: median {mid:.2f}, from {low:.2f} to {high:.2f}" for k, (low, mid, high) in row.items())
        for name, row in ends.items()
    }
    adam, edge, beyond = CASES
    return [
        Verdict(
            "warm-up",
            "Adam without bias correction: hardly a seed learns without warm-up, nearly all do with it",
            share[adam],
            {"none": "<= 0.1", "warm-up": ">= 0.9"},
            share[adam]["none"] <= 0.1 and share[adam]["warm-up"] >= 0.9,
            told[adam],
        ),
        Verdict(
            "warm-up:sgd",
            "SGD at the edge of stability: the minority learns without, the majority with it",
            share[edge],
            {"none": "< 0.5", "warm-up": "> 0.5"},
            share[edge]["none"] < 0.5 < share[edge]["warm-up"],
            told[edge],
        ),
        Verdict(
            "warm-up:no-cure",
            "SGD beyond it: hardly a seed learns, with warm-up or without",
            share[beyond],
            {"none": "<= 0.1", "warm-up": "<= 0.1"},
            max(share[beyond].values()) <= 0.1,
            told[beyond],
        ),
    ]


def draw(data: dict[str, Any], out: Path) -> list[Path]:
    """Accuracy against the epoch, a thin line per seed."""
    from optlab.viz.style import COLORS, figure

    fig = figure(size=(13.0, 4.6))
    for ax, (name, row) in zip(fig.subplots(1, 3, sharey=True), data.items(), strict=True):
        for i, (label, runs) in ((1, ("none", row["none"])), (0, ("warm-up", row["warm-up"]))):
            epochs = np.arange(1, runs.shape[1] + 1)
            ax.plot(epochs, runs.T, color=COLORS[i], alpha=0.3, linewidth=0.8)
            ax.plot(epochs, np.median(runs, axis=0), color=COLORS[i], linewidth=2.5, label=label)
        ax.axvline(LENGTH, color="grey", linewidth=0.8, linestyle=":")
        ax.set(xlabel="epoch", title=name, ylim=(0, 1))
    fig.axes[0].set_ylabel("validation accuracy; thick: median of the seeds")
    fig.axes[0].legend(title="warm-up to the dotted line", loc="center right", fontsize="small")
    return save(fig, out, "warm-up")


if __name__ == "__main__":
    main("warm-up")
