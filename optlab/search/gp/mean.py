"""What the process varies around: nothing, an unknown constant, a plane, and a guess of the user's.

The mean is H beta with as many columns as it has unknowns; beta is estimated with the covariance (generalised least
squares, Rasmussen & Williams 2006, equation 2.41 with a vague prior). A guess enters as one more column: how far to
believe it is estimated too, and its units don't matter.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

Array = np.ndarray
STEP = 1e-6  # of the central differences of a guess


@dataclass(frozen=True)
class Mean:
    """Columns of H; ``guess`` takes points ``(d, n)`` to ``(n,)``."""

    kind: Literal["zero", "constant", "linear"] = "constant"
    guess: Callable[[Array], Array] | None = None

    def basis(self, points: Array) -> Array:
        """``(b, n)`` at ``points (d, n)``."""
        n = points.shape[1]
        rows = [] if self.kind == "zero" else [np.ones((1, n))]
        if self.kind == "linear":
            rows.append(points)
        if self.guess is not None:
            rows.append(self.guess(points)[None])
        return np.vstack(rows) if rows else np.zeros((0, n))

    def slope(self, points: Array, beta: Array) -> Array:
        """``(n, d)``: derivatives of H beta by the points."""
        d, n = points.shape
        out = np.zeros((n, d))
        if self.kind == "linear":
            out += beta[1 : 1 + d]
        if self.guess is not None:
            for k in range(d):
                low, high = points.copy(), points.copy()
                low[k], high[k] = np.maximum(points[k] - STEP, 0.0), np.minimum(points[k] + STEP, 1.0)
                out[:, k] += beta[-1] * (self.guess(high) - self.guess(low)) / (high[k] - low[k])
        return out
