"""The layers of a small network, forwards and backwards, as loops over a batch (n, features).

The tape and the compiled training machine call the same functions, so that they agree bit for bit. Sums over the batch
add row after row, in order; nothing here is reassociated. Every function writes into arrays that its caller owns.
"""

import math
from typing import Any

import numpy as np

from optlab_kernels.exponential import exp
from optlab_kernels.jit import jit, pointwise

RELU, LEAKY_RELU, TANH, SIGMOID, GELU = range(5)
ACTIVATIONS = {"relu": RELU, "leaky-relu": LEAKY_RELU, "tanh": TANH, "sigmoid": SIGMOID, "gelu": GELU}
ROOT_HALF = math.sqrt(0.5)
ROOT_TWO_PI = math.sqrt(2.0 * math.pi)


@pointwise
def sigmoid(z: Any, one: Any) -> Any:
    """1 / (1 + exp(-z)), by exp(-|z|) so that nothing overflows; ``one`` is 1 in the precision of z."""
    e = exp(-abs(z))
    return (one if z >= 0 else e) / (one + e)


@pointwise
def bell(z: Any) -> float:
    """The standard normal distribution function."""
    return 0.5 * (1.0 + math.erf(z * ROOT_HALF))


@jit
def add_bias(z: np.ndarray, b: np.ndarray) -> None:
    """z_ij <- z_ij + b_j."""
    for i in range(np.uint64(z.shape[0])):
        for j in range(np.uint64(z.shape[1])):
            z[i, j] = z[i, j] + b[j]


@jit
def sum_rows(dz: np.ndarray, db: np.ndarray) -> None:
    """db_j <- sum over i of dz_ij: the gradient of a bias."""
    zero = db.dtype.type(0)
    for j in range(np.uint64(db.size)):
        db[j] = zero
    for i in range(np.uint64(dz.shape[0])):
        for j in range(np.uint64(dz.shape[1])):
            db[j] = db[j] + dz[i, j]


@jit
def activate(kind: int, slope: float, z: np.ndarray, h: np.ndarray) -> None:
    """h <- f(z) for one of `ACTIVATIONS`; ``slope`` is the leaky one's; ``h`` may be ``z``.

    ReLU: Nair & Hinton 2010; leaky: Maas et al. 2013; GELU: Hendrycks & Gimpel 2016, eq. 2 (exact, by erf).
    """
    zero, one, tilt = z.dtype.type(0), z.dtype.type(1), z.dtype.type(slope)
    for i in range(np.uint64(z.shape[0])):
        if kind == RELU:
            for j in range(np.uint64(z.shape[1])):
                h[i, j] = zero if z[i, j] <= zero else z[i, j]
        elif kind == LEAKY_RELU:
            for j in range(np.uint64(z.shape[1])):
                h[i, j] = tilt * z[i, j] if z[i, j] <= zero else z[i, j]
        elif kind == TANH:
            for j in range(np.uint64(z.shape[1])):
                h[i, j] = math.tanh(z[i, j])
        elif kind == SIGMOID:
            for j in range(np.uint64(z.shape[1])):
                h[i, j] = sigmoid(z[i, j], one)
        else:
            for j in range(np.uint64(z.shape[1])):
                h[i, j] = z[i, j] * bell(z[i, j])


