"""The bookkeeping of several quasi-Newton searches in one box, between two evaluations of their common function.

Every search is a row: its point, value and gradient, its inverse Hessian, its direction and step. `advance` writes down
where each one wants to look next, `accept` takes what was found there.

Sources: Nocedal & Wright 2006, algorithm 3.1 (backtracking), equations 6.17 and 6.20 (BFGS), section 16.7 (bounds).
"""

import numpy as np

from optlab_kernels.jit import jit

LIVE, FRESH, SEARCHING = 0, 1, 2  # columns of `state`: still going; without curvature yet; within a line search
DECREASE = 1e-4  # Armijo's constant
SHORTER = 0.35
SHORTEST = 1e-9  # step, below which a direction is given up
CURVED = 1e-14
SETTLED = 1e-2  # change of every variable, below which a small gain ends a search


@jit
def reset(inverse: np.ndarray, b: int, scale: float) -> None:
    """``inverse[b] = scale I``."""
    p = inverse.shape[1]
    for i in range(p):
        for j in range(p):
            inverse[b, i, j] = scale if i == j else 0.0


@jit
def direct(
    x: np.ndarray, g: np.ndarray, low: np.ndarray, high: np.ndarray, inverse: np.ndarray, direction: np.ndarray, b: int
) -> tuple[float, bool]:
    """The direction of search ``b``; its largest entry, and whether it is plain descent, the other being uphill."""
    p = x.shape[1]
    slope, square = 0.0, 0.0
    for i in range(p):
        direction[b, i] = 0.0
        if pinned(x[b, i], g[b, i], low[b, i], high[b, i]):
            continue
        for j in range(p):
            if not pinned(x[b, j], g[b, j], low[b, j], high[b, j]):
                direction[b, i] -= inverse[b, i, j] * g[b, j]
        slope += direction[b, i] * g[b, i]
        square += g[b, i] * g[b, i]
    plain = not slope < -1e-10 * square  # a NaN counts as uphill
    largest = 0.0
    for i in range(p):
        if plain:
            direction[b, i] = 0.0 if pinned(x[b, i], g[b, i], low[b, i], high[b, i]) else -g[b, i]
        largest = max(largest, abs(direction[b, i]))
    return largest, plain


@jit
def pinned(x: float, g: float, low: float, high: float) -> bool:
    """Whether descent would leave the box."""
    return (x <= low and g > 0.0) or (x >= high and g < 0.0)


@jit
def advance(
    x: np.ndarray,
    g: np.ndarray,
    box: tuple[np.ndarray, np.ndarray],
    inverse: np.ndarray,
    direction: np.ndarray,
    step: np.ndarray,
    state: np.ndarray,
    limits: tuple[float, float, float],
    new: np.ndarray,
    rows: np.ndarray,
) -> int:
    """Write the next points of the live searches to ``new`` and their numbers to ``rows``; how many there are.

    ``limits``: the largest change of a variable without and with curvature, and the gradient at which a search rests.
    """
    low, high = box
    first, longest, flat = limits
    count = 0
    for b in range(x.shape[0]):
        if not state[b, LIVE]:
            continue
        steepest = 0.0
        for k in range(x.shape[1]):
            if not pinned(x[b, k], g[b, k], low[b, k], high[b, k]):
                steepest = max(steepest, abs(g[b, k]))
        if not steepest > flat:
            state[b, LIVE] = False
            continue
        if not state[b, SEARCHING]:
            largest, plain = direct(x, g, low, high, inverse, direction, b)
            if plain:
                reset(inverse, b, 1.0)
                state[b, FRESH] = True
            reach = first if state[b, FRESH] else longest
            step[b] = min(1.0, reach / largest)
            state[b, SEARCHING] = True
        for k in range(x.shape[1]):
            new[count, k] = min(max(x[b, k] + step[b] * direction[b, k], low[b, k]), high[b, k])
        rows[count] = b
        count += 1
    return count


@jit
def accept(
    x: np.ndarray,
    f: np.ndarray,
    g: np.ndarray,
    inverse: np.ndarray,
    direction: np.ndarray,
    step: np.ndarray,
    state: np.ndarray,
    found: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray],
    gain: float,
) -> None:
    """Move the searches that found less, shorten the others' steps; ``found``: rows, points, values, gradients."""
    rows, new, f_new, g_new = found
    p = x.shape[1]
    s, y, hy = np.empty(p), np.empty(p), np.empty(p)
    for r in range(rows.size):
        b = rows[r]
        downhill, moved, longest = 0.0, 0.0, 0.0
        for k in range(p):
            s[k] = new[r, k] - x[b, k]
            y[k] = g_new[r, k] - g[b, k]
            downhill += s[k] * g[b, k]
            moved = max(moved, abs(s[k]))
            longest = max(longest, abs(direction[b, k]))
        if not f_new[r] <= f[b] + DECREASE * downhill:
            step[b] *= SHORTER
            if step[b] * longest < SHORTEST:
                state[b, LIVE] = not state[b, FRESH]
                reset(inverse, b, 1.0)
                state[b, FRESH], state[b, SEARCHING] = True, False
            continue
        if f[b] - f_new[r] < gain and moved < SETTLED:
            state[b, LIVE] = False
        f[b], state[b, SEARCHING] = f_new[r], False
        sy, yy = 0.0, 0.0
        for k in range(p):
            x[b, k], g[b, k] = new[r, k], g_new[r, k]
            sy += s[k] * y[k]
            yy += y[k] * y[k]
        if sy > CURVED:
            if state[b, FRESH]:
                reset(inverse, b, sy / yy)
                state[b, FRESH] = False
            update(inverse, b, s, y, hy, sy)


@jit
def update(inverse: np.ndarray, b: int, s: np.ndarray, y: np.ndarray, hy: np.ndarray, sy: float) -> None:
    """H <- (I - s y^T / sy) H (I - y s^T / sy) + s s^T / sy; ``hy`` is room for H y."""
    yhy = 0.0
    for i in range(s.size):
        hy[i] = 0.0
        for j in range(s.size):
            hy[i] += inverse[b, i, j] * y[j]
        yhy += y[i] * hy[i]
    both = (1.0 + yhy / sy) / sy
    for i in range(s.size):
        for j in range(s.size):
            inverse[b, i, j] += both * s[i] * s[j] - (hy[i] * s[j] + s[i] * hy[j]) / sy
