"""What the tests of the GP sampler share: spaces, losses, searches."""

import numpy as np
import pytest
from conftest import SHRINK

from optlab.search.gp import candidates, chain, propose
from optlab.search.sampler import Observation
from optlab.search.samplers import gp
from optlab.search.samplers.gp import GP
from optlab.search.samplers.sobol import SobolSequence
from optlab.search.space import Choice, Float, Int, Space

PLANE = Space(x=Float(-1, 1), y=Float(1e-3, 10, log=True))
MIXED = Space(
    rule=Choice(["sgd", "momentum", "adam"]),
    rate=Float(1e-4, 1, log=True),
    beta=Float(0.5, 0.9, when={"rule": "momentum"}),
    nesterov=Choice([True, False], when={"rule": "momentum"}),
    width=Int(4, 256, log=True),
    layers=Int(1, 3),
    decay=Float(0, 0.3, step=0.1),
)


@pytest.fixture(autouse=True)
def small_without_the_compiler(monkeypatch):
    """The same search with fewer candidates and shorter fits."""
    if SHRINK > 1:
        monkeypatch.setattr(gp, "WIDE", 48)
        monkeypatch.setattr(candidates, "NEAR", 16)
        monkeypatch.setattr(propose, "ROUNDS", 6)
        monkeypatch.setattr(propose, "RESTARTS", 4)
        monkeypatch.setattr(chain, "ROUNDS", 4)
        monkeypatch.setattr(chain, "EACH", 10)


def bowl(params):
    return (params["x"] - 0.3) ** 2 + (np.log10(params["y"]) - 0.2) ** 2 / 4


def mixed_loss(params):
    rate = np.log10(params["rate"]) + {"sgd": 1, "momentum": 1.5, "adam": 3}[params["rule"]]
    bonus = 0.2 * params["nesterov"] + params["beta"] / 4 if "beta" in params else 0.1
    return rate**2 + (np.log2(params["width"]) - 6) ** 2 / 10 + (params["layers"] - 2) ** 2 + params["decay"] - bonus


def bound(space, **options):
    sampler = GP(**options)
    sampler.bind(space)
    return sampler


def told(space, points, losses):
    """Results at points of the unit cube."""
    pairs = enumerate(zip(points, losses, strict=True))
    return [Observation(n, space.decode(u), float(y), "complete") for n, (u, y) in pairs]


def searched(sampler, loss, trials, seen=(), batch=1):
    seen = list(seen)
    while len(seen) < trials:
        numbers = range(len(seen), min(len(seen) + batch, trials))
        for n, params in zip(numbers, sampler.propose(numbers, seen), strict=True):
            seen.append(Observation(n, params, float(loss(params)), "complete"))
    return seen


def sobol_results(space, n, loss, seed=0):
    even = SobolSequence(len(space), seed)
    params = [space.decode(even[i]) for i in range(n)]
    return [Observation(i, p, float(loss(p)), "complete") for i, p in enumerate(params)]
