"""A model that believes the wrong thing: fixed lengthscales, too long and too short.

A Gaussian process with a long lengthscale takes the function for smooth: two results say all about what lies between
them. With a short one every result speaks for its own surroundings only. Here the lengthscale (as a share of each
parameter's range) is not fitted but fixed, as are mean 0 and variance 1 of the standardised results.

What to look for: too short is still better than random search in two dimensions, since the search then feels its way
from the best result, a step at a time. Too long is the dangerous direction: the model is sure where it is wrong,
returns to where it expects the minimum, and is no better than random search, or worse. So "random search can win" is
true of a wrong model; fitting the lengthscales, as `GP` does, is what the likelihood is for.

`Fixed` is a sampler of one's own: it needs a `propose`, and any study runs it.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

import optlab as ol
from optlab.gallery import Setup, main, save
from optlab.gallery._regret import bests, exact_median, plot_bands, quartiles
from optlab.search import Sampler
from optlab.search.gp import bfgs
from optlab.search.gp.acquisition import log_ei
from optlab.search.gp.covariance import Matern52
from optlab.search.gp.mean import Mean
from optlab.search.gp.model import GaussianProcess
from optlab.search.gp.one_thread import one_thread
from optlab.search.gp.propose import promising
from optlab.search.gp.records import Data
from optlab.search.sampler import Observation, generator
from optlab.verdict import Verdict

TITLE = "Bayesian optimization with the wrong lengthscale"
SOURCE = "post, Bayesian Optimization ('random search may win'); the lengthscales are inferred"
TRY = "Add 1.0 to LENGTHSCALES: how far the fit of `bayes` may be missed before the search loses its lead."

LENGTHSCALES = (0.02, 0.05, 0.35, 3.0, 10.0)
SEEDS, TRIALS, INITIAL = 20, 30, 5
NOISE = 1e-6  # of the signal's variance, for a matrix that can be inverted
CANDIDATES, STARTS = 1000, 4


class Fixed(Sampler):
    """Expected improvement under a Matern 5/2 covariance whose lengthscale is given, not fitted."""

    name = "fixed"

    def __init__(self, seed: int, lengthscale: float) -> None:
        super().__init__(seed)
        self.lengthscale = lengthscale

    def propose(self, numbers: Sequence[int], seen: Sequence[Observation]) -> list[dict[str, Any]]:
        """Random points first, then the most promising one."""
        with one_thread:
            return self._modelled(numbers[0], seen)

    def _modelled(self, number: int, seen: Sequence[Observation]) -> list[dict[str, Any]]:
        rng = generator(self.seed, "random", number)
        if len(seen) < INITIAL:
            return [self.space.decode(rng.random(len(self.space)))]
        d = len(self.space)
        points = np.array([self.space.encode(o.params) for o in seen])
        losses = np.array([o.loss for o in seen])
        z = (losses - losses.mean()) / losses.std()
        theta = np.log([self.lengthscale] * d + [NOISE])
        posterior = GaussianProcess(Matern52(d), Mean("zero"), scale=1.0).posterior(
            theta, Data(np.ascontiguousarray(points.T), z, np.ones(len(z)), 0.0)
        )
        promise = promising(posterior, log_ei, None)
        candidates = rng.random((CANDIDATES, d))
        best = candidates[np.argsort(-promise(candidates))[:STARTS]]
        ends, values = bfgs.minimize(promise.descent, best, np.zeros(d), np.ones(d), 25, first=0.1, longest=0.3)
        return [self.space.decode(ends[int(np.argmin(values))])]


def run(setup: Setup) -> dict[str, Any]:
    """Each lengthscale over seeds."""
    objective, surface = ol.objectives.surface("branin"), ol.SURFACES["branin"]
    regrets = {
        length: bests(objective, objective.space(), (Fixed(s, length) for s in setup.seeds(SEEDS)), TRIALS)
        - surface.f_min
        for length in LENGTHSCALES
    }
    return {"regrets": regrets, "random": exact_median(surface, TRIALS)}


def judge(data: dict[str, Any]) -> list[Verdict]:
    """Too long, too short, and about right, against the exact median of random search."""
    ends = {length: quartiles(rows, TRIALS) for length, rows in data["regrets"].items()}
    median = {length: end["median"] for length, end in ends.items()}
    chance = float(data["random"][-1])
    return [
        Verdict(
            "bayes-misspecified",
            "with a lengthscale of 3 the search is hardly better than random search, with 10 it is worse",
            {length: ends[length] for length in (3.0, 10.0)},
            f"at least half of {chance:.3g}, and above it",
            median[3.0] >= 0.5 * chance and median[10.0] > chance,
            f"regret after {TRIALS} evaluations; {chance:.3g} is random search's exact median",
        ),
        Verdict(
            "bayes-misspecified:short",
            "with lengthscales of 0.05 and 0.02 it is still better than random search",
            {length: ends[length] for length in (0.02, 0.05)},
            f"both medians < {chance:.3g}",
            max(median[0.02], median[0.05]) < chance,
        ),
        Verdict(
            "bayes-misspecified:right",
            "with 0.35, about what a fit finds, it ends below a tenth of random search's regret",
            ends[0.35],
            f"median < {0.1 * chance:.3g}",
            median[0.35] < 0.1 * chance,
        ),
    ]


def draw(data: dict[str, Any], out: Path) -> list[Path]:
    """Regret against evaluations; the last regret against the lengthscale."""
    from optlab.viz.style import COLORS, figure

    fig = figure(size=(13.0, 5.2))
    left, right = fig.subplots(1, 2, width_ratios=(1.2, 1.0))
    shown = {f"lengthscale {length:g}": data["regrets"][length] for length in (0.02, 0.35, 10.0)}
    plot_bands(left, shown)
    left.plot(np.arange(1, TRIALS + 1), data["random"], color="black", linewidth=0.9, label="random, exact median")
    left.set(yscale="log", ylabel="f(best so far) − minimum", title="median and quartiles over seeds")
    left.legend(fontsize="small", loc="lower left")
    lengths = list(data["regrets"])
    low, middle, high = np.quantile([rows[:, -1] for rows in data["regrets"].values()], (0.25, 0.5, 0.75), axis=1)
    right.errorbar(
        lengths, middle, (middle - low, high - middle), fmt="o-", color=COLORS[0], capsize=5, label="median, quartiles"
    )
    right.axhline(data["random"][-1], color="black", linewidth=0.9, label="random search")
    right.set(xscale="log", yscale="log", xlabel="lengthscale, share of the range", ylabel="regret")
    right.set_title(f"after {TRIALS} evaluations: too long is worse than too short")
    right.grid(alpha=0.3)
    right.legend(fontsize="small")
    return save(fig, out, "bayes-misspecified")


if __name__ == "__main__":
    main("bayes-misspecified")
