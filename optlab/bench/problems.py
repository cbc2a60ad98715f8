"""Functions to search the minimum of: published surfaces, a synthetic network, a real classifier, distortions.

Source of the published ones, with their optima: Surjanovic & Bingham, Virtual Library of Simulation Experiments. A
problem is a function of a space's parameters, so that integers and choices are part of it.
"""

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from optlab.search.space import Choice, Float, Int, Space

Array = np.ndarray
Function = Callable[[Array], float]


@dataclass(frozen=True)
class Problem:
    """``loss(params)`` without noise, its least value, and the noise of a trial (standard deviation)."""

    name: str
    space: Space
    loss: Callable[[dict[str, Any]], float]
    least: float
    noise: float = 0.0

    @functools.cached_property
    def scale(self) -> float:
        """The median regret of a random point, by which regrets are divided."""
        rng = np.random.default_rng(5)
        points = rng.random((2000, len(self.space)))
        return float(np.median([self.loss(self.space.decode(u)) for u in points]) - self.least)


def real(name: str, f: Function, low: Any, high: Any, d: int, least: float, noise: float = 0.0) -> Problem:
    """A problem of ``d`` real parameters with the same, or their own, ends."""
    lows, highs = np.broadcast_to(low, d).astype(float), np.broadcast_to(high, d).astype(float)
    space = Space({f"x{k}": Float(float(a), float(b)) for k, (a, b) in enumerate(zip(lows, highs, strict=True))})
    return Problem(name, space, lambda params: f(np.array(list(params.values()))), least, noise)


# --- published --------------------------------------------------------------------------------------------------------


def branin(x: Array) -> float:
    """Three equal minima."""
    bend = x[1] - 5.1 / (4 * math.pi**2) * x[0] ** 2 + 5 / math.pi * x[0] - 6
    return float(bend**2 + 10 * (1 - 1 / (8 * math.pi)) * math.cos(x[0]) + 10)


def camel6(x: Array) -> float:
    """Two global minima among six."""
    a, b = float(x[0]), float(x[1])
    return (4 - 2.1 * a * a + a**4 / 3) * a * a + a * b + (4 * b * b - 4) * b * b


def log_goldstein_price(x: Array) -> float:
    """The logarithm of a function over six decades."""
    a, b = float(x[0]), float(x[1])
    first = 1 + (a + b + 1) ** 2 * (19 - 14 * a + 3 * a * a - 14 * b + 6 * a * b + 3 * b * b)
    second = 30 + (2 * a - 3 * b) ** 2 * (18 - 32 * a + 12 * a * a + 48 * b - 36 * a * b + 27 * b * b)
    return math.log(first * second)


def beale(x: Array) -> float:
    """A flat valley between steep walls."""
    a, b = float(x[0]), float(x[1])
    return (1.5 - a + a * b) ** 2 + (2.25 - a + a * b**2) ** 2 + (2.625 - a + a * b**3) ** 2


def rosenbrock(x: Array) -> float:
    """A curved valley."""
    return float(np.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2))


def himmelblau(x: Array) -> float:
    """Four equal minima."""
    a, b = float(x[0]), float(x[1])
    return (a * a + b - 11) ** 2 + (a + b * b - 7) ** 2


def ackley(x: Array) -> float:
    """A funnel under ripples."""
    rms = math.sqrt(float(np.mean(x * x)))
    return float(-20 * math.exp(-0.2 * rms) - math.exp(float(np.mean(np.cos(2 * np.pi * x)))) + 20 + math.e)


def levy(x: Array) -> float:
    """Ripples with different periods."""
    w = 1 + (x - 1) / 4
    inner = np.sum((w[:-1] - 1) ** 2 * (1 + 10 * np.sin(np.pi * w[:-1] + 1) ** 2))
    return float(np.sin(np.pi * w[0]) ** 2 + inner + (w[-1] - 1) ** 2 * (1 + np.sin(2 * np.pi * w[-1]) ** 2))


HEIGHTS = np.array([1.0, 1.2, 3.0, 3.2])
SHARP3 = np.array([[3.0, 10, 30], [0.1, 10, 35], [3, 10, 30], [0.1, 10, 35]])
PLACE3 = 1e-4 * np.array([[3689.0, 1170, 2673], [4699, 4387, 7470], [1091, 8732, 5547], [381, 5743, 8828]])
SHARP6 = np.array(
    [[10, 3, 17, 3.5, 1.7, 8], [0.05, 10, 17, 0.1, 8, 14], [3, 3.5, 1.7, 10, 17, 8], [17, 8, 0.05, 10, 0.1, 14]]
)
PLACE6 = 1e-4 * np.array(
    [
        [1312.0, 1696, 5569, 124, 8283, 5886],
        [2329, 4135, 8307, 3736, 1004, 9991],
        [2348, 1451, 3522, 2883, 3047, 6650],
        [4047, 8828, 8732, 5743, 1091, 381],
    ]
)


