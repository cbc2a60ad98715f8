"""The memory's ceiling for an update: the same reads and writes with next to no arithmetic.

In-place updates read a line and write it back, so they move more bytes a second than the usual triad, whose target is
allocated in the cache first. The ceiling of Adam is therefore the pattern of four reads and three writes.
"""

from collections.abc import Callable

import numpy as np

from optlab_kernels.jit import jit


@jit
def stream_0(arena: np.ndarray, n: int) -> None:
    """Two reads, one write: SGD's pattern."""
    for i in range(np.uint64(n)):
        arena[0, i] = arena[0, i] + arena[1, i]


@jit
def stream_1(arena: np.ndarray, n: int) -> None:
    """Three reads, two writes."""
    for i in range(np.uint64(n)):
        g = arena[1, i]
        arena[0, i] = arena[0, i] + g
        arena[2, i] = arena[2, i] + g


@jit
def stream_2(arena: np.ndarray, n: int) -> None:
    """Four reads, three writes: Adam's pattern."""
    for i in range(np.uint64(n)):
        g = arena[1, i]
        arena[0, i] = arena[0, i] + g
        arena[2, i] = arena[2, i] + g
        arena[3, i] = arena[3, i] + g


@jit
def stream_3(arena: np.ndarray, n: int) -> None:
    """Five reads, four writes."""
    for i in range(np.uint64(n)):
        g = arena[1, i]
        arena[0, i] = arena[0, i] + g
        arena[2, i] = arena[2, i] + g
        arena[3, i] = arena[3, i] + g
        arena[4, i] = arena[4, i] + g


STREAMS = (stream_0, stream_1, stream_2, stream_3)


def ceiling(slots: int, n: int, dtype: np.dtype) -> Callable[[], None]:
    """Work that moves exactly the bytes of one step of a rule with ``slots`` slots over ``n`` parameters."""
    from optlab.optim.arena import aligned

    arena = aligned(2 + slots, n, dtype)
    arena[...] = 1.0  # a row that was never written is the system's one page of zeros, read from the nearest cache
    return lambda: STREAMS[slots](arena, n)


def bytes_moved(slots: int, n: int, itemsize: int) -> int:
    """Bytes read and written by one step."""
    return (2 + slots + 1 + slots) * n * itemsize
