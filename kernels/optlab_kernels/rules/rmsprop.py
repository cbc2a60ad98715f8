"""RMSProp: the gradient over the root of its running mean square; optionally centred, optionally with momentum.

v <- a v + (1 - a) g^2,  x = g / (sqrt(v) + eps),  p <- p - lr x;
centred: m <- a m + (1 - a) g and v - m^2 in place of v;  with momentum: b <- mu b + x,  p <- p - lr b.

Sources: Tieleman & Hinton, Coursera lecture 6e, 2012; Graves, arXiv 1308.0850, 2013, eq. 38-41 (centred).
Where the field disagrees: torch has epsilon outside the root, Keras, optax and cs231n's animations under it
(`eps_inside`); torch multiplies the momentum by the rate when stepping, Keras, optax and Graves keep the rate inside
(`lr_inside`). Each option that needs another slot is a variant of its own.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from optlab_kernels.choose import choose
from optlab_kernels.jit import pointwise
from optlab_kernels.rule import Rule


class Hyper(NamedTuple):
    """torch's defaults."""

    lr: float = 1e-2
    alpha: float = 0.99
    eps: float = 1e-8
    centered: bool = False
    momentum: float = 0.0
    eps_inside: bool = False
    lr_inside: bool = False


@pointwise
def coefficients(t: int, h: Hyper) -> tuple[float, ...]:
    """The decay, epsilon on its side of the root, the rate on its side of the momentum."""
    inside, outside = 0.0, h.eps
    if h.eps_inside:
        inside, outside = h.eps, 0.0
    if h.lr_inside:
        return h.alpha, 1.0 - h.alpha, inside, outside, h.momentum, h.lr, 1.0
    return h.alpha, 1.0 - h.alpha, inside, outside, h.momentum, 1.0, h.lr


@pointwise
def plain(p: Any, g: Any, s: tuple[Any], c: tuple[Any, ...]) -> tuple[Any, tuple[Any]]:
    """One element, or one array of them."""
    (v,) = s
    a, rest, inside, outside, _, entering, stepping = c
    v = a * v + rest * (g * g)
    return p - stepping * (entering * g / (np.sqrt(v + inside) + outside)), (v,)


@pointwise
def variance(v: Any, m: Any) -> Any:
    """v - m^2, but 0 where rounding would make it negative, and infinite where v overflowed: else roots are NaN.

    Such a step stands still, as torch's does, whose multiply-add is fused and so has no inf - inf.
    """
    square = m * m
    return choose(v == v + v, v, choose(square < v, v - square, v - v))  # v is 0 or infinite; the usual; rounded away


@pointwise
def centered(p: Any, g: Any, s: tuple[Any, Any], c: tuple[Any, ...]) -> tuple[Any, tuple[Any, Any]]:
    """With the variance in place of the mean square."""
    v, m = s
    a, rest, inside, outside, _, entering, stepping = c
    v = a * v + rest * (g * g)
    m = a * m + rest * g
    return p - stepping * (entering * g / (np.sqrt(variance(v, m) + inside) + outside)), (v, m)


@pointwise
def with_momentum(p: Any, g: Any, s: tuple[Any, Any], c: tuple[Any, ...]) -> tuple[Any, tuple[Any, Any]]:
    """With a velocity of scaled gradients."""
    v, b = s
    a, rest, inside, outside, mu, entering, stepping = c
    v = a * v + rest * (g * g)
    b = mu * b + entering * g / (np.sqrt(v + inside) + outside)
    return p - stepping * b, (v, b)


@pointwise
def centered_with_momentum(p: Any, g: Any, s: tuple[Any, Any, Any], c: tuple[Any, ...]) -> tuple[Any, tuple[Any, ...]]:
    """Both."""
    v, m, b = s
    a, rest, inside, outside, mu, entering, stepping = c
    v = a * v + rest * (g * g)
    m = a * m + rest * g
    b = mu * b + entering * g / (np.sqrt(variance(v, m) + inside) + outside)
    return p - stepping * b, (v, m, b)


def select(h: Hyper) -> Rule:
    """The variant whose slots these options need."""
    return VARIANTS[bool(h.centered), h.momentum > 0]


UPDATES: dict[tuple[bool, bool], tuple[tuple[str, ...], Callable[..., Any]]] = {
    (False, False): (("v",), plain),
    (True, False): (("v", "m"), centered),
    (False, True): (("v", "b"), with_momentum),
    (True, True): (("v", "m", "b"), centered_with_momentum),
}
VARIANTS = {
    options: Rule(
        "rmsprop",
        Hyper,
        slots=slots,
        coefficients=coefficients,
        update=update,
        bounds={"lr": "[0, inf)", "alpha": "[0, 1)", "eps": "(0, inf)", "momentum": "[0, 1]"},
        conventions={
            "keras": {"lr": 1e-3, "alpha": 0.9, "eps": 1e-7, "eps_inside": True, "lr_inside": True},
            "optax": {"alpha": 0.9, "eps_inside": True, "lr_inside": True},
            "paper": {"alpha": 0.9, "lr_inside": True},
            "cs231n": {"alpha": 0.95, "eps": 1e-6, "eps_inside": True, "lr_inside": True},
        },
        select=select,
    )
    for options, (slots, update) in UPDATES.items()
}
rmsprop = VARIANTS[False, False]
