"""Stationary covariances of two sets of points, and what their derivatives sum up to: the loops of a Gaussian process.

A covariance is k(s), s = sum over columns of w (a - b)^2, w = 1 / lengthscale^2; on the columns of a choice, (a - b)^2
is 1 where they differ. With the columns in several parts (part p begins at ``parts[p]``) it is the mean of the parts'
k(s): all columns in one part are a function of all at once, each in its own a sum of functions of one.

Points are columns-first, ``(d, n)``, so that the innermost loops run along memory. No matrix of derivatives is ever
stored: what the callers need of dK/dtheta and dK/dx is its sum against a matrix of weights.

    RBF           k = exp(-s / 2)                                     -2 dk/ds = k
    Matern 3/2    k = (1 + r) exp(-r), r = sqrt(3 s)                  -2 dk/ds = 3 exp(-r)
    Matern 5/2    k = (1 + r + r^2 / 3) exp(-r), r = sqrt(5 s)        -2 dk/ds = 5/3 (1 + r) exp(-r)

Source: Rasmussen & Williams 2006, equations 4.9 and 4.17.
"""

from typing import Any

import numpy as np

from optlab_kernels.jit import jit, pointwise
from optlab_kernels.reductions import add

RBF, MATERN32, MATERN52 = 0, 1, 2
LOG2E, LN2_HIGH, LN2_LOW = 1.4426950408889634, 6.93145751953125e-1, 1.42860682030941723212e-6
LOWEST = -708.0  # below, exp would be denormal
BIAS, MANTISSA = np.int64(1023), np.int64(52)


@pointwise
def decay(x: Any) -> Any:
    """exp(x), x <= 0, by its series on |r| <= ln(2) / 2: unlike in the C library's, a vectoriser can see through it."""
    y = LOWEST if x < LOWEST else x
    n = np.floor(LOG2E * y + 0.5)
    r = (y - n * LN2_HIGH) - n * LN2_LOW
    p = 1 / 6227020800.0
    p = p * r + 1 / 479001600.0
    p = p * r + 1 / 39916800.0
    p = p * r + 1 / 3628800.0
    p = p * r + 1 / 362880.0
    p = p * r + 1 / 40320.0
    p = p * r + 1 / 5040.0
    p = p * r + 1 / 720.0
    p = p * r + 1 / 120.0
    p = p * r + 1 / 24.0
    p = p * r + 1 / 6.0
    p = p * r + 0.5
    p = p * r + 1.0
    p = p * r + 1.0
    p = p * np.int64((np.int64(n) + BIAS) << MANTISSA).view(np.float64)
    return 0.0 if x < LOWEST else p


@pointwise
def profile(kind: int, s: Any) -> Any:
    """k(s)."""
    if kind == RBF:
        return decay(-0.5 * s)
    if kind == MATERN32:
        r = np.sqrt(3.0 * s)
        return (1.0 + r) * decay(-r)
    r = np.sqrt(5.0 * s)
    return (1.0 + r + r * r / 3.0) * decay(-r)


@pointwise
def steepness(kind: int, s: Any) -> Any:
    """-2 dk/ds, finite at s = 0."""
    if kind == RBF:
        return decay(-0.5 * s)
    if kind == MATERN32:
        return 3.0 * decay(-np.sqrt(3.0 * s))
    r = np.sqrt(5.0 * s)
    return 5.0 / 3.0 * (1.0 + r) * decay(-r)


@jit
def distances(
    a: np.ndarray,
    i: int,
    b: np.ndarray,
    n: int,
    w: np.ndarray,
    choice: np.ndarray,
    part: tuple[int, int],
    s: np.ndarray,
) -> None:
    """Squared and weighted, over the columns ``part``, from point ``i`` of ``a`` to the first ``n`` of ``b``."""
    for j in range(n):
        s[j] = 0.0
    for k in range(part[0], part[1]):
        at, weight = a[k, i], w[k]
        if choice[k]:
            for j in range(n):
                s[j] += weight if b[k, j] != at else 0.0
        else:
            for j in range(n):
                t = b[k, j] - at
                s[j] += weight * t * t


