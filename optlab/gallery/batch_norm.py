"""Batch normalisation makes a network less sensitive to the size of its first weights.

Two hidden layers, trained by SGD at one and the same rate, with He's first weights times c. Without normalisation a
signal shrinks or grows by c at every layer: at c = 0.1 nothing reaches the output, and nothing comes back; at c = 10
the logits are in the hundreds, and the first steps wreck the network. A normalised layer divides by the spread of its
own batch: f(c w) = f(w), and the signal passes whatever c is.

The trap: less sensitive is not insensitive. The gradient of a normalised layer is 1/c as large, and its weights are c
times as large, so that a step moves it by 1/c^2 of what the same rate does at c = 1: with c = 10 the hidden layers
learn slowly (figure lr-init has the law). And with weights of the right size normalisation is not needed here at all.
"""

from pathlib import Path
from typing import Any

import numpy as np

import optlab as ol
from optlab.gallery import Setup, main, parts, save
from optlab.gallery._network import BATCH, fit, mlp
from optlab.verdict import Verdict, at_least, at_most

TITLE = "Batch normalisation and the size of the first weights"
SOURCE = "post, Best Practices; Ioffe & Szegedy 2015; the experiment is ours"
TRY = (
    "Set LR to 1.0: with batch normalisation every scale then learns, ten times He's too, for the slow layers move at "
    "last; without it none does."
)
DATA = "digits"

SCALES = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)  # times He's weights
HIDDEN, LR, STEPS, SEEDS = (32, 32), 0.1, 340, 5  # 20 epochs of the digits


def run(setup: Setup) -> dict[str, Any]:
    """Accuracy, (scales, seeds), and how far the first layer's weights moved, over their size; with and without."""
    train, val, _ = parts(setup)

    def trained(scale: float, batch_norm: bool, seed: int) -> tuple[float, float]:
        model = mlp(train, seed, HIDDEN, scale, batch_norm=batch_norm)
        before = model.state_dict()["0.weight"]
        fit(model, train, None, ol.SGD(lr=LR), steps=STEPS, batch_size=BATCH, seed=seed)
        moved = np.linalg.norm(model.state_dict()["0.weight"] - before) / np.linalg.norm(before)
        return model.evaluate(val).accuracy or 0.0, float(moved)

    ends = {
        name: np.array([[trained(c, on, seed) for seed in setup.seeds(SEEDS)] for c in SCALES])
        for name, on in (("plain", False), ("batch norm", True))
    }
    return {
        "accuracy": {name: a[:, :, 0] for name, a in ends.items()},
        "moved": {name: a[:, :, 1].mean(axis=1) for name, a in ends.items()},
    }


def judge(data: dict[str, Any]) -> list[Verdict]:
    """Which scales learn with and without; that He's weights need no help; how little large weights move."""
    mean = {name: dict(zip(SCALES, a.mean(axis=1).tolist(), strict=True)) for name, a in data["accuracy"].items()}
    told = {name: ", ".join(f"{c:g}: {v:.2f}" for c, v in row.items()) for name, row in mean.items()}
    moved = data["moved"]["batch norm"]
    return [
        at_least(
            "batch-norm",
            "with batch normalisation every scale from 0.01 to 3 learns: lowest mean accuracy",
            min(mean["batch norm"][c] for c in SCALES[:-1]),
            0.85,
            told["batch norm"],
        ),
        at_least(
            "batch-norm:ten",
            "with ten times He's weights it learns in part: mean accuracy",
            mean["batch norm"][10.0],
            0.6,
        ),
        at_most(
            "batch-norm:plain",
            "without it 0.01, 0.1 and 10 times He's weights do not: highest mean accuracy",
            max(mean["plain"][c] for c in (0.01, 0.1, 10.0)),
            0.4,
            told["plain"],
        ),
        at_most(
            "batch-norm:needless",
            "with weights of He's size both learn equally well: difference of their accuracies",
            abs(mean["plain"][1.0] - mean["batch norm"][1.0]),
            0.05,
        ),
        Verdict(
            "batch-norm:still",
            "the larger a normalised layer's first weights, the less they move for their size",
            {f"{c:g}": round(float(m), 3) for c, m in zip(SCALES, moved, strict=True)},
            "falling",
            bool((np.diff(moved) < 0).all()),
            "change of the first layer's weights in the whole training, over their first size",
        ),
    ]


def draw(data: dict[str, Any], out: Path) -> list[Path]:
    """Accuracy against the scale of the first weights; how far those of the first layer moved."""
    from optlab.viz.style import COLORS, DASHES, MARKERS, figure

    fig = figure(size=(12.5, 4.8))
    left, right = fig.subplots(1, 2)
    for i, (name, accuracy) in enumerate(data["accuracy"].items()):
        look = {"color": COLORS[1 - i], "linestyle": DASHES[1 - i], "marker": MARKERS[i], "label": name}
        left.semilogx(SCALES, accuracy, ".", color=COLORS[1 - i], alpha=0.4)
        left.semilogx(SCALES, accuracy.mean(axis=1), **look)
        right.loglog(SCALES, data["moved"][name], **look)
    left.set(ylim=(0, 1), ylabel=f"validation accuracy after {STEPS} steps", title=f"SGD {LR:g}: what learns")
    right.set(ylabel="change / first size", title="how far the first layer's weights moved")
    for ax in (left, right):
        ax.set_xlabel("first weights, times He's")
        ax.grid(alpha=0.3)
    left.legend(loc="lower center")
    return save(fig, out, "batch-norm")


if __name__ == "__main__":
    main("batch-norm")
