"""SGD: a step against the gradient.

p <- p - lr g.  Source: Robbins & Monro, Annals of Mathematical Statistics 22, 1951, eq. 8; every library agrees.
"""

from typing import Any, NamedTuple

from optlab_kernels.jit import pointwise
from optlab_kernels.rule import Rule


class Hyper(NamedTuple):
    """The learning rate."""

    lr: float = 1e-3


@pointwise
def coefficients(t: int, h: Hyper) -> tuple[float, ...]:
    """The rate."""
    return (h.lr,)


@pointwise
def update(p: Any, g: Any, s: tuple[()], c: tuple[Any, ...]) -> tuple[Any, tuple[()]]:
    """One element, or one array of them."""
    (lr,) = c
    return p - lr * g, ()


sgd = Rule(
    "sgd",
    Hyper,
    slots=(),
    coefficients=coefficients,
    update=update,
    bounds={"lr": "[0, inf)"},
    conventions={"keras": {"lr": 1e-2}},
)
