"""Adam: momentum divided by the root of a running mean square.

m <- b1 m + (1 - b1) g,  v <- b2 v + (1 - b2) g^2,  p <- p - lr m^ / (sqrt(v^) + eps),
with m^ = m / (1 - b1^t) and v^ = v / (1 - b2^t).

Source: Kingma & Ba, ICLR 2015, algorithm 1.
Where the field disagrees: Keras uses the reordered form at the end of the paper's section 2, whose epsilon is not
corrected ("epsilon hat": early on it acts 1 / sqrt(1 - b2^t) times larger); `eps_inside` puts it under the root,
as the two published animations do for the rules that they show. The paper and every library have b2 = 0.999; some
slides say 0.9999.
"""

from typing import Any, NamedTuple

import numpy as np

from optlab_kernels.jit import pointwise
from optlab_kernels.rule import Rule, power


class Hyper(NamedTuple):
    """The paper's defaults, which are torch's."""

    lr: float = 1e-3
    beta1: float = 0.9
    beta2: float = 0.999
    eps: float = 1e-8
    bias_correction: bool = True
    eps_hat: bool = False
    eps_inside: bool = False


@pointwise
def coefficients(t: int, h: Hyper, w: tuple[float, float]) -> tuple[tuple[float, ...], tuple[float, float]]:
    """Step length and the scale of v; the powers b1^t and b2^t are carried along (`**` would double a step's time)."""
    w1, w2 = power(w[0], h.beta1), power(w[1], h.beta2)
    unbias1, unbias2 = 1.0, 1.0
    if h.bias_correction:
        unbias1, unbias2 = 1.0 / (1.0 - w1), 1.0 / (1.0 - w2)
    outside, inside = h.eps, 0.0
    if h.eps_hat:
        outside = h.eps * np.sqrt(unbias2)
    if h.eps_inside:
        outside, inside = 0.0, h.eps
    return (h.lr * unbias1, unbias2, inside, outside, h.beta1, 1.0 - h.beta1, h.beta2, 1.0 - h.beta2), (w1, w2)


@pointwise
def update(p: Any, g: Any, s: tuple[Any, Any], c: tuple[Any, ...]) -> tuple[Any, tuple[Any, Any]]:
    """One element, or one array of them."""
    m, v = s
    alpha, unbias, inside, outside, b1, c1, b2, c2 = c
    m = b1 * m + c1 * g
    v = b2 * v + c2 * (g * g)
    return p - alpha * m / (np.sqrt(v * unbias + inside) + outside), (m, v)


BOUNDS = {"lr": "[0, inf)", "beta1": "[0, 1)", "beta2": "[0, 1)", "eps": "(0, inf)"}
CONVENTIONS: dict[str, dict[str, float]] = {"keras": {"eps": 1e-7, "eps_hat": True}, "cs231n": {"eps_inside": True}}
UNBIASED = {"m": "beta1", "v": "beta2"}

adam = Rule(
    "adam",
    Hyper,
    slots=("m", "v"),
    coefficients=coefficients,
    update=update,
    memory=(1.0, 1.0),
    bounds=BOUNDS,
    conventions=CONVENTIONS,
    unbiased=UNBIASED,
)
