"""Held-out families by what is hard about them: mixed spaces drawn from a seed, integers, many parameters.

A mixed problem is a bowl with ripples per value of a choice, each with a place, a width and a floor of its own:

    loss = floor + z'z / (2 + 0.3 z'z) + sum of a (1 - cos(w z)) + cost of the flag,   z = R (u - place) / width

u are the numeric parameters in the unit interval, R mixes them, a conditional one counts only where it is active.
Every term is 0 at the place of the value whose floor is 0, so that the least value is known: 0.
"""

import itertools
from typing import Any

import numpy as np

from optlab.bench.problems import (
    Function,
    Problem,
    ackley,
    branin,
    hartmann3,
    hartmann6,
    himmelblau,
    levy,
    real,
    rosenbrock,
    styblinski_tang,
)
from optlab.search.space import Choice, Float, Int, Parameter, Space

FIRST, MIXED = 101, 12  # seeds: those from 1 were looked at while the sampler was made


def mixed() -> list[Problem]:
    """A choice of 2 to 4 values, often a flag; floats, integers, and floats that only some values have."""
    return [random_mixed(seed) for seed in range(FIRST, FIRST + MIXED)]


def random_mixed(seed: int) -> Problem:
    """The problem of one seed."""
    rng = np.random.default_rng([77, seed])
    kinds = [f"v{i}" for i in range(2 + seed % 3)]
    values = len(kinds)
    floats, integers, own = rng.integers(1, 4), rng.integers(0, 3), rng.integers(1, 3)
    flagged = bool(rng.random() < 0.5)
    columns: dict[str, Parameter] = {"kind": Choice(kinds)}
    for i in range(floats):
        columns[f"x{i}"] = Float(1e-4, 1.0, log=True) if rng.random() < 0.5 else Float(0.0, 1.0)
    for i in range(integers):
        columns[f"n{i}"] = Int(4, 256, log=True) if rng.random() < 0.5 else Int(1, int(rng.integers(5, 20)))
    for i in range(own):
        owners = rng.choice(values, size=int(rng.integers(1, max(2, values - 1))), replace=False)
        columns[f"c{i}"] = Float(0.0, 1.0, when={"kind": [kinds[o] for o in sorted(owners.tolist())]})
    names = list(columns)[1:]
    if flagged:
        columns["flag"] = Choice([True, False])
    space, d = Space(columns), len(names)
    shared = rng.uniform(0.15, 0.85, d)
    turn = np.linalg.qr(rng.standard_normal((d, d)))[0]
    turn = np.linalg.qr(np.eye(d) + 0.5 * turn)[0] if d > 1 else np.eye(1)
    widths = np.exp(rng.uniform(np.log(0.15), np.log(1.0), d))
    floors = np.concatenate([[0.0], rng.uniform(0.05, 0.5, values - 1)])
    rng.shuffle(floors)
    places, sizes = np.empty((values, d)), np.empty(values)
    for v in range(values):
        place = np.clip(shared + 0.15 * rng.standard_normal(d), 0.05, 0.95)
        places[v] = [_settled(space[name], float(u)) for name, u in zip(names, place, strict=True)]
        sizes[v] = np.exp(rng.uniform(np.log(0.4), np.log(1.5)))
    waves, heights = 1.5 * rng.standard_normal((3, d)), rng.uniform(0.05, 0.3, 3)
    cost, wanted = rng.uniform(0.05, 0.3), bool(rng.random() < 0.5)

    def loss(params: dict[str, Any]) -> float:
        v = kinds.index(params["kind"])
        u = [space[name].unit(params[name]) if name in params else places[v, k] for k, name in enumerate(names)]
        z = turn @ (np.array(u) - places[v]) / (widths * sizes[v])
        bowl = 0.5 * (z @ z) / (1.0 + 0.15 * (z @ z))
        off = cost if flagged and params["flag"] is not wanted else 0.0
        return float(floors[v] + bowl + heights @ (1.0 - np.cos(waves @ z)) + off)

    return Problem(f"mixed {seed}", space, loss, 0.0)


def _settled(parameter: Any, u: float) -> float:
    """Where a parameter's value at ``u`` stands: an integer in the middle of its cell."""
    place: float = parameter.unit(parameter.value(u))
    return place


def stepped() -> list[Problem]:
    """Published surfaces on lattices of integers."""
    return [
        _on_lattice("branin", branin, [-5, 0], [10, 15], 2, 41),
        _on_lattice("himmelblau", himmelblau, -5, 5, 2, 41),
        _on_lattice("rosenbrock", rosenbrock, -5, 10, 2, 61),
        _on_lattice("hartmann3", hartmann3, 0, 1, 3, 21),
        _on_lattice("styblinski-tang3", styblinski_tang, -5, 5, 3, 21),
        _on_lattice("levy4", levy, -10, 10, 4, 41, 0.0),
        _on_lattice("ackley5", ackley, -5, 10, 5, 31, 0.0),
    ]


def _on_lattice(
    name: str, f: Function, low: Any, high: Any, d: int, levels: int, least: float | None = None
) -> Problem:
    """``levels`` points a column; the least value is told, or the lattice is tried out."""
    lows, highs = np.broadcast_to(low, d).astype(float), np.broadcast_to(high, d).astype(float)

    def at(steps: Any) -> float:
        return f(lows + (highs - lows) * np.array(steps, float) / (levels - 1))

    if least is None:
        least = min(at(steps) for steps in itertools.product(range(levels), repeat=d))
    space = Space({f"x{k}": Int(0, levels - 1) for k in range(d)})
    return Problem(f"stepped {name}", space, lambda params: at(list(params.values())), least)


def large() -> list[Problem]:
    """Ten and twenty parameters, to be tried a hundred times."""
    return [
        real("levy10", levy, -10, 10, 10, 0.0),
        real("rosenbrock10", rosenbrock, -5, 10, 10, 0.0),
        real("ackley20", ackley, -5, 10, 20, 0.0),
        real("hartmann6 in 20", lambda x: hartmann6(x[::3][:6]), 0, 1, 20, -3.322368011415515),
    ]
