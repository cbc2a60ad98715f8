"""What a study says of its results: importance against analysis, verdicts, repeats."""

import itertools
import math

import numpy as np
import pytest
from conftest import JIT
from scipy import stats
from sweeps import LINE, noisy, ran, study_of, told

from optlab.search import (
    GP,
    Choice,
    Float,
    Int,
    Random,
    Sobol,
    Space,
    Study,
    TrialError,
)
from optlab.search.judgement import expected_best, expected_gain


def test_the_expected_best_is_the_mean_over_all_subsets():
    values = [3.0, 1.0, 4.0, 1.5, 9.0, 2.6]
    for m in range(1, 7):
        want = np.mean([min(subset) for subset in itertools.combinations(values, m)])
        assert expected_best(values, m) == pytest.approx(want, rel=1e-12)


def test_the_expected_gain_is_about_what_a_doubling_gives():
    """The smallest of n uniform numbers is 1/(n + 1) on average: the mean estimate is a third off at most."""
    rng, n = np.random.default_rng(0), 64
    truth = 1 / (n + 1) - 1 / (2 * n + 1)
    estimates = [expected_gain(rng.random(n)) for _ in range(4000)]
    assert np.mean(estimates) == pytest.approx(truth, rel=1 / 3)
    assert expected_gain([1.0] * 20) == 0.0


@pytest.mark.skipif(not JIT, reason="fits of a hundred points are minutes without the compiler")
def test_importance_of_a_sum_and_of_ishigami():
    """Analytic first-order indices: a²/Σa² of a linear function; Ishigami & Homma 1990 with a = 7, b = 0.1."""
    linear = Study(Space(a=Float(0, 1), b=Float(0, 1), c=Float(0, 1)), Sobol(seed=0))
    linear.run(lambda p: 3 * p["a"] + 2 * p["b"] + 0 * p["c"], trials=64)
    shares = linear.importance()
    assert list(shares)[:2] == ["a", "b"]
    assert shares == pytest.approx({"a": 9 / 13, "b": 4 / 13, "c": 0.0}, abs=0.01)
    wave = Study(
        Space(x=Float(-math.pi, math.pi), y=Float(-math.pi, math.pi), z=Float(-math.pi, math.pi)), Sobol(seed=0)
    )
    wave.run(lambda p: math.sin(p["x"]) + 7 * math.sin(p["y"]) ** 2 + 0.1 * p["z"] ** 4 * math.sin(p["x"]), trials=256)
    assert wave.importance() == pytest.approx({"y": 0.4424, "x": 0.3139, "z": 0.0}, abs=0.02)


@pytest.mark.skipif(not JIT, reason="fits of a hundred points are minutes without the compiler")
def test_importance_is_of_the_space_and_not_of_where_the_trials_are():
    """9 (a - 0.3)^2 + 4 (b - 0.6)^2: the variances of both terms, by hand, though most trials are at the optimum."""
    space = Space(a=Float(0, 1), b=Float(0, 1), c=Float(0, 1))
    study = Study(space, GP(seed=1))
    study.run(lambda p: 9 * (p["a"] - 0.3) ** 2 + 4 * (p["b"] - 0.6) ** 2, trials=40)
    square = {center: 1 / 80 + (0.5 - center) ** 2 / 3 - 1 / 144 for center in (0.3, 0.6)}
    a, b = 81 * square[0.3], 16 * square[0.6]
    assert study.importance() == pytest.approx({"a": a / (a + b), "b": b / (a + b), "c": 0.0}, abs=0.03)


@pytest.mark.skipif(not JIT, reason="fits of a hundred points are minutes without the compiler")
def test_importance_of_choices_conditions_and_outliers():
    rng = np.random.default_rng(0)
    space = Space(rule=Choice(["a", "b"]), beta=Float(0, 1, when={"rule": "b"}), idle=Int(0, 9))
    study = Study(space, Random(seed=1))
    study.run(lambda p: (1.0 if p["rule"] == "a" else 2.0 + p["beta"]) + 1e-3 * rng.random(), trials=300)
    study.tell(study.ask(), 1e30)
    # by hand: 1 or 2 + beta, each half of the space; the rest to 1 is the interaction of rule and beta
    total = 1.5**2 / 4 + 1 / 24
    want = {"rule": 1.5**2 / 4 / total, "beta": 1 / 48 / total, "idle": 0.0}
    assert study.importance() == pytest.approx(want, abs=0.02)


def test_importance_of_too_few_and_of_equal_values():
    assert told(LINE, [({"x": 0.5}, 1.0)]).importance() == {}
    flat = told(LINE, [({"x": i / 20}, 1.0) for i in range(20)])
    assert flat.importance() == {"x": 0.0}


def test_verdicts_on_edge_gain_and_gap():
    points = [({"x": i / 40}, (i / 40) ** 2 + 0.1) for i in range(1, 40)]
    space = Space(x=Float(0.025, 1.0))
    found = {v.id: v for v in told(space, points).verdict(test=0.11)}
    assert list(found) == ["edge:x", "gain", "gap"]
    assert not found["edge:x"].passed
    assert "extend x below" in found["edge:x"].explanation
    assert found["gain"].passed
    assert found["gap"].passed
    assert not {v.id: v for v in told(space, points).verdict(test=5.0)}["gap"].passed
    lucky = told(LINE, [({"x": i / 10}, 1.0 - (i == 5)) for i in range(10)])
    assert not {v.id: v for v in lucky.verdict()}["gain"].passed, "one lucky trial: more may be lucky"
    assert [v.id for v in told(LINE, [({"x": 0.5}, 1.0)]).verdict()] == ["edge:x"]


def test_repeats_have_students_interval():
    study = ran(study_of(), 10, noisy)
    again = study.repeat(noisy, 6)
    assert again.params == study.best.params
    assert len(set(again.values)) == 6
    want = stats.t.interval(0.95, 5, np.mean(again.values), stats.sem(again.values))
    assert (again.low, again.high) == pytest.approx(want)
    assert again == study.repeat(noisy, 6)
    with pytest.raises(TrialError, match="did not complete"):
        study.repeat(lambda params, trial: None)
