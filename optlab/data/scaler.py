"""Standardisation: what is subtracted from every feature and by what it is multiplied, from training rows only."""

from dataclasses import dataclass
from typing import Self

import numpy as np

from optlab.errors import DataError

BLOCK = 1 << 20  # numbers that are looked at at once: 8 MB in float64
NEGLIGIBLE = 1e-3  # deviations by which a rounded mean may be off


@dataclass(frozen=True, eq=False)
class Scaler:
    """x' = (x - shift) * scale, both of shape (features,) and of the data's dtype.

    Attributes:
        shift: the means.
        scale: 1 / the standard deviations.
        rest: subtracted after ``shift``, what rounding took from the means; None where that is nothing against the
            deviations, as for all features that are not thousands of deviations away from 0.

    Example:
        >>> import numpy as np
        >>> scaler = Scaler.fit(np.array([[0.0, 7.0], [2.0, 7.0]]), np.array([0, 1]))
        >>> scaler.shift.tolist(), scaler.scale.tolist()
        ([1.0, 7.0], [1.0, 1.0])
    """

    shift: np.ndarray
    scale: np.ndarray
    rest: np.ndarray | None = None

    @classmethod
    def fit(cls, x: np.ndarray, rows: np.ndarray, channels: int | None = None) -> Self:
        """Mean and 1 / standard deviation (over n, as scikit-learn) of some rows of ``x`` (n, features).

        With ``channels`` the features are pixels whose channels stand side by side: one mean and deviation per channel.
        A constant feature keeps scale 1. The rows are read in blocks, and merged in float64 by Chan, Golub & LeVeque,
        "Updating formulae and a pairwise algorithm for computing sample variances", 1979, eq. 2.1.

        Raises:
            DataError: no rows, or values so large that their squares overflow.
        """
        features = x.shape[1]
        width = channels or features
        if not len(rows):
            raise DataError("there are no training rows to standardise by")
        count, mean, squares = 0, np.zeros(width), np.zeros(width)
        step = max(1, BLOCK // features)
        with np.errstate(over="ignore", invalid="ignore"):
            for start in range(0, len(rows), step):
                block = x[rows[start : start + step]].astype(np.float64).reshape(-1, width)
                m = len(block)
                center = block.mean(0)
                block -= center
                gap = center - mean
                squares += np.einsum("ij,ij->j", block, block) + gap**2 * (count * m / (count + m))
                mean += gap * (m / (count + m))
                count += m
        if not np.isfinite(squares).all():
            bad = int(np.flatnonzero(~np.isfinite(squares))[0])
            raise DataError(
                f"the values of feature {bad} are too large to standardise; divide them by a constant first"
            )
        variance = squares / count
        # Below this a variance is rounding: the bound that scikit-learn's StandardScaler uses, for sums in float64.
        eps = np.finfo(np.float64).eps
        constant = variance <= count * eps * variance + (count * mean * eps) ** 2
        deviation = np.sqrt(variance)
        constant |= deviation < np.finfo(x.dtype).tiny
        scale = 1.0 / np.where(constant, 1.0, deviation)
        shift = mean.astype(x.dtype)
        rest = np.where(constant, 0.0, mean - shift)
        shift, scale, rest = (np.tile(numbers, features // width).astype(x.dtype) for numbers in (shift, scale, rest))
        return cls(shift, scale, rest if (np.abs(rest) * scale).max() > NEGLIGIBLE else None)

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """``x`` (m, features) standardised, a new array."""
        return self.apply(np.array(x, np.result_type(x, self.shift)))

    def apply(self, x: np.ndarray) -> np.ndarray:
        """Standardize ``x`` (m, features) in place, and return it."""
        x -= self.shift
        if self.rest is not None:
            x -= self.rest
        x *= self.scale
        return x

    def inverse(self, x: np.ndarray) -> np.ndarray:
        """Return what ``x`` (m, features) was before it was standardized, a new array."""
        out: np.ndarray = x / self.scale
        if self.rest is not None:
            out += self.rest
        out += self.shift
        return out

    def __repr__(self) -> str:
        return f"Scaler({self.shift.size} features, shift {_range(self.shift)}, scale {_range(self.scale)})"


def _range(values: np.ndarray) -> str:
    low, high = float(values.min()), float(values.max())
    return f"{low:.3g}" if low == high else f"{low:.3g} to {high:.3g}"
