"""Reductions: y, and beside it the gradient g = ∂L/∂y spread back over the elements that made y.

``axis`` is None (all), an axis or several; ``keepdims`` leaves axes of length 1 in their places.
"""

import math
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple

from optlab.autograd.tensor import Axis, Tensor, as_tensor, record
from optlab.checks import boolean, whole
from optlab.errors import ConfigError


def sum(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """y = Σ xᵢ;  g for each i."""
    x = as_tensor(x)
    shape, kept = x._data.shape, _kept("sum", x, axis)
    y = x._data.sum(axis, keepdims=keepdims)
    return record("sum", y, ((x, lambda g: _spread(g.reshape(kept), shape)),))


def mean(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """y = Σ xᵢ / n;  g / n for each i."""
    x = as_tensor(x)
    shape, kept = x._data.shape, _kept("mean", x, axis, empty=False)
    n = x._data.size // math.prod(kept)
    y = x._data.sum(axis, keepdims=keepdims) / n
    return record("mean", y, ((x, lambda g: _spread((g / n).reshape(kept), shape)),))


def max(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The largest xᵢ;  g shared equally among those that are as large (torch's ``amax`` and ``max()``)."""
    x = as_tensor(x)
    u, kept = x._data, _kept("max", x, axis, empty=False)
    y = np.asarray(x._data.max(axis, keepdims=keepdims))
    return record("max", y, ((x, lambda g: _shared(g.reshape(kept), u, y.reshape(kept), axis)),), (x,), output=True)


def min(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The smallest xᵢ;  g shared equally among those that are as small (torch's ``amin`` and ``min()``)."""
    x = as_tensor(x)
    u, kept = x._data, _kept("min", x, axis, empty=False)
    y = np.asarray(x._data.min(axis, keepdims=keepdims))
    return record("min", y, ((x, lambda g: _shared(g.reshape(kept), u, y.reshape(kept), axis)),), (x,), output=True)


def _spread(g: Any, shape: tuple[int, ...]) -> np.ndarray:
    spread: np.ndarray = np.empty(shape, g.dtype)  # np.broadcast_to takes 3 us, this 0.5 where arrays are small
    spread[...] = g
    return spread


def _shared(g: Any, x: np.ndarray, y: np.ndarray, axis: Axis) -> Any:
    ties = (x == y) | (x != x)  # a maximum that is NaN is so because of the elements that are
    return ties * (g / ties.sum(axis, dtype=x.dtype, keepdims=True))


def _kept(op: str, x: Tensor, axis: Axis, *, empty: bool = True) -> tuple[int, ...]:
    """The shape of the result with its reduced axes kept as 1."""
    shape = x._data.shape
    if not empty and x._data.size == 0:
        raise ConfigError(f"{op} of no numbers: shape {shape}")
    if axis is None:
        return (1,) * len(shape)
    try:
        if any(boolean(one) is not None for one in (axis if isinstance(axis, tuple) else (axis,))):
            raise ValueError
        reduced = normalize_axis_tuple(axis, len(shape))
    except ValueError:
        raise ConfigError(f"{op}: axis {axis} does not fit the shape {shape}") from None
    return tuple([1 if i in reduced else n for i, n in enumerate(shape)])


def one_axis(op: str, x: Tensor, axis: int) -> int:
    """The axis if the tensor has it and it is not empty.

    Raises:
        ConfigError: it doesn't, or it is.
    """
    n = x._data.ndim
    place = whole(axis)
    if place is None:
        raise ConfigError(f"{op}: axis is one whole number, got {axis!r}")
    if not (-n <= place < n and x._data.size):
        _kept(op, x, place, empty=False)
    return place
