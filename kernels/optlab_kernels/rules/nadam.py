"""NAdam: Adam with Nesterov's look-ahead, its momentum warmed up by a schedule.

mu_t = b1 (1 - dip 0.96^(t psi)),  M_t = mu_1 ... mu_t,  m and v as in Adam,
p <- p - lr [ (1 - mu_t) / (1 - M_t) g + mu_{t+1} / (1 - M_{t+1}) m ] / (sqrt(v^) + eps),  dip = 1/2.

Source: Dozat, ICLR workshop 2016, algorithm 8, with the schedule of its section 4 (psi = momentum_decay = 0.004).
Where the field disagrees: Keras has psi = 1, optax no schedule (dip = 0).
"""

from typing import Any, NamedTuple

import numpy as np

from optlab_kernels.jit import pointwise
from optlab_kernels.rule import Rule, power


class Hyper(NamedTuple):
    """torch's defaults."""

    lr: float = 2e-3
    beta1: float = 0.9
    beta2: float = 0.999
    eps: float = 1e-8
    momentum_decay: float = 4e-3
    momentum_dip: float = 0.5


@pointwise
def coefficients(t: int, h: Hyper, w: tuple[float, float]) -> tuple[tuple[float, ...], tuple[float, float]]:
    """Weights of g and m, and the scale of v; M_t and b2^t are carried along."""
    now = h.beta1 * (1.0 - h.momentum_dip * 0.96 ** (t * h.momentum_decay))
    following = h.beta1 * (1.0 - h.momentum_dip * 0.96 ** ((t + 1) * h.momentum_decay))
    product, w2 = power(w[0], now), power(w[1], h.beta2)
    from_g = h.lr * (1.0 - now) / (1.0 - product)
    from_m = h.lr * following / (1.0 - product * following)
    return (from_g, from_m, 1.0 / (1.0 - w2), h.eps, h.beta1, 1.0 - h.beta1, h.beta2, 1.0 - h.beta2), (product, w2)


@pointwise
def update(p: Any, g: Any, s: tuple[Any, Any], c: tuple[Any, ...]) -> tuple[Any, tuple[Any, Any]]:
    """One element, or one array of them."""
    m, v = s
    from_g, from_m, unbias, eps, b1, c1, b2, c2 = c
    m = b1 * m + c1 * g
    v = b2 * v + c2 * (g * g)
    return p - (from_g * g + from_m * m) / (np.sqrt(v * unbias) + eps), (m, v)


nadam = Rule(
    "nadam",
    Hyper,
    slots=("m", "v"),
    coefficients=coefficients,
    update=update,
    memory=(1.0, 1.0),
    bounds={
        "lr": "[0, inf)",
        "beta1": "[0, 1)",
        "beta2": "[0, 1)",
        "eps": "(0, inf)",
        "momentum_decay": "[0, inf)",
        "momentum_dip": "[0, 1]",
    },
    conventions={"keras": {"lr": 1e-3, "eps": 1e-7, "momentum_decay": 1.0}, "optax": {"momentum_dip": 0.0}},
    unbiased={"v": "beta2"},
)
