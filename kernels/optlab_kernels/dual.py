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
from numba.core.typeconv.castgraph import Conversion
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
from optlab_kernels.slopes import PLAIN, SLOPES

FIELDS = ("value", "dx", "dy")
ADVICE = "pass the surface its gradient, gradient=function(x, y) -> (df/dx, df/dy)"


def derive(fn: Callable[[Any, Any], Any]) -> Callable[[Any, Any], tuple[Any, Any]]:
    """The gradient of ``fn(x, y)``, exact to rounding; callable from Python and from compiled code.

    Compiled, it takes 2 to 3 times as long as one written by hand (Rosenbrock 11 against 5 ns, Beale 22 against 7).
    At a kink it is a subgradient: 0 for abs, the first argument's at a tie of min or max. ``fn`` may branch, return a
    constant, and use operators and the functions in `slopes`, by their names in NumPy or, in compiled code only, in
    `math`; a function that it calls needs `numba.njit`, and is then differentiated in compiled code only.

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
    """A value with its two derivatives, in plain Python: NumPy's functions and all operators arrive in one method."""

    def __init__(self, value: Any, dx: Any, dy: Any) -> None:
        self.value, self.dx, self.dy = value, dx, dy

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        values = [primal(z) for z in inputs]
        if "out" in kwargs and kwargs["out"][0] is inputs[0]:  # `s += x` asks for this; Python then rebinds s
            del kwargs["out"]
        if method != "__call__" or kwargs or not (ufunc in SLOPES or ufunc in PLAIN):
            call = ufunc.__name__ + ("" if method == "__call__" else f".{method}")
            options = f" with {', '.join(kwargs)}=" if kwargs else ""
            raise TypeError(f"np.{call}{options} has no derivative here; {ADVICE}")
        if ufunc in PLAIN:
            return ufunc(*values)
        f = ufunc(*values)
        dx = dy = 0.0
        with np.errstate(all="ignore"):  # an infinite slope is no error of the function; compiled code never warns
            for z, slope in zip(inputs, SLOPES[ufunc], strict=True):
                if isinstance(z, Dual):
                    s = slope(*values, f)
                    dx, dy = dx + scale(s, z.dx), dy + scale(s, z.dy)
        return Dual(f, dx, dy)

    def __array_function__(self, function: Any, *_: Any) -> Any:
        raise TypeError(f"np.{function.__name__} has no derivative here; {ADVICE}")

    def __float__(self) -> float:
        raise TypeError(f"math.* and float() take a dual number in compiled code only; write np.*, or {ADVICE}")

    @property
    def _numba_type_(self) -> Any:
        raise TypeError(f"a compiled function takes a dual number in compiled code only; {ADVICE}")

    def __bool__(self) -> bool:
        return bool(self.value)


class DualType(types.Type):  # type: ignore[misc]
    """`Dual` in compiled code. Its name is what Numba's error shows beside a function that takes no dual."""

    def __init__(self) -> None:
        super().__init__(name="Dual(no derivative of this function here: pass the surface gradient=)")

    def can_convert_from(self, _: Any, other: Any) -> Any:
        """A number becomes a constant where the branches of a function return both kinds."""
        return Conversion.safe if is_number(other) else None


def is_dual(kind: Any) -> bool:
    """Is this Numba type a dual?"""
    return isinstance(kind, DualType)


def is_number(kind: Any) -> bool:
    """Is this Numba type one that a dual mixes with?"""
    return isinstance(kind, types.Number | types.Boolean) and not isinstance(kind, types.Complex)


@register_model(DualType)
class DualModel(models.StructModel):  # type: ignore[misc]
    """Three float64, which LLVM keeps in registers."""

    def __init__(self, manager: Any, kind: Any) -> None:
        super().__init__(manager, kind, [(field, types.float64) for field in FIELDS])


for _field in FIELDS:
    make_attribute_wrapper(DualType, _field, _field)


@type_callable(Dual)
def _type_dual(_: Any) -> Any:
    return lambda value, dx, dy: DualType()


@lower_builtin(Dual, types.Any, types.Any, types.Any)
def _make_dual(context: Any, builder: Any, signature: Any, numbers: Any) -> Any:
    dual = create_struct_proxy(DualType())(context, builder)
    for field, kind, number in zip(FIELDS, signature.args, numbers, strict=True):
        setattr(dual, field, context.cast(builder, number, kind, types.float64))
    return dual._getvalue()


@lower_cast(types.Boolean, DualType)
@lower_cast(types.Number, DualType)
def _number_to_dual(context: Any, builder: Any, kind: Any, _: Any, number: Any) -> Any:
    zero = context.get_constant(types.float64, 0.0)
    return _make_dual(context, builder, DualType()(kind, types.float64, types.float64), (number, zero, zero))


overload(primal)(lambda z: (lambda z: z.value) if is_dual(z) else (lambda z: z))
overload(tangent)(lambda z: (lambda z: (z.dx, z.dy)) if is_dual(z) else (lambda z: (0.0, 0.0)))
overload(scale)(lambda slope, d: lambda slope, d: slope * d if d != 0.0 else 0.0)
overload(like)(lambda number, x, y: lambda number, x, y: number)


def _is_pair(a: Any, b: Any) -> bool:
    return (is_dual(a) and (is_dual(b) or is_number(b))) or (is_number(a) and is_dual(b))


def _compile(fn: Any, slopes: tuple[Any, ...]) -> None:
    """Let compiled code apply ``fn`` to a dual; or to two, of which one may be a number."""
    left, right = pointwise(slopes[0]), pointwise(slopes[-1])

    def of_one(a):
        f = fn(a.value)
        s = left(a.value, f)
        return Dual(f, scale(s, a.dx), scale(s, a.dy))

    def of_two(a, b):
        u, v = primal(a), primal(b)
        (ax, ay), (bx, by) = tangent(a), tangent(b)
        f = fn(u, v)
        p, q = left(u, v, f), right(u, v, f)
        return Dual(f, scale(p, ax) + scale(q, bx), scale(p, ay) + scale(q, by))

    if len(slopes) == 1:
        overload(fn)(lambda a: of_one if is_dual(a) else None)
    else:
        overload(fn)(lambda a, b: of_two if _is_pair(a, b) else None)


def _compile_plain(fn: Any, arguments: int) -> None:
    if arguments == 1:
        overload(fn)(lambda a: (lambda a: fn(a.value)) if is_dual(a) else None)
    else:
        overload(fn)(lambda a, b: (lambda a, b: fn(primal(a), primal(b))) if _is_pair(a, b) else None)


for _fn, _slopes in SLOPES.items():
    _compile(_fn, _slopes)
for _fn, _arguments in PLAIN.items():
    _compile_plain(_fn, _arguments)
