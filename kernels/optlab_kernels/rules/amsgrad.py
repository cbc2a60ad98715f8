"""AMSGrad: Adam whose mean square never shrinks, so that its rates never grow again.

m and v as in Adam,  u <- max(u, v),  p <- p - lr m^ / (sqrt(u^) + eps).

Source: Reddi, Kale & Kumar, ICLR 2018, algorithm 2, which has no bias correction (`convention="paper"`).
Where the field disagrees: torch and Keras take the maximum of the uncorrected v and correct it afterwards, optax
takes it of the corrected one (`max_corrected`).
"""

from typing import Any, NamedTuple

import numpy as np

from optlab_kernels.jit import pointwise
from optlab_kernels.rule import Rule
from optlab_kernels.rules.adam import BOUNDS, CONVENTIONS, UNBIASED
from optlab_kernels.rules.adam import coefficients as adam_coefficients


class Hyper(NamedTuple):
    """Adam's defaults."""

    lr: float = 1e-3
    beta1: float = 0.9
    beta2: float = 0.999
    eps: float = 1e-8
    bias_correction: bool = True
    eps_hat: bool = False
    eps_inside: bool = False
    max_corrected: bool = False


@pointwise
def coefficients(t: int, h: Hyper, w: tuple[float, float]) -> tuple[tuple[float, ...], tuple[float, float]]:
    """Adam's, with the correction of v before or after the maximum."""
    (alpha, unbias, inside, outside, b1, c1, b2, c2), w = adam_coefficients(t, h, w)  # type: ignore[arg-type]  # has Adam's fields
    before, after = 1.0, unbias
    if h.max_corrected:
        before, after = unbias, 1.0
    return (alpha, before, after, inside, outside, b1, c1, b2, c2), w


@pointwise
def update(p: Any, g: Any, s: tuple[Any, Any, Any], c: tuple[Any, ...]) -> tuple[Any, tuple[Any, Any, Any]]:
    """One element, or one array of them."""
    m, v, u = s
    alpha, before, after, inside, outside, b1, c1, b2, c2 = c
    m = b1 * m + c1 * g
    v = b2 * v + c2 * (g * g)
    u = np.maximum(u, v * before)
    return p - alpha * m / (np.sqrt(u * after + inside) + outside), (m, v, u)


amsgrad = Rule(
    "amsgrad",
    Hyper,
    slots=("m", "v", "u"),
    coefficients=coefficients,
    update=update,
    memory=(1.0, 1.0),
    bounds=BOUNDS,
    conventions={**CONVENTIONS, "optax": {"max_corrected": True}, "paper": {"bias_correction": False}},
    unbiased=UNBIASED,
)
