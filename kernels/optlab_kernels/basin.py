"""Descents from many starts at once, without records: 64 starts side by side in SIMD lanes.

One descent is a chain of dependent operations (root, division, gradient) that leaves most of the core idle; 64
independent chains in the inner loop fill it: 25 times as many steps a second as one start after the other.
"""

import functools
from collections.abc import Callable

import numpy as np

from optlab_kernels.jit import jit
from optlab_kernels.rule import HYPER, Rule, decays, regularise
from optlab_kernels.slots import gather, pack, scatter, unpack
from optlab_kernels.trajectory import Gradient, Value

LANES = 64  # float64 lanes of a block: eight AVX-512 registers per array; 32 and 128 are slower
X, Y, HIT, STATE = 0, 1, 2, 3  # rows of a block: the point, the first step on target, then the slots of x and of y

Basin = Callable[..., None]


@functools.cache
def basin(rule: Rule, value: Value, gradient: Gradient) -> Basin:
    """Compile ``run(points, hits, saved, control, carried, steps, target, first, end)``, ``rule`` from n starts.

    ``points`` (2, n) holds the starts and, afterwards, the points after ``steps`` steps; ``hits`` (n,) the first step
    t whose value is <= ``target``, or inf. A block of LANES starts is ``steps + 1`` units of work, its steps and then
    the writing down; a call does the units ``first`` to ``end`` of all blocks, and the next one goes on from there:
    ``saved`` (3 + 2 slots, LANES) and ``carried``, a copy of ``control``, keep what that needs.
    """
    update, advance, hyper = rule.update, rule.advance, rule.hyper
    slots = len(rule.slots)
    state_like, hyper_like, memory_like = (0.0,) * slots, tuple(map(float, rule.hyper())), rule.memory
    memory_at = HYPER + len(hyper_like)
    state_x, state_y, rows = STATE, STATE + slots, STATE + 2 * slots
    # what each slot starts from: an index into the control, or none and then 0
    fields = rule.hyper._fields
    starts = (*(HYPER + fields.index(rule.initial[s]) if s in rule.initial else -1 for s in rule.slots), -1)

    @jit
    def run(
        points: np.ndarray,
        hits: np.ndarray,
        saved: np.ndarray,
        control: np.ndarray,
        carried: np.ndarray,
        steps: int,
        target: float,
        first: int,
        end: int,
    ) -> None:
        h = hyper(*unpack(control, HYPER, hyper_like))
        decay = decays(control)
        block = np.empty((rows, LANES))  # whose shape the compiler knows: vectors without a check for overlaps
        block[:] = saved
        n = points.shape[1]
        unit = first
        while unit < end:
            start, begin = unit // (steps + 1) * LANES, unit % (steps + 1)
            if begin == 0:
                for j in range(LANES):
                    k = min(start + j, n - 1)  # spare lanes of the last block repeat its last start
                    block[X, j], block[Y, j], block[HIT, j] = points[0, k], points[1, k], np.inf
                    for s in range(slots):
                        value_at_start = control[starts[s]] if starts[s] >= 0 else 0.0
                        block[state_x + s, j] = value_at_start
                        block[state_y + s, j] = value_at_start
                pack(carried, memory_at, unpack(control, memory_at, memory_like))
            memory = unpack(carried, memory_at, memory_like)
            last = min(steps, begin + end - unit)
            for t in range(begin, last):
                c, memory = advance(t + 1, h, memory)
                now = float(t)
                for i in range(np.uint64(LANES)):  # unsigned: a signed index is checked for wrap-around, 10x slower
                    x, y = block[X, i], block[Y, i]
                    f = value(x, y)
                    gx, gy = gradient(x, y)
                    block[HIT, i] = min(block[HIT, i], now if f <= target else np.inf)
                    x, gx = regularise(x, gx, decay)
                    y, gy = regularise(y, gy, decay)
                    block[X, i], sx = update(x, gx, gather(block, state_x, i, state_like), c)
                    block[Y, i], sy = update(y, gy, gather(block, state_y, i, state_like), c)
                    scatter(block, state_x, i, sx)
                    scatter(block, state_y, i, sy)
            pack(carried, memory_at, memory)
            unit += last - begin
            if unit < end:
                for j in range(min(LANES, n - start)):
                    x, y = block[X, j], block[Y, j]
                    points[0, start + j], points[1, start + j] = x, y
                    arrived = float(steps) if value(x, y) <= target else np.inf
                    hits[start + j] = min(block[HIT, j], arrived)
                unit += 1
        saved[:] = block

    return run
