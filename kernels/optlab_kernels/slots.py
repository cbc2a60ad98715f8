"""Tuples of slots in and out of arrays, for any number of slots, without a branch or a copy in the loop.

A rule's state is a tuple with one entry per slot. Each function here is written twice: for Python, and as a
Numba overload that recurses on the tuple's length while compiling, so that the compiled loop holds plain loads
and stores (a loop over rows would hide them from the vectoriser). Overloads carry no annotations: Numba compares
the two signatures, annotations included.
"""

from typing import Any

import numpy as np
from numba.extending import overload

Slots = tuple[Any, ...]


def gather(arena: np.ndarray, row: int, i: int, like: Slots) -> Slots:
    """Column ``i`` of as many rows of ``arena`` (rows, n), from ``row`` on, as ``like`` has entries."""
    return tuple(arena[row + j, i] for j in range(len(like)))


@overload(gather)
def _gather(arena, row, i, like):
    if len(like) == 0:
        return lambda arena, row, i, like: ()
    return lambda arena, row, i, like: (arena[row, i], *gather(arena, row + 1, i, like[1:]))


def scatter(arena: np.ndarray, row: int, i: int, slots: Slots) -> None:
    """Write ``slots`` into column ``i`` of the rows of ``arena`` from ``row`` on."""
    for j, value in enumerate(slots):
        arena[row + j, i] = value


@overload(scatter)
def _scatter(arena, row, i, slots):
    if len(slots) == 0:
        return lambda arena, row, i, slots: None

    def impl(arena, row, i, slots):
        arena[row, i] = slots[0]
        scatter(arena, row + 1, i, slots[1:])

    return impl


def cast(values: Slots, arena: np.ndarray) -> Slots:
    """``values`` in the dtype of ``arena``: float64 coefficients in float32 code would compute in float64."""
    return tuple(arena.dtype.type(value) for value in values)


@overload(cast)
def _cast(values, arena):
    if len(values) == 0:
        return lambda values, arena: ()
    dtype = arena.dtype
    return lambda values, arena: (dtype(values[0]), *cast(values[1:], arena))


def pack(vector: np.ndarray, start: int, values: Slots) -> None:
    """Write ``values`` into ``vector`` from ``start`` on."""
    vector[start : start + len(values)] = values


@overload(pack)
def _pack(vector, start, values):
    if len(values) == 0:
        return lambda vector, start, values: None

    def impl(vector, start, values):
        vector[start] = values[0]
        pack(vector, start + 1, values[1:])

    return impl


def unpack(vector: np.ndarray, start: int, like: Slots) -> Slots:
    """As many entries of ``vector``, from ``start`` on, as ``like`` has."""
    return tuple(vector[start + j] for j in range(len(like)))


@overload(unpack)
def _unpack(vector, start, like):
    if len(like) == 0:
        return lambda vector, start, like: ()
    return lambda vector, start, like: (vector[start], *unpack(vector, start + 1, like[1:]))
