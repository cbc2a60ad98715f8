"""A larger epsilon in Adam: steadier, because slower.

Epsilon stands beside the root of the mean square, lr m / (sqrt(v) + e). As long as it is far below the gradients it
does nothing: 1e-4 trains like 1e-8. Above them it takes the place of the root, and the rule becomes momentum with the
rate lr / e: no division by the gradient's size is left, and a step is small where the gradient is.

So "a larger epsilon is steadier" is true of the same rate, and so is "a lower rate is steadier". The picture shows one
curve over the rate for each epsilon: as epsilon grows the whole curve moves to higher rates, and its best value stays.
When epsilon does decide something, it is which solution is found (figure wilson-synthetic).
"""

from pathlib import Path
from typing import Any

import numpy as np

import optlab as ol
from optlab.gallery import Setup, main, parts, save
from optlab.gallery._network import losses_and_accuracies
from optlab.verdict import Verdict, at_least, at_most

TITLE = "Adam's epsilon in training: larger is steadier, and slower"
SOURCE = "post, The Role of Adam Optimizer Hyperparameters (epsilon); Practical Tips"
TRY = "Give EPSILONS 10 as well: its curve is that of 1, moved to the right by a decade, as far as RATES go."
DATA = "digits"

EPSILONS = (1e-8, 1e-4, 1e-2, 0.1, 1.0)
RATES = (1e-3, 3e-3, 1e-2, 3e-2, 0.1, 0.3, 1.0, 3.0)
USUAL, EPOCHS, SEEDS = 1e-2, 20, 5
HUGE = 1e8


def as_momentum() -> float:
    """Largest distance on Beale between Adam with a huge epsilon and momentum with its rate over epsilon."""
    adam = ol.Adam(lr=1e-3 * HUGE, eps=HUGE, bias_correction=False)
    momentum = ol.Momentum(lr=1e-4, beta=0.9)  # 1 - b1 = 0.1 is outside the velocity
    paths = [ol.descend("beale", rule, (1.0, 1.6), 200).points for rule in (adam, momentum)]
    return float(np.abs(paths[0] - paths[1]).max())


def run(setup: Setup) -> dict[str, Any]:
    """Every epsilon at every rate: the training loss after each epoch."""
    rows = parts(setup)[:2]
    rates, seeds = RATES[2::2] if setup.fast else RATES, setup.seeds(SEEDS, larger=2)
    losses = [[losses_and_accuracies(rows, ol.Adam(lr=a, eps=e), EPOCHS, seeds)[0] for a in rates] for e in EPSILONS]
    return {"rates": np.array(rates), "losses": np.array(losses), "momentum": as_momentum()}


def rises(losses: np.ndarray) -> float:
    """The share of epochs after which the loss is higher than before."""
    return float((np.diff(losses, axis=-1) > 0).mean())


def judge(data: dict[str, Any]) -> list[Verdict]:
    """Small ones change nothing, a large one slows down, steadies, and asks for a higher rate."""
    rates, final = list(data["rates"]), data["losses"][..., -1].mean(-1)
    usual = rates.index(USUAL)
    high = usual + 1
    tiny, slight, large = (EPSILONS.index(e) for e in (1e-8, 1e-4, 0.1))
    steady = [rises(data["losses"][i, high]) for i in (tiny, large)]
    lower = rises(data["losses"][tiny, usual - 1])
    best = [rates[final[i].argmin()] for i in (tiny, large)]
    return [
        at_most(
            "epsilon",
            "1e-4 in place of 1e-8 changes nothing: relative difference of the final training losses",
            abs(final[slight, usual] / final[tiny, usual] - 1),
            0.1,
            f"rate {USUAL}: {final[tiny, usual]:.4f} and {final[slight, usual]:.4f}",
        ),
        at_least(
            "epsilon:slow",
            "0.1 at the same rate leaves the loss so many times as high",
            final[large, usual] / final[tiny, usual],
            4.0,
            f"{final[large, usual]:.3f} after {EPOCHS} epochs",
        ),
        Verdict(
            "epsilon:steady",
            "it is steadier: at a high rate the training loss rises after fewer epochs with 0.1 than with 1e-8",
            {f"{EPSILONS[i]:g}": f"{s:.0%} of the epochs" for i, s in zip((tiny, large), steady, strict=True)},
            "fewer with 0.1",
            steady[1] < steady[0],
            f"rate {rates[high]:g}; 1e-8 at a rate of {rates[usual - 1]:g}: {lower:.0%}, so a lower rate does the same",
        ),
        at_least("epsilon:rate", "with 0.1 the best rate is higher, by this factor", best[1] / best[0], 3.0),
        at_most(
            "epsilon:best",
            "at its own best rate a large epsilon trains no worse: its loss over that of 1e-8",
            final[large].min() / final[tiny].min(),
            2.0,
        ),
        at_most(
            "epsilon:momentum",
            "with a huge epsilon Adam is momentum with the rate lr / e: largest distance on Beale",
            data["momentum"],
            1e-4,
            "without bias correction, epsilon 1e8, 200 steps",
        ),
    ]


def draw(data: dict[str, Any], out: Path) -> list[Path]:
    """Loss against the rate for each epsilon; loss by epoch at one high rate."""
    from optlab.viz.style import figure, looks

    fig = figure(size=(12.8, 4.8))
    left, right = fig.subplots(1, 2)
    high = list(data["rates"]).index(USUAL) + 1
    for (name, (color, dash, marker)), losses in zip(
        looks([f"{e:g}" for e in EPSILONS]).items(), data["losses"], strict=True
    ):
        left.loglog(data["rates"], losses[..., -1].mean(-1), color=color, linestyle=dash, marker=marker, label=name)
        right.semilogy(np.arange(1, EPOCHS + 1), losses[high, 0], color=color, linestyle=dash, label=name)
    left.set(
        xlabel="learning rate", ylabel="training loss", title=f"after {EPOCHS} epochs: the curve moves to the right"
    )
    right.set_xticks(range(0, EPOCHS + 1, 5))
    right.set(xlabel="epoch", ylabel="training loss", title=f"one seed at a rate of {data['rates'][high]:g}")
    for ax in (left, right):
        ax.grid(alpha=0.3)
        ax.legend(title="epsilon", fontsize="small")
    return save(fig, out, "epsilon")


if __name__ == "__main__":
    main("epsilon")
