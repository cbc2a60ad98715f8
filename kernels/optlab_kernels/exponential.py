"""exp in float32 without a call: a polynomial that the vectoriser can see through. In float64, the C library's.

exp(x) = 2^n exp(r), n = floor(x / ln 2 + 1/2), |r| <= ln(2) / 2, exp(r) by a polynomial of degree 6; r is taken in two
parts so that it is exact. Largest error below 1.2 units in the last place (tests/test_layers_kernels.py).
Source: Moshier, Cephes Mathematical Library, expf.c: its coefficients.
"""

import math
from typing import Any

import numpy as np
from numba import types
from numba.extending import overload

from optlab_kernels.jit import pointwise

F = np.float32
LOG2E, LN2_HIGH, LN2_LOW = F(1.44269504088896341), F(0.693359375), F(-2.12194440e-4)
HALF, ONE, ZERO = F(0.5), F(1.0), F(0.0)
C5, C4, C3 = F(1.9875691500e-4), F(1.3981999507e-3), F(8.3334519073e-3)
C2, C1, C0 = F(4.1665795894e-2), F(1.6666665459e-1), F(5.0000001201e-1)
LOWEST, HIGHEST = F(-87.336544), F(88.722839)  # below: 0 (a result would be denormal); above: inf
BIAS, MANTISSA = np.int32(127), np.int32(23)
INFINITY = F(np.inf)


@pointwise
def exp_float32(x: Any) -> Any:
    """exp(x) of a float32."""
    y = LOWEST if x < LOWEST else x
    y = HIGHEST if y > HIGHEST else y
    y = ZERO if y != y else y
    n = np.floor(LOG2E * y + HALF)
    r = y - n * LN2_HIGH
    r = r - n * LN2_LOW
    p = ((((C5 * r + C4) * r + C3) * r + C2) * r + C1) * r + C0
    p = p * (r * r) + r + ONE
    half = np.int32(n) // np.int32(2)  # 2^128 is no float32: scale twice
    rest = np.int32(n) - half
    p = p * np.int32((half + BIAS) << MANTISSA).view(F) * np.int32((rest + BIAS) << MANTISSA).view(F)
    p = ZERO if x < LOWEST else p
    p = INFINITY if x > HIGHEST else p
    return x if x != x else p


def exp(x: Any) -> Any:
    """exp(x) in the precision of ``x``."""
    return exp_float32(x) if isinstance(x, np.float32) else math.exp(x)


@overload(exp)
def _exp(x):
    if x == types.float32:
        return lambda x: exp_float32(x)
    return lambda x: math.exp(x)
