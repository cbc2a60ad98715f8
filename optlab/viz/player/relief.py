"""The height map that the player draws: where each cell stands among all others."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

HOLE = 65535  # the height of a cell where the surface is not finite
TOP = 65534
# Contour lines at these fractions of the height; denser at the bottom, where the minima are.
LEVELS = (0.004, 0.015, 0.04, 0.09, 0.17, 0.27, 0.38, 0.5, 0.62, 0.74, 0.85, 0.95)
# A plateau is a fifth of the window within this fraction of (median - minimum); ranked, its noise would be relief.
FLAT = 1e-3
PLATEAU = 0.2


def relief(grid: Array) -> tuple[Array, list[list[float]]]:
    """Heights (rows, columns) of uint16, and the contour levels as [height in 0..1, value].

    A cell's height is its value's rank, so equal steps of colour cover equal areas: a flat valley and a steep wall
    are both readable, which no fixed scale does. Two bytes a cell are exact enough, because heights are only drawn.
    """
    heights = np.full(grid.shape, HOLE, dtype=np.uint16)
    solid = np.isfinite(grid)
    if not solid.any():
        return heights, []
    rank, sorted_values, inverse = _ranks(_flattened(grid[solid]))
    heights[solid] = np.round(TOP * rank[inverse])
    if len(rank) == 1:
        return heights, []
    # Of the levels that fall on one cliff the first is enough: they would be drawn on top of each other.
    steps = np.searchsorted(rank, LEVELS)
    kept = [share for i, share in enumerate(LEVELS) if i == 0 or steps[i] != steps[i - 1]]
    levels = np.interp(kept, rank, sorted_values)
    levels[np.abs(levels) < 1e-12 * np.abs(sorted_values).max()] = 0.0  # 0 on paper, 1e-18 after rounding
    return heights, [[share, float(level)] for share, level in zip(kept, levels, strict=True)]


def _flattened(values: Array) -> Array:
    """``values`` with each plateau at its median."""
    with np.errstate(over="ignore", invalid="ignore"):
        above = values - values.min()
        grain = FLAT * (float(np.median(above)) or float(above.max()))
        # A grain of 0 is a constant surface; an infinite one means values near the largest float.
        if not 0 < grain < math.inf:
            return values
        terrace, counts = np.unique(np.round(above / grain), return_inverse=True, return_counts=True)[1:]
    flat = values.copy()
    for index in np.flatnonzero(counts > PLATEAU * values.size):
        flat[terrace == index] = np.median(values[terrace == index])
    return flat


def _ranks(values: Array) -> tuple[Array, Array, Array]:
    """Ranks in 0..1 of the distinct values, these values in order, and which of them each value is."""
    distinct, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    if len(distinct) == 1:
        return np.array([0.5]), distinct, inverse
    middle = np.cumsum(counts) - counts / 2
    return (middle - middle[0]) / (middle[-1] - middle[0]), distinct, inverse
