"""Schedules against torch and Keras over 1,000 steps; plateaus decision by decision."""

import json
import math
import pickle

import numpy as np
import pytest
from keras_oracle import run_keras

from optlab import ConfigError
from optlab.schedules import (
    Cosine,
    Cyclical,
    ExponentialDecay,
    InverseTime,
    MultiStep,
    OneCycle,
    Polynomial,
    ReduceOnPlateau,
    StepDecay,
    Warmup,
)

STEPS = 1000
BAR = 1e-12  # of the base rate: torch multiplies step after step, and rounds each time


# --- torch, over 1,000 steps ------------------------------------------------------------------------------------------


def torch_rates(make, lr, steps):
    torch = pytest.importorskip("torch", reason="torch is the oracle; pip install torch")
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=lr, momentum=0.9)
    scheduler = make(torch.optim.lr_scheduler, optimizer)
    rates, momenta = [], []
    for t in range(steps):
        if t > 0:
            optimizer.step()
            scheduler.step()
        rates.append(float(optimizer.param_groups[0]["lr"]))
        momenta.append(float(optimizer.param_groups[0]["momentum"]))
    return np.array(rates), np.array(momenta)


def plain(kind, *values, **options):
    return lambda s, o: getattr(s, kind)(o, *values, **options)


def warmed(steps, start, then):
    def make(s, o):
        climb = s.LinearLR(o, start_factor=start, total_iters=steps)
        return s.SequentialLR(o, [climb, then(s, o)], milestones=[steps])

    return make


def cyclic(low, high, up, down=None, **options):
    return plain("CyclicLR", low, high, up, down, cycle_momentum=False, **options)


TORCH = [
    (StepDecay(7, 0.9), plain("StepLR", 7, 0.9)),
    (StepDecay(400), plain("StepLR", 400)),
    (MultiStep((1, 30, 31, 600), 0.3), plain("MultiStepLR", [1, 30, 31, 600], 0.3)),
    (MultiStep([500]), plain("MultiStepLR", [500])),
    (ExponentialDecay(0.99), plain("ExponentialLR", 0.99)),
    (ExponentialDecay(k=0.003), plain("ExponentialLR", math.exp(-0.003))),
    (Cosine(STEPS), plain("CosineAnnealingLR", STEPS)),
    (Cosine(1717, min_lr=0.01), plain("CosineAnnealingLR", 1717, 0.01)),
    (Cosine(period=10, mult=2, min_lr=1e-3), plain("CosineAnnealingWarmRestarts", 10, 2, 1e-3)),
    (Cosine(period=37), plain("CosineAnnealingWarmRestarts", 37)),
    (Cosine(period=1, mult=3), plain("CosineAnnealingWarmRestarts", 1, 3)),
    (Polynomial(700), plain("PolynomialLR", 700)),
    (Polynomial(1500, power=0.9), plain("PolynomialLR", 1500, 0.9)),
    (Polynomial(300, power=2), plain("PolynomialLR", 300, 2)),
    (Cyclical(0.001, 0.06, up=20), cyclic(0.001, 0.06, 20)),
    (Cyclical(0.01, 0.2, up=30, down=7, mode="triangular2"), cyclic(0.01, 0.2, 30, 7, mode="triangular2")),
    (Cyclical(0, 0.3, 50, 70, "exp_range", 0.99), cyclic(0.0, 0.3, 50, 70, mode="exp_range", gamma=0.99)),
    (Warmup(50, Cosine(950), start=0.1), warmed(50, 0.1, plain("CosineAnnealingLR", 950))),
    (Warmup(1, StepDecay(100), start=1 / 3), warmed(1, 1 / 3, plain("StepLR", 100))),
    (Warmup(5, Warmup(3, start=0.5), start=1), warmed(5, 1.0, plain("LinearLR", 0.5, total_iters=3))),
    (Warmup(200, Polynomial(800), start=1e-6), warmed(200, 1e-6, plain("PolynomialLR", 800))),
]


