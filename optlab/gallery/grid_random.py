"""Grid against random search: nine trials give three values of each parameter, or nine.

Nine trials of f(x, y) = g(x) + h(y), where nearly everything depends on x. A grid of 3 x 3 tries three values of x,
each three times over; nine random points try nine. With a budget of B trials and N parameters a grid tries B^(1/N)
values of each, random search B. The points were measured in the published picture; its curve is redrawn as one bump
between the second and the third column of the grid, g = exp(-(x - 0.66)^2 / (2 * 0.07^2)).

As drawn the grid has bad luck: the bump lies exactly in its gap. The fair version puts the bump anywhere, and the gap
shrinks from 0.98 against 0.08 to 0.73 against 0.52 on average. Two more things to look for: with one parameter that
matters, more dimensions cost the grid trials and no more; and when all parameters matter, the grid wins. "Random is
better than grid" is a statement about spaces in which few parameters matter, which is what hyperparameters are like.
"""

from pathlib import Path
from typing import Any

import numpy as np

import optlab as ol
from optlab.gallery import Setup, main, save
from optlab.verdict import Verdict, at_most, equals

TITLE = "Grid and random search: nine trials, three values or nine"
SOURCE = "deck, Tuning hyper-parameters; Bergstra & Bengio 2012, figure 1; shape of the bump inferred"
TRY = "Set PEAK = 0.501, under the middle column: the grid finds it, random search almost never beats it, claims fail."

GRID_X, GRID_Y = (0.141, 0.501, 0.861), (0.173, 0.514, 0.854)  # measured in the picture; y downwards
DRAWN_X = (0.141, 0.181, 0.247, 0.447, 0.582, 0.675, 0.808, 0.835, 0.861)
DRAWN_Y = (0.574, 0.266, 0.838, 0.714, 0.328, 0.931, 0.157, 0.621, 0.513)
PEAK, WIDTH, NARROW, BROAD = 0.66, 0.07, 0.05, 0.15  # of the picture; widths by dimension, by how many matter
SPACE = ol.search.Space(x=ol.search.Float(0, 1), y=ol.search.Float(0, 1))
REPEATS, PROBLEMS = 2000, 20_000  # random searches of nine by the sampler; problems of the fair versions
BETTER = 1 - (1 - 0.318) ** 9  # a share of 0.318 of all x is nearer to the peak than 0.501 is
GOLDEN = {  # mean best of grid and random, from an independent program
    "as drawn": (0.0758, 0.977),
    "bump anywhere": (0.515, 0.733),
    "16 trials in 2-D": (0.498, 0.795),
    "64 trials in 3-D": (0.498, 0.977),
    "256 trials in 4-D": (0.498, 0.998),
    "1 of 4 matters": (0.83, 0.998),
    "2 of 4 matter": (0.69, 0.91),
    "4 of 4 matter": (0.47, 0.37),
}


def bump(distance: Any, width: float) -> np.ndarray:
    """1 at distance 0."""
    return np.exp(-(np.asarray(distance) ** 2) / (2 * width**2))


def g(x: Any) -> np.ndarray:
    """What the parameter that matters does."""
    return bump(np.asarray(x) - PEAK, WIDTH)


def h(y: Any) -> np.ndarray:
    """What the other one does: little."""
    return 0.1 * bump(np.asarray(y) - 0.35, 0.25)


def contest(
    rng: np.random.Generator, problems: int, values: np.ndarray, trials: int, matter: int, width: float
) -> tuple[float, float]:
    """Mean best of a grid that has ``values`` on each axis and of random search; the peaks lie anywhere."""
    peaks = rng.random((problems, matter))
    grid = bump(peaks[:, :, None] - values, width).max(2).prod(1)  # of a product each factor has its own best
    best = np.zeros(problems)
    for _ in range(trials):
        best = np.maximum(best, bump(peaks - rng.random((problems, matter)), width).prod(1))
    return float(grid.mean()), float(best.mean())


def run(setup: Setup) -> dict[str, Any]:
    """The picture's 9 + 9 trials; the sampler's nine, again and again; the fair versions."""
    grid = ol.search.Study(SPACE, ol.search.Grid(x=list(GRID_X), y=list(GRID_Y)), direction="maximize")
    grid.run(lambda p: float(g(p["x"]) + h(p["y"])))
    bests = []
    for repeat in range(100 if setup.fast else REPEATS):
        sampler = ol.search.Random(seed=setup.seed * REPEATS + repeat)
        sampler.bind(SPACE)
        bests.append(max(float(g(p["x"])) for p in sampler.propose(range(9), [])))
    rng, problems = np.random.default_rng([setup.seed, 1]), 1000 if setup.fast else PROBLEMS
    three, four = ((np.arange(k) + 0.5) / k for k in (3, 4))
    means = [(float(g(GRID_X).max()), float(g(DRAWN_X).max()))]
    means += [contest(rng, problems, np.array(GRID_X), 9, 1, WIDTH)]
    means += [contest(rng, problems, four, 4**d, 1, NARROW) for d in (2, 3, 4)]
    means += [contest(rng, problems, three, 81, matter, BROAD) for matter in (1, 2, 4)]
    return {
        "grid": np.array([(trial.params["x"], trial.params["y"]) for trial in grid.trials]),
        "random": np.column_stack([DRAWN_X, DRAWN_Y]),
        "bests": np.array(bests),
        "means": dict(zip(GOLDEN, means, strict=True)),
    }


