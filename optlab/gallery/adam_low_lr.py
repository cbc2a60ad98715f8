"""Starting Adam at 1e-4: stable, and unfinished.

"Start with a low learning rate such as 1e-4" is advice for fine-tuning a large network that was trained before. A small
one that starts from random weights has further to go. Adam moves a weight by about the rate in a step, and by at most
(1 - b1) / sqrt(1 - b2) = 3.16 times as much (Kingma and Ba, section 2.1; their bound is approximate). So 30 epochs of
17 steps at 1e-4 move a weight by some hundredths, where first weights are a few tenths in size.

The curves show both halves. The low rate never goes wrong: its loss falls in every epoch, with every seed. And after
30 epochs it has not got to where a rate of 0.01 was after the first.
"""

from pathlib import Path
from typing import Any

import numpy as np

import optlab as ol
from optlab.gallery import Setup, line, main, parts, save
from optlab.gallery._network import BATCH, fit, losses_and_accuracies, mlp
from optlab.verdict import Verdict, at_least, at_most

TITLE = "Start Adam at 1e-4? Safe is not good"
SOURCE = "post, Practical Tips (start with a low learning rate)"
TRY = (
    "Give the low rate time (EPOCHS = 300): it then gets where 1e-3 is after 30, since ten times as many steps of a "
    "tenth of the length go as far. Or add a rate of 0.3: it is the one that fails."
)
DATA = "digits"

RATES, EPOCHS, SEEDS = (1e-4, 1e-3, 1e-2), 30, 5


def run(setup: Setup) -> dict[str, Any]:
    """Adam at three rates: losses by epoch, accuracy at the end, how far the weights went."""
    train, val, _ = parts(setup)
    seeds = setup.seeds(SEEDS, larger=2)
    trained = {rate: losses_and_accuracies((train, val), ol.Adam(lr=rate), EPOCHS, seeds) for rate in RATES}
    model, fresh = (mlp(train, setup.seed) for _ in range(2))
    fit(model, train, None, ol.Adam(lr=RATES[0]), epochs=EPOCHS, batch_size=BATCH, seed=setup.seed)
    moved = [np.abs(p.data - q.data).max() for p, q in zip(model.parameters(), fresh.parameters(), strict=True)]
    return {
        "losses": {rate: losses for rate, (losses, _) in trained.items()},
        "accuracies": {rate: accuracies for rate, (_, accuracies) in trained.items()},
        "moved": float(max(moved)),
        "reach": RATES[0] * EPOCHS * -(-len(train) // BATCH),
        "data": setup.data,
    }


def judge(data: dict[str, Any]) -> list[Verdict]:
    """Stable, and unfinished; the bound on what it can do."""
    accuracy = {rate: float(a.mean()) for rate, a in data["accuracies"].items()}
    low, middle, high = data["losses"].values()
    spread = ", ".join(f"{rate:g}: {a.min():.3f} to {a.max():.3f}" for rate, a in data["accuracies"].items())
    other = "; another program had 0.474, 0.944, 0.967 on average" if data["data"] == "digits" else ""
    return [
        Verdict(
            "adam-low-lr",
            "after 30 epochs the accuracy grows with the rate from 1e-4 over 1e-3 to 1e-2",
            {f"{rate:g}": round(a, 3) for rate, a in accuracy.items()},
            "growing",
            accuracy[1e-4] < accuracy[1e-3] < accuracy[1e-2],
            f"over seeds, {spread}{other}",
        ),
        at_most(
            "adam-low-lr:stable",
            "at 1e-4 the training loss falls in every epoch, with every seed: largest ratio of two in a row",
            (low[:, 1:] / low[:, :-1]).max(),
            1.0,
        ),
        at_least(
            "adam-low-lr:unfinished",
            "at 1e-4 the final training loss is so many times that at 1e-2",
            low[:, -1].mean() / high[:, -1].mean(),
            10.0,
            f"at 1e-4, 1e-3 and 1e-2: {low[:, -1].mean():.3f}, {middle[:, -1].mean():.3f}, {high[:, -1].mean():.4f}",
        ),
        at_most(
            "adam-low-lr:reach",
            "at 1e-4 a weight goes at most 3.16 times as far as rate times steps",
            data["moved"] / data["reach"],
            0.1 / np.sqrt(0.001),
            f"the farthest went {data['moved']:.4f}; rate times steps is {data['reach']:.4f}",
        ),
    ]


def draw(data: dict[str, Any], out: Path) -> list[Path]:
    """Training loss by epoch, every seed; accuracy at the end."""
    from optlab.viz.style import COLORS, MARKERS, figure

    fig = figure(size=(12.0, 4.8))
    left, right = fig.subplots(1, 2, width_ratios=(1.6, 1))
    for i, (rate, losses) in enumerate(data["losses"].items()):
        epochs = np.arange(1, EPOCHS + 1)
        left.fill_between(epochs, losses.min(0), losses.max(0), color=COLORS[i], alpha=0.25, linewidth=0)
        left.semilogy(epochs, losses.mean(0), **line(i), linewidth=2, label=f"{rate:g}")
        right.plot(
            np.full(len(losses), i), data["accuracies"][rate], MARKERS[i], color=COLORS[i], markersize=8, alpha=0.6
        )
    left.set(xlabel="epoch", ylabel="training loss", title="mean and range over the seeds")
    left.legend(title="rate")
    right.set(ylabel="validation accuracy", xlabel="rate", ylim=(0, 1.03), title=f"after {EPOCHS} epochs, every seed")
    right.set_xticks(range(len(RATES)), [f"{rate:g}" for rate in RATES])
    for ax in (left, right):
        ax.grid(alpha=0.3)
    return save(fig, out, "adam-low-lr")


if __name__ == "__main__":
    main("adam-low-lr")