@pytest.mark.parametrize(("ours", "theirs"), TORCH, ids=[repr(row[0]) for row in TORCH])
def test_torch(ours, theirs):
    for lr in (0.1, 0.7):
        want, _ = torch_rates(theirs, lr, STEPS)
        np.testing.assert_allclose(ours.rates(STEPS, lr), want, rtol=0, atol=BAR * lr)


CYCLES = [
    {"pct_start": p, "anneal": a, "three_phase": three, **more}
    for p, three in ((0.3, False), (0.3, True), (0.0, False), (0.15, True), (0.77, False), (1.0, False))
    for a, more in (("cos", {}), ("linear", {"div_factor": 10.0, "final_div_factor": 50.0}))
]


@pytest.mark.parametrize("options", CYCLES, ids=str)
@pytest.mark.parametrize("steps", [2, 3, 17, STEPS])
def test_one_cycle_is_torchs(options, steps):
    ours = OneCycle(0.3, steps, **options)
    spelled = {("anneal_strategy" if k == "anneal" else k): v for k, v in options.items()}
    want, momenta = torch_rates(plain("OneCycleLR", max_lr=0.3, total_steps=steps, **spelled), 0.5, steps)
    np.testing.assert_allclose(ours.rates(steps, 0.5), want, rtol=0, atol=BAR * 0.3)
    np.testing.assert_allclose([ours.momentum(t) for t in range(steps)], momenta, rtol=0, atol=BAR)
    assert ours(steps + 5) == ours(steps - 1)


def test_one_cycle_of_one_step_up_starts_at_the_peak():  # torch divides by zero
    assert OneCycle(0.3, 10, pct_start=0.1)(0) == OneCycle(0.3, 1, pct_start=1.0)(0) == 0.3


# --- Keras ------------------------------------------------------------------------------------------------------------


KERAS = [
    (InverseTime(0.05), "InverseTimeDecay", {"decay_steps": 1, "decay_rate": 0.05}),
    (InverseTime(0.5 / 100), "InverseTimeDecay", {"decay_steps": 100, "decay_rate": 0.5}),
    (Polynomial(700, 0.5, 1e-4), "PolynomialDecay", {"decay_steps": 700, "end_learning_rate": 1e-4, "power": 0.5}),
    (Polynomial(300, 3.0), "PolynomialDecay", {"decay_steps": 300, "end_learning_rate": 0.0, "power": 3.0}),
    (Cosine(700, min_lr=0.01), "CosineDecay", {"decay_steps": 700, "alpha": 0.1}),
    (Warmup(50, Cosine(700), start=0), "CosineDecay",
     {"initial_learning_rate": 0.0, "decay_steps": 700, "warmup_target": 0.1, "warmup_steps": 50}),
    (ExponentialDecay(k=0.01), "ExponentialDecay", {"decay_steps": 1, "decay_rate": math.exp(-0.01)}),
    (MultiStep((31, 601), 0.5), "PiecewiseConstantDecay", {"boundaries": [30, 600], "values": [0.1, 0.05, 0.025]}),
]  # fmt: skip
# `model` is all that the callback looks at: an optimizer with a rate.
KERAS_SCRIPT = """
import json, sys
from types import SimpleNamespace
import keras
keras.config.set_floatx("float64")
jobs = json.load(open(sys.argv[1]))
out = {"rates": [], "plateaus": []}
for kind, options in jobs["schedules"]:
    base = {} if "values" in options else {"initial_learning_rate": 0.1}
    schedule = getattr(keras.optimizers.schedules, kind)(**{**base, **options})
    out["rates"].append([float(schedule(t)) for t in range(jobs["steps"])])
for lr, options, metrics in jobs["plateaus"]:
    callback = keras.callbacks.ReduceLROnPlateau(monitor="m", **options)
    model = SimpleNamespace(optimizer=SimpleNamespace(learning_rate=lr))
    callback.set_model(model)
    callback.on_train_begin()
    rates = []
    for epoch, metric in enumerate(metrics):
        callback.on_epoch_end(epoch, {"m": metric})
        rates.append(float(model.optimizer.learning_rate))
    out["plateaus"].append(rates)
json.dump(out, open(sys.argv[2], "w"))
"""


