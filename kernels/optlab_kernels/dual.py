"""Forward-mode differentiation by dual numbers: a value, and its derivatives along x and y.

f(a, b) has the derivative f_a a' + f_b b' along each axis. `Dual` carries it through plain Python, numbers and
arrays alike; below it the same type in compiled code, where it is three registers and no memory.
Source: Griewank & Walther, Evaluating Derivatives, 2nd ed. 2008, chapter 3 (tangent mode).
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import types
from numba.core.cgutils import create_struct_proxy
from numba.core.typeconv import Conversion
from numba.extending import (
    lower_builtin,
    lower_cast,
    make_attribute_wrapper,
    models,
    overload,
    register_model,
    type_callable,
)
from numpy.lib.mixins import NDArrayOperatorsMixin

from optlab_kernels.jit import pointwise
from optlab_kernels.slopes import BINARY, PLAIN_BINARY, PLAIN_UNARY, UNARY, names

Gradient = Callable[[Any, Any], tuple[Any, Any]]
NUMBERS = types.Number | types.Boolean
FIELDS = ("value", "dx", "dy")
SLOPES: dict[Any, tuple[Callable[..., Any], ...]] = {name: (s,) for f, s in UNARY.items() for name in names(f)}
SLOPES |= {name: pair for f, pair in BINARY.items() for name in names(f)}
ADVICE = "pass the surface its gradient, gradient=function(x, y) -> (df/dx, df/dy)"


def derive(fn: Callable[[Any, Any], Any]) -> Gradient:
    """The gradient of ``fn(x, y)``: exact to rounding, no step size; callable from Python and from compiled code.

    Raises:
        TypeError: on a call in plain Python, ``fn`` uses a function that has no derivative here.
        numba.TypingError: the same in compiled code.
    """
    fn = pointwise(fn)

    def gradient(x: Any, y: Any) -> tuple[Any, Any]:
        dx, dy = tangent(fn(Dual(np.float64(x), 1.0, 0.0), Dual(np.float64(y), 0.0, 1.0)))
        return like(dx, x, y), like(dy, x, y)

    return pointwise(gradient)


def primal(z: Any) -> Any:
    """The value of a dual; a number is its own."""
    return z.value if isinstance(z, Dual) else z


def tangent(z: Any) -> tuple[Any, Any]:
    """Both derivatives of a dual; a number has none."""
    return (z.dx, z.dy) if isinstance(z, Dual) else (0.0, 0.0)


def scale(slope: Any, d: Any) -> Any:
    """slope * d, and 0 for d = 0 even where the slope is infinite: sqrt(x^2 + y^2) then has gradient 0 at 0."""
    return np.where(np.equal(d, 0.0), 0.0, slope * d)[()]


def like(number: Any, x: Any, y: Any) -> Any:
    """``number`` in the common shape of ``x`` and ``y``."""
    return number + np.zeros(np.broadcast_shapes(np.shape(x), np.shape(y)))


class Dual(NDArrayOperatorsMixin):
    """A value with its two derivatives, in plain Python; NumPy's functions and all operators arrive in one method."""

    def __init__(self, value: Any, dx: Any, dy: Any) -> None:
        self.value, self.dx, self.dy = value, dx, dy

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        values = [primal(z) for z in inputs]
        plain = ufunc in PLAIN_UNARY or ufunc in PLAIN_BINARY
        if method != "__call__" or kwargs or not (plain or ufunc in SLOPES):
            call = ufunc.__name__ if method == "__call__" else f"{ufunc.__name__}.{method}"
            raise TypeError(f"np.{call} has no derivative here; {ADVICE}")
        f = ufunc(*values)
        if plain:
            return f
        dx = dy = 0.0
        with np.errstate(all="ignore"):  # an infinite slope is no error of the function, and compiled code has no warnings
            for z, slope in zip(inputs, SLOPES[ufunc], strict=True):
                if isinstance(z, Dual):
                    s = slope(*values, f)
                    dx, dy = dx + scale(s, z.dx), dy + scale(s, z.dy)
        return Dual(f, dx, dy)

    def __array_function__(self, function: Any, *_: Any) -> Any:
        raise TypeError(f"np.{function.__name__} has no derivative here; {ADVICE}")

    def __float__(self) -> float:
        raise TypeError(f"math.* and float() take no dual number outside compiled code: write np.*, or {ADVICE}")

    def __bool__(self) -> bool:
        return bool(self.value)


