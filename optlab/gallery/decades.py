"""Orders of magnitude first: search the exponent of the rate, then refine around the best.

A rate acts by multiplication, so its scale is logarithmic: 10^U(-6, 1) puts as many draws into every decade. Drawn
linearly from the same range, 90% of all draws are above 1, where nothing trains, and one in a million is below 1e-5.

Then from coarse to fine: one value per decade from 1e-6 to 1 and one more where the best is on the edge; after that two
values on either side of the winner. At most 13 runs find what 40 evenly spaced ones do. Fine values before the decade
is known are the usual waste: 0.01, 0.02, 0.03 are one value, and 0.001 to 1 are four. What coarse-to-fine can't see: a
second good region, and anything finer than the noise between seeds.
"""

from pathlib import Path
from typing import Any

import numpy as np

import optlab as ol
from optlab.gallery import Setup, main, parts, save
from optlab.gallery._network import BATCH, fit, mlp
from optlab.search import Float, Grid, Random, Space, Study
from optlab.verdict import Verdict, at_most

TITLE = "Orders of magnitude first, then finer"
SOURCE = "deck, Tips & tricks; cs231n, Hyperparameter optimization (coarse to fine)"
TRY = "Give the coarse grid only 1e-6, 1e-5 and 1e-4: the edge rule walks up decade by decade, and the end is the same."
DATA = "digits"

LOW, HIGH, DRAWS = 1e-6, 10.0, 7000
COARSE = [10.0**k for k in range(-6, 1)]
FINER = 2  # values on either side of the winner
SWEEP, EPOCHS, SEEDS = 40, 30, 5


def draws(log: bool, seed: int) -> np.ndarray:
    """Rates as the random sampler draws them."""
    sampler = Random(seed=seed)
    sampler.bind(Space(lr=Float(LOW, HIGH, log=log)))
    return np.array([params["lr"] for params in sampler.propose(range(DRAWS), [])])


def run(setup: Setup) -> dict[str, Any]:
    """Draws on both scales; coarse to fine, and the dense sweep."""
    train, val, _ = parts(setup)
    seeds = setup.seeds(SEEDS, larger=1)

    def accuracy(params: dict[str, float]) -> float:
        scores = []
        for seed in seeds:
            model, rule = mlp(train, seed), ol.SGD(lr=params["lr"])
            fit(model, train, None, rule, epochs=EPOCHS, batch_size=BATCH, seed=seed)
            scores.append(model.evaluate(val).accuracy or 0.0)
        return float(np.mean(scores))

    space = Space(lr=Float(1e-9, 1e3, log=True))
    grids = {
        "coarse to fine": Grid(lr=COARSE, extend=True, refine=FINER),
        "sweep": Grid(lr=np.geomspace(LOW, HIGH, 10 if setup.fast else SWEEP).tolist()),
    }
    found: dict[str, Any] = {"draws": {"log": draws(True, setup.seed), "linear": draws(False, setup.seed)}}
    for name, grid in grids.items():
        study = Study(space, grid, direction="maximize")
        study.run(accuracy, trials=1000)
        found[name] = {
            "lr": np.array([trial.params["lr"] for trial in study.trials]),
            "accuracy": np.array([trial.value for trial in study.trials], np.float64),
        }
    return found


def judge(data: dict[str, Any]) -> list[Verdict]:
    """Draws per decade; draws above 1 on the linear scale; the runs that coarse to fine needs, and what it finds."""
    counts = np.histogram(np.log10(data["draws"]["log"]), np.arange(-6, 2))[0]
    sigma = float(np.sqrt(DRAWS * 1 / 7 * 6 / 7))
    above = float((data["draws"]["linear"] > 1).mean())
    fine, sweep = data["coarse to fine"], data["sweep"]
    runs, behind = len(fine["lr"]), 100 * float(sweep["accuracy"].max() - fine["accuracy"].max())
    return [
        Verdict(
            "decades",
            f"coarse to fine needs 13 runs at most and ends within 0.5 points of the best of a sweep of {SWEEP}",
            {"runs": runs, "points behind": round(behind, 3)},
            "<= 13, <= 0.5",
            runs <= 13 and behind <= 0.5,
            f"best rate {fine['lr'][fine['accuracy'].argmax()]:.3g} with {fine['accuracy'].max():.4f}; of the sweep "
            f"{sweep['lr'][sweep['accuracy'].argmax()]:.3g} with {sweep['accuracy'].max():.4f}",
        ),
        at_most(
            "decades:log",
            "of 7,000 draws on the logarithmic scale every decade gets 1,000, within 5 standard deviations",
            float(np.abs(counts - DRAWS / 7).max()),
            5 * sigma,
            f"draws per decade from 1e-6 on: {counts.tolist()}",
        ),
        at_most(
            "decades:linear",
            "drawn linearly from the same range, 90% are above 1, within 5 standard deviations",
            abs(above - 0.9),
            5 * float(np.sqrt(0.09 / DRAWS)),
            f"share {above:.4f}; below 0.01, where Adam's are, {int((data['draws']['linear'] < 0.01).sum())} draws",
        ),
    ]


def draw(data: dict[str, Any], out: Path) -> list[Path]:
    """The draws per decade on both scales; the search in its two stages over the sweep."""
    from optlab.viz.style import COLORS, figure

    fig = figure(size=(12.0, 4.8))
    left, right = fig.subplots(1, 2)
    decades = np.arange(-6, 2)
    for i, (scale, values) in enumerate(data["draws"].items()):
        counts = np.histogram(np.log10(values), decades)[0]
        at = decades[:-1] + 0.5 + 0.4 * (i - 0.5)
        bars = left.bar(
            at, counts, 0.38, color=COLORS[i], hatch=("", "//")[i], edgecolor="white", label=f"{scale} scale"
        )
        left.bar_label(bars, fontsize="x-small")
    left.set_xticks(decades, [f"1e{d}" for d in decades])
    left.set(xlabel="learning rate", ylabel="draws", title=f"where {DRAWS:,} random draws fall")
    left.legend(loc="upper left")
    fine, sweep = data["coarse to fine"], data["sweep"]
    coarse = np.isclose(np.log10(fine["lr"]), np.round(np.log10(fine["lr"])))
    right.semilogx(sweep["lr"], sweep["accuracy"], color="grey", linewidth=1, label=f"sweep, {len(sweep['lr'])} runs")
    for i, (name, stage) in enumerate((("decades", coarse), ("finer", ~coarse))):
        points, label = (fine["lr"][stage], fine["accuracy"][stage]), f"{name}, {stage.sum()} runs"
        right.plot(*points, "so"[i], color=COLORS[i], markersize=(9, 6)[i], label=label)
    right.set(xlabel="learning rate", ylabel="validation accuracy", title="coarse to fine", ylim=(0, 1.02))
    right.grid(alpha=0.3)
    right.legend(loc="upper left")
    return save(fig, out, "decades")


if __name__ == "__main__":
    main("decades")