def hartmann3(x: Array) -> float:
    """Four wells in three columns."""
    return float(-HEIGHTS @ np.exp(-np.sum(SHARP3 * (x - PLACE3) ** 2, 1)))


def hartmann6(x: Array) -> float:
    """Four wells in six columns."""
    return float(-HEIGHTS @ np.exp(-np.sum(SHARP6 * (x - PLACE6) ** 2, 1)))


def michalewicz(x: Array) -> float:
    """Plains with narrow ravines."""
    i = np.arange(1, len(x) + 1)
    return float(-np.sum(np.sin(x) * np.sin(i * x * x / np.pi) ** 20))


def styblinski_tang(x: Array) -> float:
    """2^d wells."""
    return float(0.5 * np.sum(x**4 - 16 * x**2 + 5 * x))


# --- made for tuning --------------------------------------------------------------------------------------------------


def network(x: Array) -> float:
    """An imitation of a network's error by log10 rate, -log10(1 - momentum), log10 decay, log2 width.

    A valley in the effective rate, a cliff above it where the training diverges (error .9), mild other terms.
    """
    rate, momentum, decay, width = map(float, x)
    effective, wide = rate + momentum, width - 6.5
    best = -0.9 - 0.12 * wide
    off = effective - best
    error = 0.9 * (1 - math.exp(-((off / 2.2) ** 2))) if off < 0 else 0.25 * off**2
    error += 0.02 + 0.010 * (decay + 3.4 - 0.15 * wide) ** 2 / (1 + 0.3 * (decay + 3.4) ** 2)
    error += 0.06 * math.exp(-(width - 3) / 2.0) + 0.004 * (momentum - 1.0) ** 2
    diverged = 1 / (1 + math.exp(-min(max((off - 0.75) / 0.04, -50.0), 50.0)))
    return (1 - diverged) * min(error, 0.9) + diverged * 0.9


@functools.cache
def _svc_errors() -> Array:
    """(3, 21, 21): 3-fold errors of scikit-learn's SVC on 900 digits by kernel, C and gamma; `scripts/svc_grid.py`."""
    return np.asarray(np.load(Path(__file__).with_name("svc_digits.npy"), allow_pickle=False))


def svc(params: dict[str, Any]) -> float:
    """Between the points of a measured grid, bilinear in the logarithms."""
    errors = _svc_errors()[("linear", "poly", "rbf").index(params["kernel"])]
    size = len(errors) - 1
    a, b = (math.log10(params["C"]) + 2) / 5 * size, (math.log10(params["gamma"]) + 5) / 6 * size
    i, j = min(max(int(a), 0), size - 1), min(max(int(b), 0), size - 1)
    a, b = a - i, b - j
    low = (1 - b) * errors[i, j] + b * errors[i, j + 1]
    return float((1 - a) * low + a * ((1 - b) * errors[i + 1, j] + b * errors[i + 1, j + 1]))


SVC = Space(kernel=Choice(["linear", "poly", "rbf"]), C=Float(1e-2, 1e3, log=True), gamma=Float(1e-5, 10, log=True))
PI = math.pi
NETWORK_LEAST = 0.02181184932310791  # by Nelder & Mead from the best 15 of 20,000 random points


def suite() -> list[Problem]:
    """The sixteen on which samplers are compared: 7 smooth, 6 with many minima, then noisy, synthetic and real."""
    return [
        real("branin", branin, [-5, 0], [10, 15], 2, 0.39788735772973816),
        real("camel6", camel6, [-3, -2], [3, 2], 2, -1.0316284534898774),
        real("log goldstein-price", log_goldstein_price, -2, 2, 2, math.log(3.0)),
        real("beale", beale, -4.5, 4.5, 2, 0.0),
        real("rosenbrock", rosenbrock, -5, 10, 2, 0.0),
        real("himmelblau", himmelblau, -5, 5, 2, 0.0),
        real("hartmann3", hartmann3, 0, 1, 3, -3.8627797869493365),
        real("ackley2", ackley, -5, 10, 2, 0.0),
        real("ackley5", ackley, -5, 10, 5, 0.0),
        real("levy4", levy, -10, 10, 4, 0.0),
        real("hartmann6", hartmann6, 0, 1, 6, -3.322368011415515),
        real("michalewicz5", michalewicz, 0, PI, 5, -4.687658179088148),
        real("styblinski-tang4", styblinski_tang, -5, 5, 4, -39.16616570377142 * 4),
        real("noisy branin", branin, [-5, 0], [10, 15], 2, 0.39788735772973816, noise=1.0),
        real("network", network, [-5, 0, -6, 3], [0, 2.5, -1, 10], 4, NETWORK_LEAST),
        Problem("svc", SVC, svc, float(_svc_errors().min())),
    ]


# --- held out: nothing was chosen by them -----------------------------------------------------------------------------


