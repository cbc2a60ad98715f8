"""What is believed before anything is seen: of lengthscales and noise, and by the user of single parameters.

The lengthscale's prior is log-normal and grows with the square root of the number of columns, as distances do: a
function of many columns is not expected to be more complex (Hvarfner, Hellsten & Nardi 2024, equation 10). The noise is
a ratio of variances; its prior only pulls it down gently, over twelve orders of magnitude.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from optlab.search.gp.covariance import Constant, Covariance, Matern52

Array = np.ndarray
NOISE_FLOOR = 1e-7  # of the signal's variance: 1e-4 and 1e-6 measured .31 and .23 decades of final regret worse


@dataclass(frozen=True)
class Prior:
    """Independent normal laws of theta within bounds; all arrays ``(p,)``.

    Attributes:
        mean, sd: of theta; an infinite sd is no prior.
        tilt: added derivative: 1 for a law stated for exp(theta), whose density carries a Jacobian.
        low, high: bounds.
        start: where a fit begins.
    """

    mean: Array
    sd: Array
    tilt: Array
    low: Array
    high: Array
    start: Array

    def penalty(self, theta: Array) -> tuple[float, Array]:
        """-log density up to a constant, and its gradient."""
        z = (theta - self.mean) / self.sd
        return float(self.tilt @ theta + 0.5 * (z @ z)), self.tilt + z / self.sd

    def draw(self, rng: np.random.Generator) -> Array:
        """Another start: lengthscales around the usual one, the noise anywhere between its floor and a tenth."""
        theta = self.start + rng.normal(0.0, 0.8, len(self.start))
        theta[-1] = rng.uniform(self.low[-1], np.log(0.1))
        return np.clip(theta, self.low, self.high)


def covariance(d: int, choices: Sequence[int] = ()) -> Covariance:
    """Of a loss over ``d`` columns: a function of all of them plus, with more than one, a function of each.

    The second part measured .22 decades less regret: what one parameter does is mostly the same wherever the
    others are. It has lengthscales of its own and an estimated weight; theta begins with the first part's lengthscales.
    """
    whole = Matern52(d, choices)
    return whole if d == 1 else whole + Constant(d) * Matern52(d, choices, additive=True)


def usual(d: int) -> Prior:
    """For `covariance`, and the logarithm of the noise ratio last; points in the unit cube."""
    parts = [_lengths(d)] if d == 1 else [_lengths(d), WEIGHT, _lengths(1, d)]
    return Prior(*(np.concatenate(column) for column in zip(*parts, NOISE, strict=True)))


def _lengths(d: int, copies: int | None = None) -> tuple[Array, ...]:
    """Log-normal with a median of exp(sqrt 2) sqrt(d), in the order of `Prior`; ``copies`` of it, or d."""
    half = 0.5 * np.log(d)
    law = np.sqrt(2.0) + half, np.sqrt(3.0), 1.0, np.log(5e-3), np.log(100.0), np.log(0.5) + half
    return tuple(np.full(copies or d, value) for value in law)


WEIGHT = tuple(np.array([value]) for value in (0.0, 1.0, 0.0, -12.0, 5.0, 0.0))  # log of the second part's variance
NOISE = tuple(np.array([value]) for value in (-12.0, 4.0, 0.0, np.log(NOISE_FLOOR), 0.0, np.log(1e-4)))


@dataclass(frozen=True)
class Belief:
    """Where the user expects the best: a bump per column around ``center (d,)`` of relative ``width (d,)``.

    Its logarithm is added to the acquisition's with a weight that fades as 1/n: Hvarfner et al. 2022 ("piBO"),
    equation 6. An infinite width believes nothing of a column.
    """

    center: Array
    width: Array
    choice: Array

    def log(self, points: Array) -> tuple[Array, Array]:
        """``(m,)`` and its gradient ``(m, d)`` at ``points (m, d)``; a choice is at distance 1 from all others."""
        t = points - self.center
        t = np.where(self.choice, np.abs(t) > 1e-9, t)
        z = t / self.width
        return -0.5 * (z * z).sum(1), np.where(self.choice, 0.0, -z / self.width)


def weighted(belief: Belief, weight: float) -> Callable[[Array], tuple[Array, Array]]:
    """``belief.log`` times ``weight``."""

    def log(points: Array) -> tuple[Array, Array]:
        value, slope = belief.log(points)
        return weight * value, weight * slope

    return log
