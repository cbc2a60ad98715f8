"""The Cholesky factor of a covariance matrix, which grows by a row at O(n^2)."""

import functools
from typing import Any

import numpy as np

Array = np.ndarray
LADDER = (0.0, 1e-10, 1e-9, 1e-8, 1e-7, 1e-6, 1e-5, 1e-4)  # of the mean variance, added to the diagonal until it works


class NotPositive(ArithmeticError):
    """A matrix that has no Cholesky factor, even with the largest jitter."""


@functools.cache
def _lapack() -> Any:
    from scipy.linalg import lapack

    return lapack


class Factor:
    """``lower (n, n)``, row by row in memory, with lower lower^T = K + jitter I; its upper half is not defined.

    LAPACK counts by columns, so that it sees the upper factor in the same memory: nothing is copied or transposed.

    Attributes:
        jitter: what was added to the diagonal; 0 for a healthy matrix.
        retries: how many steps of the ladder failed.
    """

    def __init__(self, lower: Array, jitter: float = 0.0, retries: int = 0) -> None:
        self.lower, self.jitter, self.retries = lower, jitter, retries

    @classmethod
    def of(cls, matrix: Array) -> "Factor":
        """Factorise a symmetric matrix ``(n, n)``.

        Raises:
            NotPositive: not even the mean variance times 1e-4 on the diagonal helps.
        """
        potrf = _lapack().dpotrf
        scale = float(np.trace(matrix)) / len(matrix)
        for retries, step in enumerate(LADDER):
            trial = matrix.copy()
            trial.flat[:: len(matrix) + 1] += step * scale
            upper, info = potrf(trial.T, lower=0, clean=0, overwrite_a=1)
            if info == 0 and np.isfinite(upper[-1, -1]):
                return cls(upper.T, step * scale, retries)
        raise NotPositive(f"a {len(matrix)} x {len(matrix)} covariance is not positive definite")

    def __len__(self) -> int:
        return len(self.lower)

    @property
    def log_det(self) -> float:
        """log |K|."""
        return 2.0 * float(np.log(self.lower.diagonal()).sum())

    def half(self, b: Array) -> Array:
        """L^-1 b for every row of ``b (m, n)``, as rows; |row|^2 is then b K^-1 b."""
        out, _ = _lapack().dtrtrs(self.lower.T, b.T, lower=0, trans=1)
        return np.asarray(out.T)

    def rest(self, b: Array) -> Array:
        """L^-T b for every row of ``b (m, n)``: after `half`, K^-1 b."""
        out, _ = _lapack().dtrtrs(self.lower.T, b.T, lower=0, trans=0)
        return np.asarray(out.T)

    def solve(self, b: Array) -> Array:
        """K^-1 b for every row of ``b (m, n)``."""
        return self.rest(self.half(b))

    def inverse(self) -> Array:
        """The lower half of K^-1, ``(n, n)``; what stands above the diagonal means nothing."""
        out, _ = _lapack().dpotri(self.lower.T, lower=0, overwrite_c=0)
        return np.asarray(out.T)

    def append(self, covariances: Array, variance: float) -> "Factor":
        """With one point more: its ``covariances (n,)`` with the others and its own ``variance``, noise included.

        K' = [K k; k^T v] has the last row [L^-1 k, sqrt(v - |L^-1 k|^2)]: O(n^2), where a new factor is O(n^3).

        Raises:
            NotPositive: the new point is a copy of the others, up to rounding.
        """
        n = len(self)
        row = self.half(covariances[None])[0]
        left = variance + self.jitter - float(row @ row)
        if not left > 1e-14 * variance:
            raise NotPositive("the point appended is a combination of the others")
        grown = np.empty((n + 1, n + 1))
        grown[:n, :n] = self.lower
        grown[:n, n] = 0.0
        grown[n, :n] = row
        grown[n, n] = np.sqrt(left)
        return Factor(grown, self.jitter, self.retries)
