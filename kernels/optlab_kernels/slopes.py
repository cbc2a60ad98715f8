"""The derivative of every function that dual numbers cover: each fact once, for plain Python and for compiled code.

Where a formula would divide 0 by 0 it adds `f == 0` to the divisor: at the one point that has no slope the
result is then 0, which is a subgradient.
"""

import math
import operator
from collections.abc import Callable
from typing import Any

import numpy as np

LN2, LN10 = math.log(2.0), math.log(10.0)

# ufunc -> one slope per argument, each a function of the arguments and of the result f
_UNARY: dict[Any, Callable[..., Any]] = {
    np.positive: lambda a, f: 1.0,
    np.negative: lambda a, f: -1.0,
    np.absolute: lambda a, f: np.sign(a),
    np.square: lambda a, f: 2.0 * a,
    np.reciprocal: lambda a, f: -f * f,
    np.sqrt: lambda a, f: 0.5 / f,
    np.cbrt: lambda a, f: 1.0 / (3.0 * f * f),
    np.exp: lambda a, f: f,
    np.exp2: lambda a, f: LN2 * f,
    np.expm1: lambda a, f: f + 1.0,
    np.log: lambda a, f: 1.0 / a,
    np.log2: lambda a, f: 1.0 / (LN2 * a),
    np.log10: lambda a, f: 1.0 / (LN10 * a),
    np.log1p: lambda a, f: 1.0 / (1.0 + a),
    np.sin: lambda a, f: np.cos(a),
    np.cos: lambda a, f: -np.sin(a),
    np.tan: lambda a, f: 1.0 + f * f,
    np.arcsin: lambda a, f: 1.0 / np.sqrt((1.0 - a) * (1.0 + a)),
    np.arccos: lambda a, f: -1.0 / np.sqrt((1.0 - a) * (1.0 + a)),
    np.arctan: lambda a, f: 1.0 / (1.0 + a * a),
    np.sinh: lambda a, f: np.cosh(a),
    np.cosh: lambda a, f: np.sinh(a),
    np.tanh: lambda a, f: (1.0 - f) * (1.0 + f),
    np.arcsinh: lambda a, f: 1.0 / np.sqrt(a * a + 1.0),
    np.arccosh: lambda a, f: 1.0 / np.sqrt((a - 1.0) * (a + 1.0)),
    np.arctanh: lambda a, f: 1.0 / ((1.0 - a) * (1.0 + a)),
    np.sign: lambda a, f: 0.0,
    np.floor: lambda a, f: 0.0,
    np.ceil: lambda a, f: 0.0,
    np.trunc: lambda a, f: 0.0,
}
_BINARY: dict[Any, tuple[Callable[..., Any], ...]] = {
    np.add: (lambda a, b, f: 1.0, lambda a, b, f: 1.0),
    np.subtract: (lambda a, b, f: 1.0, lambda a, b, f: -1.0),
    np.multiply: (lambda a, b, f: b, lambda a, b, f: a),
    np.divide: (lambda a, b, f: 1.0 / b, lambda a, b, f: -f / b),
    np.remainder: (lambda a, b, f: 1.0, lambda a, b, f: -np.floor(a / b)),
    # b a^(b-1), which is 0 for b = 0 even at a = 0; f log(a), which is 0 for a = 0
    np.power: (lambda a, b, f: b * a ** (b - (b != 0)), lambda a, b, f: f * np.log(a + (a == 0))),
    np.hypot: (lambda a, b, f: a / (f + (f == 0)), lambda a, b, f: b / (f + (f == 0))),
    np.arctan2: (lambda a, b, f: b / (a * a + b * b), lambda a, b, f: -a / (a * a + b * b)),
    # of two equal arguments the first counts, as in Python's min and max
    np.minimum: (lambda a, b, f: 1.0 * (a <= b), lambda a, b, f: 1.0 * (b < a)),
    np.maximum: (lambda a, b, f: 1.0 * (a >= b), lambda a, b, f: 1.0 * (b > a)),
}

_MATH = (
    "sqrt exp exp2 expm1 log log2 log10 log1p sin cos tan sinh cosh tanh floor ceil trunc hypot isnan isinf isfinite"
)
_NAMES: dict[Any, tuple[Any, ...]] = {getattr(np, name): (getattr(math, name),) for name in _MATH.split()} | {
    np.positive: (operator.pos,),
    np.negative: (operator.neg,),
    np.absolute: (abs, np.fabs, math.fabs),
    np.add: (operator.add, operator.iadd),
    np.subtract: (operator.sub, operator.isub),
    np.multiply: (operator.mul, operator.imul),
    np.divide: (operator.truediv, operator.itruediv),
    np.remainder: (operator.mod, operator.imod),
    np.power: (operator.pow, operator.ipow, math.pow),
    np.arcsin: (math.asin,),
    np.arccos: (math.acos,),
    np.arctan: (math.atan,),
    np.arctan2: (math.atan2,),
    np.arcsinh: (math.asinh,),
    np.arccosh: (math.acosh,),
    np.arctanh: (math.atanh,),
    np.minimum: (min, np.fmin),
    np.maximum: (max, np.fmax),
    np.less: (operator.lt,),
    np.less_equal: (operator.le,),
    np.greater: (operator.gt,),
    np.greater_equal: (operator.ge,),
    np.equal: (operator.eq,),
    np.not_equal: (operator.ne,),
}


def _by_every_name(table: dict[Any, Any]) -> dict[Any, Any]:
    return {name: entry for ufunc, entry in table.items() for name in (ufunc, *_NAMES.get(ufunc, ()))}


# function -> its slopes, one per argument, under its name in NumPy, in `math`, as operator and as built-in
SLOPES: dict[Any, tuple[Callable[..., Any], ...]] = _by_every_name({f: (s,) for f, s in _UNARY.items()} | _BINARY)

# function of values alone, whose result is no dual -> its number of arguments
PLAIN: dict[Any, int] = _by_every_name(
    dict.fromkeys((np.isnan, np.isinf, np.isfinite, bool), 1)
    | dict.fromkeys((np.less, np.less_equal, np.greater, np.greater_equal, np.equal, np.not_equal), 2)
)