def plateau_jobs():
    """50 settings, each with a noisy, stalling course of a metric full of ties, now and then nan or infinite."""
    rng = np.random.default_rng(11)
    jobs = []
    for i in range(50):
        mode = ("min", "max")[i % 2]
        settings = {
            "mode": mode,
            "factor": float(rng.choice([0.4, 0.5, 0.9])),  # 0.1 would leave float32, which Keras compares rates in
            "patience": int(rng.integers(0, 5)),
            "threshold": float(rng.choice([0.0, 1e-4, 0.01, 0.1])),
            "cooldown": int(rng.integers(0, 4)),
            "min_lr": float(rng.choice([0.0, 1e-3, 0.03, 0.5])),
        }
        course = np.exp(-np.arange(80) / 25) + rng.normal(0, 0.05, 80) + 0.2
        metrics = np.round(course if mode == "min" else -course + 2.0, int(rng.choice([1, 2, 9])))
        metrics[rng.random(80) < (0.05 if i % 3 else 0.0)] = rng.choice([math.nan, math.inf, -math.inf])
        if i in (6, 7):
            metrics[0] = math.nan
        jobs.append((float(rng.choice([0.1, 1e-6, 0.03])), settings, metrics.tolist()))
    # exactly the threshold apart: 0.4 - 0.1 rounds above 0.3, and 0.3 + 0.1 to 0.4
    at_the_threshold = {"factor": 0.5, "patience": 1, "threshold": 0.1, "cooldown": 0, "min_lr": 0.0}
    for mode, metrics in (("min", [0.4, 0.3, 0.2]), ("max", [0.3, 0.4, 0.5])):
        jobs.append((0.1, {"mode": mode, **at_the_threshold}, metrics))
    return jobs


@pytest.fixture(scope="module")
def keras_says(tmp_path_factory):
    folder = tmp_path_factory.mktemp("keras")
    plateaus = [
        (lr, {("min_delta" if k == "threshold" else k): v for k, v in settings.items()}, metrics)
        for lr, settings, metrics in plateau_jobs()
    ]
    jobs = {"steps": STEPS, "schedules": [row[1:] for row in KERAS], "plateaus": plateaus}
    (folder / "jobs.json").write_text(json.dumps(jobs))
    run_keras(KERAS_SCRIPT, folder, folder / "jobs.json", folder / "out.json")
    return json.loads((folder / "out.json").read_text())


def test_keras(keras_says):
    for (ours, *_), want in zip(KERAS, keras_says["rates"], strict=True):
        np.testing.assert_allclose(ours.rates(STEPS, 0.1), want, rtol=0, atol=BAR * 0.1, err_msg=repr(ours))


# --- plateaus ---------------------------------------------------------------------------------------------------------


def tracked(settings, lr, metrics):
    """The rates after each metric; half way through the tracker is put away and a new one goes on."""
    tracker, middle = settings.start(lr), len(metrics) // 2
    rates = [tracker.update(m) for m in metrics[:middle]]
    state = pickle.loads(pickle.dumps(tracker.state_dict()))
    tracker = settings.start(123.0)
    tracker.load_state_dict(state)
    return rates + [tracker.update(m) for m in metrics[middle:]]


def test_plateaus_decide_as_keras_does(keras_says):
    reduced = 0
    for (lr, settings, metrics), want in zip(plateau_jobs(), keras_says["plateaus"], strict=True):
        assert tracked(ReduceOnPlateau(**settings, convention="keras"), lr, metrics) == want
        reduced += want[-1] < lr
    assert reduced > 20


