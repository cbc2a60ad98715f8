"""Momentum: a velocity that remembers past gradients (heavy ball), and Nesterov's look-ahead.

v <- b v + (1 - d) g,  p <- p - lr v;   Nesterov: p <- p - lr (g + b v).

Sources: Polyak, USSR Computational Mathematics 4(5), 1964, eq. 9; Sutskever et al., ICML 2013, eq. 1-4 (Nesterov);
torch.optim.SGD for the dampening d, which the first step does without.
Where the field disagrees: torch, optax and the slides multiply by the rate when stepping, so a new rate acts at once
on the whole velocity; Keras, cs231n and Polyak keep the rate inside (`lr_inside`: v <- b v + (1 - d) lr g,
p <- p - v), so it acts on new gradients only. For a constant rate the two are the same.
"""

from typing import Any, NamedTuple

from optlab_kernels.jit import pointwise
from optlab_kernels.rule import Rule


class Hyper(NamedTuple):
    """torch.optim.SGD with a momentum of 0.9."""

    lr: float = 1e-3
    beta: float = 0.9
    dampening: float = 0.0
    nesterov: bool = False
    lr_inside: bool = False


@pointwise
def coefficients(t: int, h: Hyper) -> tuple[float, ...]:
    """Weights of g in v, and of v and g in the step."""
    entering = 1.0 if t == 1 else 1.0 - h.dampening
    stepping = h.lr
    if h.lr_inside:
        entering, stepping = entering * h.lr, 1.0
    if h.nesterov:
        return h.beta, entering, stepping * h.beta, h.lr
    return h.beta, entering, stepping, 0.0


@pointwise
def update(p: Any, g: Any, s: tuple[Any], c: tuple[Any, ...]) -> tuple[Any, tuple[Any]]:
    """One element, or one array of them."""
    (v,) = s
    b, entering, from_v, from_g = c
    v = b * v + entering * g
    return p - (from_v * v + from_g * g), (v,)


INSIDE = {"lr_inside": True}
momentum = Rule(
    "momentum",
    Hyper,
    slots=("v",),
    coefficients=coefficients,
    update=update,
    bounds={"lr": "[0, inf)", "beta": "[0, 1]", "dampening": "[0, 1]"},
    conventions={"keras": {"lr": 1e-2, **INSIDE}, "paper": INSIDE, "cs231n": INSIDE},
)
