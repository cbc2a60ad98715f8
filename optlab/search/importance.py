"""Which parameters mattered: a functional analysis of variance on a Gaussian process of the trials."""

from typing import TYPE_CHECKING

import numpy as np

from optlab.search.gp.lattice import Lattice
from optlab.search.gp.mean import Mean
from optlab.search.gp.model import LOG_TAU, PSEUDO, GaussianProcess, Posterior
from optlab.search.gp.one_thread import one_thread
from optlab.search.gp.prior import covariance, usual
from optlab.search.gp.records import group, snap

if TYPE_CHECKING:
    from optlab.search.study import Study

FEW = 8  # complete trials below which nothing is said
MOST = 300  # trials that the model is made of: more hardly change the shares, and cost n^3
POINTS = 1024  # of the design, per parameter
STARTS = 3  # of the fit
ROUNDING = 1e-12  # of the largest loss: a smaller spread is no difference
# Natural logarithm of how much more probable the losses are under the model than as noise alone: on noise 2 studies in
# 100 reach it, of 20 to 200 trials in 1 to 6 parameters.
DECISIVE = 5.0
FENCE = 1.5  # interquartile ranges above the upper quartile: what is worse counts as just bad (Tukey)


def importance(study: "Study") -> dict[str, float]:
    """First-order shares of variance over the whole space, largest first; {} if there are too few trials.

    All are 0 where the losses do not differ, or no more than noise would make them.

        S_i = Var_i(E[f | x_i]) / Var(f),    estimated as    mean(f(B) (f(A with B's x_i) - f(A))) / Var(f)

    f is the mean of a Gaussian process of the losses, so that a sampler that crowds around the best does not distort
    the shares; losses far above those of most of the space are pulled in to Tukey's fence. A and B are two designs
    that fill the space. What the shares lack to 1 is interactions. A parameter that is active only under a condition
    counts with the part of the space where it is.

    Source: Hutter, Hoos & Leyton-Brown, ICML 2014 (on forests); Saltelli et al., Comput. Phys. Commun. 181, 2010,
    table 2 (b), for the estimate.
    """
    seen = [o for o in study.observations() if o.loss is not None and np.isfinite(o.loss)]
    if len(seen) < FEW:
        return {}
    seen = [seen[i] for i in np.unique(np.linspace(0, len(seen) - 1, MOST).astype(int))]
    lattice = Lattice(study.space)
    points = lattice.snap(np.array([study.space.encode(o.params) for o in seen]))
    nothing = dict.fromkeys(study.space, 0.0)
    values = np.array([o.loss for o in seen], float)
    if np.ptp(values) <= ROUNDING * np.abs(values).max():
        return nothing
    with one_thread:
        a, b = np.split(_design(lattice.d), 2, axis=1)
        losses = _fenced(values, points, lattice.snap(a))
        model = _model(lattice, points, losses)
        if _gain(model) < DECISIVE:
            return nothing

        def f(points: np.ndarray) -> np.ndarray:
            return model.mean(lattice.snap(points))

        at_a, at_b = f(a), f(b)
        variance = float(np.concatenate([at_a, at_b]).var())
        shares = {}
        for k, name in enumerate(study.space):
            mixed = a.copy()
            mixed[:, k] = b[:, k]
            share = float(((at_b - at_b.mean()) * (f(mixed) - at_a)).mean())
            shares[name] = max(0.0, share / variance) if variance > 0.0 else 0.0
    return dict(sorted(shares.items(), key=lambda item: -item[1]))


def _fenced(losses: np.ndarray, points: np.ndarray, space: np.ndarray) -> np.ndarray:
    """Losses from 0 to 1, cut at the fence of what is found all over the space: at the trial nearest to each place."""
    losses = losses / max(np.abs(losses).max(), np.finfo(float).tiny)
    nearest = ((space[:, None] - points) ** 2).sum(2).argmin(1)
    q1, q3 = np.percentile(losses[nearest], [25, 75])
    fenced = np.minimum(losses, q3 + FENCE * (q3 - q1)) - losses.min()
    return np.asarray(fenced / (fenced.max() or 1.0))


def _model(lattice: Lattice, points: np.ndarray, losses: np.ndarray) -> Posterior:
    data = group(points := snap(points)).data(points, (losses - losses.mean()) / (losses.std() or 1.0))
    process, prior = GaussianProcess(covariance(lattice.d, lattice.choices), Mean("constant")), usual(lattice.d)
    rng = np.random.default_rng(0)
    starts = np.array([prior.start, *(prior.draw(rng) for _ in range(STARTS - 1))])
    return process.posterior(process.fit(data, starts, prior), data)


def _gain(model: Posterior) -> float:
    """The log marginal likelihood of the model's losses less that of white noise."""
    n = model.data.total
    noise = 0.5 * (PSEUDO + n + n * LOG_TAU)  # the losses are standardized
    return noise - model.process.evidence(model.theta, model.data)[0]


def _design(columns: int) -> np.ndarray:
    """``(POINTS, 2 columns)``: the two designs beside each other in one scrambled Sobol sequence."""
    from scipy.stats import qmc

    return np.asarray(qmc.Sobol(2 * columns, scramble=True, rng=np.random.default_rng(0)).random(POINTS))
