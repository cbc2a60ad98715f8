"""Minimise within a box from many starts at once: each evaluation serves them all.

Quasi-Newton (BFGS) with the variables held at a bound that the gradient points out of, and backtracking. The starts do
not wait for each other: in every round each one either tries a new direction or a shorter step, so that a round is one
call of the function whatever happens.
"""

from collections.abc import Callable

import numpy as np

from optlab_kernels import bfgs as loops

Array = np.ndarray
Function = Callable[[Array], tuple[Array, Array]]  # (k, p) -> (k,), (k, p)


def minimize(
    function: Function,
    start: Array,
    low: Array,
    high: Array,
    rounds: int,
    first: float,
    longest: float,
    flat: float = 1e-6,
    gain: float = 1e-7,
) -> tuple[Array, Array]:
    """The points reached from ``start (m, p)`` and their values.

    Args:
        function: of ``(k, p)`` points, the values and the gradients; inf is a value that is never accepted.
        start: moved into the box first.
        low: ``(p,)`` or ``(m, p)``.
        high: the same.
        rounds: calls of the function after the first, at most.
        first: the largest change of a variable in a step without curvature.
        longest: the same with it.
        flat: a start rests when no free derivative is larger,
        gain: or when a step gains less.
    """
    box = np.array(np.broadcast_to(low, start.shape)), np.array(np.broadcast_to(high, start.shape))
    x = np.clip(start, *box)
    m, p = x.shape
    f, g = map(np.ascontiguousarray, function(x))
    inverse, direction, step = np.tile(np.eye(p), (m, 1, 1)), np.zeros((m, p)), np.ones(m)
    state = np.zeros((m, 3), bool)
    state[:, loops.LIVE], state[:, loops.FRESH] = np.isfinite(f), True
    new, rows, limits = np.empty((m, p)), np.empty(m, np.int64), (first, longest, flat)
    for _ in range(rounds):
        count = loops.advance(x, g, box, inverse, direction, step, state, limits, new, rows)
        if count == 0:
            break
        at = new[:count]
        values, slopes = function(at)
        found = rows[:count], at, values, np.ascontiguousarray(slopes)
        loops.accept(x, f, g, inverse, direction, step, state, found, gain)
    return x, f
