"""Activations, stable for any finite input: y, and beside it g ∂y/∂x, g being ∂L/∂y."""

import math
from typing import Any, Literal

import numpy as np

from optlab.autograd.reductions import one_axis
from optlab.autograd.tensor import Tensor, as_tensor, record
from optlab.errors import unknown


def tanh(x: Any) -> Tensor:
    """y = tanh x;  g (1 - y²)."""
    x = as_tensor(x)
    y = np.tanh(x._data)
    return record("tanh", y, ((x, lambda g: g * (1 - y * y)),), output=True)


def sigmoid(x: Any) -> Tensor:
    """y = 1 / (1 + e⁻ˣ), from e to the power -|x|, which can't overflow;  g y (1 - y)."""
    x = as_tensor(x)
    u = x._data
    e = np.exp(-np.abs(u))
    y = np.where(u >= 0, 1, e) / (1 + e)
    return record("sigmoid", y, ((x, lambda g: g * y * (1 - y)),), output=True)


def relu(x: Any) -> Tensor:
    """y = max(x, 0);  g where x > 0, else 0. Chosen, not multiplied: 0 even where g is infinite, as in torch."""
    x = as_tensor(x)
    y = np.maximum(x._data, 0)
    return record("relu", y, ((x, lambda g: np.where(y <= 0, 0, g)),), output=True)


def leaky_relu(x: Any, slope: float = 0.01) -> Tensor:
    """x where x > 0, else slope x;  g or slope g."""
    x = as_tensor(x)
    u, slope = x._data, float(slope)
    y = np.where(u > 0, u, slope * u)
    return record("leaky_relu", y, ((x, lambda g: np.where(u > 0, g, slope * g)),), (x,))


def gelu(x: Any, approximate: Literal["none", "tanh"] = "none") -> Tensor:
    """x Φ(x), Φ and φ the normal distribution and density;  g (Φ(x) + x φ(x)).

    ``approximate="tanh"`` is torch's other form, x (1 + tanh r) / 2 with r = √(2/π) (x + 0.044715 x³).
    """
    x = as_tensor(x)
    u = x._data
    if approximate == "none":
        from scipy.special import erfc  # here, because importing SciPy takes longer than all of the tape

        below = erfc(u * -math.sqrt(0.5)) / 2

        def exact(g: Any) -> Any:
            return g * (below + u * np.exp(-np.square(np.clip(u, -40, 40)) / 2) * (1 / math.sqrt(2 * math.pi)))

        return record("gelu", u * below, ((x, exact),), (x,))
    if approximate != "tanh":
        raise unknown("form of gelu", approximate, ("none", "tanh"))
    c = math.sqrt(2 / math.pi)
    w = np.clip(u, -10, 10)  # beyond, tanh r is 1 and its derivative 0 to the last bit, and the cube could overflow
    t = np.tanh(c * (w + 0.044715 * w**3))

    def tanh_form(g: Any) -> Any:
        return g * ((1 + t) / 2 + w * (1 - t * t) * (c / 2) * (1 + 3 * 0.044715 * w * w))

    return record("gelu", u * ((1 + t) / 2), ((x, tanh_form),))


def softmax(x: Any, axis: int = -1) -> Tensor:
    """yᵢ = exp(xᵢ - m) / Σ exp(xⱼ - m), m the largest;  yᵢ (gᵢ - Σ gⱼ yⱼ)."""
    x = as_tensor(x)
    axis = one_axis("softmax", x, axis)
    with np.errstate(over="ignore"):  # the distance of two large numbers of opposite sign is infinite, its exp is 0
        y = np.exp(x._data - x._data.max(axis, keepdims=True))
    y = y / y.sum(axis, keepdims=True)
    return record("softmax", y, ((x, lambda g: y * (g - (g * y).sum(axis, keepdims=True))),), output=True)


def log_softmax(x: Any, axis: int = -1) -> Tensor:
    """yᵢ = xᵢ - m - log Σ exp(xⱼ - m), m the largest;  gᵢ - exp(yᵢ) Σ gⱼ."""
    x = as_tensor(x)
    axis = one_axis("log_softmax", x, axis)
    with np.errstate(over="ignore"):
        z = x._data - x._data.max(axis, keepdims=True)
    e = np.exp(z)
    total = e.sum(axis, keepdims=True)
    y = z - np.log(total)
    return record("log_softmax", y, ((x, lambda g: g - e * (g.sum(axis, keepdims=True) / total)),))
