"""Choosing among points of the unit cube."""

import numpy as np

from optlab_kernels.jit import jit


@jit
def apart(points: np.ndarray, chosen: np.ndarray, first: int, least: float) -> int:
    """Fill ``chosen`` with rows of ``points (m, d)``: the ``first`` ones, then each that keeps away from all of those.

    Two points are as far apart as their largest difference in a column, and must be further than ``least``. Returns how
    many there are: fewer than there is room for when no point is left.
    """
    count = 0
    for i in range(points.shape[0]):
        if count == chosen.size:
            break
        away = np.inf
        for c in range(0 if i < first else count):
            far = 0.0
            for k in range(points.shape[1]):
                far = max(far, abs(points[i, k] - points[chosen[c], k]))
            away = min(away, far)
        if away > least:
            chosen[count] = i
            count += 1
    return count
