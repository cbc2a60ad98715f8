"""Lion: the sign of an interpolated momentum, so that every coordinate moves by exactly the rate.

p <- p - lr sign(b1 m + (1 - b1) g),  m <- b2 m + (1 - b2) g;  weight decay is decoupled.

Source: Chen et al., NeurIPS 2023, algorithm 2 (arXiv 2302.06675); optax and Keras agree with it.
"""

from typing import Any, NamedTuple

import numpy as np

from optlab_kernels.jit import pointwise
from optlab_kernels.rule import Rule


class Hyper(NamedTuple):
    """The paper's defaults."""

    lr: float = 1e-4
    beta1: float = 0.9
    beta2: float = 0.99


@pointwise
def coefficients(t: int, h: Hyper) -> tuple[float, ...]:
    """The rate and the two pairs of weights."""
    return h.lr, h.beta1, 1.0 - h.beta1, h.beta2, 1.0 - h.beta2


@pointwise
def update(p: Any, g: Any, s: tuple[Any], c: tuple[Any, ...]) -> tuple[Any, tuple[Any]]:
    """One element, or one array of them."""
    (m,) = s
    lr, b1, c1, b2, c2 = c
    return p - lr * np.sign(b1 * m + c1 * g), (b2 * m + c2 * g,)


lion = Rule(
    "lion",
    Hyper,
    slots=("m",),
    coefficients=coefficients,
    update=update,
    bounds={"lr": "[0, inf)", "beta1": "[0, 1)", "beta2": "[0, 1)"},
    conventions={"keras": {"lr": 1e-3}, "optax": {"weight_decay": 1e-3}},
    decoupled=True,
)
