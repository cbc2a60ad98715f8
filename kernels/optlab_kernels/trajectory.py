"""A recorded descent on a 2-D surface, many steps in one compiled call."""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from optlab_kernels.jit import jit
from optlab_kernels.rule import HYPER, Rule, decays, regularise
from optlab_kernels.slots import gather, pack, scatter, unpack

# Columns of a record: the point, its value, the gradient that the step from it used, then the slots of x and of y.
X, Y, VALUE, GX, GY, STATE = 0, 1, 2, 3, 4, 5

Value = Callable[[Any, Any], Any]
Gradient = Callable[[Any, Any], tuple[Any, Any]]
Trajectory = Callable[..., int]


@functools.cache
def trajectory(rule: Rule, value: Value, gradient: Gradient, plain: bool = False) -> Trajectory:
    """Compile ``run(record, control, box, first=0, end=-1) -> rows``: the rows ``first`` to ``end`` of a descent.

    ``record`` is float64 (steps + 1, 5 + 2 slots), one row a step (written in order, so that a long record streams to
    memory); on entry row ``first`` holds the point and the slots before its step, and the gradient columns hold noise,
    to which the gradient is added. On return row ``end``, if there is one, holds the same and ``control`` the rule's
    memory, so that the next call goes on from there. ``box`` is (x low, x high, y low, y high): a run that leaves it,
    or whose value is not finite, ends there; the number of rows that were written is returned.

    A ``plain`` run knows neither noise nor weight decay (the gradient columns may hold anything on entry): each is one
    more operation in the chain from one point to the next, 27 in place of 29 ns per Adam step on Beale.
    """
    update, advance, hyper = rule.update, rule.advance, rule.hyper
    slots = len(rule.slots)
    state_like, hyper_like, memory_like = (0.0,) * slots, tuple(map(float, rule.hyper())), rule.memory
    memory_at = HYPER + len(hyper_like)
    state_x, state_y = STATE, STATE + slots

    @jit
    def run(record: np.ndarray, control: np.ndarray, box: np.ndarray, first: int = 0, end: int = -1) -> int:
        columns = record.T
        end = end if end >= 0 else len(record)
        h = hyper(*unpack(control, HYPER, hyper_like))
        memory = unpack(control, memory_at, memory_like)
        decay = decays(control)
        x_low, x_high, y_low, y_high = box[0], box[1], box[2], box[3]  # stores to the record might alias the array
        x, y = record[first, X], record[first, Y]
        sx, sy = gather(columns, state_x, first, state_like), gather(columns, state_y, first, state_like)
        for t in range(first, end):
            f = value(x, y)
            gx, gy = gradient(x, y)
            if not plain:
                gx, gy = gx + record[t, GX], gy + record[t, GY]
            record[t, X], record[t, Y], record[t, VALUE], record[t, GX], record[t, GY] = x, y, f, gx, gy
            scatter(columns, state_x, t, sx)
            scatter(columns, state_y, t, sy)
            if not (x_low <= x <= x_high and y_low <= y <= y_high and abs(f) < np.inf):
                return t + 1
            c, memory = advance(t + 1, h, memory)
            if not plain:
                x, gx = regularise(x, gx, decay)
                y, gy = regularise(y, gy, decay)
            x, sx = update(x, gx, sx, c)
            y, sy = update(y, gy, sy, c)
        if end < len(record):
            record[end, X], record[end, Y] = x, y
            scatter(columns, state_x, end, sx)
            scatter(columns, state_y, end, sy)
        pack(control, memory_at, memory)
        return end

    return run
