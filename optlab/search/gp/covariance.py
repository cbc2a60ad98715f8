"""Covariances with an algebra: ``Matern52(3) + Constant(3) * RBF(3)``.

Each gives its matrix and two sums of derivatives against a matrix of weights, by theta and by points. That is all that
a marginal likelihood and an acquisition need, and it follows the product rule without any array of derivatives:
the sum over W * d(K1 * K2) is that over (W * K2) * dK1 plus that over (W * K1) * dK2.

theta is the logarithm of the positive parameters, in the order in which the covariances are written. Points are
columns-first, ``(d, n)``.
"""

from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from optlab.errors import ConfigError
from optlab_kernels import covariance as loops

Array = np.ndarray


class Covariance:
    """A positive definite function of two points.

    Attributes:
        d: columns of a point.
        size: numbers in theta.
    """

    d: int
    size: int

    def variance(self, theta: Array) -> float:
        """k(x, x): all of these are stationary."""
        raise NotImplementedError

    def matrix(self, theta: Array, a: Array, b: Array) -> Array:
        """``(m, n)`` for ``a (d, m)`` and ``b (d, n)``."""
        raise NotImplementedError

    def pull_theta(self, theta: Array, a: Array, weights: Array) -> Array:
        """``(size,)``: sum of weights * dK(a, a)/dtheta; of the symmetric ``weights (n, n)`` the lower half is read."""
        raise NotImplementedError

    def pull_points(self, theta: Array, q: Array, a: Array, weights: Array) -> Array:
        """``(m, d)``: sum over the columns of ``weights (m, n)`` * dk(q, a)/dq."""
        raise NotImplementedError

    def __add__(self, other: "Covariance") -> "Covariance":
        return Sum(self, other)

    def __mul__(self, other: "Covariance") -> "Covariance":
        return Product(self, other)


class Stationary(Covariance):
    """k(s) of a squared distance with a lengthscale per column; on a column of ``choices`` a difference counts as 1.

    With ``additive`` each column has a k of its own and the covariance is their mean, for sums of functions of one
    column: Duvenaud, Nickisch & Rasmussen 2011, equation 5.

    >>> import numpy as np
    >>> points = np.array([[0.0, 1.0]])
    >>> Matern52(1).matrix(np.log([1.0]), points, points).round(4).tolist()
    [[1.0, 0.524], [0.524, 1.0]]
    """

    kind: ClassVar[int]

    def __init__(self, d: int, choices: Sequence[int] = (), additive: bool = False) -> None:
        self.d = self.size = d
        self.choice = np.isin(np.arange(d), choices)
        self.parts = np.arange(d + 1) if additive else np.array([0, d])

    def variance(self, theta: Array) -> float:
        """1."""
        return 1.0

    def matrix(self, theta: Array, a: Array, b: Array) -> Array:
        """k(s), see `optlab_kernels.covariance`."""
        out = np.empty((a.shape[1], b.shape[1]))
        loops.covariance(self.kind, a, b, np.exp(-2.0 * theta), self.choice, self.parts, a is b, out)
        return out

    def pull_theta(self, theta: Array, a: Array, weights: Array) -> Array:
        """By the logarithms of the lengthscales."""
        out = np.empty(self.d)
        loops.pull_lengths(self.kind, a, np.exp(-2.0 * theta), self.choice, self.parts, weights, out)
        return out

    def pull_points(self, theta: Array, q: Array, a: Array, weights: Array) -> Array:
        """By the points; 0 on the columns of choices."""
        out = np.empty((q.shape[1], self.d))
        loops.pull_points(self.kind, q, a, np.exp(-2.0 * theta), self.choice, self.parts, weights, out)
        return out


class RBF(Stationary):
    """exp(-s / 2): infinitely smooth (Rasmussen & Williams 2006, equation 4.9)."""

    kind = loops.RBF


class Matern32(Stationary):
    """(1 + r) exp(-r), r = sqrt(3 s): once differentiable (Rasmussen & Williams 2006, equation 4.17)."""

    kind = loops.MATERN32


class Matern52(Stationary):
    """(1 + r + r^2/3) exp(-r), r = sqrt(5 s): twice differentiable (Rasmussen & Williams 2006, equation 4.17)."""

    kind = loops.MATERN52


