"""How much a point promises, from its posterior mean and standard deviation: expected improvement and its logarithm.

With z = (best - mean) / sd, the improvement below ``best`` is expected to be sd h(z), h(z) = pdf(z) + z cdf(z). Far
from the best z is very negative and h underflows, its logarithm does not: with Mills' ratio m(x) = cdf(-x) / pdf(x) at
x = -z, h = pdf (1 - x m). Beyond x = 4 that difference cancels; in Laplace's continued fraction m = 1 / (x + c),
c = 1 / (x + 2 / (x + 3 / ...)), it is c m, without a subtraction.

Sources: Jones, Schonlau & Welch 1998, equation 15; Ament et al. 2023, equation 9; Abramowitz & Stegun 26.2.14.
"""

import math

import numpy as np

from optlab_kernels.jit import jit

HALF_LOG_TAU = 0.9189385332046727
ROOT_HALF = 0.7071067811865476
FAR = 4.0
TERMS, MORE = 8, 150.0  # of the continued fraction at x: 8 + 150 / x; the last bits need 39 of them at 4, 14 at 10


@jit
def log_h(z: float) -> tuple[float, float]:
    """log h(z) and its derivative cdf(z) / h(z)."""
    log_pdf = -0.5 * z * z - HALF_LOG_TAU
    if z > -1.0:
        cdf = 0.5 * math.erfc(-z * ROOT_HALF)
        h = math.exp(log_pdf) + z * cdf
        return math.log(h), cdf / h
    x = -z
    if x < FAR:
        mills = 0.5 * math.erfc(x * ROOT_HALF) / math.exp(log_pdf)
        u = 1.0 - x * mills
        return log_pdf + math.log(u), mills / u
    tail = x
    for i in range(int(TERMS + MORE / x), 1, -1):
        tail = x + i / tail
    c = 1.0 / tail
    return log_pdf + math.log(c) - math.log(x + c), 1.0 / c  # m / (c m)


@jit
def log_improvement(mean: np.ndarray, sd: np.ndarray, best: float, out: np.ndarray) -> None:
    """``out (3, m)``: log EI, its derivative by the mean, its derivative by the standard deviation.

    log EI = log sd + log h(z); by the mean: -h'/h / sd; by sd: (1 - z h'/h) / sd.
    """
    for i in range(mean.size):
        z = (best - mean[i]) / sd[i]
        value, ratio = log_h(z)
        out[0, i] = math.log(sd[i]) + value
        out[1, i] = -ratio / sd[i]
        out[2, i] = (1.0 - z * ratio) / sd[i]
