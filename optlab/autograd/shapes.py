"""Operations that move numbers: y, and beside it the way back for g = ∂L/∂y."""

from collections.abc import Sequence
from types import EllipsisType
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index

from optlab.autograd.tensor import Tensor, as_tensor, operands, record
from optlab.checks import is_whole
from optlab.errors import ConfigError

BASIC = frozenset((int, np.int64, np.int32, slice, type(None), EllipsisType))  # these indices give views


def reshape(x: Any, *shape: Any) -> Tensor:
    """The same numbers in another shape, -1 for the length that follows from the others;  g in the old shape."""
    x = as_tensor(x)
    old, new = x._data.shape, shape[0] if len(shape) == 1 else shape
    try:
        y = x._data.reshape(new)
    except ValueError:
        raise ConfigError(f"reshape: {x._data.size} numbers of shape {old} do not fit the shape {new}") from None
    return record("reshape", y, ((x, lambda g: g.reshape(old)),), view=x)


def transpose(x: Any, *axes: Any) -> Tensor:
    """The axes in the order given, in reverse if none is;  g in the old order."""
    x = as_tensor(x)
    order = axes[0] if len(axes) == 1 and not is_whole(axes[0]) else axes
    if not order:
        return record("transpose", x._data.T, ((x, lambda g: g.T),), view=x)
    try:
        y = x._data.transpose(order)
    except ValueError:
        raise ConfigError(f"transpose: axes {tuple(order)} do not fit the shape {x._data.shape}") from None
    back = np.argsort([axis % y.ndim for axis in order])
    return record("transpose", y, ((x, lambda g: g.transpose(back)),), view=x)


def getitem(x: Any, key: Any) -> Tensor:
    """x[key];  g added into zeros at key, several times where an index repeats."""
    x = as_tensor(x)
    u = x._data
    parts = key if isinstance(key, tuple) else (key,)
    basic = all(type(k) in BASIC for k in parts)
    if not basic:
        key = tuple([k if type(k) in BASIC else _index(k) for k in parts])
    try:
        y = u[key]
    except IndexError as error:
        raise ConfigError(f"indexing a tensor of shape {u.shape}: {error}") from None

    def scatter(g: Any) -> np.ndarray:
        back: np.ndarray = np.zeros_like(u)
        if basic:
            back[key] = g
        else:
            np.add.at(back, key, g)
        return back

    return record("getitem", y, ((x, scatter),), view=x if basic else None)


def _index(k: Any) -> np.ndarray:
    """A copy: the caller may use the same array for the next batch before backward."""
    array: np.ndarray = np.array(k._data if isinstance(k, Tensor) else k)
    if array.size == 0 and not hasattr(k, "dtype"):
        array = array.astype(np.intp)  # an empty list
    elif array.dtype.kind not in "iub":
        raise ConfigError(
            f"a tensor is indexed by integers, slices, None, ... or arrays of int or bool; got {array.dtype}"
        )
    return array


def concatenate(tensors: Sequence[Any], axis: int = 0) -> Tensor:
    """Several tensors end to end along an axis;  to each its own piece of g."""
    return _joined("concatenate", tensors, axis)


def stack(tensors: Sequence[Any], axis: int = 0) -> Tensor:
    """Tensors of one shape along a new axis;  to each its own slice of g."""
    return _joined("stack", tensors, axis)


def _joined(op: str, tensors: Sequence[Any], axis: int) -> Tensor:
    if not len(tensors):
        raise ConfigError(f"{op} needs at least one tensor, got none")
    parts = operands(op, *tensors)
    arrays = [t._data for t in parts]
    try:
        y = np.concatenate(arrays, axis) if op == "concatenate" else np.stack(arrays, axis)
    except ValueError:
        shapes = ", ".join(str(a.shape) for a in arrays)
        raise ConfigError(f"{op}: shapes {shapes} do not fit along axis {axis}") from None
    before = (slice(None),) * normalize_axis_index(axis, y.ndim)
    lengths = [a.shape[axis] for a in arrays] if op == "concatenate" else [1] * len(arrays)
    ends = np.cumsum(lengths)

    def piece(low: int, high: int) -> Any:
        at = (*before, low if op == "stack" else slice(low, high))
        return lambda g: g[at]

    return record(op, y, [(t, piece(end - n, end)) for t, n, end in zip(parts, lengths, ends, strict=True)])