class DualType(types.Type):  # type: ignore[misc]
    """`Dual` in compiled code. Its name is what Numba's error shows beside a function that takes no dual."""

    def __init__(self) -> None:
        super().__init__(name="Dual(no derivative of this function here: pass the surface gradient=)")

    def can_convert_from(self, _: Any, other: Any) -> Any:
        """A number becomes a constant where the branches of a function return both kinds."""
        return Conversion.safe if isinstance(other, NUMBERS) else None


@register_model(DualType)
class DualModel(models.StructModel):  # type: ignore[misc]
    """Three float64, which LLVM keeps in registers."""

    def __init__(self, manager: Any, dual_type: Any) -> None:
        super().__init__(manager, dual_type, [(field, types.float64) for field in FIELDS])


for _field in FIELDS:
    make_attribute_wrapper(DualType, _field, _field)


@type_callable(Dual)
def _type_dual(_: Any) -> Any:
    return lambda value, dx, dy: DualType()


@lower_builtin(Dual, types.Any, types.Any, types.Any)
def _make_dual(context: Any, builder: Any, signature: Any, numbers: Any) -> Any:
    dual = create_struct_proxy(DualType())(context, builder)
    for field, given, number in zip(FIELDS, signature.args, numbers, strict=True):
        setattr(dual, field, context.cast(builder, number, given, types.float64))
    return dual._getvalue()


@lower_cast(types.Boolean, DualType)
@lower_cast(types.Number, DualType)
def _number_to_dual(context: Any, builder: Any, given: Any, _: Any, number: Any) -> Any:
    zero = context.get_constant(types.float64, 0.0)
    return _make_dual(context, builder, DualType()(given, types.float64, types.float64), (number, zero, zero))


def _choose(function: Any, of_dual: Any, of_number: Any) -> None:
    """What a helper of one dual or number does in compiled code."""
    overload(function)(lambda z: of_dual if isinstance(z, DualType) else of_number)


_choose(primal, lambda z: z.value, lambda z: z)
_choose(tangent, lambda z: (z.dx, z.dy), lambda z: (0.0, 0.0))
overload(scale)(lambda slope, d: lambda slope, d: slope * d if d != 0.0 else -0.0)  # LLVM drops + -0.0, not + 0.0
overload(like)(lambda number, x, y: lambda number, x, y: number + 0.0)  # no -0.0 leaves


def _compile(fn: Any, slopes: tuple[Any, ...]) -> None:
    """Let compiled code apply ``fn`` to duals, or to a dual and a number."""

    def of_one(a):  # type: ignore[no-untyped-def]
        f = fn(a.value)
        s = left(a.value, f)
        return Dual(f, scale(s, a.dx), scale(s, a.dy))

    def of_two(a, b):  # type: ignore[no-untyped-def]
        u, v = primal(a), primal(b)
        (ax, ay), (bx, by) = tangent(a), tangent(b)
        f = fn(u, v)
        p, q = left(u, v, f), right(u, v, f)
        return Dual(f, scale(p, ax) + scale(q, bx), scale(p, ay) + scale(q, by))

    left, right = pointwise(slopes[0]), pointwise(slopes[-1])
    if len(slopes) == 1:
        overload(fn)(lambda a: of_one if isinstance(a, DualType) else None)
    else:
        overload(fn)(lambda a, b: of_two if _mixes(a, b) else None)


def _mixes(a: Any, b: Any) -> bool:
    """Is at least one a dual, and is the other nothing stranger than a number?"""
    return isinstance(a, DualType) and isinstance(b, DualType | NUMBERS) or isinstance(a, NUMBERS) and isinstance(b, DualType)


for _fn, _slopes in SLOPES.items():
    _compile(_fn, _slopes)
