"""Numbers that look at what is done to them: an operation that mixes them stops with its name.

Comparing results finds only what shows in them. Here a sum is found though a setting multiplies it by 0, or a maximum
that bounds nothing yet.
"""

from typing import Any

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin


class Mixed(Exception):
    """An operation whose result for one number depends on the others; the text is its name."""


class Traced(NDArrayOperatorsMixin):
    """An array of which each operation is done again on its parts: the results must be the same."""

    def __init__(self, numbers: np.ndarray) -> None:
        self.numbers = numbers

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
        options.pop("out", None)  # of g *= 2: the name gets a new value, as in compiled code
        name = f"np.{ufunc.__name__}" + ("" if method == "__call__" else f".{method}")
        return _in_parts(name, getattr(ufunc, method), inputs, options)

    def __array_function__(self, function: Any, types: Any, arguments: Any, options: Any) -> Any:
        return _in_parts(f"np.{function.__name__}", function, arguments, options)

    def __bool__(self) -> bool:
        raise ValueError("the truth value of an array is ambiguous")


def _in_parts(name: str, function: Any, arguments: Any, options: Any) -> Any:
    n = next(len(x.numbers) for x in _flat((arguments, options)) if isinstance(x, Traced))
    whole, *parts = (
        function(*_cut(arguments, columns), **_cut(options, columns))
        for columns in (slice(None), slice(n // 2), slice(n // 2, None))
    )
    if isinstance(whole, tuple):  # such as np.divmod
        return tuple(_same(name, n, *results) for results in zip(whole, *parts, strict=True))
    return _same(name, n, whole, *parts)


def _same(name: str, n: int, whole: Any, *parts: Any) -> Traced:
    if np.shape(whole) != (n,) or not np.allclose(whole, np.concatenate(parts), rtol=1e-5, atol=0.0, equal_nan=True):
        raise Mixed(name)
    return Traced(whole)


def _cut(value: Any, columns: slice) -> Any:
    if isinstance(value, Traced):
        return value.numbers[columns]
    if isinstance(value, dict):
        return {key: _cut(x, columns) for key, x in value.items()}
    return type(value)(_cut(x, columns) for x in value) if type(value) in (tuple, list) else value


def _flat(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return _flat(list(value.values()))
    return [x for part in value for x in _flat(part)] if isinstance(value, tuple | list) else [value]
