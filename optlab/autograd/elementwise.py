"""Operations on each element: y, and beside it for each operand x the product g ∂y/∂x, g being ∂L/∂y.

Operands broadcast; the gradient of a stretched one is summed back in `graph.flow`.
"""

from typing import Any

import numpy as np

from optlab.autograd.tensor import Tensor, as_tensor, mismatch, operands, pair, record
from optlab.checks import real
from optlab.errors import ConfigError


def add(a: Any, b: Any) -> Tensor:
    """a + b;  g, g."""
    a, b = pair("add", a, b)
    try:
        y = a._data + b._data
    except ValueError:
        mismatch("add", a, b)
    return record("add", y, ((a, lambda g: g), (b, lambda g: g)))


def sub(a: Any, b: Any) -> Tensor:
    """a - b;  g, -g."""
    a, b = pair("sub", a, b)
    try:
        y = a._data - b._data
    except ValueError:
        mismatch("sub", a, b)
    return record("sub", y, ((a, lambda g: g), (b, lambda g: -g)))


def mul(a: Any, b: Any) -> Tensor:
    """a b;  g b, g a."""
    a, b = pair("mul", a, b)
    u, v = a._data, b._data
    try:
        y = u * v
    except ValueError:
        mismatch("mul", a, b)
    return record("mul", y, ((a, lambda g: g * v), (b, lambda g: g * u)), (a, b))


def div(a: Any, b: Any) -> Tensor:
    """a / b;  g / b, -g a / b²."""
    a, b = pair("div", a, b)
    u, v = a._data, b._data
    try:
        y = u / v
    except ValueError:
        mismatch("div", a, b)
    return record("div", y, ((a, lambda g: g / v), (b, lambda g: -g * (u / v) / v)), (a, b))


def pow(a: Any, b: Any) -> Tensor:
    """aᵇ;  g b aᵇ⁻¹ (0 where b = 0), g aᵇ log a (0 where a = 0 and b >= 0)."""
    a, b = pair("pow", a, b)
    u, v = a._data, b._data
    try:
        y = u**v
    except ValueError:
        mismatch("pow", a, b)

    def exponent(g: Any) -> Any:
        flat = (u == 0) & (v >= 0)
        return g * np.where(flat, 0, y * np.log(np.where(flat, 1, u)))

    return record(
        "pow", y, ((a, lambda g: g * v * u ** (np.where(v == 0, 1, v) - 1)), (b, exponent)), (a, b), output=True
    )


def neg(x: Any) -> Tensor:
    """-x;  -g."""
    x = as_tensor(x)
    return record("neg", -x._data, ((x, lambda g: -g),))


def exp(x: Any) -> Tensor:
    """y = eˣ;  g y."""
    x = as_tensor(x)
    y = np.exp(x._data)
    return record("exp", y, ((x, lambda g: g * y),), output=True)


def log(x: Any) -> Tensor:
    """log x;  g / x."""
    x = as_tensor(x)
    u = x._data
    return record("log", np.log(u), ((x, lambda g: g / u),), (x,))


def sqrt(x: Any) -> Tensor:
    """y = √x;  g / 2y."""
    x = as_tensor(x)
    y = np.sqrt(x._data)
    return record("sqrt", y, ((x, lambda g: g / (2 * y)),), output=True)


def abs(x: Any) -> Tensor:
    """|x|;  g sign x, which is 0 at 0."""
    x = as_tensor(x)
    u = x._data
    return record("abs", np.abs(u), ((x, lambda g: g * np.sign(u)),), (x,))


def maximum(a: Any, b: Any) -> Tensor:
    """The larger of a and b;  g to the larger, g / 2 to each where they are equal."""
    a, b = pair("maximum", a, b)
    u, v = a._data, b._data
    try:
        y = np.maximum(u, v)
    except ValueError:
        mismatch("maximum", a, b)
    return record("maximum", y, ((a, lambda g: _share(g, u, v)), (b, lambda g: _share(g, v, u))), (a, b))


def minimum(a: Any, b: Any) -> Tensor:
    """The smaller of a and b;  g to the smaller, g / 2 to each where they are equal."""
    a, b = pair("minimum", a, b)
    u, v = a._data, b._data
    try:
        y = np.minimum(u, v)
    except ValueError:
        mismatch("minimum", a, b)
    return record("minimum", y, ((a, lambda g: _share(g, v, u)), (b, lambda g: _share(g, u, v))), (a, b))


def _share(g: Any, winner: np.ndarray, loser: np.ndarray) -> Any:
    return np.where(winner == loser, g / 2, np.where(winner > loser, g, 0))


def where(condition: Any, a: Any, b: Any) -> Tensor:
    """a where the condition holds, else b;  g to the one taken, 0 to the other."""
    a, b = operands("where", a, b)
    chosen = np.array(condition._data if isinstance(condition, Tensor) else condition, dtype=bool)
    try:
        y = np.where(chosen, a._data, b._data)
    except ValueError:
        raise ConfigError(f"where: shapes {chosen.shape}, {a.shape} and {b.shape} do not fit") from None
    return record("where", y, ((a, lambda g: np.where(chosen, g, 0)), (b, lambda g: np.where(chosen, 0, g))))


def clip(x: Any, low: float | None = None, high: float | None = None) -> Tensor:
    """x, but at least ``low`` and at most ``high``;  g inside and on the ends, 0 outside.

    Raises:
        ConfigError: both are None, or low is above high.
    """
    x = as_tensor(x)
    bottom, top = -np.inf if low is None else real(low), np.inf if high is None else real(high)
    if bottom is None or top is None or not bottom <= top or (low is None and high is None):
        raise ConfigError(f"clip needs low <= high, one of them at least; got low={low}, high={high}")
    u = x._data
    return record("clip", u.clip(bottom, top), ((x, lambda g: np.where((u >= bottom) & (u <= top), g, 0)),), (x,))


def astype(x: Any, dtype: Any) -> Tensor:
    """The same numbers as float32 or float64;  g in the old dtype."""
    source = as_tensor(x)
    old, new = source._data.dtype, np.dtype(dtype)
    if new == old:
        return source
    if new.kind != "f" or new.itemsize not in (4, 8):
        raise ConfigError(f"a tensor is float32 or float64, got dtype {new}")
    return record("astype", source._data.astype(new), ((source, lambda g: g.astype(old)),))
