"""First weights: how large they are decides whether signals and gradients survive the way through the layers.

A layer of n inputs adds n products, so weights of variance 1/n keep the variance of its input (LeCun); a ReLU then
loses half of it, hence 2/n (He); backwards the outputs count, hence the mean of both (Glorot).
"""

from collections.abc import Callable

import numpy as np

from optlab.errors import unknown

Initialiser = Callable[[np.random.Generator, int, int], np.ndarray]
SPREAD = 0.01  # of `normal`, and half the width of `uniform`: small enough that every logit starts near 0


def _normal(variance: Callable[[int, int], float]) -> Initialiser:
    return lambda rng, fan_in, fan_out: np.sqrt(variance(fan_in, fan_out)) * rng.standard_normal((fan_in, fan_out))


def _uniform(variance: Callable[[int, int], float]) -> Initialiser:
    def draw(rng: np.random.Generator, fan_in: int, fan_out: int) -> np.ndarray:
        limit = np.sqrt(3.0 * variance(fan_in, fan_out))  # a uniform on [-a, a] has variance a^2 / 3
        return rng.uniform(-limit, limit, (fan_in, fan_out))

    return draw


def _glorot(fan_in: int, fan_out: int) -> float:
    return 2.0 / (fan_in + fan_out)


def _he(fan_in: int, fan_out: int) -> float:
    return 2.0 / fan_in


def _lecun(fan_in: int, fan_out: int) -> float:
    return 1.0 / fan_in


# Glorot & Bengio, AISTATS 2010, eq. 16; He et al., ICCV 2015, eq. 10; LeCun et al., Efficient BackProp, 1998, eq. 16.
# The short names are the forms that their papers use.
INITIALISERS: dict[str, Initialiser] = {
    "glorot": _uniform(_glorot),
    "glorot-normal": _normal(_glorot),
    "he": _normal(_he),
    "he-uniform": _uniform(_he),
    "lecun": _normal(_lecun),
    "lecun-uniform": _uniform(_lecun),
    "normal": lambda rng, fan_in, fan_out: SPREAD * rng.standard_normal((fan_in, fan_out)),
    "uniform": lambda rng, fan_in, fan_out: rng.uniform(-SPREAD, SPREAD, (fan_in, fan_out)),
    "zeros": lambda rng, fan_in, fan_out: np.zeros((fan_in, fan_out)),
}


def initial(name: str, rng: np.random.Generator, fan_in: int, fan_out: int) -> np.ndarray:
    """Weights (fan_in, fan_out) in float64.

    Raises:
        ConfigError: no initialiser of that name.
    """
    if name not in INITIALISERS:
        raise unknown("initialisation", name, INITIALISERS)
    return INITIALISERS[name](rng, fan_in, fan_out)