@jit
def activate_back(kind: int, slope: float, z: np.ndarray, h: np.ndarray, dh: np.ndarray, dz: np.ndarray) -> None:
    """dz <- dh f'(z), with h = f(z) at hand; at 0 the slope of ReLU is 0; ``dz`` may be ``dh``."""
    zero, one, tilt = z.dtype.type(0), z.dtype.type(1), z.dtype.type(slope)
    for i in range(np.uint64(z.shape[0])):
        if kind == RELU:
            for j in range(np.uint64(z.shape[1])):
                dz[i, j] = zero if z[i, j] <= zero else dh[i, j]
        elif kind == LEAKY_RELU:
            for j in range(np.uint64(z.shape[1])):
                dz[i, j] = tilt * dh[i, j] if z[i, j] <= zero else dh[i, j]
        elif kind == TANH:
            for j in range(np.uint64(z.shape[1])):
                dz[i, j] = dh[i, j] * (one - h[i, j] * h[i, j])
        elif kind == SIGMOID:
            for j in range(np.uint64(z.shape[1])):
                dz[i, j] = dh[i, j] * (h[i, j] * (one - h[i, j]))
        else:
            for j in range(np.uint64(z.shape[1])):
                density = math.exp(-0.5 * float(z[i, j]) * float(z[i, j])) / ROOT_TWO_PI
                dz[i, j] = dh[i, j] * (bell(z[i, j]) + z[i, j] * density)


@jit
def softmax_cross_entropy(z: np.ndarray, labels: np.ndarray, smoothing: float, dz: np.ndarray) -> float:
    """The mean over the batch of -sum_k q_k log softmax(z)_k, and its gradient (softmax - q) / n in ``dz``.

    q is 1 - smoothing for the label plus smoothing / classes for every class (Szegedy et al., CVPR 2016, section 7).
    The row's maximum is subtracted first, so logits of any finite size give finite losses. ``dz`` may be ``z``.
    """
    n, classes = z.shape
    kind = z.dtype.type
    share, rest, hit = kind(1.0 / n), kind(smoothing / classes), kind(1.0 - smoothing)
    total = 0.0
    for i in range(n):
        top = z[i, 0]
        for j in range(classes):
            top = max(top, z[i, j])
        height, weight = z[i, labels[i]] - top, kind(0)
        if smoothing > 0.0:
            for j in range(classes):
                total -= float(rest) * float(z[i, j] - top)
        for j in range(np.uint64(classes)):
            dz[i, j] = exp(z[i, j] - top)
        for j in range(classes):
            weight = weight + dz[i, j]
        total += math.log(weight) - float(hit) * float(height)
        inverse = kind(1) / weight
        for j in range(np.uint64(classes)):
            dz[i, j] = share * (dz[i, j] * inverse - rest)
        dz[i, labels[i]] = dz[i, labels[i]] - share * hit
    return float(total / n)


@jit
def weighted_cross_entropy(
    z: np.ndarray, labels: np.ndarray, smoothing: float, weights: np.ndarray, dz: np.ndarray
) -> float:
    """`softmax_cross_entropy` with a weight w per class: sum_i sum_k w_k q_ik (-log softmax(z_i)_k) / sum_i w_label(i).

    A batch whose labels all have weight 0 says nothing: its loss and gradient are 0. ``dz`` may be ``z``.
    """
    n, classes = z.shape
    kind = z.dtype.type
    mass, of_all = 0.0, kind(0)
    for i in range(n):
        mass += float(weights[labels[i]])
    if mass == 0.0:
        for i in range(n):
            for j in range(classes):
                dz[i, j] = kind(0)
        return 0.0
    for j in range(classes):
        of_all = of_all + weights[j]
    share, rest, hit = kind(1.0 / mass), kind(smoothing / classes), kind(1.0 - smoothing)
    total = 0.0
    for i in range(n):
        top = z[i, 0]
        for j in range(classes):
            top = max(top, z[i, j])
        own, weight = weights[labels[i]], kind(0)
        drawn = rest * of_all + hit * own
        total -= float(hit) * float(own) * float(z[i, labels[i]] - top)
        if smoothing > 0.0:
            for j in range(classes):
                total -= float(rest) * float(weights[j]) * float(z[i, j] - top)
        for j in range(np.uint64(classes)):
            dz[i, j] = exp(z[i, j] - top)
        for j in range(classes):
            weight = weight + dz[i, j]
        total += math.log(weight) * float(drawn)
        inverse = kind(1) / weight
        for j in range(np.uint64(classes)):
            dz[i, j] = share * (dz[i, j] * inverse * drawn - rest * weights[j])
        dz[i, labels[i]] = dz[i, labels[i]] - share * (hit * own)
    return float(total / mass)