class Constant(Covariance):
    """The same variance exp(theta) between all points: a factor of another covariance, or an unknown level."""

    def __init__(self, d: int) -> None:
        self.d, self.size = d, 1

    def variance(self, theta: Array) -> float:
        """exp(theta)."""
        return float(np.exp(theta[0]))

    def matrix(self, theta: Array, a: Array, b: Array) -> Array:
        """exp(theta) everywhere."""
        return np.full((a.shape[1], b.shape[1]), self.variance(theta))

    def pull_theta(self, theta: Array, a: Array, weights: Array) -> Array:
        """dK/dtheta = K."""
        total = 2.0 * np.tril(weights, -1).sum() + np.trace(weights)
        return np.array([self.variance(theta) * total])

    def pull_points(self, theta: Array, q: Array, a: Array, weights: Array) -> Array:
        """0."""
        return np.zeros((q.shape[1], self.d))

    def __mul__(self, other: Covariance) -> Covariance:
        return Scaled(other)


class Scaled(Covariance):
    """exp(theta_0) k: what `Constant` times k is, without a matrix of the constant."""

    def __init__(self, inner: Covariance) -> None:
        self.inner, self.d, self.size = inner, inner.d, inner.size + 1

    def variance(self, theta: Array) -> float:
        """The scaled variance."""
        return float(np.exp(theta[0])) * self.inner.variance(theta[1:])

    def matrix(self, theta: Array, a: Array, b: Array) -> Array:
        """exp(theta_0) K."""
        out = self.inner.matrix(theta[1:], a, b)
        out *= np.exp(theta[0])
        return out

    def pull_theta(self, theta: Array, a: Array, weights: Array) -> Array:
        """dK/dtheta_0 = K."""
        scale = float(np.exp(theta[0]))
        inner = self.inner.matrix(theta[1:], a, a)
        total = 2.0 * float(np.einsum("ij,ij->", np.tril(weights, -1), inner)) + np.trace(weights) * inner[0, 0]
        return scale * np.append(total, self.inner.pull_theta(theta[1:], a, weights))

    def pull_points(self, theta: Array, q: Array, a: Array, weights: Array) -> Array:
        """Those of k, scaled."""
        return np.asarray(np.exp(theta[0]) * self.inner.pull_points(theta[1:], q, a, weights))


class Pair(Covariance):
    """Two covariances of the same points."""

    def __init__(self, first: Covariance, second: Covariance) -> None:
        if first.d != second.d:
            raise ConfigError(f"covariances of {first.d} and of {second.d} columns can't be combined: give both one d")
        self.first, self.second = first, second
        self.d, self.size = first.d, first.size + second.size

    def parts(self, theta: Array) -> tuple[Array, Array]:
        """The theta of each."""
        return theta[: self.first.size], theta[self.first.size :]


class Sum(Pair):
    """k1 + k2."""

    def variance(self, theta: Array) -> float:
        """The variances' sum."""
        one, two = self.parts(theta)
        return self.first.variance(one) + self.second.variance(two)

    def matrix(self, theta: Array, a: Array, b: Array) -> Array:
        """K1 + K2."""
        one, two = self.parts(theta)
        out = self.first.matrix(one, a, b)
        out += self.second.matrix(two, a, b)
        return out

    def pull_theta(self, theta: Array, a: Array, weights: Array) -> Array:
        """Each with the same weights."""
        one, two = self.parts(theta)
        return np.concatenate([self.first.pull_theta(one, a, weights), self.second.pull_theta(two, a, weights)])

    def pull_points(self, theta: Array, q: Array, a: Array, weights: Array) -> Array:
        """Each with the same weights."""
        one, two = self.parts(theta)
        return np.asarray(self.first.pull_points(one, q, a, weights) + self.second.pull_points(two, q, a, weights))


class Product(Pair):
    """k1 k2."""

    def variance(self, theta: Array) -> float:
        """The variances' product."""
        one, two = self.parts(theta)
        return self.first.variance(one) * self.second.variance(two)

    def matrix(self, theta: Array, a: Array, b: Array) -> Array:
        """K1 * K2, entry by entry."""
        one, two = self.parts(theta)
        return np.asarray(self.first.matrix(one, a, b) * self.second.matrix(two, a, b))

    def pull_theta(self, theta: Array, a: Array, weights: Array) -> Array:
        """Each with the weights times the other's matrix."""
        one, two = self.parts(theta)
        left, right = self.first.matrix(one, a, a), self.second.matrix(two, a, a)
        return np.concatenate(
            [self.first.pull_theta(one, a, weights * right), self.second.pull_theta(two, a, weights * left)]
        )

    def pull_points(self, theta: Array, q: Array, a: Array, weights: Array) -> Array:
        """Each with the weights times the other's matrix."""
        one, two = self.parts(theta)
        left, right = self.first.matrix(one, q, a), self.second.matrix(two, q, a)
        by_first = self.first.pull_points(one, q, a, weights * right)
        return np.asarray(by_first + self.second.pull_points(two, q, a, weights * left))
