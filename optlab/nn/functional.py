"""Layers and losses as operations on tensors: each runs the loops that the compiled training machine runs.

Forward and vector-Jacobian products side by side; g is the gradient of the loss with respect to the result.
"""

from collections.abc import Iterable
from typing import Any

import numpy as np

from optlab.autograd.tensor import Tensor, record
from optlab.checks import check_amount, check_number
from optlab.errors import ConfigError, unknown
from optlab_kernels import gemm, layers
from optlab_kernels.dropout import dropout_mask


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """x W + b for x (n, in), W (in, out), b (out,);  dx = g W^T, dW = x^T g, db = sum of g over the batch."""
    _matrix("linear", x)
    _same_dtype("linear", x, weight)
    if x.shape[1] != weight.shape[0]:
        raise ConfigError(
            f"linear: x has shape {x.shape}, the weights {weight.shape}; x needs {weight.shape[0]} columns"
        )
    a, w = np.ascontiguousarray(x.data), np.ascontiguousarray(weight.data)
    z = np.empty((len(a), w.shape[1]), a.dtype)
    gemm.nn(a, w, z)

    def to_x(g: np.ndarray) -> np.ndarray:
        dx = np.empty_like(a)
        gemm.nn(np.ascontiguousarray(g), np.ascontiguousarray(w.T), dx)
        return dx

    def to_weight(g: np.ndarray) -> np.ndarray:
        dw = np.empty_like(w)
        gemm.tn(a, np.ascontiguousarray(g), dw)
        return dw

    def to_bias(g: np.ndarray) -> np.ndarray:
        db = np.empty(w.shape[1], w.dtype)
        layers.sum_rows(np.ascontiguousarray(g), db)
        return db

    edges = [(x, to_x), (weight, to_weight)]
    if bias is not None:
        layers.add_bias(z, bias.data)
        edges.append((bias, to_bias))
    return record("linear", z, edges, (x, weight))


def activation(x: Tensor, name: str, slope: float = 0.01) -> Tensor:
    """f(x) for one of relu, leaky-relu, tanh, sigmoid, gelu;  g f'(x)."""
    _matrix(name, x)
    if name not in layers.ACTIVATIONS:
        raise unknown("activation", name, layers.ACTIVATIONS)
    kind, z = layers.ACTIVATIONS[name], np.ascontiguousarray(x.data)
    h = np.empty_like(z)
    layers.activate(kind, slope, z, h)

    def to_x(g: np.ndarray) -> np.ndarray:
        dz = np.empty_like(z)
        layers.activate_back(kind, slope, z, h, np.ascontiguousarray(g), dz)
        return dz

    return record(name, h, [(x, to_x)], (x,), output=True)


def batch_norm(x: Tensor, gamma: Tensor, beta: Tensor, eps: float) -> tuple[Tensor, np.ndarray, np.ndarray]:
    """gamma x^ + beta with the batch's statistics; also returns its mean and biased variance, (features,)."""
    _matrix("batch_norm", x)
    if len(x.data) < 2:
        raise ConfigError("batch_norm: a batch of one has no variance; train with batches of two or more, or eval()")
    a, w = np.ascontiguousarray(x.data), gamma.data
    mean, variance, inverse, y = np.empty_like(w), np.empty_like(w), np.empty_like(w), np.empty_like(a)
    layers.batch_norm(a, w, beta.data, eps, mean, variance, inverse, y)
    done: dict[str, np.ndarray] = {}

    def back(g: np.ndarray, which: str) -> np.ndarray:
        if done.get("g") is not g:  # the three gradients come from one pass
            done.update(g=g, x=np.empty_like(a), gamma=np.empty_like(w), beta=np.empty_like(w))
            layers.batch_norm_back(a, w, mean, inverse, np.ascontiguousarray(g), done["x"], done["gamma"], done["beta"])
        return done[which]

    edges = [(x, lambda g: back(g, "x")), (gamma, lambda g: back(g, "gamma")), (beta, lambda g: back(g, "beta"))]
    return record("batch_norm", y, edges, (x, gamma)), mean, variance


def normalise(x: Tensor, gamma: Tensor, beta: Tensor, mean: np.ndarray, variance: np.ndarray, eps: float) -> Tensor:
    """gamma (x - mean) / sqrt(variance + eps) + beta with fixed statistics;  g gamma / sqrt(variance + eps)."""
    _matrix("normalise", x)
    a, w, center = np.ascontiguousarray(x.data), gamma.data, mean.copy()
    inverse = (1.0 / np.sqrt(variance + eps)).astype(w.dtype)
    y = np.empty_like(a)
    layers.normalise(a, w, beta.data, center, inverse, y)
    unit = (a - center) * inverse
    edges = [
        (x, lambda g: g * (w * inverse)),
        (gamma, lambda g: np.add.reduce(g * unit, axis=0)),
        (beta, lambda g: np.add.reduce(g, axis=0)),
    ]
    return record("normalise", y, edges, (gamma,))


def dropout(x: Tensor, p: float, seed: int, step: int) -> Tensor:
    """x times a mask that is 0 with probability p, else 1 / (1 - p): the same for the same seed and step;  g mask."""
    _matrix("dropout", x)
    mask = np.empty(x.shape, x.dtype)
    with np.errstate(over="ignore"):  # with the JIT off, NumPy remarks on the wrap-around that hashing is made of
        dropout_mask(mask, seed, step, p)
    return record("dropout", x.data * mask, [(x, lambda g: g * mask)])


