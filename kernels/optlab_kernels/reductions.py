"""Sums whose order is left to the compiler: the only place with fast-math flags.

Strict IEEE addition is not associative, so a strict sum can't be vectorised (10x slower). Here single additions
carry the flags `reassoc` and `nsz`, no others: under `nnan` (part of `fastmath=True`) `isnan(nan)` is False. The
order is fixed when the code is compiled, so one machine repeats its sums bit for bit.
"""

from typing import Any

import numpy as np
from numba import types
from numba.extending import intrinsic, overload

from optlab_kernels.jit import jit

BLOCK = 4096  # float32 partial sums are added up in float64 this often
LANES = 64


@intrinsic
def _fadd(typing: Any, a: Any, b: Any) -> Any:
    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.fadd(args[0], args[1], flags=("reassoc", "nsz"))

    return a(a, a), codegen


def add(a: float, b: float) -> float:
    """``a + b``, which the compiler may reorder among other such additions."""
    return a + b


@overload(add)
def _add(a, b):
    if isinstance(a, types.Float) and a == b:
        return lambda a, b: _fadd(a, b)
    return None


@jit
def all_finite(arena: np.ndarray, row: int, low: int, high: int) -> bool:
    """Whether every number of ``arena[row, low:high]`` is finite: 0 x is NaN for NaN and both infinities."""
    zero = arena.dtype.type(0)
    total = zero
    for i in range(np.uint64(low), np.uint64(high)):
        total = add(total, zero * arena[row, i])
    return bool(total == zero)


@jit
def sum_of_squares(arena: np.ndarray, row: int, low: int, high: int) -> float:
    """Sum of ``arena[row, low:high]`` squared, in one order everywhere: clipping multiplies every gradient by it.

    LANES partial sums, element k of each run of LANES to the k-th, then blocks of them added up in float64. Left to the
    compiler, the order would differ between this function called from Python and inlined into another one.
    """
    lanes = np.empty(LANES, arena.dtype)
    total = 0.0
    for start in range(low, high, BLOCK):
        stop = min(start + BLOCK, high)
        for k in range(LANES):
            lanes[k] = 0
        whole = (stop - start) // LANES
        for i in range(np.uint64(whole)):
            at = np.uint64(start) + i * np.uint64(LANES)
            for k in range(np.uint64(LANES)):
                lanes[k] = lanes[k] + arena[row, at + k] * arena[row, at + k]
        for k in range(start + whole * LANES, stop):
            lanes[k - start - whole * LANES] += arena[row, k] * arena[row, k]
        for k in range(LANES):
            total += float(lanes[k])
    return total
