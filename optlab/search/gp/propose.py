"""The next point: where the acquisition is largest, found from many candidates and a few gradient searches."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from optlab.search.gp import bfgs
from optlab.search.gp.acquisition import Acquisition
from optlab.search.gp.candidates import candidates
from optlab.search.gp.lattice import Lattice
from optlab.search.gp.model import Posterior
from optlab_kernels.points import apart

Array = np.ndarray
RESTARTS, ROUNDS = 8, 12  # 25 rounds measured no better
CROWD = 200  # points in the model from which a preselection by the mean, and fewer searches, keep the cost down
BY_MEAN, BY_CHANCE, FEWER = 96, 32, 4
APART = 0.1  # restarts that are not among the very best keep this distance
HOPELESS = 7.0  # a rival that promises a thousandth of the best (in logarithms) isn't worth a trial
SAME = 1e-6  # points this close are one


@dataclass(frozen=True)
class Promise:
    """The acquisition as a function of points, with what else the choice depends on: larger is better."""

    posterior: Posterior
    acquisition: Acquisition
    best: float
    noise: float
    extra: Callable[[Array], tuple[Array, Array]] | None = None  # a user's belief, already weighted

    def __call__(self, points: Array) -> Array:
        """``(m,)`` at ``points (m, d)``."""
        mean, sd = self.posterior.predict(points)
        value = self.acquisition(mean, sd, self.best, self.noise)[0]
        return np.asarray(value if self.extra is None else value + self.extra(points)[0])

    def descent(self, points: Array) -> tuple[Array, Array]:
        """The negative and its gradient."""
        mean, sd, back = self.posterior.traced(points)
        value, by_mean, by_sd = self.acquisition(mean, sd, self.best, self.noise)
        slope = back(by_mean, by_sd)
        if self.extra is not None:
            more, steeper = self.extra(points)
            value, slope = value + more, slope + steeper
        return -value, -slope


def promising(
    posterior: Posterior, acquisition: Acquisition, extra: Callable[..., tuple[Array, Array]] | None
) -> Promise:
    """Measured against the lowest posterior mean among the points of the data."""
    noise = float(np.sqrt(posterior.noise * posterior.scale))
    return Promise(posterior, acquisition, float(posterior.fitted().min()), noise, extra)


def next_point(
    promise: Promise,
    lattice: Lattice,
    side: Callable[[Array], float],
    spread: Array,
    rng: np.random.Generator,
    taken: Array,
    rival: int | None = None,
) -> Array:
    """The most promising point ``(d,)`` that is not ``taken (t, d)``, if there is one.

    Args:
        promise: what to maximise.
        lattice: the space.
        side: of the trust region around a point.
        spread: ``(WIDE, d)`` even points of the unit cube.
        rng: of this trial.
        taken: points that are tried or running.
        rival: the column of a choice in which the point should differ from the best one, unless that is hopeless.
    """
    everything = lattice.everything
    if everything is not None:
        left = everything[fresh(everything, taken)]
        left = left if len(left) else everything
        return np.asarray(left[int(np.argmax(promise(left)))])
    posterior = promise.posterior
    around = candidates(posterior, lattice, side, spread, rng)
    crowded = len(posterior.alpha) >= CROWD
    if crowded:
        ranked = np.argsort(posterior.mean(around.points), kind="stable")
        around = around.only(np.append(ranked[:BY_MEAN], rng.choice(ranked[BY_MEAN:], BY_CHANCE, replace=False)))
    value = promise(around.points)
    everywhere, best = around.points, posterior.data.points[:, int(np.argmin(posterior.fitted()))]
    if rival is not None:
        other = around.points[:, rival] != best[rival]
        if value[other].max(initial=-np.inf) > value.max() - HOPELESS:
            around, value = around.only(other), value[other]
        else:
            rival = None
    q, ranked = around.points, np.argsort(-value, kind="stable")
    first = _apart(q, ranked, FEWER if crowded else RESTARTS)
    starts, low, high = q[first], around.low[first], around.high[first]
    low, high = np.where(lattice.coarse, starts, low), np.where(lattice.coarse, starts, high)
    ends, _ = bfgs.minimize(promise.descent, starts, low, high, ROUNDS, first=0.1, longest=0.3)
    final = np.vstack([lattice.snap(ends), q[ranked[:RESTARTS]]])
    if lattice.discrete:
        steps = lattice.neighbours(final[int(np.argmax(promise(final)))])
        final = np.vstack([final, steps if rival is None else steps[steps[:, rival] != best[rival]]])
    new = fresh(final, taken)
    if not new.any():
        final = everywhere
        new = fresh(final, taken)
    if not new.any():
        return np.asarray(final[0])
    final = final[new]
    return np.asarray(final[int(np.argmax(promise(final)))])


def fresh(points: Array, taken: Array) -> Array:
    """Which of ``points (m, d)`` are not ``taken (t, d)``: ``(m,)``."""
    away = np.zeros((len(points), len(taken)))
    for p, t in zip(points.T, taken.T, strict=True):
        np.maximum(away, np.abs(p[:, None] - t), out=away)
    return np.asarray((away > SAME).all(1))


def _apart(q: Array, ranked: Array, count: int) -> Array:
    """Half the best candidates, half the best of those that are elsewhere."""
    chosen = np.empty(min(count, len(q)), np.int64)
    return np.asarray(ranked[chosen[: apart(q[ranked], chosen, count // 2, APART)]])
