"""Every field of a descent's run: shapes, state, corrected moments, effective rate, status, steps."""

import math

import numpy as np
import pytest
from descents import EVERY_RULE, cliff

import optlab as ol


@EVERY_RULE
def test_shapes_types_and_rows(settings):
    steps = 7
    run = ol.descend("beale", settings, steps=steps)
    slots = settings.variant.slots
    assert (run.steps, run.rows) == (steps, steps + 1)
    assert (run.points.shape, run.values.shape, run.gradients.shape) == ((8, 2), (8,), (8, 2))
    assert run.effective_lr.shape == (7, 2)
    assert tuple(run.state) == slots
    arrays = [run.points, run.values, run.gradients, run.effective_lr, *run.state.values()]
    assert all(a.dtype == np.float64 for a in arrays)
    assert all(a.shape == (8, 2) for a in run.state.values())
    x, y = run.points.T
    np.testing.assert_array_equal(run.points[0], run.surface.start)
    np.testing.assert_array_equal(run.values, run.surface.value(x, y))
    np.testing.assert_array_equal(run.gradients.T, run.surface.gradient(x, y))


def test_state_is_that_after_step_t():
    run = ol.descend("beale", ol.Momentum(lr=0.001, beta=0.9), steps=3)
    v = np.zeros(2)
    for t in range(3):
        np.testing.assert_array_equal(run.state["v"][t], v)
        v = 0.9 * v + run.gradients[t]
        np.testing.assert_array_equal(run.points[t + 1], run.points[t] - 0.001 * v)
    np.testing.assert_array_equal(run.state["v"][3], v)


@pytest.mark.parametrize(("settings", "first"), [(ol.Adagrad(initial=0.1), 0.1), (ol.Adagrad(), 0.0)])
def test_state_begins_with_its_initial_value(settings, first):
    run = ol.descend("beale", settings, steps=1)
    np.testing.assert_array_equal(run.state["c"][0], first)
    np.testing.assert_array_equal(run.state["c"][1], first + run.gradients[0] * run.gradients[0])


@pytest.mark.parametrize(
    ("settings", "slots"), [(ol.Adam(), "mv"), (ol.AMSGrad(), "mv"), (ol.NAdam(), "v"), (ol.Adamax(), "m")]
)
def test_corrected_moments(settings, slots):
    """The moving average over b^(t-k) (1 - b) / (1 - b^t), summed afresh for every t."""
    run = ol.descend("beale", settings, steps=30)
    assert "".join(run.corrected) == slots
    decay, power = {"m": settings.beta1, "v": settings.beta2}, {"m": 1, "v": 2}
    for slot, values in run.corrected.items():
        assert np.isnan(values[0]).all()
        for t in (1, 2, 30):
            weights = decay[slot] ** np.arange(t - 1, -1, -1.0)
            want = weights / weights.sum() @ run.gradients[:t] ** power[slot]
            np.testing.assert_allclose(values[t], want, rtol=1e-11)  # 1 - b^t loses up to 3 digits to cancellation
    assert ol.descend("beale", ol.Adam(bias_correction=False), steps=2).corrected == {}
    assert ol.descend("beale", ol.Momentum(), steps=2).corrected == {}


def test_effective_lr_is_nan_where_there_is_no_gradient():
    run = ol.descend("saddle", ol.SGD(lr=0.1), start=(1.5, 0.0), steps=20)
    np.testing.assert_allclose(run.effective_lr[:, 0], 0.1, rtol=1e-12)
    assert np.isnan(run.effective_lr[:, 1]).all()
    assert np.isnan(ol.descend(lambda x, y: 1.0, ol.Adam(), steps=3).effective_lr).all()


def test_effective_lr_of_sign_descent_is_the_rate_over_the_gradient():
    run = ol.descend("sphere", ol.Lion(lr=0.01), steps=50)
    np.testing.assert_allclose(run.effective_lr, 0.01 / np.abs(run.gradients[:-1]), rtol=1e-12)


