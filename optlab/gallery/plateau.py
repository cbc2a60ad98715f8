"""Reduce the rate on a plateau: one sentence, two ways to count it.

When the validation loss has not improved for `patience` epochs, multiply the rate by `factor`. Keras acts when the
count of bad epochs reaches the patience; PyTorch when it exceeds it, one epoch later. Keras's threshold for "improved"
is an amount (`min_delta`), PyTorch's a share of the best loss: of a loss of 100 that falls by 0.002 an epoch, PyTorch
sees a plateau, and Keras sees progress for ever. In a cooldown Keras counts the last epoch, PyTorch none.

Look at the first picture: the same twelve losses, the same settings, other rates from the fourth epoch on.

The trap: the documentation of both reads alike. "patience 2" copied from one library to the other is another schedule.
"""

from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

import optlab as ol
from optlab.gallery import Setup, main, parts, save
from optlab.gallery._network import BATCH, fit, mlp
from optlab.schedules import ReduceOnPlateau
from optlab.verdict import Verdict, at_most, equals

TITLE = "Reduce the rate on a plateau: Keras and PyTorch count differently"
SOURCE = "deck, Reduce rate on plateau; tf.keras ReduceLROnPlateau; torch ReduceLROnPlateau"
TRY = (
    "Set patience to 3: every reduction of both comes one epoch later or more, and Keras's is still the first. With "
    'threshold_mode="abs" PyTorch, too, is patient with the falling loss of 100.'
)
DATA = "digits"

LR = 0.1
LOSSES = [1.0, 0.8, 0.8, 0.8, 0.8] + [0.79] * 7
CASES: dict[str, dict[str, Any]] = {"default": {}, "cooldown 2": {"cooldown": 2}, "min_lr 0.005": {"min_lr": 0.005}}
GOLDEN = {  # epochs at each rate
    ("default", "keras"): [(0.1, 3), (0.01, 4), (1e-3, 2), (1e-4, 2), (1e-5, 1)],
    ("default", "torch"): [(0.1, 4), (0.01, 4), (1e-3, 3), (1e-4, 1)],
    ("cooldown 2", "keras"): [(0.1, 3), (0.01, 4), (1e-3, 3), (1e-4, 2)],
    ("cooldown 2", "torch"): [(0.1, 4), (0.01, 5), (1e-3, 3)],
    ("min_lr 0.005", "keras"): [(0.1, 3), (0.01, 4), (0.005, 5)],
    ("min_lr 0.005", "torch"): [(0.1, 4), (0.01, 4), (0.005, 4)],
}
FALLING = [100 - 0.002 * t for t in range(30)]
EPOCHS = 60


def rates(settings: ReduceOnPlateau, losses: list[float]) -> list[float]:
    """The rate from each epoch's end on."""
    tracker = settings.start(LR)
    return [tracker.update(loss) for loss in losses]


def run(setup: Setup) -> dict[str, Any]:
    """The golden traces; the slowly falling loss; NaN; a network whose rate follows its validation loss."""
    patient = {
        "keras": ReduceOnPlateau(patience=2, convention="keras"),
        "torch": ReduceOnPlateau(patience=2, convention="torch"),
    }
    absolute = patient["torch"].replace(threshold_mode="abs")
    train, val, _ = parts(setup)
    settings = ReduceOnPlateau(patience=3, factor=0.5, convention="keras")
    options: dict[str, Any] = {"epochs": EPOCHS, "batch_size": BATCH, "seed": setup.seed, "schedule": settings}
    return {
        "traces": {(case, name): rates(patient[name].replace(**CASES[case]), LOSSES) for case, name in GOLDEN},
        "falling": {
            "torch, relative": rates(patient["torch"], FALLING),
            "torch, absolute": rates(absolute, FALLING),
            "keras, absolute": rates(patient["keras"], FALLING),
        },
        "nan": {name: rates(patient[name], [1.0, np.nan, np.nan, np.nan]) for name in patient},
        "network": fit(mlp(train, setup.seed), train, val, ol.Adam(lr=LR / 2), **options),
    }


