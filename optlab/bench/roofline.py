"""The memory's ceiling for an update: the same reads and writes with next to no arithmetic.

In-place updates read a line and write it back, so they move more bytes a second than the usual triad, whose target is
allocated in the cache first. The ceiling of Adam is therefore the pattern of four reads and three writes.
"""

import functools
from collections.abc import Callable

import numpy as np

from optlab.optim.arena import aligned
from optlab_kernels.jit import jit


@functools.cache
def stream(slots: int) -> Callable[[np.ndarray, int], None]:
    """Compile ``run(arena, n)``: 2 + slots reads and 1 + slots writes per column; Adam's pattern is ``slots = 2``."""

    @jit
    def run(arena: np.ndarray, n: int) -> None:
        for i in range(np.uint64(n)):
            g = arena[1, i]
            arena[0, i] = arena[0, i] + g
            if slots > 0:
                arena[2, i] = arena[2, i] + g
            if slots > 1:
                arena[3, i] = arena[3, i] + g
            if slots > 2:
                arena[4, i] = arena[4, i] + g

    return run


def ceiling(slots: int, n: int, dtype: np.dtype) -> Callable[[], None]:
    """Work that moves exactly the bytes of one step of a rule with up to three ``slots`` over ``n`` parameters."""
    arena = aligned(2 + slots, n, dtype)
    arena[...] = 1.0  # a row that was never written is the system's one page of zeros, read from the nearest cache
    run = stream(slots)
    return lambda: run(arena, n)


def bytes_moved(slots: int, n: int, itemsize: int) -> int:
    """Bytes read and written by one step."""
    return (2 + slots + 1 + slots) * n * itemsize
