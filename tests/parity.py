"""The formulas, against code that other people wrote: what the comparisons with torch, optax, Keras and papers share.

One row of a table is one rule under one convention: how the library spells it, and which hyperparameters are drawn.
Both sides take the same 500 random gradients; the distance is the largest difference at any step, relative to the
largest parameter. Both sides round differently at every step, by half a unit in the last place (1.1e-16, 6e-8)
of a number of about the parameter's size; over 500 steps these errors add up like a random walk of 22 such
units. The bars leave a factor of 400 (float64) and 1.5 (float32) on top; what was measured is about 1e-15 and 5e-7.
"""

import inspect
import zlib

import numpy as np
import pytest
from conftest import SHRINK

import optlab as ol

STEPS, SIZE, DRAWS = 500 // SHRINK, 24, 3
BAR = {"float64": 1e-12, "float32": 2e-6}
DTYPES = pytest.mark.parametrize("dtype", list(BAR))


def distance(path, want):
    """Largest difference of two trajectories relative to the largest parameter."""
    assert path.dtype == want.dtype
    assert np.isfinite(want).all()
    return float(np.abs(path - want).max() / np.abs(want).max())


def problem(dtype):
    """A start (n,) and gradients (steps, n): normal, each coordinate on its own scale from 0.01 to 10."""
    rng = np.random.default_rng(7)
    scale = np.geomspace(1e-2, 10, SIZE)
    return rng.standard_normal(SIZE).astype(dtype), (rng.standard_normal((STEPS, SIZE)) * scale).astype(dtype)


DRAW = {
    "lr": lambda r: 10 ** r.uniform(-4, -1),
    "large_lr": lambda r: r.uniform(0.1, 2),
    "beta": lambda r: r.choice([0.5, 0.9, 0.95, r.uniform(0, 0.99)]),
    "beta1": lambda r: r.choice([0.5, 0.9, 0.95, r.uniform(0, 0.99)]),
    "beta2": lambda r: r.choice([0.99, 0.999, r.uniform(0.5, 0.9999)]),
    "alpha": lambda r: r.choice([0.9, 0.99, r.uniform(0.5, 0.999)]),
    "rho": lambda r: r.uniform(0.5, 0.99),
    "momentum": lambda r: r.uniform(0.3, 0.95),
    "dampening": lambda r: r.uniform(0, 1),
    "eps": lambda r: 10 ** r.uniform(-10, -3),
    "initial": lambda r: r.uniform(0.01, 1),
    "lr_decay": lambda r: 10 ** r.uniform(-4, -1),
    "momentum_decay": lambda r: r.uniform(0.001, 0.1),
    "weight_decay": lambda r: 10 ** r.uniform(-4, -1),
}


def draws(key, names):
    """DRAWS seeded choices of the named hyperparameters; the second is without weight decay."""
    rng = np.random.default_rng(zlib.crc32(key.encode()))
    chosen = [{n.removeprefix("large_"): float(DRAW[n](rng)) for n in names.split()} for _ in range(DRAWS)]
    if "weight_decay" in names.split():
        chosen[1]["weight_decay"] = 0.0
    return chosen


def spelled(options, names):
    """``options`` under the library's names; two of ours may go to one pair: ``betas=beta1,beta2``."""
    theirs = {}
    for pair in names.split():
        name, _, ours = pair.partition("=")
        values = [options[o] for o in (ours or name).split(",")]
        theirs[name] = tuple(values) if len(values) > 1 else values[0]
    return theirs


def same_defaults(ours, convention, theirs, names):
    """Each hyperparameter in ``names`` has the library's default; None there means that the option is off."""
    settings = ours(convention=convention)
    for pair in names.split():
        name, _, own = pair.partition("=")
        if ours is ol.Momentum and name == "momentum":
            continue  # off in every library: without it the rule is ol.SGD
        want = theirs[name]
        got = [getattr(settings, o) for o in (own or name).split(",")]
        assert got == list(want if isinstance(want, tuple) else [want or 0.0]), name


def defaults_of(function):
    return {n: p.default for n, p in inspect.signature(function).parameters.items()}