@pytest.mark.parametrize("threshold_mode", ["rel", "abs"])
def test_plateaus_decide_as_torch_does(threshold_mode):
    torch = pytest.importorskip("torch", reason="torch is the oracle; pip install torch")
    reduced = 0
    for lr, settings, metrics in plateau_jobs():
        settings["threshold_mode"] = threshold_mode
        optimizer = torch.optim.SGD([torch.zeros(1)], lr=lr)
        scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, **settings)
        want = []
        for metric in metrics:
            scheduler.step(metric)
            want.append(optimizer.param_groups[0]["lr"])
        assert tracked(ReduceOnPlateau(**settings), lr, metrics) == want
        reduced += want[-1] < lr
    assert reduced > 20


STALLING = [1.0, 0.8, 0.8, 0.8, 0.8] + [0.79] * 7


@pytest.mark.parametrize(
    ("convention", "options", "want"),
    [
        ("keras", {}, {0.1: 3, 0.01: 4, 1e-3: 2, 1e-4: 2, 1e-5: 1}),
        ("torch", {}, {0.1: 4, 0.01: 4, 1e-3: 3, 1e-4: 1}),
        ("keras", {"cooldown": 2}, {0.1: 3, 0.01: 4, 1e-3: 3, 1e-4: 2}),
        ("torch", {"cooldown": 2}, {0.1: 4, 0.01: 5, 1e-3: 3}),
        ("keras", {"min_lr": 0.005}, {0.1: 3, 0.01: 4, 0.005: 5}),
        ("torch", {"min_lr": 0.005}, {0.1: 4, 0.01: 4, 0.005: 4}),
    ],
)
def test_golden_traces(convention, options, want):
    rates = tracked(ReduceOnPlateau(patience=2, convention=convention, **options), 0.1, STALLING)
    assert rates == pytest.approx([rate for rate, epochs in want.items() for _ in range(epochs)])


def test_relative_and_absolute_thresholds_part_at_a_loss_of_a_hundred():
    falling = [100 - 0.002 * t for t in range(12)]
    rates = tracked(ReduceOnPlateau(patience=2), 0.1, falling)
    assert rates[:4] == pytest.approx([0.1, 0.1, 0.1, 0.01])
    for convention in ("torch", "keras"):
        settings = ReduceOnPlateau(patience=2, threshold_mode="abs", convention=convention)
        assert tracked(settings, 0.1, falling) == [0.1] * 12
    assert not ReduceOnPlateau(convention="keras").relative


def test_nan_is_never_better():
    for convention in ("torch", "keras"):
        tracker = ReduceOnPlateau(patience=2, convention=convention).start(0.1)
        rates = [tracker.update(m) for m in (1.0, math.nan, math.nan, math.nan, 0.5)]
        assert rates[-1] == pytest.approx(0.01)
        assert tracker.best == 0.5


def test_a_tracker_refuses_what_is_not_its_own():
    tracker = ReduceOnPlateau().start(0.1)
    before = tracker.state_dict()
    with pytest.raises(ConfigError, match="a metric is a number, got 'low'"):
        tracker.update("low")
    for state in ({}, {**before, "lr": -1.0}, {**before, "bad": 0.5}, {**before, "best": "1"}, None):
        with pytest.raises(ConfigError):
            tracker.load_state_dict(state)
        assert tracker.state_dict() == before
    with pytest.raises(ConfigError, match="lr must be a number"):
        ReduceOnPlateau().start(-1.0)
    assert repr(tracker) == "Tracker(ReduceOnPlateau(): lr=0.1, best=None, bad=0, cooling=0)"


@pytest.mark.parametrize("call", [lambda s: s(0), lambda s: s.rates(3), lambda s: s.plot(3)])
def test_a_plateau_is_not_a_function_of_the_step(call):
    with pytest.raises(ConfigError, match=r"tracker = schedule.start\(lr\)"):
        call(ReduceOnPlateau())
