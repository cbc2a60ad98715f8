"""Bayesian optimization against random search and grids: 30 evaluations of Branin.

Random search forgets what it has seen. Bayesian optimization fits a Gaussian process to all results so far and
evaluates next where the expected improvement is largest: where the mean is low, or where little is known.

What to look for: the two lines part once the model has a few more points than its five random starts. The median of
random search needs no experiment: the best of n draws is below the quantile 1 - 0.5^(1/n) of f's values half of the
time, and this exact line is drawn too. Right: where the 30 evaluations went: into one of the three equal minima, with
a look elsewhere now and then.

Branin has two parameters, no noise and three wide basins: a good case for a model. See `bayes-noise`,
`bayes-misspecified` and `compare` for worse ones. The grid has one result, not a curve: its best so far depends on the
order in which its points are taken.
"""

from pathlib import Path
from typing import Any

import numpy as np

import optlab as ol
from optlab.gallery import Setup, main, save
from optlab.gallery._regret import bests, exact_median, plot_bands, quartiles
from optlab.search import GP, Grid, Random, Study
from optlab.verdict import Verdict, at_most

TITLE = "Bayesian optimization: 30 evaluations of Branin"
SOURCE = "post, Bayesian Optimization; Jones, Schonlau & Welch 1998"
TRY = (
    "Change SURFACE to 'rastrigin': among 100 narrow minima, the model's lead over 200 random draws shrinks from a "
    "factor of 10,000 to one of about 4. Set INITIAL to 20: the lead begins later, because the model is asked later."
)

SURFACE = "branin"
SEEDS, RANDOM_SEEDS = 20, 60
TRIALS, LONG, INITIAL = 30, 200, 5
READ = (10, 15, 20, 25, 30)
GRIDS = {"middles of 6 x 5 cells": 1.80, "6 x 5, ends included": 2.10}  # regrets, to two digits


def grid(ends: bool) -> Grid:
    """6 x 5 points, on the ends of the ranges or in the middles of the cells."""
    axes = {}
    for name, count, (low, high) in zip("xy", (6, 5), ol.SURFACES[SURFACE].domain, strict=True):
        u = np.linspace(0, 1, count) if ends else (np.arange(count) + 0.5) / count
        axes[name] = (low + u * (high - low)).tolist()
    return Grid(axes)


def run(setup: Setup) -> dict[str, Any]:
    """Each search over seeds; the points of one of them."""
    objective, surface = ol.objectives.surface(SURFACE), ol.SURFACES[SURFACE]
    space, seeds = objective.space(), setup.seeds(SEEDS)
    model = bests(objective, space, (GP(s, initial=INITIAL) for s in seeds), TRIALS)
    chance = bests(objective, space, (Random(s) for s in setup.seeds(RANDOM_SEEDS)), LONG)
    grids = bests(objective, space, (grid(False), grid(True)), TRIALS)
    study = Study(space, GP(seeds[0], initial=INITIAL))
    study.run(objective, trials=TRIALS)
    return {
        "model": model - surface.f_min,
        "random": chance - surface.f_min,
        "grids": dict(zip(GRIDS, (grids[:, -1] - surface.f_min).tolist(), strict=True)),
        "exact": exact_median(surface, LONG),
        "points": np.array([[t.params["x"], t.params["y"]] for t in study.complete]),
    }


def judge(data: dict[str, Any]) -> list[Verdict]:
    """The model against 200 random draws; its upper quartile; the law of random search; the grids."""
    model, chance, exact = data["model"], data["random"], data["exact"]
    below = float(np.mean(chance[:, TRIALS - 1] < exact[TRIALS - 1]))
    allowed = 4 * 0.5 / np.sqrt(len(chance))
    return [
        Verdict(
            "bayes",
            "the median regret of 30 evaluations with a model is below that of 200 random ones",
            {n: quartiles(model, n) for n in READ},
            f"median at 30 < {exact[-1]:.3g}",
            bool(np.median(model[:, -1]) < exact[-1]),
            f"random search, exact medians at {READ}: {[float(f'{exact[n - 1]:.3g}') for n in READ]}",
        ),
        at_most("bayes:quartile", "three runs in four end below 0.05", float(np.quantile(model[:, -1], 0.75)), 0.05),
        Verdict(
            "bayes:random",
            "half of the random searches of 30 are below the exact median",
            round(below, 3),
            f"0.5 ± {allowed:.2f}",
            abs(below - 0.5) <= allowed,
            f"{len(chance)} seeds, four standard deviations",
        ),
        Verdict(
            "bayes:grid",
            "a 6 x 5 grid is worse than the median of 30 random draws, in the middles of its cells and with the ends",
            {name: round(regret, 3) for name, regret in data["grids"].items()},
            f"{GRIDS}, each to 0.005, and > {exact[TRIALS - 1]:.3g}",
            all(abs(regret - GRIDS[k]) < 0.005 and regret > exact[TRIALS - 1] for k, regret in data["grids"].items()),
        ),
    ]


def draw(data: dict[str, Any], out: Path) -> list[Path]:
    """Regret against evaluations; where one run looked."""
    from optlab.viz.contour import plot_surface
    from optlab.viz.style import COLORS, DASHES, figure

    fig = figure(size=(13.0, 5.4))
    left, right = fig.subplots(1, 2, width_ratios=(1.15, 1.0))
    plot_bands(left, {"Gaussian process": data["model"], "random": data["random"]})
    n = np.arange(1, LONG + 1)
    left.plot(n, data["exact"], color="black", linewidth=0.9, label="random, exact median")
    for i, (name, regret) in enumerate(data["grids"].items()):
        left.plot(TRIALS, regret, marker="sD"[i], color=COLORS[2], linestyle="none", label=f"grid, {name}")
    left.axvline(INITIAL, color="grey", linestyle=DASHES[2], linewidth=1.0)
    left.text(INITIAL * 1.03, 2e-5, "the model\nis asked", fontsize="small", color="dimgrey")
    left.set(xscale="log", yscale="log", ylabel="f(best so far) − minimum", title="median and quartiles over seeds")
    left.set_xticks([1, 2, 5, 10, 30, 100, 200], ["1", "2", "5", "10", "30", "100", "200"])
    left.legend(fontsize="small", loc="lower right")
    plot_surface(ol.SURFACES[SURFACE], right, lines=24)
    points = data["points"]
    order = np.arange(1, len(points) + 1)
    shown = right.scatter(*points.T, c=order, cmap="autumn_r", s=55, edgecolor="black", zorder=5, clip_on=False)
    fig.colorbar(shown, ax=right, label="evaluation")
    right.set_title("where one run evaluated Branin (stars: its minima)")
    return save(fig, out, "bayes")


if __name__ == "__main__":
    main("bayes")
