"""Schedules as settings: from text, refused where they are made, registered."""

import math
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import pytest

from optlab import ConfigError
from optlab.schedules import (
    SCHEDULES,
    Constant,
    Cosine,
    Cyclical,
    ExponentialDecay,
    InverseTime,
    MultiStep,
    OneCycle,
    ReduceOnPlateau,
    Schedule,
    StepDecay,
    Warmup,
    as_schedule,
)

# --- from text --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("cosine", Cosine()),
        (Cosine, Cosine()),
        (" OneCycle ", OneCycle()),
        ("ONE-CYCLE(1E-1)", OneCycle(0.1)),
        ("one-cycle(max_lr=0.1, three_phase=true)", OneCycle(0.1, three_phase=True)),
        ("step-decay(30)", StepDecay(30)),
        ("multi-step(milestones=(30, 60), factor=1e-2)", MultiStep((30, 60), 0.01)),
        ("cyclical(mode=exp_range, gamma=0.9)", Cyclical(mode="exp_range", gamma=0.9)),
        ("cyclical(mode='triangular2', down=none)", Cyclical(mode="triangular2")),
        ("warmup(5, then=one-cycle, per=step)", Warmup(5, OneCycle())),
        ("warmup(5, then=cosine(min_lr=1e-5))", Warmup(5, Cosine(min_lr=1e-5))),
        ("reduce-on-plateau(patience=3, convention=keras)", ReduceOnPlateau(patience=3, convention="keras")),
    ],
)
def test_text(text, want):
    assert as_schedule(text) == want
    assert as_schedule(want) is want


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("cosin", "unknown schedule 'cosin'; did you mean 'cosine'"),
        ("cosine(step=3)", "unknown option of cosine 'step'; did you mean 'steps'"),
        ("step-decay", "step-decay takes per, every, factor: .* missing 1 required positional argument: 'every'"),
        ("cosine(1, 2, 3, 4, 5)", "cosine takes"),
        ("cosine(steps=-3)", r"Cosine: steps must be a whole number in \[1, inf\), got -3"),
        ("cosine(steps=1+1)", "a schedule reads like cosine"),
        ("cosine(", "a schedule reads like cosine"),
        ("cosine(**{})", "unknown option of cosine 'None'"),
        ("", "a schedule reads like cosine"),
        ("3", "a schedule reads like cosine"),
        ("warmup(5, then=cosin)", "unknown schedule 'cosin'"),
        ("warmup(5, then=3)", "a schedule is one such as"),
        (3, "a schedule is one such as"),
        ({"steps": 3}, "has its name under 'schedule'"),
        ({"schedule": "cosine", "t": 3}, "unknown option of cosine 't'"),
        ({"schedule": ["cosine"]}, "unknown schedule"),
        (Schedule, "unknown schedule 'schedule'"),
    ],
)
def test_text_that_does_not_fit(text, message):
    with pytest.raises(ConfigError, match=message):
        as_schedule(text)


