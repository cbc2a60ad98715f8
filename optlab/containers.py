"""Arrays from whatever holds numbers: NumPy, pandas, polars, PyTorch, lists and buffers, by one rule for all."""

from decimal import Decimal
from numbers import Real
from typing import Any

import numpy as np

from optlab.errors import DataError


def as_array(value: Any, what: str) -> np.ndarray:
    """Return what a container holds, aligned and in the machine's byte order; an array that is so is not copied.

    Compiled loops and BLAS read whole words; a record's field or a slice of bytes may start between two.

    A frame of numbers whose columns make an array of objects (booleans among floats, columns that allow for missing
    values) becomes one of numbers.

    Raises:
        DataError: it is no array, or entries of it are masked.
    """
    if type(value) is np.ndarray and value.dtype.isnative and value.flags.aligned and value.dtype.kind != "O":
        return value
    if np.ma.is_masked(value):
        raise DataError(f"{what} has masked entries; fill them or leave those rows out")
    try:
        array = np.asarray(value)
    except (ValueError, TypeError, RuntimeError, OverflowError) as error:  # ragged lists; tensors elsewhere
        raise DataError(f"{what} is no array: {error}") from None
    if array.dtype.kind == "O" and not isinstance(value, np.ndarray):
        array = _numbers(array)
    return np.require(array, array.dtype.newbyteorder("="), "A")


def typed(value: Any) -> bool:
    """Whether a container chose its precision; NumPy makes float64 of Python's numbers and of lists of them."""
    return hasattr(value, "dtype") or not isinstance(value, int | float | list | tuple)


def column_names(value: Any) -> list[str]:
    """Return the names of a frame's columns; of anything else an empty list."""
    names = getattr(value, "columns", None)
    return [] if names is None or np.ndim(value) != 2 else [str(name) for name in names]


def _numbers(array: np.ndarray) -> np.ndarray:
    """The objects as bool, int64 or float64 if all are numbers, else as they are."""
    entries = array.ravel().tolist()
    kinds = {type(entry) for entry in entries}
    if not kinds or not all(issubclass(kind, Real | Decimal) for kind in kinds):
        return array
    whole = all(issubclass(kind, int | np.integer) for kind in kinds)
    exact = np.bool_ if kinds == {bool} else np.int64 if whole else None
    for dtype in (exact, np.float64):
        try:
            if dtype is not None:
                return array.astype(dtype)
        except OverflowError:
            continue
    return array
