"""The Gaussian process: marginal likelihood with its gradient, the fit, the posterior.

    z = H beta + f + noise,   f ~ N(0, s2 K(theta)),   noise ~ N(0, s2 eta / count)

m points, n observations in all (repeats merged, see `records`), A = K + diag(eta / count), r = z - H beta, S the spread
within the repeats, q = r^T A^-1 r + S / eta:

    -log p(z) = q / (2 s2) + n/2 log(2 pi s2) + 1/2 log |A| + (n - m)/2 log(eta) + 1/2 sum log(count)

beta is the minimiser of q; s2 is given, or (nu + q) / (nu + n): the most likely value, drawn to 1 by nu
pseudo-observations. Both are optimal for theta, so that by the envelope theorem the gradient needs only dA:
d(-log p) = sum of M * dA, M = (A^-1 - a a^T / s2) / 2, a = A^-1 r. Source: Rasmussen & Williams 2006, equations 2.25,
2.26, 2.42, 5.8, 5.9.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from optlab.search.gp import bfgs
from optlab.search.gp.covariance import Covariance
from optlab.search.gp.factor import Factor, NotPositive
from optlab.search.gp.mean import Mean
from optlab.search.gp.prior import Prior
from optlab.search.gp.records import Data

Array = np.ndarray
PSEUDO = 4.0  # nu
THINNEST = 1e-10  # of the prior variance: what a posterior variance never falls below
LOG_TAU = float(np.log(2.0 * np.pi))


@dataclass(frozen=True)
class GaussianProcess:
    """A covariance and a mean; ``scale`` is s2, None where it is estimated.

    theta is the covariance's, then log(eta), the noise's variance over s2.
    """

    covariance: Covariance
    mean: Mean = field(default_factory=Mean)
    scale: float | None = None

    def factor(self, theta: Array, data: Data) -> Factor:
        """Of A.

        Raises:
            NotPositive: see `Factor.of`.
        """
        matrix = self.covariance.matrix(theta[:-1], data.points, data.points)
        matrix.flat[:: len(matrix) + 1] += np.exp(theta[-1]) / data.counts
        return Factor.of(matrix)

    def grow(self, theta: Array, factor: Factor, points: Array, point: Array) -> Factor | None:
        """``factor``, of ``points (d, m)``, with ``point (d,)`` more, at O(m^2); None where rounding forbids that."""
        cross = self.covariance.matrix(theta[:-1], np.ascontiguousarray(point[:, None]), points)
        try:
            return factor.append(cross[0], self.covariance.variance(theta[:-1]) + float(np.exp(theta[-1])))
        except NotPositive:
            return None

    def evidence(self, theta: Array, data: Data) -> tuple[float, Array]:
        """-log p(z) (with the pseudo-observations' part) and its gradient ``(size + 1,)``.

        Raises:
            NotPositive: see `Factor.of`.
        """
        post = self.posterior(theta, data)
        n, m, eta, s2 = data.total, len(data.counts), float(np.exp(theta[-1])), post.scale
        nu = PSEUDO if self.scale is None else 0.0
        value = 0.5 * ((nu + post.q) / s2 + (n + nu) * np.log(s2) + n * LOG_TAU + post.factor.log_det)
        value += 0.5 * ((n - m) * theta[-1] + np.log(data.counts).sum())
        weights = post.factor.inverse()
        weights -= np.outer(post.alpha / s2, post.alpha)
        weights *= 0.5
        gradient = np.empty(len(theta))
        gradient[:-1] = self.covariance.pull_theta(theta[:-1], data.points, weights)
        gradient[-1] = eta * (weights.diagonal() / data.counts).sum() + 0.5 * (n - m - data.spread / (eta * s2))
        return float(value), gradient

    def fit(self, data: Data, starts: Array, prior: Prior, rounds: int = 25) -> Array:
        """The most probable theta that is found from ``starts (k, p)`` under ``prior``."""

        def target(thetas: Array) -> tuple[Array, Array]:
            values, gradients = np.full(len(thetas), np.inf), np.zeros(thetas.shape)
            for i, theta in enumerate(thetas):
                try:
                    value, gradient = self.evidence(theta, data)
                except NotPositive:
                    continue
                more, slope = prior.penalty(theta)
                values[i], gradients[i] = value + more, gradient + slope
            return values, gradients

        thetas, values = bfgs.minimize(
            target, starts, prior.low, prior.high, rounds, first=0.5, longest=2.0, flat=1e-3, gain=1e-5
        )
        return np.asarray(thetas[int(np.argmin(values))])

    def posterior(self, theta: Array, data: Data, factor: Factor | None = None) -> "Posterior":
        """Given ``data``; ``factor``, if it is at hand, is that of A."""
        factor = self.factor(theta, data) if factor is None else factor
        basis = self.mean.basis(data.points)
        half = factor.half(np.vstack([basis, data.values]))
        h, z = half[:-1], half[-1]
        beta = np.linalg.lstsq(h.T, z, rcond=1e-12)[0] if len(h) > 1 else h @ z / max(float((h * h).sum()), 1e-300)
        r = z - beta @ h
        q = max(float(r @ r), 0.0) + data.spread / float(np.exp(theta[-1]))
        scale = (PSEUDO + q) / (PSEUDO + data.total) if self.scale is None else self.scale
        return Posterior(self, theta, data, factor, beta, factor.rest(r[None])[0], q, scale)


@dataclass(frozen=True)
class Posterior:
    """What is known of f after the data: ``beta (b,)``, ``alpha (m,)`` = A^-1 (z - H beta), q, and the scale s2."""

    process: GaussianProcess
    theta: Array
    data: Data
    factor: Factor
    beta: Array
    alpha: Array
    q: float
    scale: float

    @property
    def noise(self) -> float:
        """eta."""
        return float(np.exp(self.theta[-1]))

    def fitted(self) -> Array:
        """The mean at the points of the data: z - (A - K) alpha, without a product."""
        return np.asarray(self.data.values - (self.noise / self.data.counts + self.factor.jitter) * self.alpha)

    def mean(self, points: Array) -> Array:
        """``(k,)`` at ``points (k, d)``: H beta + k^T alpha, O(n) each."""
        q = np.ascontiguousarray(points.T)
        cross = self.process.covariance.matrix(self.theta[:-1], q, self.data.points)
        return np.asarray(cross @ self.alpha + self.beta @ self.process.mean.basis(q))

    def predict(self, points: Array) -> tuple[Array, Array]:
        """Mean and standard deviation of f, each ``(k,)``, at ``points (k, d)``; beta's own uncertainty is left out."""
        mean, sd, _ = self.traced(points)
        return mean, sd

    def traced(self, points: Array) -> tuple[Array, Array, Callable[[Array, Array], Array]]:
        """`predict`, and what takes derivatives by mean and by sd, ``(k,)`` each, to those by the points ``(k, d)``.

        d mean = alpha^T dk, d sd = -s2 (A^-1 k)^T dk / sd.
        """
        covariance, theta = self.process.covariance, self.theta[:-1]
        q = np.ascontiguousarray(points.T)
        cross = covariance.matrix(theta, q, self.data.points)
        mean = cross @ self.alpha + self.beta @ self.process.mean.basis(q)
        half = self.factor.half(cross)
        variance = covariance.variance(theta)
        left = np.maximum(variance - np.einsum("ij,ij->i", half, half), THINNEST * variance)
        sd = np.sqrt(self.scale * left)

        def back(by_mean: Array, by_sd: Array) -> Array:
            weights = by_mean[:, None] * self.alpha - (self.scale * by_sd / sd)[:, None] * self.factor.rest(half)
            slopes = covariance.pull_points(theta, q, self.data.points, np.ascontiguousarray(weights))
            return np.asarray(slopes + by_mean[:, None] * self.process.mean.slope(q, self.beta))

        return mean, sd, back

    def imagine(self, point: Array) -> "Posterior":
        """As if the mean had been observed at ``point (d,)``: narrower there, elsewhere hardly moved.

        A point that is in the data already changes nothing.
        """
        if (self.data.points == point[:, None]).all(0).any():
            return self
        data = self.data.append(point, float(self.mean(point[None])[0]))
        return self.process.posterior(
            self.theta, data, self.process.grow(self.theta, self.factor, self.data.points, point)
        )