def cross_entropy(logits: Tensor, labels: Any, *, label_smoothing: float = 0.0, class_weights: Any = None) -> Tensor:
    """The mean of -log softmax(logits)[label] over a batch (n, classes), from logits;  (softmax - q) / n.

    ``labels`` are n integers from 0 to classes - 1; q is the label, smoothed towards uniform by ``label_smoothing``.
    With a weight per class the mean is the weighted one, as in torch.

    Raises:
        ConfigError: an empty batch, labels that are not integers, are too many or too few, or out of range (which one),
            weights that are not one finite number >= 0 per class.

    >>> import numpy as np, optlab as ol
    >>> round(ol.nn.cross_entropy(ol.Tensor(np.zeros((2, 10))), [3, 7]).item(), 4)
    2.3026
    """
    _matrix("cross_entropy", logits)
    label_smoothing = check_number("label_smoothing", label_smoothing, "[0, 1]")
    classes = as_labels(labels, *logits.shape)
    z = np.ascontiguousarray(logits.data)
    gradient = np.empty_like(z)
    if class_weights is None:
        loss = layers.softmax_cross_entropy(z, classes, label_smoothing, gradient)
    else:
        weights = as_weights(class_weights, z.shape[1], z.dtype)
        loss = layers.weighted_cross_entropy(z, classes, label_smoothing, weights, gradient)
    return record("cross_entropy", np.array(loss, z.dtype), [(logits, lambda g: g * gradient)])


def mse(prediction: Tensor, target: Any) -> Tensor:
    """The mean of (prediction - target)^2 over all elements;  2 (prediction - target) / size.

    Raises:
        ConfigError: shapes differ (nothing is broadcast: (n,) against (n, 1) is a mistake, not n^2 differences).
    """
    _matrix("mse", prediction)
    wanted = np.ascontiguousarray(target.data if isinstance(target, Tensor) else target, dtype=prediction.dtype)
    if wanted.shape != prediction.shape:
        raise ConfigError(f"mse: the prediction has shape {prediction.shape}, the target {wanted.shape}; reshape one")
    y = np.ascontiguousarray(prediction.data)
    gradient = np.empty_like(y)
    loss = layers.squared_error(y, wanted, gradient)
    return record("mse", np.array(loss, y.dtype), [(prediction, lambda g: g * gradient)])


def l1_penalty(parameters: Iterable[Tensor], strength: float) -> Tensor:
    """strength times the sum of |w|, to be added to a loss; its (sub)gradient at 0 is 0."""
    return _penalty(parameters, check_amount("a penalty's strength", strength), lambda w: w.abs().sum())


def l2_penalty(parameters: Iterable[Tensor], strength: float) -> Tensor:
    """strength / 2 times the sum of w^2, to be added to a loss: its gradient is strength w, like L2 weight decay's."""
    return _penalty(parameters, check_amount("a penalty's strength", strength) / 2, lambda w: (w * w).sum())


def _penalty(parameters: Iterable[Tensor], factor: float, measure: Any) -> Tensor:
    total = None
    for parameter in parameters:
        part = measure(parameter)
        total = part if total is None else total + part
    if total is None:
        raise ConfigError("a penalty needs at least one parameter, got none")
    return total * factor  # type: ignore[no-any-return]


def as_labels(labels: Any, n: int, classes: int) -> np.ndarray:
    """``labels`` as n integers in [0, classes).

    Raises:
        ConfigError: they are not.
    """
    array = np.asarray(labels.data if isinstance(labels, Tensor) else labels)
    if n == 0:
        raise ConfigError("cross_entropy: the batch is empty")
    if array.shape != (n,):
        raise ConfigError(f"cross_entropy: {n} rows of logits need labels of shape ({n},), got {array.shape}")
    if array.dtype.kind not in "iu":
        raise ConfigError(f"labels are integers, class numbers from 0 to {classes - 1}, got dtype {array.dtype}")
    if array.min() < 0 or array.max() >= classes:
        at = int(np.flatnonzero((array < 0) | (array >= classes))[0])
        raise ConfigError(
            f"label {array[at]} of row {at} is out of range: there are {classes} classes, 0 to {classes - 1}"
        )
    return array.astype(np.int64, copy=False)


def as_weights(weights: Any, classes: int, dtype: np.dtype) -> np.ndarray:
    """A weight per class: finite, none negative, not all zero.

    Raises:
        ConfigError: they are not.
    """
    array = np.asarray(weights, dtype)
    if array.shape != (classes,) or not (np.isfinite(array).all() and (array >= 0.0).all() and array.any()):
        raise ConfigError(f"class_weights are {classes} finite numbers >= 0, not all zero, got {weights!r}")
    return array


def _matrix(op: str, x: Tensor) -> None:
    if x.ndim != 2:
        raise ConfigError(f"{op} takes a batch of shape (n, features), got {x.shape}")


def _same_dtype(op: str, x: Tensor, weight: Tensor) -> None:
    if x.dtype != weight.dtype:
        raise ConfigError(f"{op}: x is {x.dtype}, the weights are {weight.dtype}; convert one: x.astype(...)")
