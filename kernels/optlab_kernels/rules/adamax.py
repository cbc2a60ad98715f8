"""Adamax: Adam with the largest recent gradient in place of the root mean square.

m as in Adam,  u <- max(b2 u, |g| + eps),  p <- p - lr / (1 - b1^t) m / u.

Source: Kingma & Ba, ICLR 2015, algorithm 2, which has no epsilon and so divides 0 by 0 where a gradient is 0.
Where the field disagrees: torch and optax add epsilon inside the maximum, Keras outside (`eps_inside=False`).
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
    eps_inside: bool = True


@pointwise
def coefficients(t: int, h: Hyper, w: tuple[float]) -> tuple[tuple[float, ...], tuple[float]]:
    """Step length, and epsilon on its side of the maximum; b1^t is carried along."""
    w1 = power(w[0], h.beta1)
    inside, outside = 0.0, h.eps
    if h.eps_inside:
        inside, outside = h.eps, 0.0
    return (h.lr / (1.0 - w1), inside, outside, h.beta1, 1.0 - h.beta1, h.beta2), (w1,)


@pointwise
def update(p: Any, g: Any, s: tuple[Any, Any], c: tuple[Any, ...]) -> tuple[Any, tuple[Any, Any]]:
    """One element, or one array of them."""
    m, u = s
    alpha, inside, outside, b1, c1, b2 = c
    m = b1 * m + c1 * g
    u = np.maximum(b2 * u, np.abs(g) + inside)
    return p - alpha * m / (u + outside), (m, u)


adamax = Rule(
    "adamax",
    Hyper,
    slots=("m", "u"),
    coefficients=coefficients,
    update=update,
    memory=(1.0,),
    bounds={"lr": "[0, inf)", "beta1": "[0, 1)", "beta2": "[0, 1)", "eps": "(0, inf)"},
    conventions={"keras": {"lr": 1e-3, "eps": 1e-7, "eps_inside": False}},
    unbiased={"m": "beta1"},
)
