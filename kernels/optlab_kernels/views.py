"""Views of a flat array without reference counting: a plan's operation names a dozen of them per step.

A slice and a reshape in compiled code each raise and lower the count of the memory's owner, atomically: at the smallest
networks that was a fifth of a training step. The views made here own nothing and must not outlive ``flat``, which the
caller holds. As in slots.py the overloads carry no annotations.
"""

from typing import Any

import numpy as np
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, overload


def vector(flat: np.ndarray, at: int, size: int) -> np.ndarray:
    """``flat[at : at + size]``."""
    return flat[at : at + size]


def matrix(flat: np.ndarray, at: int, rows: int, columns: int) -> np.ndarray:
    """``flat[at : at + rows * columns]`` as (rows, columns)."""
    return flat[at : at + rows * columns].reshape(rows, columns)


def _view(context: Any, builder: Any, kind: Any, result: Any, flat: Any, at: Any, shape: list[Any]) -> Any:
    source = context.make_array(kind)(context, builder, flat)
    size = context.get_constant(types.intp, context.get_abi_sizeof(context.get_data_type(kind.dtype)))
    strides = [size]
    for length in reversed(shape[1:]):
        strides.insert(0, builder.mul(strides[0], length))
    view = context.make_array(result)(context, builder)
    context.populate_array(
        view,
        data=builder.gep(source.data, [at]),
        shape=cgutils.pack_array(builder, shape),
        strides=cgutils.pack_array(builder, strides),
        itemsize=size,
        meminfo=None,
        parent=None,
    )
    return view._getvalue()


@intrinsic
def _vector(typing: Any, flat: Any, at: Any, size: Any) -> Any:
    result = types.Array(flat.dtype, 1, "C")

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return _view(context, builder, signature.args[0], signature.return_type, args[0], args[1], [args[2]])

    return result(flat, types.intp, types.intp), codegen


@intrinsic
def _matrix(typing: Any, flat: Any, at: Any, rows: Any, columns: Any) -> Any:
    result = types.Array(flat.dtype, 2, "C")

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return _view(context, builder, signature.args[0], signature.return_type, args[0], args[1], [args[2], args[3]])

    return result(flat, types.intp, types.intp, types.intp), codegen


@overload(vector)
def _vector_of(flat, at, size):
    return lambda flat, at, size: _vector(flat, at, size)


@overload(matrix)
def _matrix_of(flat, at, rows, columns):
    return lambda flat, at, rows, columns: _matrix(flat, at, rows, columns)
