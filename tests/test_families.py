"""The held-out families: their least values are reached, and nothing is below."""

import numpy as np
import pytest
from scipy import optimize

from optlab.bench.families import large, mixed, random_mixed, stepped
from optlab.bench.problems import held_out, suite
from optlab.search.space import Choice, Float


def test_families_hold_different_problems_with_bounded_scales():
    names = [p.name for make in (suite, held_out, mixed, stepped, large) for p in make()]
    assert len(names) == len(set(names))
    rng = np.random.default_rng(0)
    for problem in [*mixed(), *stepped(), *large()]:
        points = [problem.space.decode(u) for u in rng.random((100, len(problem.space)))]
        losses = np.array([problem.loss(params) for params in points])
        assert np.isfinite(losses).all()
        assert losses.min() >= problem.least


@pytest.mark.parametrize("seed", [106, 108])  # without integers: they can be followed downhill
def test_a_mixed_problem_reaches_its_least_value(seed):
    problem = random_mixed(seed)
    space = problem.space
    numeric = [k for k, p in enumerate(space.values()) if isinstance(p, Float)]
    assert len(numeric) + sum(isinstance(p, Choice) for p in space.values()) == len(space)
    starts = np.random.default_rng(0).random((60, len(space)))
    starts = starts[np.argsort([problem.loss(space.decode(u)) for u in starts])][:12]

    def found(u):
        def loss(x):
            point = u.copy()
            point[numeric] = np.clip(x, 0, 1)
            return problem.loss(space.decode(point))

        return optimize.minimize(loss, u[numeric], method="Nelder-Mead", options={"xatol": 1e-7, "fatol": 1e-10}).fun

    assert min(map(found, starts)) == pytest.approx(problem.least, abs=1e-6)


def test_every_value_of_the_choice_matters_and_conditions_hold():
    for problem in mixed():
        space = problem.space
        kinds = {space.decode(u)["kind"] for u in np.random.default_rng(0).random((50, len(space)))}
        assert kinds == set(space["kind"].values)
        assert any(p.when for p in space.values())


@pytest.mark.parametrize(
    ("name", "at"), [("stepped himmelblau", [32, 28]), ("stepped levy4", [22] * 4), ("stepped ackley5", [10] * 5)]
)
def test_told_least_values_are_on_the_lattice(name, at):
    (problem,) = [p for p in stepped() if p.name == name]
    params = {f"x{k}": value for k, value in enumerate(at)}
    assert problem.space.check(params) == params
    assert problem.loss(params) == pytest.approx(problem.least, abs=1e-9)


def test_large_ones_reach_their_least_values():
    ends = {"levy10": 11 / 20, "rosenbrock10": 6 / 15, "ackley20": 5 / 15}
    for problem in large():
        if problem.name in ends:
            params = problem.space.decode(np.full(len(problem.space), ends[problem.name]))
            assert problem.loss(params) == pytest.approx(0.0, abs=1e-9)
