"""Adadelta: the step's own running size replaces the learning rate.

c <- rho c + (1 - rho) g^2,  x = g sqrt(d + eps) / sqrt(c + eps),  d <- rho d + (1 - rho) x^2,  p <- p - lr x.

Source: Zeiler, arXiv 1212.5701, 2012, algorithm 1 (lr = 1, rho = 0.95).
Where the field disagrees: torch, Keras and optax accumulate the step x without the rate; the published animation
(cs231n) accumulates it with the rate in it (`lr_inside`: x = lr g ..., p <- p - x). At lr = 1 they are the same.
"""

from typing import Any, NamedTuple

import numpy as np

from optlab_kernels.jit import pointwise
from optlab_kernels.rule import Rule


class Hyper(NamedTuple):
    """torch's defaults."""

    lr: float = 1.0
    rho: float = 0.9
    eps: float = 1e-6
    lr_inside: bool = False


@pointwise
def coefficients(t: int, h: Hyper) -> tuple[float, ...]:
    """The decay, epsilon, and the rate on its side of the accumulated step."""
    if h.lr_inside:
        return h.rho, 1.0 - h.rho, h.eps, h.lr, 1.0
    return h.rho, 1.0 - h.rho, h.eps, 1.0, h.lr


@pointwise
def update(p: Any, g: Any, s: tuple[Any, Any], c: tuple[Any, ...]) -> tuple[Any, tuple[Any, Any]]:
    """One element, or one array of them."""
    squares, steps = s
    rho, rest, eps, inside, outside = c
    squares = rho * squares + rest * (g * g)
    x = inside * (np.sqrt(steps + eps) / np.sqrt(squares + eps) * g)
    steps = rho * steps + rest * (x * x)
    return p - outside * x, (squares, steps)


adadelta = Rule(
    "adadelta",
    Hyper,
    slots=("c", "d"),
    coefficients=coefficients,
    update=update,
    bounds={"lr": "[0, inf)", "rho": "[0, 1)", "eps": "(0, inf)"},
    conventions={
        "keras": {"lr": 1e-3, "rho": 0.95, "eps": 1e-7},
        "paper": {"rho": 0.95},
        "cs231n": {"rho": 0.95, "lr_inside": True},
    },
)
