"""The surfaces once more, in torch, each written as its source prints it: nothing here is taken from optlab.

Sources: Jamil & Yang, arXiv:1308.4008; Surjanovic & Bingham, sfu.ca/~ssurjano. `valley` and `ellipse` by definition.
"""

import math

import torch
from torch import cos, exp, sin, sqrt

pi = math.pi


def levy(x, y):
    w1, w2 = 1 + (x - 1) / 4, 1 + (y - 1) / 4
    return (
        sin(pi * w1) ** 2
        + (w1 - 1) ** 2 * (1 + 10 * sin(pi * w1 + 1) ** 2)
        + (w2 - 1) ** 2 * (1 + sin(2 * pi * w2) ** 2)
    )


def goldstein_price(x, y):
    return (1 + (x + y + 1) ** 2 * (19 - 14 * x + 3 * x**2 - 14 * y + 6 * x * y + 3 * y**2)) * (
        30 + (2 * x - 3 * y) ** 2 * (18 - 32 * x + 12 * x**2 + 48 * y - 36 * x * y + 27 * y**2)
    )


def branin(x, y):
    a, b, c, r, s, t = 1, 5.1 / (4 * pi**2), 5 / pi, 6, 10, 1 / (8 * pi)
    return a * (y - b * x**2 + c * x - r) ** 2 + s * (1 - t) * cos(x) + s


def ackley(x, y):
    a, b, c, d = 20, 0.2, 2 * pi, 2
    return (
        -a * exp(-b * sqrt((x**2 + y**2) / d)) - exp((cos(c * x) + cos(c * y)) / d) + a + torch.exp(torch.ones_like(x))
    )


def valley(x, y):
    """Half of u^2 + 100 v^2 in axes turned by 45 degrees."""
    u, v = (x + y) / math.sqrt(2), (x - y) / math.sqrt(2)
    return (u**2 + 100 * v**2) / 2


TORCH = {
    "sphere": lambda x, y: x**2 + y**2,
    "ellipse": lambda x, y: (x**2 + 100 * y**2) / 2,
    "booth": lambda x, y: (x + 2 * y - 7) ** 2 + (2 * x + y - 5) ** 2,
    "matyas": lambda x, y: 0.26 * (x**2 + y**2) - 0.48 * x * y,
    "three-hump-camel": lambda x, y: 2 * x**2 - 1.05 * x**4 + x**6 / 6 + x * y + y**2,
    "saddle": lambda x, y: x**2 - y**2,
    "steep-saddle": lambda x, y: 5 * x**2 - y**2,
    "monkey-saddle": lambda x, y: x**3 - 3 * x * y**2,
    "valley": valley,
    "rosenbrock": lambda x, y: (1 - x) ** 2 + 100 * (y - x**2) ** 2,
    "beale": lambda x, y: (1.5 - x + x * y) ** 2 + (2.25 - x + x * y**2) ** 2 + (2.625 - x + x * y**3) ** 2,
    "mccormick": lambda x, y: sin(x + y) + (x - y) ** 2 - 1.5 * x + 2.5 * y + 1,
    "himmelblau": lambda x, y: (x**2 + y - 11) ** 2 + (x + y**2 - 7) ** 2,
    "six-hump-camel": lambda x, y: (4 - 2.1 * x**2 + x**4 / 3) * x**2 + x * y + (-4 + 4 * y**2) * y**2,
    "goldstein-price": goldstein_price,
    "branin": branin,
    "easom": lambda x, y: -cos(x) * cos(y) * exp(-((x - pi) ** 2) - (y - pi) ** 2),
    "styblinski-tang": lambda x, y: ((x**4 - 16 * x**2 + 5 * x) + (y**4 - 16 * y**2 + 5 * y)) / 2,
    "ackley": ackley,
    "rastrigin": lambda x, y: 10 * 2 + (x**2 - 10 * cos(2 * pi * x)) + (y**2 - 10 * cos(2 * pi * y)),
    "levy": levy,
    "griewank": lambda x, y: (x**2 + y**2) / 4000 - cos(x) * cos(y / math.sqrt(2)) + 1,
}