@jit
def covariance(
    kind: int,
    a: np.ndarray,
    b: np.ndarray,
    w: np.ndarray,
    choice: np.ndarray,
    parts: np.ndarray,
    same: bool,
    out: np.ndarray,
) -> None:
    """K(a, b): ``a (d, m)``, ``b (d, n)``, ``w (d,)``, ``choice (d,)`` of bool, ``parts (p + 1,)``, ``out (m, n)``.

    ``same`` says that a is b: then one triangle is worked out and copied.
    """
    s = np.empty(b.shape[1])
    share = 1.0 / (parts.size - 1)
    for i in range(a.shape[1]):
        n = i + 1 if same else b.shape[1]
        for j in range(n):
            out[i, j] = 0.0
        for p in range(parts.size - 1):
            distances(a, i, b, n, w, choice, (parts[p], parts[p + 1]), s)
            if kind == RBF:
                for j in range(n):
                    out[i, j] += share * profile(RBF, s[j])
            elif kind == MATERN32:
                for j in range(n):
                    out[i, j] += share * profile(MATERN32, s[j])
            else:
                for j in range(n):
                    out[i, j] += share * profile(MATERN52, s[j])
        if same:
            for j in range(i):
                out[j, i] = out[i, j]


@jit
def weigh(kind: int, weights: np.ndarray, i: int, share: float, n: int, s: np.ndarray) -> None:
    """Distances in ``s`` become -2 dk/ds times row ``i`` of ``weights`` times ``share``."""
    if kind == RBF:
        for j in range(n):
            s[j] = share * steepness(RBF, s[j]) * weights[i, j]
    elif kind == MATERN32:
        for j in range(n):
            s[j] = share * steepness(MATERN32, s[j]) * weights[i, j]
    else:
        for j in range(n):
            s[j] = share * steepness(MATERN52, s[j]) * weights[i, j]


@jit
def pull_lengths(
    kind: int, a: np.ndarray, w: np.ndarray, choice: np.ndarray, parts: np.ndarray, weights: np.ndarray, out: np.ndarray
) -> None:
    """``out (d,)`` = sum over i, j of weights_ij dK(a, a)_ij / dlog(lengthscale), for symmetric ``weights (n, n)``.

    dK/dlog(lengthscale_k) = -2 k'(s) w_k (a_ik - a_jk)^2; the two triangles are equal.
    """
    n = a.shape[1]
    s = np.empty(n)
    share = 1.0 / (parts.size - 1)
    for k in range(w.size):
        out[k] = 0.0
    for i in range(1, n):
        for p in range(parts.size - 1):
            distances(a, i, a, i, w, choice, (parts[p], parts[p + 1]), s)
            weigh(kind, weights, i, share, i, s)
            for k in range(parts[p], parts[p + 1]):
                at, total = a[k, i], 0.0
                if choice[k]:
                    for j in range(i):
                        total = add(total, s[j] if a[k, j] != at else 0.0)
                else:
                    for j in range(i):
                        t = a[k, j] - at
                        total = add(total, s[j] * t * t)
                out[k] += 2.0 * w[k] * total


@jit
def pull_points(
    kind: int,
    q: np.ndarray,
    a: np.ndarray,
    w: np.ndarray,
    choice: np.ndarray,
    parts: np.ndarray,
    weights: np.ndarray,
    out: np.ndarray,
) -> None:
    """``out (m, d)`` = sum over j of weights_ij dk(q_i, a_j) / dq_i; ``q (d, m)``, ``a (d, n)``, ``weights (m, n)``.

    A choice has no derivative: zero in its columns.
    """
    n = a.shape[1]
    s = np.empty(n)
    share = 1.0 / (parts.size - 1)
    for i in range(q.shape[1]):
        for p in range(parts.size - 1):
            distances(q, i, a, n, w, choice, (parts[p], parts[p + 1]), s)
            weigh(kind, weights, i, share, n, s)
            for k in range(parts[p], parts[p + 1]):
                at, total = q[k, i], 0.0
                if not choice[k]:
                    for j in range(n):
                        total = add(total, s[j] * (a[k, j] - at))
                out[i, k] = w[k] * total
