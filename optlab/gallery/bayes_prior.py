"""A prior belief about the optimum: right it saves evaluations, misleading it costs some, and results overrule it.

Whoever searches has a guess. `GP(prior={"x": (value, width)})` multiplies the expected improvement by a normal bump
around the value, raised to the power 10 / n after n results ("piBO", Hvarfner et al. 2022): strong at first, fading as
results come in. The other way to tell the search something is a warm start: points of one's own that are evaluated
first (`study.ask(params=...)`).

What to look for: after 10 evaluations a right belief is ahead and a misleading one, in the middle of Branin's hill, is
behind; after 30 all three have found a minimum. The gap that remains then is one of polish, below anything that could
be measured on a network. A warm start with two points near a minimum acts like a belief; two on the hill cost
two evaluations and say nothing of where a minimum is.
"""

from pathlib import Path
from typing import Any

import numpy as np

import optlab as ol
from optlab.gallery import Setup, main, save
from optlab.gallery._regret import bests, plot_bands, quartiles
from optlab.search import GP, Study
from optlab.verdict import Verdict

TITLE = "A prior belief about the optimum, right and misleading"
SOURCE = "post, Bayesian Optimization (prior knowledge); Hvarfner et al. 2022, equation 6; the set-up is inferred"
TRY = "Narrow WIDTH to 0.03: being right gains more and being wrong costs more, and after 30 evaluations still little."

SEEDS, TRIALS, INITIAL = 10, 30, 5
EARLY = 10
WIDTH = 0.1  # of the belief, as a share of each range
RIGHT, WRONG = (np.pi, 2.275), (2.5, 13.0)  # a minimum; on the hill, f = 131
BESIDE = 1.0  # standard deviation of warm starts around those
RESOLVED = 0.05  # a difference of regrets that a search of 30 is asked to resolve: the bar of `bayes`


def believed(seeds: range, at: tuple[float, float] | None) -> np.ndarray:
    """The best so far of searches that expect the best around ``at``: (seeds, TRIALS)."""
    objective = ol.objectives.surface("branin")
    prior = None if at is None else {name: (value, WIDTH) for name, value in zip("xy", at, strict=True)}
    return bests(objective, objective.space(), (GP(s, initial=INITIAL, prior=prior) for s in seeds), TRIALS)


def warmed(seeds: range, at: tuple[float, float]) -> np.ndarray:
    """The same of searches whose first two points lie around ``at``."""
    objective = ol.objectives.surface("branin")
    rows = []
    for seed in seeds:
        rng = np.random.default_rng([seed, 2])
        study = Study(objective.space(), GP(seed, initial=INITIAL))
        for x, y in rng.normal(at, BESIDE, (2, 2)):
            study.ask(params={"x": float(np.clip(x, -5, 10)), "y": float(np.clip(y, 0, 15))})
        study.run(objective, trials=TRIALS)
        rows.append(np.minimum.accumulate([study.loss(trial) for trial in study.complete]))
    return np.array(rows)


def run(setup: Setup) -> dict[str, Any]:
    """Beliefs and warm starts, right, none and wrong, over seeds."""
    seeds, least = setup.seeds(SEEDS), ol.SURFACES["branin"].f_min
    beliefs = {
        "a right belief": believed(seeds, RIGHT) - least,
        "no belief": believed(seeds, None) - least,
        "a misleading belief": believed(seeds, WRONG) - least,
    }
    starts = {
        "starts beside a minimum": warmed(seeds, RIGHT) - least,
        "starts by the sampler": beliefs["no belief"],
        "starts on the hill": warmed(seeds, WRONG) - least,
    }
    return {"beliefs": beliefs, "starts": starts}


def claim(id: str, what: str, curves: dict[str, np.ndarray]) -> Verdict:
    """Early the order right, none, wrong; late all alike."""
    early = [float(np.median(rows[:, EARLY - 1])) for rows in curves.values()]
    late = [float(np.median(rows[:, -1])) for rows in curves.values()]
    return Verdict(
        id,
        f"{what}: ahead or behind after {EARLY} evaluations, alike after {TRIALS}",
        {name: {n: quartiles(rows, n) for n in (EARLY, TRIALS)} for name, rows in curves.items()},
        f"medians rise in this order at {EARLY} and lie within {RESOLVED} at {TRIALS}",
        early[0] < early[1] < early[2] and max(late) - min(late) < RESOLVED,
        "after so many the medians still differ by factors, but by less than a search of 30 is asked to resolve",
    )


def judge(data: dict[str, Any]) -> list[Verdict]:
    """The claim for beliefs and for warm starts."""
    return [
        claim("bayes-prior", "a belief about the optimum", data["beliefs"]),
        claim("bayes-prior:starts", "two points of one's own to begin with", data["starts"]),
    ]


def draw(data: dict[str, Any], out: Path) -> list[Path]:
    """Regret against evaluations: beliefs, and warm starts."""
    from optlab.viz.style import figure

    fig = figure(size=(13.0, 5.2))
    axes = fig.subplots(1, 2, sharey=True)
    titles = ("a prior over the optimum", "two first points of one's own")
    for ax, curves, title in zip(axes, (data["beliefs"], data["starts"]), titles, strict=True):
        plot_bands(ax, curves)
        ax.axvline(EARLY, color="grey", linewidth=0.8, linestyle=":")
        ax.set(yscale="log", title=title)
        ax.legend(fontsize="small", loc="lower left")
    axes[0].set_ylabel("f(best so far) − minimum")
    return save(fig, out, "bayes-prior")


if __name__ == "__main__":
    main("bayes-prior")
