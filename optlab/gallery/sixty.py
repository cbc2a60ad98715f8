"""Sixty random draws are enough to hit the best 5%, and what that does not say.

Each draw misses the best 5% of the space with probability 0.95, whatever the objective and however many parameters it
has. At least one of n draws is in it with probability 1 - 0.95^n: 0.954 for n = 60; 59 are the first above 0.95.

The trap: this is a statement about ranks, and elementary probability, not a finding of Bergstra and Bengio's paper. It
says nothing about the distance to the optimum. In a bowl of ten dimensions the best 5% of the space reach far from its
centre; and for an objective that is a needle, the best of sixty draws is almost surely nowhere near its value. The
expected rank of the best of n draws is 1 / (n + 1) of the space: the tenth doubling costs 512 times the first.
"""

from pathlib import Path
from typing import Any

import numpy as np

import optlab as ol
from optlab.gallery import Setup, main, save
from optlab.verdict import Verdict, at_least, at_most, equals

TITLE = "Sixty random draws reach the best 5%"
SOURCE = "deck, Tuning hyper-parameters; after a blog post by A. Zheng, not from Bergstra & Bengio 2012"
TRY = "Set DRAWS = 30 or TOP = 0.01: at 60 draws the best 1% are hit with probability 0.45 only."

DRAWS, TOP = 60, 0.05
DIMENSIONS = (1, 2, 6, 10)
SEARCHES, SAMPLE = 500, 200_000  # searches in each space; points that say where the best 5% of a bowl end
GOLDEN = {58: 0.94895, 59: 0.95151, 60: 0.95393}


def probability(draws: Any) -> np.ndarray:
    """That at least one of so many draws is in the top share."""
    return 1 - (1 - TOP) ** np.asarray(draws)


def distance(u: np.ndarray) -> np.ndarray:
    """(..., d) -> (...): the bowl around the middle of the unit cube, in units of half its diagonal."""
    return np.asarray(np.sqrt(((2 * u - 1) ** 2).mean(-1)))


def run(setup: Setup) -> dict[str, Any]:
    """The nearest of sixty draws to the centre of a bowl, in spaces of 1 to 10 parameters."""
    searches = 40 if setup.fast else SEARCHES
    nearest, radius = {}, {}
    for d in DIMENSIONS:
        space = ol.search.Space({f"x{i}": ol.search.Float(0, 1) for i in range(d)})
        bests = []
        for search in range(searches):
            sampler = ol.search.Random(seed=(setup.seed * len(DIMENSIONS) + d) * SEARCHES + search)
            sampler.bind(space)
            draws = [list(params.values()) for params in sampler.propose(range(DRAWS), [])]
            bests.append(float(distance(np.array(draws)).min()))
        nearest[d] = np.array(bests)
        sample = np.random.default_rng([setup.seed, d]).random((SAMPLE, d))
        radius[d] = float(np.quantile(distance(sample), TOP))
    return {"nearest": nearest, "radius": radius}


def judge(data: dict[str, Any]) -> list[Verdict]:
    """The formula's numbers; the sampler's share of hits; ranks the same and distances not."""
    nearest, radius = data["nearest"], data["radius"]
    hits = {d: float((nearest[d] <= radius[d]).mean()) for d in nearest}
    share, p = float(np.mean(list(hits.values()))), float(probability(DRAWS))
    n = sum(map(len, nearest.values()))
    medians = {d: round(float(np.median(nearest[d])), 3) for d in nearest}
    return [
        equals(
            "sixty",
            "the best 5% are hit with probability 0.94895 by 58 draws, 0.95151 by 59, 0.95393 by 60",
            {draws: round(float(probability(draws)), 5) for draws in GOLDEN},
            GOLDEN,
        ),
        at_most(
            "sixty:sampler",
            "sixty draws of the sampler hit it as often, in 1 to 10 dimensions",
            abs(share - p),
            4 * float(np.sqrt(p * (1 - p) / n)),
            f"{share:.4f} of {n} searches against {p:.4f}, held against 4 standard errors; by dimension {hits}",
        ),
        at_least(
            "sixty:distance",
            "it is a statement about ranks: the nearest of the sixty is over 20 times as far away in ten dimensions",
            medians[max(medians)] / medians[min(medians)],
            20,
            f"median distance from the optimum by dimension, in half diagonals of the cube: {medians}",
        ),
    ]


def draw(data: dict[str, Any], out: Path) -> list[Path]:
    """The probability against the number of draws; the distances by dimension."""
    from optlab.viz.style import COLORS, figure

    fig = figure(size=(12.0, 4.8))
    left, right = fig.subplots(1, 2)
    draws = np.arange(1, 121)
    left.plot(draws, probability(draws), color=COLORS[0], linewidth=2)
    left.plot(DRAWS, probability(DRAWS), "o", color=COLORS[1], markersize=9)
    left.annotate(
        f"{DRAWS} draws: {probability(DRAWS):.3f}",
        (DRAWS, probability(DRAWS)),
        (DRAWS + 5, probability(DRAWS) - 0.15),
        arrowprops={"arrowstyle": "-", "color": "grey"},
    )
    left.axhline(0.95, color="grey", linewidth=0.8, linestyle=":")
    left.set(xlabel="random draws", ylabel="probability", ylim=(0, 1.02), xlim=(0, 120))
    left.set_title(f"at least one draw in the best {TOP:.0%} of the space: any space")
    left.grid(alpha=0.3)
    for i, (d, nearest) in enumerate(data["nearest"].items()):
        right.plot(i + np.linspace(-0.3, 0.3, len(nearest)), np.sort(nearest), color=COLORS[0], linewidth=2)
        right.plot([i - 0.35, i + 0.35], [data["radius"][d]] * 2, color=COLORS[1], linestyle="--")
    right.plot([], [], color=COLORS[0], linewidth=2, label=f"nearest of {DRAWS} draws, {len(nearest)} searches sorted")
    right.plot([], [], color=COLORS[1], linestyle="--", label=f"where the best {TOP:.0%} of the space end")
    right.set_xticks(range(len(data["nearest"])), list(data["nearest"]))
    right.set(xlabel="parameters that matter", ylabel="distance from the optimum / half diagonal", ylim=(0, None))
    right.set_title("the best 5% may be far from the optimum")
    right.legend(fontsize="small", loc="upper left")
    right.grid(alpha=0.3)
    return save(fig, out, "sixty")


if __name__ == "__main__":
    main("sixty")