@jit
def standardise(x: np.ndarray, shift: np.ndarray, scale: np.ndarray) -> None:
    """x <- (x - shift) scale, in place, with a shift and a scale per feature."""
    for i in range(np.uint64(x.shape[0])):
        for j in range(np.uint64(x.shape[1])):
            x[i, j] = (x[i, j] - shift[j]) * scale[j]


@jit
def squared_error(y: np.ndarray, target: np.ndarray, dy: np.ndarray) -> float:
    """The mean of (y - target)^2 over all elements, and its gradient 2 (y - target) / size in ``dy``."""
    n, columns = y.shape
    scale = y.dtype.type(2.0 / (n * columns))
    total = 0.0
    for i in range(n):
        for j in range(columns):
            error = y[i, j] - target[i, j]
            total += float(error) * float(error)
            dy[i, j] = scale * error
    return float(total / (n * columns))


@jit
def batch_norm(
    x: np.ndarray,
    gamma: np.ndarray,
    beta: np.ndarray,
    eps: float,
    mean: np.ndarray,
    variance: np.ndarray,
    inverse: np.ndarray,
    y: np.ndarray,
) -> None:
    """y <- gamma (x - mean) / sqrt(variance + eps) + beta with the batch's own mean and (biased) variance.

    Both, and ``inverse`` = 1 / sqrt(variance + eps), (features,), are left for the way back and the running averages.
    Source: Ioffe & Szegedy, ICML 2015, algorithm 1.
    """
    n, features = x.shape
    kind = x.dtype.type
    share, tiny, one = kind(1.0 / n), kind(eps), kind(1)
    sum_rows(x, mean)
    for j in range(features):
        mean[j] = mean[j] * share
        variance[j] = kind(0)
    for i in range(np.uint64(n)):
        for j in range(np.uint64(features)):
            away = x[i, j] - mean[j]
            variance[j] = variance[j] + away * away
    for j in range(features):
        variance[j] = variance[j] * share
        inverse[j] = one / np.sqrt(variance[j] + tiny)
    normalise(x, gamma, beta, mean, inverse, y)


@jit
def normalise(
    x: np.ndarray, gamma: np.ndarray, beta: np.ndarray, mean: np.ndarray, inverse: np.ndarray, y: np.ndarray
) -> None:
    """y <- gamma (x - mean) inverse + beta, with whatever statistics are given."""
    for i in range(np.uint64(x.shape[0])):
        for j in range(np.uint64(x.shape[1])):
            y[i, j] = gamma[j] * ((x[i, j] - mean[j]) * inverse[j]) + beta[j]


@jit
def batch_norm_back(
    x: np.ndarray,
    gamma: np.ndarray,
    mean: np.ndarray,
    inverse: np.ndarray,
    dy: np.ndarray,
    dx: np.ndarray,
    dgamma: np.ndarray,
    dbeta: np.ndarray,
) -> None:
    """dx <- gamma inverse (dy - dbeta / n - x^ dgamma / n), dgamma = sum of dy x^, dbeta = sum of dy.

    x^ = (x - mean) inverse; the statistics depend on x, hence the two corrections (the paper's section 3).
    """
    n, features = x.shape
    kind = x.dtype.type
    share = kind(1.0 / n)
    sum_rows(dy, dbeta)
    for j in range(features):
        dgamma[j] = kind(0)
    for i in range(np.uint64(n)):
        for j in range(np.uint64(features)):
            dgamma[j] = dgamma[j] + dy[i, j] * ((x[i, j] - mean[j]) * inverse[j])
    for i in range(np.uint64(n)):
        for j in range(np.uint64(features)):
            unit = (x[i, j] - mean[j]) * inverse[j]
            dx[i, j] = gamma[j] * inverse[j] * (dy[i, j] - dbeta[j] * share - unit * (dgamma[j] * share))
