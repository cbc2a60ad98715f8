"""What a descent takes: starts, options and their mistakes, surfaces and rules of one's own."""

import json
import math

import numpy as np
import pytest
from conftest import JIT
from descents import STEPS, loop
from examples import PARTS, Hyper

import optlab as ol

# --- what it takes ----------------------------------------------------------------------------------------------------


def test_no_steps():
    run = ol.descend("beale", "adam", steps=0)
    assert (run.points.shape, run.effective_lr.shape, run.status) == ((1, 2), (0, 2), "running")
    np.testing.assert_array_equal(run.points[0], ol.SURFACES["beale"].start)
    assert ol.descend("beale", "adam", start=(3.0, 0.5), steps=0).status == "converged"
    assert json.loads(json.dumps(run.to_dict()))["effective_lr"] == []


@pytest.mark.parametrize("start", [(1, 2), [1.0, 2.0], np.array([1.0, 2.0]), (np.float32(1), np.int8(2))])
def test_starts(start):
    np.testing.assert_array_equal(ol.descend("beale", "sgd", start, steps=1).points[0], [1.0, 2.0])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"start": (1.0, 2.0, 3.0)}, r"start: expected two finite numbers, got \(1.0, 2.0, 3.0\)"),
        ({"start": (1.0, math.nan)}, "start: expected two finite numbers"),
        ({"start": (math.inf, 0.0)}, "start: expected two finite numbers"),
        ({"start": ("1", "2")}, "start: expected two finite numbers"),
        ({"start": "12"}, "start: expected two finite numbers, got '12'"),
        ({"start": 1.0}, "start: expected two finite numbers"),
        ({"start": (10**400, 0)}, "start: expected two finite numbers"),
        ({"steps": -1}, "steps is a whole number >= 0, got -1"),
        ({"steps": 3.0}, "steps is a whole number >= 0, got 3.0"),
        ({"steps": True}, "steps is a whole number"),
        ({"noise": -0.1}, "noise is a finite number >= 0, got -0.1"),
        ({"noise": math.nan}, "noise is a finite number >= 0, got nan"),
        ({"noise": math.inf}, "noise is a finite number"),
        ({"noise": "much"}, "noise is a finite number >= 0, got 'much'"),
        ({"seed": -1}, "seed is a whole number >= 0, got -1"),
        ({"seed": 1.5}, "seed is a whole number"),
        ({"seed": None}, "seed is a whole number"),
        ({"tol": -1.0}, "tol is a finite number >= 0"),
        ({"surface": "beal"}, "unknown surface 'beal'; did you mean 'beale'?"),
        ({"rule": "adm"}, "unknown rule 'adm'; did you mean 'adam'?"),
        ({"rule": "adam(lr=-1)"}, r"lr must be in \[0, inf\), got -1.0"),
        ({"rule": 3}, "a rule is settings such as"),
        ({"surface": 3}, "expected a plain function of two floats"),
    ],
)
def test_mistakes_are_explained(options, message):
    with pytest.raises(ol.ConfigError, match=message) as caught:
        ol.descend(**{"surface": "beale", "rule": "adam", **options})
    assert "\n" not in str(caught.value)


# --- a user's own surfaces and rules ----------------------------------------------------------------------------------


def by_hand(x, y):
    return x**2 + 10 * y**2


def with_math(x, y):
    s = math.sqrt(1 + x * x)
    return s + math.cos(y) if y > 0 else s + 1.0


def test_a_users_function_its_gradient_derived():
    """Against the derivative on paper, to a few ulp: the dual numbers multiply in another order."""
    steps = 20
    for fn in (by_hand, lambda x, y: x**2 + 10 * y**2, ol.Surface(by_hand, start=(-2.5, -2.5))):
        run = ol.descend(fn, ol.SGD(lr=0.01), steps=steps)
        t = np.arange(steps + 1)
        want = -2.5 * np.column_stack([0.98**t, 0.8**t])
        np.testing.assert_allclose(run.points, want, rtol=1e-14)
    assert run.surface.name == "by-hand"


@pytest.mark.skipif(not JIT, reason="math.* takes dual numbers in compiled code only")
def test_a_users_function_of_math_and_branches():
    run = ol.descend(with_math, ol.SGD(lr=0.1), start=(1.0, 1.0), steps=20)
    x, y = run.points.T
    np.testing.assert_allclose(run.gradients[:, 0], x / np.sqrt(1 + x * x), rtol=1e-13)
    np.testing.assert_allclose(run.gradients[:, 1], np.where(y > 0, -np.sin(y), 0.0), rtol=1e-13)


def opens_a_file(x, y):
    return float(open(str(x)).read()) + y


@pytest.mark.skipif(not JIT, reason="nothing is compiled, so nothing can fail to compile")
@pytest.mark.parametrize("study", [ol.descend, lambda *a: ol.race(a[0], [a[1]]), lambda *a: ol.basin(*a, resolution=2)])
def test_a_function_that_cannot_be_compiled_is_explained_in_one_line(study):
    with pytest.raises(ol.ConfigError, match=r"opens-a-file cannot be compiled .*: expected a function of") as caught:
        study(opens_a_file, "adam")
    assert "\n" not in str(caught.value)


def test_a_users_rule_descends_races_and_has_basins(registry):
    kind = ol.register("sign-momentum", Hyper, **PARTS)
    settings = kind(lr=0.02)
    run = ol.descend("beale", settings, steps=STEPS)
    np.testing.assert_array_equal(run.record, loop(settings, run.surface, run.surface.start, STEPS))
    by_name = ol.race("beale", ["sign-momentum(lr=0.02)", "adam"], steps=STEPS).runs["SignMomentum"]
    np.testing.assert_array_equal(by_name.record, run.record)
    basin = ol.basin("beale", settings, resolution=3, steps=10)
    start = (basin.xs[2], basin.ys[1])
    np.testing.assert_array_equal(basin.ends[1, 2], ol.descend("beale", settings, start, 10).points[-1])