def drain(x, y):
    return -np.exp(x * x) + y


def test_status_converged_by_value():
    run = ol.descend("sphere", ol.SGD(lr=0.1), steps=100)
    assert run.status == "converged"
    assert run.values[-1] <= 1e-8
    assert ol.descend("sphere", ol.SGD(lr=0.1), steps=100, tol=0.0).status == "running"
    assert ol.descend("sphere", ol.SGD(lr=1e-3), steps=3).status == "running"
    assert ol.descend("sphere", ol.SGD(lr=1e-3), steps=3, tol=100.0).status == "converged"


def test_status_converged_by_flat_gradient_on_the_ridge_of_a_saddle():
    run = ol.descend("saddle", ol.SGD(lr=0.1), start=(1.5, 0.0), steps=200)
    assert run.surface.f_min == -math.inf
    assert np.hypot(*run.gradients[-1]) <= 1e-10
    assert run.status == "converged"
    assert ol.descend("saddle", ol.SGD(lr=0.1), start=(1.5, 0.0), steps=50).status == "running"
    assert ol.descend("saddle", ol.SGD(lr=0.1), start=(1.5, 0.01), steps=50).status == "running"


@pytest.mark.parametrize(
    ("surface", "settings", "start"),
    [
        ("saddle", ol.SGD(lr=0.5), (1.0, 1.0)),  # doubles y: out of bounds with a finite value
        ("rosenbrock", ol.SGD(lr=1.0), None),  # overflows
        (ol.Surface(cliff), ol.Momentum(lr=1.0), (1.0, 0.0)),
        (ol.Surface(drain), ol.SGD(lr=1.0), (1.0, 0.0)),
        (ol.Surface(cliff), ol.Adam(lr=1.0), (30.0, 0.0)),  # not finite where it starts
    ],
)
def test_status_diverged(surface, settings, start):
    run = ol.descend(surface, settings, start, steps=60)
    assert run.status == "diverged"
    assert len(run.points) == len(run.values) == len(run.gradients) == 61
    assert 1 <= run.rows <= 60
    assert np.isnan(run.record[run.rows :]).all()
    far = np.array([1e6 * (high - low) / 2 for low, high in run.surface.domain])  # half a domain to either side
    middle = np.array([(high + low) / 2 for low, high in run.surface.domain])
    inside = (np.abs(run.points[: run.rows] - middle) <= far).all(axis=1) & np.isfinite(run.values[: run.rows])
    assert inside[:-1].all()
    assert not inside[-1]
    assert run.steps_to(-1e300) is None
    assert "diverged" in repr(run)


def test_status_diverged_at_the_very_last_step():
    whole = ol.descend("saddle", ol.SGD(lr=0.5), start=(1.0, 1.0), steps=60)
    short = ol.descend("saddle", ol.SGD(lr=0.5), start=(1.0, 1.0), steps=whole.rows - 1)
    assert (short.rows, short.status) == (short.steps + 1, "diverged")


def test_steps_to_is_the_first_or_none():
    run = ol.descend("sphere", ol.SGD(lr=0.1), start=(1.0, 0.0), steps=50)
    assert run.steps_to(1.0) == 0
    assert run.steps_to(0.1) == next(t for t in range(51) if 0.64**t <= 0.1) == 6  # f is multiplied by 0.8^2
    assert run.steps_to(1e-30) is None
    assert run.steps_within(0.5) == 4  # 0.8^4 = 0.41
    assert run.steps_within(0.0) is None
    assert ol.descend("saddle", "sgd", steps=5).steps_to(1.0) is None


def test_repr_says_where_it_ended():
    assert repr(ol.descend("sphere", ol.SGD(lr=0.5), steps=1)) == (
        "Run(SGD(lr=0.5) on sphere: converged after 1 steps at (0, 0), f = 0)"
    )
