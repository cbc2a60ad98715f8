"""Whatever the results of a search are, the sampler goes on: few, equal, huge, in other units."""

import numpy as np
import pytest
from conftest import SHRINK
from gp_runs import PLANE, bound, told
from gp_runs import small_without_the_compiler as small_without_the_compiler
from hypothesis import given, settings
from hypothesis import strategies as st

from optlab.errors import ConfigError
from optlab.search.sampler import generator
from optlab.search.samplers.sobol import SobolSequence
from optlab.search.space import Choice, Float, Int, Space

# --- a few results ----------------------------------------------------------------------------------------------------

FEW = {
    "one kind": Space(c=Choice(["a"]), x=Float(0, 1)),
    "line": Space(x=Float(1e-5, 1, log=True)),
    "steps": Space(i=Int(1, 9)),
    "condition": Space(c=Choice(["a", "b"]), x=Float(0, 1, when={"c": "b"})),
    "no numbers": Space(c=Choice(["a", "b", "c"])),
}
BAD = float("nan")


@pytest.mark.parametrize("space", FEW.values(), ids=FEW)
@pytest.mark.parametrize(
    "losses", [[0.0], [1.0, 1.0], [BAD, 1.0], [2.0, 2.0, 2.0], [1e300, 3.0, BAD]][:: min(SHRINK, 2)], ids=str
)
@pytest.mark.parametrize("same", [True, False][: 1 + (SHRINK == 1)], ids=["same point", "points"][: 1 + (SHRINK == 1)])
@pytest.mark.fault(13)
def test_a_few_results_give_a_model(space, losses, same):
    even = SobolSequence(len(space), 0)
    sampler, seen = bound(space, initial=1), told(space, [even[0 if same else i] for i in range(len(losses))], losses)
    post = sampler.posterior(seen)
    mean, sd = post.predict(sampler.lattice.snap(np.full((2, len(space)), 0.3)))
    assert np.isfinite(mean).all()
    assert (sd > 0).all()
    assert space.check(sampler.recommend(seen)) == sampler.recommend(seen)
    assert [space.check(p) for p in sampler.propose([4, 5], seen)]


@pytest.mark.parametrize("losses", [[], [BAD], [float("inf"), BAD, BAD]], ids=str)
@pytest.mark.fault(13)
def test_without_a_finite_loss_there_is_no_model(losses):
    sampler, seen = bound(PLANE, initial=1), told(PLANE, U[: len(losses)], losses)
    with pytest.raises(ConfigError, match="finite"):
        sampler.posterior(seen)
    assert PLANE.check(sampler.propose([len(seen)], seen)[0])


# --- fault 13: whatever the data are ----------------------------------------------------------------------------------


def cube(n, d, seed=0):
    return np.random.default_rng(seed).random((n, d))


def smooth(u):
    return np.sin(5 * u).sum(1)


U = cube(12, 2)
Y = smooth(U)


def replaced(y, **at):
    y = np.array(y, float)
    for k, v in at.items():
        y[int(k[1:])] = v
    return y


