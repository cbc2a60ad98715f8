"""What is maximised to choose the next point; all for minimising the loss, each with its derivatives.

    log-ei     log E[max(best - f, 0)]                   the default: EI's order without its underflow
    ei         E[max(best - f, 0)]                       Jones, Schonlau & Welch 1998, equation 15
    ucb        2 sd - mean                               Srinivas et al. 2010, with beta fixed: 2 of its square root
    noisy-ei   log-ei + log(1 - noise / sqrt(sd^2 + noise^2))     augmented EI: Huang et al. 2006, equation 12

``best`` is the lowest posterior mean at a point already tried, not the lowest observation: under noise that one is luck
(measured .18 decades better even without noise).
"""

from collections.abc import Callable

import numpy as np

from optlab_kernels.acquisition import log_improvement

Array = np.ndarray
Acquisition = Callable[[Array, Array, float, float], Array]
CONFIDENCE = 2.0


def log_ei(mean: Array, sd: Array, best: float, noise: float) -> Array:
    """``(3, m)``: value, derivative by the mean, derivative by the standard deviation."""
    out = np.empty((3, len(mean)))
    log_improvement(mean, sd, best, out)
    return out


def ei(mean: Array, sd: Array, best: float, noise: float) -> Array:
    """`log_ei`, raised."""
    out = log_ei(mean, sd, best, noise)
    out[0] = np.exp(out[0])
    out[1:] *= out[0]
    return out


def ucb(mean: Array, sd: Array, best: float, noise: float) -> Array:
    """The optimist's bound."""
    return np.array([CONFIDENCE * sd - mean, np.full(len(mean), -1.0), np.full(len(mean), CONFIDENCE)])


def noisy_ei(mean: Array, sd: Array, best: float, noise: float) -> Array:
    """`log_ei` less what a point's own noise hides: a point measured often enough is not measured again."""
    out = log_ei(mean, sd, best, noise)
    total = sd * sd + noise * noise
    root = np.sqrt(total)
    hidden = sd * sd / (root * (root + noise))  # 1 - noise / root, without the difference
    out[0] += np.log(hidden)
    out[2] += noise * sd / (total * root * hidden)
    return out


ACQUISITIONS: dict[str, Acquisition] = {"log-ei": log_ei, "ei": ei, "ucb": ucb, "noisy-ei": noisy_ei}
LOGARITHMIC = ("log-ei", "noisy-ei")
