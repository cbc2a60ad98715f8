"""Adagrad: each coordinate's rate shrinks with the squares of its gradients so far.

c <- c + g^2,  p <- p - lr_t g / (sqrt(c) + eps),  lr_t = lr / (1 + (t - 1) lr_decay).

Source: Duchi, Hazan & Singer, JMLR 12, 2011, figure 1 (diagonal form, epsilon outside the root, as torch).
Where the field disagrees: Keras, optax and cs231n's animations put epsilon under the root (`eps_inside`); Keras and
optax start c at 0.1, torch and the paper at 0.
"""

from typing import Any, NamedTuple

import numpy as np

from optlab_kernels.jit import pointwise
from optlab_kernels.rule import Rule


class Hyper(NamedTuple):
    """torch's defaults."""

    lr: float = 1e-2
    eps: float = 1e-10
    initial: float = 0.0
    lr_decay: float = 0.0
    eps_inside: bool = False


@pointwise
def coefficients(t: int, h: Hyper) -> tuple[float, ...]:
    """The rate, and epsilon on its side of the root."""
    rate = h.lr / (1.0 + (t - 1) * h.lr_decay)
    if h.eps_inside:
        return rate, h.eps, 0.0
    return rate, 0.0, h.eps


@pointwise
def update(p: Any, g: Any, s: tuple[Any], c: tuple[Any, ...]) -> tuple[Any, tuple[Any]]:
    """One element, or one array of them."""
    (total,) = s
    rate, inside, outside = c
    total = total + g * g
    return p - rate * g / (np.sqrt(total + inside) + outside), (total,)


adagrad = Rule(
    "adagrad",
    Hyper,
    slots=("c",),
    coefficients=coefficients,
    update=update,
    initial={"c": "initial"},
    bounds={"lr": "[0, inf)", "eps": "(0, inf)", "initial": "[0, inf)", "lr_decay": "[0, inf)"},
    conventions={
        "keras": {"lr": 1e-3, "eps": 1e-7, "initial": 0.1, "eps_inside": True},
        "optax": {"eps": 1e-7, "initial": 0.1, "eps_inside": True},
        "cs231n": {"eps": 1e-6, "eps_inside": True},
    },
)