def judge(data: dict[str, Any]) -> list[Verdict]:
    """Values tried, the bests as drawn, how often random wins, the fair versions, where the grid wins."""
    means, bests = data["means"], data["bests"]
    drawn = {k: (len(np.unique(data[k][:, 0])), round(float(g(data[k][:, 0]).max()), 3)) for k in ("grid", "random")}
    share = (bests > means["as drawn"][0]).mean()
    worst = max(abs(a - b) for name in GOLDEN for a, b in zip(means[name], GOLDEN[name], strict=True))
    ahead = ["grid" if means[name][0] > means[name][1] else "random" for name in list(GOLDEN)[-3:]]
    return [
        equals(
            "grid-random",
            "nine trials: the grid tries 3 values of x, the best g is 0.076; random tries 9, the best is 0.977",
            drawn,
            {"grid": (3, 0.076), "random": (9, 0.977)},
        ),
        at_most(
            "grid-random:often",
            f"nine draws of the sampler beat this grid with probability 1 - (1 - 0.318)^9 = {BETTER:.3f}",
            float(abs(share - BETTER)),
            4 * float(np.sqrt(BETTER * (1 - BETTER) / len(bests))),
            f"{share:.4f} of {len(bests)} searches, mean best {bests.mean():.3f}; threshold: 4 standard errors",
        ),
        at_most(
            "grid-random:fair",
            "mean best of grid and random: bump anywhere 0.515 and 0.733; by dimension; by how many matter",
            worst,
            0.01,
            f"largest difference from an independent program; {[[round(v, 3) for v in p] for p in means.values()]}",
        ),
        equals(
            "grid-random:grid-wins",
            "random is ahead with one or two of four parameters that matter, the grid with all four",
            ahead,
            ["random", "random", "grid"],
        ),
    ]


def draw(data: dict[str, Any], out: Path) -> list[Path]:
    """The published picture redrawn; the fair versions."""
    from optlab.viz.style import COLORS, figure

    fig = figure(size=(12.0, 6.0))
    boxes = fig.add_gridspec(2, 4, width_ratios=(0.6, 4, 0.6, 4), height_ratios=(1, 4))
    line = np.linspace(0, 1, 401)
    for i, name in enumerate(("grid", "random")):
        (xs, ys), color = data[name].T, COLORS[i]
        square = fig.add_subplot(boxes[1, 2 * i + 1])
        top, side = fig.add_subplot(boxes[0, 2 * i + 1], sharex=square), fig.add_subplot(boxes[1, 2 * i], sharey=square)
        top.fill_between(line, g(line), color=COLORS[2], alpha=0.35)
        side.fill_betweenx(line, h(line), color=COLORS[4], alpha=0.5)
        for ax, heights, tops in ((square, ys, 0.0), (top, g(xs), 1.0)):
            ax.vlines(xs, tops, heights, color=color, linewidth=0.8, alpha=0.5)
            ax.plot(xs, heights, "o", color=color, markersize=8)
        square.set(xlim=(0, 1), ylim=(1, 0), xlabel="the parameter that matters")
        side.set(xlim=(1, 0), ylabel="the parameter that hardly does")
        top.set_title(f"{name}: {len(np.unique(xs))} values, best {g(xs).max():.2f}")
        for ax in (square, top, side):
            ax.tick_params(bottom=False, left=False, labelbottom=False, labelleft=False)
    fair = figure(size=(11.0, 4.8))
    ax = fair.add_subplot()
    at = np.arange(len(GOLDEN))
    for i, name in enumerate(("grid", "random")):
        values = [pair[i] for pair in data["means"].values()]
        ax.bar_label(ax.bar(at + 0.4 * (i - 0.5), values, 0.38, color=COLORS[i], label=name), fmt="%.2f")
    ax.set_xticks(at, [name.replace(" in ", "\nin ").replace("4 m", "4\nm") for name in data["means"]])
    ax.set(ylim=(0, 1.12), ylabel="mean of the best value found (peak = 1)")
    ax.set_title("random wins where few parameters matter; where all four do, the grid wins")
    ax.legend(loc="upper left", ncols=2)
    return save(fig, out, "grid-random") + save(fair, out, "grid-random-fair")


if __name__ == "__main__":
    main("grid-random")
