"""The examples of the contract with the user (`test_face.py`), which other tests try further: a rule, a space."""

from typing import NamedTuple

import numpy as np

from optlab.search import Choice, Float, Int, Space


class Hyper(NamedTuple):
    lr: float = 0.01
    beta: float = 0.9


def coefficients(t, h):
    return h.lr, h.beta


def update(p, g, s, c):
    (v,), (lr, beta) = s, c
    v = beta * v + g
    return p - lr * np.sign(v), (v,)


PARTS = {"slots": ("v",), "coefficients": coefficients, "update": update}
SPACE = Space(
    lr=Float(1e-5, 1, log=True),
    batch_size=Int(8, 256, log=True),
    hidden=Int(8, 64, step=8),
    rule=Choice(["sgd", "momentum", "adam"]),
    beta=Float(0.5, 0.99, when={"rule": "momentum"}),
)
