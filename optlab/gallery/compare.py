"""One chart for all: grid, random, Sobol and a model, on an easy surface and on a real network.

Best so far against evaluations, median and quartiles. A grid has no order of its own: taken row by row, its curve
tells in which corner it begins and nothing else. Here its points come in random order: median and quartiles are those
of many shuffles of one and the same grid; the thin line is the row-by-row order.

What to look for: on Branin the model wins by orders of magnitude. On the network (six parameters, 15 epochs on digits)
the lead is one of accuracy points: one parameter, the learning rate, decides most, many settings are good, and the
noise of training hides the rest. Random search is a strong competitor there, and costs nothing to think about.

The trap: one chart of one problem, which the source shows, says as much about the problem as about the methods.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import optlab as ol
from optlab.gallery import Setup, main, parts, save
from optlab.gallery._regret import bests, plot_bands, quartiles
from optlab.gallery._settings import SPACE, train
from optlab.search import GP, Grid, Random, Sampler, Sobol, Space
from optlab.verdict import Verdict

TITLE = "Grid, random, Sobol and a model in one chart"
SOURCE = "post, Techniques (comparison chart); the problems are inferred"
TRY = "Set NETWORK_TRIALS to 8: with so few evaluations the model is hardly asked, and nothing separates the methods."
DATA = "digits"

BRANIN_TRIALS, BRANIN_SEEDS = 30, 12
NETWORK_TRIALS, NETWORK_SEEDS, FAST_TRIALS = 20, 3, 6
SHUFFLES = 200
BRANIN_GRID: dict[str, Any] = {"x": 6, "y": 5}
NETWORK_GRID: dict[str, Any] = {  # 5 x 2 x 2; the rest in the middle
    "lr": [1e-3, 1e-2, 1e-1, 1.0, 10.0], "log2_width": [4, 6], "momentum": [0.0, 0.9],
    "log2_batch": [6], "layers": [1], "l2": [1e-4],
}  # fmt: skip
METHODS: dict[str, Callable[[int], Sampler]] = {
    "random": Random,
    "Sobol": Sobol,
    "Gaussian process": lambda seed: GP(seed, initial=5),
}


def compared(
    objective: Callable[..., float], space: Space, axes: dict[str, Any], seeds: range, trials: int, shuffles: Any
) -> dict[str, Any]:
    """Best so far of every method, (runs, trials); the grid in many orders, and in its own."""
    values: list[float] = []

    def recorded(params: dict[str, Any], trial: Any) -> float:
        values.append(float(objective(params, trial)))
        return values[-1]

    own = bests(recorded, space, [Grid(axes)], trials)[0]
    orders = np.array([shuffles.permutation(values) for _ in range(SHUFFLES)])
    curves = {"grid, random order": np.fmin.accumulate(orders, axis=1)}
    for name, sampler in METHODS.items():
        curves[name] = bests(objective, space, (sampler(seed) for seed in seeds), trials)
    return {"curves": curves, "own order": own}


def run(setup: Setup) -> dict[str, Any]:
    """Both problems: regret on Branin, validation error of the network."""
    rng = np.random.default_rng([setup.seed, 4])
    surface, point = ol.SURFACES["branin"], ol.objectives.surface("branin")
    branin = compared(
        lambda params, trial=None: point(params) - surface.f_min,
        point.space(), BRANIN_GRID, setup.seeds(BRANIN_SEEDS), BRANIN_TRIALS, rng,
    )  # fmt: skip
    rows, val, _ = parts(setup)

    def error(params: dict[str, Any], trial: Any) -> float:
        return 1.0 - float(train(params, trial.seed, rows).evaluate(val).accuracy or 0.0)

    trials = FAST_TRIALS if setup.fast else NETWORK_TRIALS
    network = compared(error, SPACE, NETWORK_GRID, setup.seeds(NETWORK_SEEDS), trials, rng)
    return {"branin": branin, "network": network, "data": setup.data}


def judge(data: dict[str, Any]) -> list[Verdict]:
    """The model on Branin; the model on the network; the order of a grid."""
    ends = {
        problem: {name: quartiles(rows, rows.shape[1]) for name, rows in data[problem]["curves"].items()}
        for problem in ("branin", "network")
    }
    model, *others = (ends["branin"][name] for name in ("Gaussian process", "random", "Sobol", "grid, random order"))
    errors = {name: end["median"] for name, end in ends["network"].items()}
    own, shuffled = data["branin"]["own order"], np.median(data["branin"]["curves"]["grid, random order"], axis=0)
    apart = float(np.max(np.maximum(own / shuffled, shuffled / own)))
    return [
        Verdict(
            "compare",
            "on Branin, after 30 evaluations, the model's upper quartile is below every other method's lower one",
            ends["branin"],
            "below",
            model["quartiles"][1] < min(other["quartiles"][0] for other in others),
        ),
        Verdict(
            "compare:network",
            "on the network the model's median is no more than one point behind any other method's",
            {name: round(value, 4) for name, value in errors.items()},
            "error <= the lowest + 0.01",
            errors["Gaussian process"] <= min(errors.values()) + 0.01,
            f"validation error on {data['data']} after {data['network']['own order'].size} evaluations; few seeds: "
            "differences below a point are noise",
        ),
        Verdict(
            "compare:order",
            "row by row, the grid's best so far is at some evaluation 1.5 times off its median over random orders",
            round(apart, 2),
            ">= 1.5",
            apart >= 1.5,
        ),
    ]


def draw(data: dict[str, Any], out: Path) -> list[Path]:
    """Both problems side by side."""
    from optlab.viz.style import figure

    fig = figure(size=(13.5, 5.4))
    axes = fig.subplots(1, 2)
    titles = {
        "branin": ("Branin, two parameters", "f(best so far) − minimum"),
        "network": (f"a network on {data['data']}, six parameters", "validation error of the best so far"),
    }
    for ax, (problem, (title, label)) in zip(axes, titles.items(), strict=True):
        plot_bands(ax, data[problem]["curves"])
        own = data[problem]["own order"]
        ax.plot(np.arange(1, len(own) + 1), own, color="dimgrey", linewidth=0.9, label="grid, row by row")
        ax.set(yscale="log", title=title, ylabel=label, xlim=(0, len(own) + 1))
        ax.legend(fontsize="small", loc="lower left" if problem == "branin" else "upper right")
    return save(fig, out, "compare")


if __name__ == "__main__":
    main("compare")