DATA = {
    "duplicates": (np.repeat(U[:4], 3, axis=0), np.repeat(Y[:4], 3)),
    "contradicting duplicates": (np.repeat(U[:4], 3, axis=0), Y),
    "1e-12 apart": (np.vstack([U[:6], np.clip(U[:6] + 1e-12, 0, 1)]), Y),
    "1e-9 apart, a jump": (np.vstack([U[:6], U[:6] + 1e-9]), np.arange(12.0)),
    "constant": (U, np.full(12, 3.0)),
    "zero": (U, np.zeros(12)),
    "one point": (U[:1], Y[:1]),
    "two points": (U[:2], Y[:2]),
    "fewer than columns": (cube(5, 20), smooth(cube(5, 20))),
    "collinear": (np.linspace(0, 1, 12)[:, None] * np.ones(2), Y),
    "all on an edge": (np.column_stack([np.zeros(12), U[:, 1]]), Y),
    "1e300": (U, Y * 1e300),
    "1e-300": (U, Y * 1e-300),
    "both ends of the doubles": (U, np.where(np.arange(12) % 2, 1.7e308, -1.7e308)),
    "denormal": (U, np.arange(12) * 5e-324),
    "1e16 and small": (U, 1e16 + 10 * np.round(Y)),
    "outlier": (U, replaced(Y, i3=1e30)),
    "negative outlier": (U, replaced(Y, i3=-1e30)),
    "all infinite": (U, np.full(12, np.inf)),
    "all NaN": (U, np.full(12, np.nan)),
    "mixed": (U, replaced(Y, i0=np.nan, i4=np.inf, i5=-np.inf, i9=np.nan)),
    "one finite": (U, replaced(np.full(12, np.nan), i7=1.0)),
    "a thousand": (cube(1000 // SHRINK**2, 3), smooth(cube(1000 // SHRINK**2, 3))),
    "one column": (cube(12, 1), smooth(cube(12, 1))),
    "twenty columns": (cube(30, 20), smooth(cube(30, 20))),
}
CASES = list(DATA)[:: max(1, SHRINK // 3)]


@pytest.mark.parametrize("noise", [None, 0.0], ids=["noise", "no noise"])
@pytest.mark.parametrize("case", CASES)
@pytest.mark.fault(13)
def test_any_data_gives_a_proposal(case, noise):
    u, y = DATA[case]
    space = Space({f"x{k}": Float(0, 1) for k in range(u.shape[1])})
    sampler = bound(space, initial=max(1, 4 * len(y) // 5), noise=noise)
    seen = told(space, u, y)
    for params in sampler.propose([len(y), len(y) + 1], seen):
        assert space.check(params) == params
    if np.isfinite(y).any():
        post = sampler.posterior(seen)
        assert post.factor.retries <= 6
        assert np.isfinite(post.predict(np.vstack([u[:3], 0.5 + 0 * u[:1]]))).all()


@given(losses=st.lists(st.floats(), min_size=3, max_size=9), noise=st.sampled_from([None, 0.0, 1e-3]))
@settings(max_examples=40 // SHRINK)
@pytest.mark.fault(13, cases=40 // SHRINK)
def test_any_losses_give_a_proposal(losses, noise):
    (params,) = bound(PLANE, initial=2, noise=noise).propose([9], told(PLANE, U[: len(losses)], losses))
    assert PLANE.check(params) == params


# --- fault 14: units --------------------------------------------------------------------------------------------------

STRAIGHT = Space(a=Float(0, 1), b=Float(0, 1))
ROUND_Y = np.round(Y * 1024) / 1024


@pytest.mark.parametrize("k", [-900, -700, -300, -52, -1, 1, 30, 300, 700, 900][:: SHRINK // 3 or 1])
@pytest.mark.fault(14)
def test_powers_of_two_change_no_bit(k):
    want = bound(STRAIGHT).propose([12, 13], told(STRAIGHT, U, Y))
    assert bound(STRAIGHT).propose([12, 13], told(STRAIGHT, U, np.ldexp(Y, k))) == want


@pytest.mark.parametrize("c", [-1e6, -1e3, -1.5, -0.1, 0.1, 0.3, 1.0, 7.0, 1e3, 1e6][:: SHRINK // 3 or 1])
@pytest.mark.fault(14)
def test_shifts_change_nothing_that_counts(c):
    (want,) = bound(STRAIGHT).propose([12], told(STRAIGHT, U, ROUND_Y))
    (got,) = bound(STRAIGHT).propose([12], told(STRAIGHT, U, ROUND_Y + c))
    assert list(got.values()) == pytest.approx(list(want.values()), abs=1e-9)


@pytest.mark.parametrize("unit", [1e-12, 1e-6, 1e-3, 0.1, 3.0, 10.0, 1e3, 1e6, 1e9, 1e12][:: SHRINK // 3 or 1])
@pytest.mark.fault(14)
def test_units_of_a_parameter_change_nothing_that_counts(unit):
    (want,) = bound(STRAIGHT).propose([12], told(STRAIGHT, U, Y))
    space = Space(a=Float(0, unit), b=Float(5 * unit, 6 * unit))
    (got,) = bound(space).propose([12], told(space, U, Y))
    assert got["a"] / unit == pytest.approx(want["a"], abs=1e-9)
    assert got["b"] / unit - 5 == pytest.approx(want["b"], abs=1e-9)


def test_trials_draw_from_streams_of_their_own():
    draws = {tuple(generator(0, "gp", k).random(2)) for k in range(50)}
    assert len(draws) == 50
