"""The noisy quadratic: a loss whose expectation under SGD is known exactly, at every step.

20 coordinates with curvatures h_i from 0.02 to 1; the gradient of one sample is h_i w_i + N(0, s_i) with variance
s_i = 0.05 h_i, that of a batch of B has s_i / B; start w_i = 1. Then e_i = E[w_i^2] obeys
e <- (1 - a h)^2 e + a^2 s / B, the loss is sum h e / 2, and it ends at the floor sum a s / (2 B (2 - a h)).
"""

import numpy as np

import optlab as ol

CURVATURE = np.geomspace(0.02, 1.0, 20)
VARIANCE = 0.05 * CURVATURE


def expected(rate: float, steps: int, batch: int = 1) -> np.ndarray:
    """E[loss] after 0, 1, ..., ``steps`` steps, by the recursion."""
    e = np.ones(len(CURVATURE))
    losses = [float(CURVATURE @ e) / 2]
    for _ in range(steps):
        e = (1 - rate * CURVATURE) ** 2 * e + rate**2 * VARIANCE / batch
        losses.append(float(CURVATURE @ e) / 2)
    return np.array(losses)


def closed_form(rate: float, steps: int) -> np.ndarray:
    """The same for a batch of 1 without a recursion: e_t = f + (1 - a h)^(2t) (1 - f), f = a s / (h (2 - a h))."""
    shrink = (1 - rate * CURVATURE) ** 2
    end = rate * VARIANCE / (CURVATURE * (2 - rate * CURVATURE))
    e = end + shrink ** np.arange(steps + 1)[:, None] * (1 - end)
    return np.asarray(e @ CURVATURE / 2)


def floor(rate: float, batch: int = 1) -> float:
    """Where the expected loss ends, for rates below 2 / max h."""
    return float((rate * VARIANCE / (2 * batch * (2 - rate * CURVATURE))).sum())


def simulated(rate: float, steps: int, runs: int, seed: int, batch: int = 1) -> np.ndarray:
    """(steps + 1, runs): the losses of so many runs side by side, each stepped by `ol.Optimizer`."""
    rng = np.random.default_rng(seed)
    spread = np.sqrt(VARIANCE / batch)
    w = ol.Tensor(np.ones((runs, len(CURVATURE))), requires_grad=True)
    optimizer = ol.Optimizer([w], ol.SGD(lr=rate))
    losses = [w.data**2 @ CURVATURE / 2]
    for _ in range(steps):
        w.grad = CURVATURE * w.data + spread * rng.standard_normal(w.shape)
        optimizer.step()
        losses.append(w.data**2 @ CURVATURE / 2)
    return np.array(losses)
