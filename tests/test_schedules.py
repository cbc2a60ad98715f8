"""Schedules: the worked examples of figures.md, and the laws that all of them keep to."""

import copy
import json
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from optlab import ConfigError
from optlab.schedules import (
    Constant,
    Cosine,
    Cyclical,
    ExponentialDecay,
    InverseTime,
    MultiStep,
    OneCycle,
    Polynomial,
    Schedule,
    StepDecay,
    Warmup,
    as_schedule,
)

# --- golden values: figures.md's, worked out by hand ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("schedule", "want"),
    [
        (StepDecay(5, 0.5), {4: 0.1, 5: 0.05, 14: 0.025, 15: 0.0125}),
        (ExponentialDecay(k=0.05), {10: 0.0606531}),
        (InverseTime(k=0.05), {10: 0.0666667}),
        (Warmup(5), {0: 0.02, 1: 0.04, 2: 0.06, 3: 0.08, 4: 0.1, 5: 0.1, 999: 0.1}),
        (Cosine(100), {25: 0.0853553, 50: 0.05, 75: 0.0146447, 100: 0.0, 101: 0.0, 10**9: 0.0}),
        (Cosine(period=10, mult=2), {9: 0.00244717, 10: 0.1, 20: 0.05, 29: 6.15583e-4, 30: 0.1}),
        (Cyclical(0.001, 0.006), {1000: 0.0035, 2000: 0.006, 4000: 0.001, 6000: 0.006}),
        (Cyclical(0.001, 0.006, mode="triangular2"), {2000: 0.006, 6000: 0.0035}),
        (Cyclical(0.001, 0.006, mode="exp_range", gamma=0.99994), {2000: 0.00543459}),
        (Cyclical(up=10), {0: 0.025, 10: 0.1, 20: 0.025}),
        (OneCycle(steps=100), {0: 0.004, 10: 0.0295164, 29: 0.1, 50: 0.0793893, 99: 4e-7, 10**9: 4e-7}),
        (OneCycle(0.1, steps=100), {0: 0.004}),
    ],
    ids=repr,
)
def test_golden_values(schedule, want):
    assert {t: schedule(t, lr=0.1) for t in want} == pytest.approx(want, rel=5e-6, abs=1e-17)


def test_the_momentum_of_one_cycle():
    cycle = OneCycle(steps=100)
    assert [cycle.momentum(t) for t in (0, 29, 99)] == pytest.approx([0.95, 0.85, 0.95], abs=1e-15)
    for mistake, message in (
        (OneCycle().momentum, "as long as the training"),
        (lambda t: cycle.momentum(-t - 1), "t must"),
    ):
        with pytest.raises(ConfigError, match=message):
            mistake(0)


# --- what all schedules keep to ---------------------------------------------------------------------------------------


count, factor, share = st.integers(1, 300), st.floats(1e-3, 1.0), st.floats(0.0, 1.0)
low, high = st.floats(0.0, 0.5), st.floats(0.5, 5.0)
length = st.none() | count
per = st.shared(st.sampled_from(["step", "epoch"]), key="per")
divisor = st.floats(1.0, 1e6)
whole_training = st.one_of(
    st.builds(Constant, per=per),
    st.builds(StepDecay, count, factor, per=per),
    st.builds(MultiStep, st.sets(count, min_size=1).map(sorted), factor, per=per),
    st.builds(ExponentialDecay, factor, per=per),
    st.builds(ExponentialDecay, k=st.floats(0, 1e3), per=per),
    st.builds(InverseTime, st.floats(0, 1e300), per=per),
    st.builds(Polynomial, length, st.floats(0.1, 9), low, per=per),
    st.builds(Cosine, length, low, per=per),
    st.builds(Cosine, period=count, mult=st.integers(1, 4), min_lr=low, per=per),
    st.builds(Cyclical, low, high, count, length, st.sampled_from(["triangular", "exp_range"]), factor, per=per),
    st.builds(Cyclical, up=count, mode=st.just("triangular2"), per=per),
    st.builds(
        OneCycle, st.none() | high, length, share, st.sampled_from(["cos", "linear"]), divisor, divisor, st.booleans(),
        per=per,
    ),
)  # fmt: skip
schedules = whole_training | st.builds(Warmup, count, whole_training, st.none() | share, per=per)
rates = st.floats(0.0, 1e3)


@given(schedules, rates, st.integers(1, 400), st.integers(0, 500))
def test_laws(schedule, lr, total, start):
    whole = schedule.over(total)
    assert whole.over(total + 1) is whole
    assert (whole is schedule) == (not schedule.open)
    curve = whole.rates(start + 5, lr)
    assert curve.dtype == np.float64
    assert np.isfinite(curve).all()
    assert (curve >= 0.0).all()
    assert whole.rates(5, lr, start).tolist() == curve[start:].tolist() == [whole(start + i, lr) for i in range(5)]


@given(schedules, rates)
def test_round_trips(schedule, lr):
    data = json.loads(json.dumps(schedule.to_dict()))
    for twin in (
        Schedule.from_dict(data),
        as_schedule(data),
        as_schedule(repr(schedule)),
        pickle.loads(pickle.dumps(schedule)),
        copy.deepcopy(schedule),
        schedule.replace(),
    ):
        assert twin == schedule
        assert hash(twin) == hash(schedule)


@given(whole_training, st.integers(1, 50), st.integers(1, 400))
def test_a_warmup_hands_over_what_is_left(then, steps, total):
    whole = Warmup(steps, then, per=then.per).over(total)
    assert whole.then == then.over(max(total - steps, 1))
    assert whole.rates(50, 0.1, steps).tolist() == whole.then.rates(50, 0.1).tolist()


@pytest.mark.parametrize("schedule", [Cosine(50, 0.01), Polynomial(50, 2.0, 0.01), OneCycle(steps=50)], ids=repr)
def test_after_its_end_a_schedule_holds(schedule):
    assert set(schedule.rates(100, 0.1, start=50)) == {schedule(50, 0.1)}


def test_an_open_schedule_says_so():
    for schedule in (Cosine(), Polynomial(), OneCycle(), Warmup(5, Cosine())):
        assert schedule.open
        with pytest.raises(ConfigError, match=r"as long as the training: give steps=, or call .over\(total_steps\)"):
            schedule(0)


def test_a_picture_shows_the_rates():
    ax = Warmup(10, Cosine()).plot(50, lr=0.1)
    (line,) = ax.get_lines()
    assert line.get_ydata().tolist() == Warmup(10, Cosine(40)).rates(50, 0.1).tolist()
    assert ax.get_xlabel() == "step"
    assert Cosine(per="epoch").plot(5, ax=ax) is ax