def judge(data: dict[str, Any]) -> list[Verdict]:
    """The traces, epoch by epoch; the thresholds; NaN; the training's rates against a count by hand."""
    counted = {
        f"{case}, {name}": [(float(f"{r:.6g}"), len(list(same))) for r, same in groupby(row)]
        for (case, name), row in data["traces"].items()
    }
    first = {name: next((t + 1 for t, r in enumerate(row) if r < LR), None) for name, row in data["falling"].items()}
    history = data["network"]
    rate, best, bad, by_hand = LR / 2, np.inf, 0, []
    for loss in history["val_loss"]:
        by_hand.append(rate)
        best, bad = (loss, 0) if loss < best - 1e-4 else (best, bad + 1)
        if bad >= 3:
            rate, bad = rate / 2, 0
    return [
        equals(
            "plateau",
            "epochs at each rate, for both libraries' counting, by default, with a cooldown and with a lowest rate",
            counted,
            {f"{case}, {name}": row for (case, name), row in GOLDEN.items()},
        ),
        equals(
            "plateau:threshold",
            "a loss of 100 that falls by 0.002 an epoch: the epoch of the first reduction",
            first,
            {"torch, relative": 4, "torch, absolute": None, "keras, absolute": None},
        ),
        equals(
            "plateau:nan",
            "NaN is no improvement",
            {name: [round(r, 9) for r in row] for name, row in data["nan"].items()},
            {"keras": [0.1, 0.1, 0.01, 0.01], "torch": [0.1, 0.1, 0.1, 0.01]},
        ),
        at_most(
            "plateau:network",
            "in a training the rate of every epoch is what a count by hand over its validation losses gives",
            float(np.abs(history["lr"] / by_hand - 1).max()),
            1e-12,
            f"{len(set(by_hand)) - 1} reductions in {len(by_hand)} epochs, Keras's counting",
        ),
    ]


def draw(data: dict[str, Any], out: Path) -> list[Path]:
    """The twelve losses and both libraries' rates, case by case; a training and its rate."""
    from optlab.viz.style import COLORS, DASHES, figure

    fig = figure(size=(12.5, 5.4))
    axes = fig.subplots(2, 3, sharex=True, height_ratios=(1, 2))
    epochs = np.arange(1, len(LOSSES) + 1)
    for top, bottom, case in zip(*axes, CASES, strict=True):
        top.plot(epochs, LOSSES, "o-", color=COLORS[6], markersize=4)
        top.set(title=case, ylim=(0.7, 1.05))
        for i, name in enumerate(("keras", "torch")):
            steps = data["traces"][case, name]
            bottom.semilogy(
                epochs, steps, "s^"[i], linestyle=DASHES[i], color=COLORS[i], drawstyle="steps-mid", label=name
            )
        bottom.set(xlabel="epoch", ylim=(5e-6, 0.3))
        bottom.grid(alpha=0.3)
    axes[0, 0].set_ylabel("loss")
    axes[1, 0].set_ylabel("rate after the epoch")
    axes[1, 0].legend()
    second = figure(size=(8.4, 4.8))
    ax = second.add_subplot()
    history = data["network"]
    epochs = np.arange(1, history.epochs + 1)
    ax.semilogy(epochs, history["val_loss"], color=COLORS[0], label="validation loss")
    ax.semilogy(epochs, history["train_loss"], color=COLORS[2], linestyle=DASHES[2], label="training loss")
    ax.semilogy(epochs, history["lr"], color=COLORS[1], drawstyle="steps-mid", label="learning rate")
    ax.set(xlabel="epoch", ylabel="loss, learning rate")
    ax.set_title("a training that halves its rate on every plateau (patience 3)")
    ax.grid(alpha=0.3)
    ax.legend()
    return [*save(fig, out, "plateau"), *save(second, out, "plateau-network")]


if __name__ == "__main__":
    main("plateau")
