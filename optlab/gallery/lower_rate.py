"""A lower rate can help avoid overfitting: compared at equal training loss, not at equal epochs.

After equally many epochs a lower rate has simply learned less, so that comparison says nothing. Here each run is read
off where its training loss falls through 0.05, between two epochs by interpolation in the logarithm. There all rates
fit their hundred pictures equally well, and yet the validation losses differ: large steps pay for their speed.

Look for: 0.03 is clearly worse than 0.01, and 0.01 a little worse than 0.001. Below that nothing more is gained: 0.0003
gives what 0.001 gives and takes three times as long. "Can help", then, and not "the lower, the better".
"""

from pathlib import Path
from typing import Any

import numpy as np

import optlab as ol
from optlab.data.dataset import Part
from optlab.gallery import Setup, line, main, parts, save
from optlab.gallery._few import ROWS, train_few
from optlab.gallery._means import above, error, shown
from optlab.gallery._pictures import plain_numbers
from optlab.train.training import Training
from optlab.verdict import Verdict

TITLE = "A lower rate can help avoid overfitting"
SOURCE = "post, Overfitting; the source has no picture: the comparison is inferred"
TRY = "Set LEVEL = 0.5, early in the training: all rates but 0.03 are alike there; large steps cost most at the end."
DATA = "digits"

RATES, LEVEL, SEEDS, MOST = (3e-4, 1e-3, 1e-2, 3e-2), 0.05, 20, 1000
ALIKE = 0.005


def until_level(train: Part, val: Part, seed: int, rate: float) -> np.ndarray:
    """(epochs, 2): training and validation loss after each epoch, up to the first training loss below `LEVEL`."""
    few = train.take(ROWS, seed=seed)
    losses = []

    def watch(run: Training) -> None:
        losses.append((run.model.evaluate(few).loss, run.history.last("val_loss")))
        if losses[-1][0] < LEVEL:
            run.stop("the level is reached")

    train_few(train, val, seed, rule=ol.Adam(lr=rate), epochs=MOST, callbacks=[watch])
    return np.array(losses)


def at_level(losses: np.ndarray) -> float:
    """The validation loss where the training loss is exactly `LEVEL`."""
    (before, high), (after, low) = losses[-2:]
    share = np.log(before / LEVEL) / np.log(before / after)
    return float(high + share * (low - high))


def run(setup: Setup) -> dict[str, Any]:
    """Both losses by epoch for each rate and seed."""
    train, val, _ = parts(setup)
    return {"losses": {rate: [until_level(train, val, seed, rate) for seed in setup.seeds(SEEDS)] for rate in RATES}}


def judge(data: dict[str, Any]) -> list[Verdict]:
    """The order at equal training loss; no gain below 0.001; the price in epochs."""
    at = {rate: np.array([at_level(losses) for losses in runs]) for rate, runs in data["losses"].items()}
    epochs = {rate: float(np.median([len(losses) for losses in runs])) for rate, runs in data["losses"].items()}
    gaps = {"0.01 over 0.001": at[1e-2] - at[1e-3], "0.03 over 0.01": at[3e-2] - at[1e-2]}
    still = at[1e-3] - at[3e-4]
    return [
        Verdict(
            "lower-rate",
            f"at training loss {LEVEL} the validation loss is the lower, the lower the rate: 0.001, 0.01, 0.03",
            {f"{rate:g}": shown(values) for rate, values in at.items()} | {k: shown(v, 4) for k, v in gaps.items()},
            "both gaps > 2 standard errors",
            all(above(gap) for gap in gaps.values()),
            f"{len(still)} draws of 100 pictures, the same for every rate; gaps are taken per draw. One draw of "
            "digits in another program, read at whole epochs: 0.343, 0.357, 0.441",
        ),
        Verdict(
            "lower-rate:enough",
            f"below 0.001 there is nothing more to gain: 0.0003 and 0.001 are within {ALIKE} of each other",
            shown(still, 4),
            f"gap and 2 standard errors < {ALIKE}",
            abs(float(still.mean())) + 2 * error(still) < ALIKE,
            "the rate is small enough there: the path hardly depends on it any more",
        ),
        Verdict(
            "lower-rate:price",
            "the lower rate takes over 5 times the epochs: 0.001 against 0.01",
            {f"{rate:g}": n for rate, n in epochs.items()},
            "> 5",
            epochs[1e-3] > 5 * epochs[1e-2],
            "median epochs to the level; 181, 20 and 14 from 0.001 on in the other program",
        ),
    ]


def draw(data: dict[str, Any], out: Path) -> list[Path]:
    """Validation against training loss, to be read from right to left; the validation loss at the level."""
    from optlab.viz.style import COLORS, MARKERS, figure

    fig = figure(size=(12.0, 4.8))
    left, right = fig.subplots(1, 2, width_ratios=(1.4, 1.0))
    levels = np.geomspace(1.0, LEVEL, 60)
    for i, (rate, runs) in enumerate(data["losses"].items()):
        paths = [np.interp(-np.log(levels), -np.log(losses[:, 0]), losses[:, 1]) for losses in runs]
        left.plot(levels, np.mean(paths, 0), **line(i), linewidth=2, label=f"rate {rate:g}")
        values = np.array([at_level(losses) for losses in runs])
        right.plot([i] * len(values), values, linestyle="none", marker=".", color=COLORS[i], alpha=0.4)
        look = {"color": COLORS[i], "marker": MARKERS[i], "markersize": 9, "capsize": 6, "linewidth": 2}
        right.errorbar(i, values.mean(), 2 * error(values), **look)
    left.set(xscale="log", xlim=(1.0, LEVEL), yscale="log", xlabel="training loss, falling →")
    left.set(ylabel="validation loss", title="equally well learned, not equally well generalised")
    plain_numbers(left)
    left.grid(alpha=0.3)
    left.legend()
    right.set_xticks(range(len(RATES)), [f"{rate:g}" for rate in RATES])
    right.set(xlabel="rate", title=f"validation loss at training loss {LEVEL}: mean ± 2 s.e.")
    right.grid(alpha=0.3, axis="y")
    return save(fig, out, "lower-rate")


if __name__ == "__main__":
    main("lower-rate")