# --- what is refused where a schedule is made -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: StepDecay(0), r"StepDecay: every must be a whole number in \[1, inf\), got 0"),
        (lambda: StepDecay(2.5), "every must be a whole number"),
        (lambda: StepDecay(True), "every must be a whole number"),
        (lambda: StepDecay(5, 1.5), r"factor must be a number in \(0, 1\], got 1.5"),
        (lambda: StepDecay(5, 0), "factor must be a number"),
        (lambda: StepDecay(5, math.nan), "factor must be a number"),
        (lambda: StepDecay(5, "1"), "factor must be a number"),
        (lambda: InverseTime(math.inf), "k must be a number"),
        (lambda: InverseTime(10**400), "k must be a number"),
        (lambda: MultiStep((30, 30)), r"ascending steps such as \(30, 60\), got \(30, 30\)"),
        (lambda: MultiStep((0, 30)), "ascending steps"),
        (lambda: MultiStep(()), "ascending steps"),
        (lambda: MultiStep(30), "ascending steps"),
        (lambda: MultiStep((1.5,)), "ascending steps"),
        (ExponentialDecay, "either factor= or k=, got None and None"),
        (lambda: ExponentialDecay(0.5, 0.5), "either factor= or k="),
        (lambda: Cosine(10, period=3), "give period= or steps=, not both"),
        (lambda: Cosine(mult=2), "give period= too"),
        (lambda: Cosine(per="batch"), "per must be 'step' or 'epoch', got 'batch'"),
        (lambda: Cyclical(0.2, 0.1), "low=0.2 is above the highest rate 0.1"),
        (lambda: Cyclical(0.2).rates(1, lr=0.1), "low=0.2 is above the highest rate 0.1"),
        (lambda: Cyclical(mode="square"), "mode must be 'triangular' or 'triangular2' or 'exp_range', got 'square'"),
        (lambda: OneCycle(three_phase=1), "three_phase must be True or False, got 1"),
        (lambda: OneCycle(pct_start=1.01), "pct_start must be"),
        (lambda: Warmup(5, ReduceOnPlateau()), "then must be a function of the step"),
        (lambda: Warmup(5, Cosine(per="epoch")), "counts steps and then epochs; give both the same per="),
        (lambda: Cosine().over(0), "the length of a training must be a whole number"),
        (lambda: Constant()(-1), r"t must be a whole number in \[0, inf\), got -1"),
        (lambda: Constant()(0.5), "t must be a whole number"),
        (lambda: Constant()(0, lr=-0.1), r"lr must be a number in \[0, inf\), got -0.1"),
        (lambda: ReduceOnPlateau(factor=1.0), r"factor must be a number in \(0, 1\), got 1.0"),
        (lambda: ReduceOnPlateau(threshold=1.0), r"relative threshold must be in \[0, 1\)"),
        (lambda: ReduceOnPlateau(per="step"), "per must be 'epoch', got 'step'"),
    ],
)
def test_refused(make, message):
    with pytest.raises(ConfigError, match=message):
        make()


def test_settings_do_not_change():
    schedule = Cosine(50)
    with pytest.raises(AttributeError):
        schedule.steps = 60
    assert schedule.replace(steps=60) == Cosine(60) != schedule
    assert Cosine(np.int64(50)) == Cosine(50.0) == schedule
    assert type(Cosine(50.0).steps) is int
    assert Warmup(5, per="epoch")(9) == 1.0  # a constant counts nothing, so that it goes with both
    assert repr(Cosine(50, per="epoch")) == "Cosine(per='epoch', steps=50)"


def test_the_registry_has_every_schedule_once():
    assert {name: kind.name for name, kind in SCHEDULES.items()} == {name: name for name in SCHEDULES}
    assert set(SCHEDULES) == {
        "constant", "cosine", "cyclical", "exponential-decay", "inverse-time", "multi-step", "one-cycle", "polynomial",
        "reduce-on-plateau", "step-decay", "warmup",
    }  # fmt: skip


def test_a_schedule_of_ones_own():
    try:

        @dataclass(frozen=True, repr=False)
        class SquareRoot(Schedule):
            shift: Annotated[float, "[1, inf)"] = 1.0

            def _rate(self, t, lr):
                return lr / math.sqrt(t + self.shift)

        assert as_schedule("square-root(shift=4)").rates(1, 0.1).tolist() == [0.05]
        assert as_schedule(SquareRoot().to_dict()) == SquareRoot()
        assert Warmup(2, SquareRoot())(5) == 0.5
        with pytest.raises(ConfigError, match="SquareRoot: shift"):
            SquareRoot(0.5)
        with pytest.raises(ConfigError, match="'cosine' is a schedule of optlab's own"):
            type("Cosine", (Schedule,), {})
        assert SCHEDULES["cosine"] is Cosine
    finally:
        SCHEDULES.pop("square-root", None)