def griewank(x: Array) -> float:
    """A bowl under ripples."""
    i = np.sqrt(np.arange(1, len(x) + 1))
    return float(np.sum(x * x) / 4000 - np.prod(np.cos(x / i)) + 1)


def dixon_price(x: Array) -> float:
    """A chain of valleys."""
    i = np.arange(2, len(x) + 1)
    return float((x[0] - 1) ** 2 + np.sum(i * (2 * x[1:] ** 2 - x[:-1]) ** 2))


def bohachevsky(x: Array) -> float:
    """A bowl with bumps."""
    a, b = float(x[0]), float(x[1])
    return a * a + 2 * b * b - 0.3 * math.cos(3 * PI * a) - 0.4 * math.cos(4 * PI * b) + 0.7


def booth(x: Array) -> float:
    """A tilted bowl."""
    a, b = float(x[0]), float(x[1])
    return (a + 2 * b - 7) ** 2 + (2 * a + b - 5) ** 2


def zakharov(x: Array) -> float:
    """A plate that steepens."""
    tilt = float(np.sum(0.5 * np.arange(1, len(x) + 1) * x))
    return float(np.sum(x * x)) + tilt**2 + tilt**4


def rastrigin(x: Array) -> float:
    """A lattice of minima."""
    return float(10 * len(x) + np.sum(x * x - 10 * np.cos(2 * np.pi * x)))


SHEKEL_C = np.array([0.1, 0.2, 0.2, 0.4, 0.4])
SHEKEL_A = np.array([[4.0] * 4, [1.0] * 4, [8.0] * 4, [6.0] * 4, [3.0, 7, 3, 7]])


def shekel5(x: Array) -> float:
    """Five narrow wells."""
    return float(-np.sum(1.0 / (np.sum((x - SHEKEL_A) ** 2, 1) + SHEKEL_C)))


def turned(f: Function, low: float, high: float, d: int, seed: int) -> Function:
    """``f`` moved by up to a tenth of the range and rotated around its centre."""
    rng = np.random.default_rng(seed)
    rotation, _ = np.linalg.qr(rng.standard_normal((d, d)))
    shift, center = rng.uniform(-0.1, 0.1, d) * (high - low), (low + high) / 2
    return lambda x: f(rotation @ (x - center - shift) * 1.3 + center)


def layers(params: dict[str, Any]) -> float:
    """Mixed: a rule with a momentum of its own, a width, a number of layers."""
    rate = math.log10(params["rate"]) + (-math.log10(1 - params["momentum"]) if params["rule"] == "momentum" else 0.0)
    best = {"sgd": -1.0, "momentum": -0.7, "adam": -2.8}[params["rule"]]
    base = {"sgd": 0.09, "momentum": 0.06, "adam": 0.065}[params["rule"]]
    loss = base + 0.05 * (rate - best) ** 2 + 0.01 * (math.log2(params["width"]) - 7.2) ** 2
    return float(loss + 0.015 * (params["layers"] - 3) ** 2 + (0.4 if rate - best > 1.2 else 0.0))


LAYERS = Space(
    rule=Choice(["sgd", "momentum", "adam"]),
    rate=Float(1e-5, 1, log=True),
    momentum=Float(0.5, 0.99, when={"rule": "momentum"}),
    width=Int(8, 512, log=True),
    layers=Int(1, 6),
)
LAYERS_LEAST = 0.06 + 0.01 * (math.log2(147) - 7.2) ** 2


def held_out() -> list[Problem]:
    """Other functions; the suite's moved and rotated; noisy; mixed and conditional."""
    return [
        real("booth", booth, -10, 10, 2, 0.0),
        real("bohachevsky", bohachevsky, -70, 130, 2, 0.0),
        real("griewank3", griewank, -70, 100, 3, 0.0),
        real("dixon-price3", dixon_price, -10, 10, 3, 0.0),
        real("zakharov4", zakharov, -5, 10, 4, 0.0),
        real("rastrigin2", rastrigin, -4, 6, 2, 0.0),
        real("shekel5", shekel5, 0, 10, 4, -10.153199679058231),
        real("turned rosenbrock", turned(rosenbrock, -5, 10, 2, 1), -5, 10, 2, 0.0),
        real("turned ackley3", turned(ackley, -5, 10, 3, 2), -5, 10, 3, 0.0),
        real("turned levy3", turned(levy, -10, 10, 3, 3), -10, 10, 3, 0.0),
        real("turned styblinski-tang3", turned(styblinski_tang, -5, 5, 3, 4), -5, 5, 3, -39.16616570377142 * 3),
        real("noisy hartmann3", hartmann3, 0, 1, 3, -3.8627797869493365, noise=0.1),
        real("noisy himmelblau", himmelblau, -5, 5, 2, 0.0, noise=5.0),
        Problem("layers", LAYERS, layers, LAYERS_LEAST),
    ]
