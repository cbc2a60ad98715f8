"""How sensitive Adam is: accuracy over the learning rate and b1, over the learning rate and b2, and beside SGD's.

"0.9 and 0.999 work" is true, and says little: where the rate is good almost any pair of decays works, and where it is
not, none does. Read the maps along a row and along a column: the rate decides between a tenth and nearly all pictures
right, the decays about a point or two. Only at rates that are too high already does b1 or b2 turn bad into worse.

The last picture compares the rule with SGD by the band of rates whose accuracy is within two points of the best, in
decades. That Adam "needs no tuning" means a band half as wide again, not an endless one; and the two bands lie more
than a decade apart, so a rate does not carry over from one rule to the other.
"""

from pathlib import Path
from typing import Any

import numpy as np

import optlab as ol
from optlab.gallery import Setup, line, main, parts, save
from optlab.gallery._network import losses_and_accuracies
from optlab.verdict import Verdict, at_least, at_most

TITLE = "Adam's sensitivity to its rate and its two decays"
SOURCE = "post, The Role of Adam Optimizer Hyperparameters; Practical Tips (0.9 and 0.999); maps inferred"
TRY = (
    "Train for 5 epochs in place of 30 (BAND_EPOCHS): both bands shrink to a third of a decade, since low rates do not "
    "finish. Or judge the bands by ten points in place of two (POINTS): both grow by half a decade or more."
)
DATA = "digits"

RATES = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 0.1, 0.3)
BETA1, BETA2 = (0.0, 0.5, 0.8, 0.9, 0.95, 0.99), (0.9, 0.99, 0.999, 0.9999)
EPOCHS, SEEDS, TABLE, TABLE_SEEDS = 20, 3, (1e-3, 1e-2, 3e-2), 10
THIRDS = {"SGD": range(-7, 4), "Adam": range(-11, 1)}  # rates of 10^(i / 3)
BAND_EPOCHS, BAND_SEEDS, POINTS = 30, 5, 0.02


def run(setup: Setup) -> dict[str, Any]:
    """Both maps; b2 alone, with more seeds; both rules along the rate."""
    rows = parts(setup)[:2]

    def accuracy(rule: ol.Settings, n: int = SEEDS, epochs: int = EPOCHS) -> float:
        return float(losses_and_accuracies(rows, rule, epochs, setup.seeds(n, larger=2))[1].mean())

    rates = RATES[2::2] if setup.fast else RATES
    thirds = {name: list(steps)[:: 4 if setup.fast else 1] for name, steps in THIRDS.items()}
    rules = {"SGD": ol.SGD(), "Adam": ol.Adam()}
    return {
        "rates": np.array(rates),
        "beta1": np.array([[accuracy(ol.Adam(lr=rate, beta1=b)) for rate in rates] for b in BETA1]),
        "beta2": np.array([[accuracy(ol.Adam(lr=rate, beta2=b)) for rate in rates] for b in BETA2]),
        "alone": np.array([[accuracy(ol.Adam(lr=a, beta2=b), TABLE_SEEDS) for a in TABLE] for b in BETA2[2:]]),
        "curves": {
            name: {
                10 ** (i / 3): accuracy(rules[name].replace(lr=10 ** (i / 3)), BAND_SEEDS, BAND_EPOCHS) for i in steps
            }
            for name, steps in thirds.items()
        },
    }


def band(curve: dict[float, float]) -> tuple[float, float]:
    """The lowest and the highest rate within two points of the best accuracy."""
    good = [rate for rate, accuracy in curve.items() if accuracy >= max(curve.values()) - POINTS]
    return min(good), max(good)


def judge(data: dict[str, Any]) -> list[Verdict]:
    """b2 alone; the rate against both decays; the two bands."""
    alone = np.abs(np.diff(data["alone"], axis=0)).max()
    best = data["beta2"].max(0).argmax()
    by_rate = np.ptp(data["beta2"][BETA2.index(0.999)])
    by_beta2 = np.ptp(data["beta2"][:, best])
    by_beta1 = np.ptp(data["beta1"][:, best])
    (sgd_low, sgd_high), (adam_low, adam_high) = band(data["curves"]["SGD"]), band(data["curves"]["Adam"])
    width = {"SGD": np.log10(sgd_high / sgd_low), "Adam": np.log10(adam_high / adam_low)}
    return [
        at_most(
            "adam-maps",
            "b2 alone, 0.999 or 0.9999, moves the validation accuracy by less than 0.003",
            alone,
            0.003,
            "largest difference of the means over seeds at rates 0.001, 0.01, 0.03",
        ),
        at_least(
            "adam-maps:rate",
            "the rate moves the accuracy more than ten times as far as either decay does at the best rate",
            by_rate / max(by_beta1, by_beta2),
            10.0,
            f"rate {by_rate:.3f}; b1 from {BETA1[0]:g} to {BETA1[-1]:g} {by_beta1:.3f}; b2 from {BETA2[0]:g} to "
            f"{BETA2[-1]:g} {by_beta2:.3f}",
        ),
        Verdict(
            "adam-maps:band",
            "the band of rates within two points of the best is wider for Adam than for SGD",
            {name: f"{w:.1f} decades" for name, w in width.items()},
            "Adam wider",
            bool(width["Adam"] > width["SGD"]),
            f"SGD {sgd_low:.2g} to {sgd_high:.2g}, Adam {adam_low:.2g} to {adam_high:.2g}, three rates in a decade",
        ),
    ]


def draw(data: dict[str, Any], out: Path) -> list[Path]:
    """Two maps and the two curves."""
    from optlab.viz.style import COLORS, MARKERS, figure

    fig = figure(size=(15.0, 4.6))
    *maps, right = fig.subplots(1, 3, width_ratios=(1.1, 1.1, 1))
    for ax, name, betas in zip(maps, ("beta1", "beta2"), (BETA1, BETA2), strict=True):
        image = ax.imshow(data[name], vmin=0.0, vmax=1.0, origin="lower", aspect="auto", cmap="cividis")
        for (i, j), accuracy in np.ndenumerate(data[name]):
            color = "black" if accuracy > 0.55 else "white"
            ax.text(j, i, f"{100 * accuracy:.0f}", ha="center", va="center", color=color, fontsize="small")
        ax.set_xticks(range(len(data["rates"])), [f"{rate:g}" for rate in data["rates"]], fontsize="small")
        ax.set_yticks(range(len(betas)), [f"{b:g}" for b in betas])
        ax.set(xlabel="learning rate", ylabel=name, title=f"validation accuracy, %: rate and {name}")
    fig.colorbar(image, ax=maps[1], label="validation accuracy")
    for i, (name, curve) in enumerate(data["curves"].items()):
        low, high = band(curve)
        look = line(i) | {"marker": MARKERS[i]}
        right.semilogx(list(curve), list(curve.values()), markersize=5, label=name, **look)
        right.axvspan(low, high, ymin=0.03 * (1 + 2 * i), ymax=0.03 * (2 + 2 * i), color=COLORS[i])
    right.set(
        xlabel="learning rate", ylabel="validation accuracy", ylim=(0, 1.02), title="bars: within 2 points of the best"
    )
    right.grid(alpha=0.3)
    right.legend(loc="center left")
    return save(fig, out, "adam-maps")


if __name__ == "__main__":
    main("adam-maps")
