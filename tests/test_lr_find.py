"""The learning-rate finder: golden traces, other people's algorithms derived again, laws, and that nothing changes."""

import dataclasses
import itertools
import random

import numpy as np
import pytest
from conftest import JIT
from hypothesis import given
from hypothesis import strategies as st

import optlab as ol
from optlab.train.lr_find import FEWEST, STEADY, TAIL, lr_find, read, smooth, suggest
from scripts.lr_find_check import RULES, SLACK, Check

ENGINES = pytest.mark.parametrize("engine", ["machine", "tape"])
CURVATURES = np.geomspace(0.1, 10.0, 50)
RATES = np.geomspace(1e-7, 10.0, 100)
NAMES = ["steepest", "valley", "minimum/10"]


def quadratic(engine, **options):
    """f = sum h w^2 / 2 with w = 1 at first and the whole gradient, as a regression: x_i = sqrt(25 h_i) e_i, y = 0."""
    model = ol.nn.Sequential(ol.nn.Linear(50, 1, bias=False, dtype="float64"))
    model.layers[0].weight.data = np.ones((50, 1))
    data = np.diag(np.sqrt(25.0 * CURVATURES)), np.zeros((50, 1))
    return lr_find(model, data, ol.SGD(), batch_size=50, engine=engine, **options)


def blobs(n=200, inputs=6, classes=3, dtype="float32", seed=0):
    rng = np.random.default_rng(seed)
    y = rng.integers(0, classes, n)
    return (rng.standard_normal((n, inputs)) + y[:, None]).astype(dtype), y


# --- golden -----------------------------------------------------------------------------------------------------------


@ENGINES
def test_the_quadratic_trace(engine):
    found = quadratic(engine)
    ratio = 1.204504
    assert found.engine == engine
    assert len(found.lrs) == 91
    np.testing.assert_allclose(found.lrs, 1e-7 * ratio ** np.arange(91), rtol=1e-4)
    assert found.lrs[-1] == pytest.approx(1.87382, rel=1e-5)
    assert found.smoothed.argmin() == 88
    assert found.lrs[88] == pytest.approx(1.29155, rel=1e-5)
    assert found.lrs[found.losses.argmin()] == pytest.approx(1.072, abs=5e-4)
    assert list(found.suggestions) == NAMES
    assert found.suggestions["steepest"] == pytest.approx(0.06579, abs=5e-6)
    assert found.suggestions["valley"] == pytest.approx(5.214e-4, abs=5e-8)
    assert found.suggestions["minimum/10"] == pytest.approx(0.07391, abs=5e-6)
    assert found.suggestion == pytest.approx((0.06579 * 5.214e-4 * 0.07391) ** (1 / 3), rel=1e-4)
    assert "passed" in found.reason
    assert "step 91 of 100, lr 1.87" in found.reason
    assert repr(found).startswith("Found(0.0136; steepest 0.0658, valley 0.000521, minimum/10 0.0739; the smoothed")


@ENGINES
def test_the_quadratic_losses_are_those_before_each_update(engine):
    """The trace in closed form: w_i <- (1 - a h_i) w_i."""
    w, losses = np.ones(50), []
    for rate in RATES:
        losses.append(float((CURVATURES * w * w).sum() / 2.0))
        w -= rate * CURVATURES * w
    found = quadratic(engine)
    np.testing.assert_allclose(found.losses, losses[:91], rtol=1e-10)


def test_without_smoothing_the_quadratic_stops_earlier():
    found = quadratic("machine", smoothing=0.0)
    assert len(found.lrs) == 89
    np.testing.assert_array_equal(found.smoothed[10:], found.losses[10:])
    assert found.suggestions["steepest"] == pytest.approx(0.01485, abs=5e-6)


@ENGINES
def test_a_loss_that_overflows_ends_the_sweep(engine):
    found = quadratic(engine, high=1e50, stop=np.inf, smoothing=0.0)
    assert found.reason == "the loss was not finite at step 36 of 100, lr 1.42e+13"
    assert len(found.losses) == 35
    assert np.isfinite(found.losses).all()


@ENGINES
def test_a_gradient_that_overflows_ends_the_sweep(engine):
    """r = 1e15 and x = 1e25: r^2 is a float32, r x is not."""
    model = ol.nn.Sequential(ol.nn.Linear(1, 1, bias=False))
    model.layers[0].weight.data = [[1e-10]]
    data = np.full((64, 1), 1e25, "f4"), np.zeros((64, 1), "f4")
    found = lr_find(model, data, "sgd", engine=engine)
    assert found.reason.startswith("the gradient was not finite at step 1 of 100, lr 1e-07; too soon")
    np.testing.assert_allclose(found.losses, [1e30], rtol=1e-6)


# --- the curve --------------------------------------------------------------------------------------------------------


def test_the_average_is_corrected_for_its_start():
    losses = np.random.default_rng(0).standard_normal(40)
    weights = [0.9 ** np.arange(i, -1, -1) for i in range(40)]
    want = [np.average(losses[: i + 1], weights=weights[i]) for i in range(40)]
    np.testing.assert_allclose(smooth(losses, 0.9, 0), want, rtol=1e-12)
    held = losses.copy()
    held[:4] = np.sort(losses[:4])[1:3].mean()
    np.testing.assert_allclose(smooth(losses, 0.9, 4), smooth(held, 0.9, 0), rtol=1e-12)
    np.testing.assert_array_equal(smooth(losses, 0.0, 0), losses)


def logistic(centre, width=0.5, bottom=0.5, top=2.3):
    """A loss that falls as a logistic curve around this log10 rate and shoots up behind it."""
    x = np.log10(RATES)
    return bottom + (top - bottom) / (1.0 + np.exp((x - centre) / (width / 4.0))) + np.exp(6.0 * (x - centre - 1.2))


@pytest.mark.parametrize("centre", [-4.0, -2.5, -1.0])
def test_steepest_is_where_the_fall_is_steepest(centre):
    """As Lightning has it: the most negative central difference, here within a step of the forward one."""
    curve = logistic(centre)
    end = int(curve.argmin()) + 8
    lrs, losses = RATES[:end], curve[:end]
    got = suggest(lrs, losses, 10)["steepest"]
    step = np.log10(RATES[1] / RATES[0])
    assert abs(np.log10(got) - centre) <= step
    lightning = lrs[10:-TAIL][np.gradient(losses[10:-TAIL]).argmin()]
    assert abs(np.log10(got / lightning)) <= 1.001 * step


def test_minimum_is_a_tenth_of_the_lowest():
    curve = logistic(-3.0)
    lowest = int(curve.argmin())
    got = suggest(RATES[: lowest + 20], curve[: lowest + 20], 10)
    assert got["minimum/10"] == pytest.approx(RATES[lowest] / 10.0)
    rising = suggest(RATES, np.arange(100.0), 10)
    assert rising["minimum/10"] == RATES[0], "never below the sweep"


def test_the_valley_of_a_v():
    """Flat to 20, falling to 50, rising: the fall has 31 steps, of which the flat part adds one."""
    losses = np.interp(np.arange(100), [0, 20, 50, 99], [2.0, 2.0, 1.0, 3.0])
    for skip in (0, 10):
        assert suggest(RATES, losses, skip)["valley"] == RATES[51 - 31 + 31 // 3 + 31 // 6 - 1]


@given(st.lists(st.integers(0, 8), min_size=3, max_size=9))
def test_the_valley_by_brute_force(values):
    """Every subsequence tried: the longest strictly falling one that ends first."""
    n = len(values)
    chosen = (c for size in range(n, 0, -1) for c in itertools.combinations(range(n), size))
    falls = [c for c in chosen if all(values[i] > values[j] for i, j in itertools.pairwise(c))]
    length = len(falls[0])
    end = min(c[-1] for c in falls if len(c) == length)
    third = length / 3
    lrs = np.geomspace(1e-3, 1.0, n + TAIL)
    losses = np.array([*values, *[0] * TAIL], float)
    assert suggest(lrs, losses, 0)["valley"] == lrs[max(0, end - length + int(third) + int(third / 2))]


@st.composite
def sweeps(draw, noises=(0.0, 0.01, 0.1)):
    """Losses of a whole sweep: a smooth fall and blow-up; up to a tenth of the fall is noise."""
    curve = logistic(draw(st.floats(-4.0, -0.5)), draw(st.floats(0.3, 3.0)))
    noise = draw(st.sampled_from(noises)) * 1.8
    return curve + noise * np.random.default_rng(draw(st.integers(0, 99))).standard_normal(100)


def indices(found):
    return [int(np.abs(np.log(RATES / rate)).argmin()) for rate in found.suggestions.values()]


@given(sweeps(), st.floats(0.5, 0.98), st.floats(1.5, 8.0))
def test_suggestions_are_rates_of_the_sweep(losses, smoothing, stop):
    found = read(RATES, losses, smoothing=smoothing, stop=stop)
    assert all(RATES[0] <= rate <= found.lrs[-1] for rate in found.suggestions.values())


@given(sweeps(), st.floats(1e-6, 1e6))
def test_the_unit_of_the_loss_does_not_matter(losses, scale):
    np.testing.assert_allclose(indices(read(RATES, losses * scale)), indices(read(RATES, losses)), atol=1)


@given(sweeps(noises=(0.01, 0.1)), st.floats(-1e3, 1e3))
def test_an_offset_of_the_loss_does_not_matter(losses, offset):
    """Where to stop is relative to the best loss, so that is left out; without noise, a plateau falls by roundings."""
    got, want = (indices(read(RATES, values, stop=np.inf)) for values in (losses + offset, losses))
    np.testing.assert_allclose(got, want, atol=1)


@given(sweeps(), st.integers(0, 9), st.integers(1, 3), st.floats(0.0, 1e30))
def test_an_early_spike_fools_nobody(losses, at, width, height):
    spiked = losses.copy()
    spiked[at : min(at + width, 10)] += height
    found, want = read(RATES, spiked), read(RATES, losses)
    assert abs(len(found.lrs) - len(want.lrs)) <= 1
    moved = dict(zip(NAMES, np.subtract(indices(found), indices(want)), strict=True))
    assert abs(moved[STEADY]) <= 1
    if np.ptp(losses[:8]) < 1e-3:  # no noise: the other two stay, too
        assert max(map(abs, moved.values())) <= 1


def test_a_negative_loss_can_diverge():
    losses = np.interp(np.arange(100), [0, 30, 60, 99], [-1.0, -1.0, -2.0, 60.0])
    found = read(RATES, losses, smoothing=0.0)
    assert found.losses[-1] > 4.0, "-2 + 3 times 2"
    assert found.losses[-2] <= 4.0
    assert read(RATES, losses - 100.0, smoothing=0.0).reason == ""


def test_too_short_a_sweep_says_so():
    found = read(RATES, np.array([1.0] * 11 + [1e9]), smoothing=0.0)
    assert len(found.lrs) == 12
    assert np.isnan(list(found.suggestions.values())).all()
    assert "too soon" in found.reason
    assert np.isnan(read(RATES, np.zeros(0), "not finite").suggestion)


# --- nothing changes --------------------------------------------------------------------------------------------------


def network(engine="machine"):
    model = ol.nn.MLP([6, 8, 8, 3], batch_norm=True, dropout=0.2, seed=3)
    if engine == "tape":  # the machine does not know frozen layers
        model.freeze("0")
    model.layers[2].eval()
    return model


def snapshot(model):
    gradients = {k: None if p.grad is None else p.grad.copy() for k, p in model.named_parameters()}
    places = {k: p.data.ctypes.data for k, p in model.named_parameters()}
    flags = [(module.training, module.frozen, module.history) for module in model.modules()]
    return model.state_dict(), gradients, places, flags, [p.requires_grad for p in model.parameters()]


def assert_same(before, after):
    for old, new in zip(before[:2], after[:2], strict=True):
        assert list(old) == list(new)
        for name, value in old.items():
            np.testing.assert_array_equal(value, new[name], err_msg=name)
    assert before[2:] == after[2:]


@ENGINES
@pytest.mark.parametrize("packed", [False, True])
def test_the_model_stays_as_it_was(engine, packed):
    model, twin = network(engine), network(engine)
    x, y = blobs()
    optimizers = []
    for one in (model, twin):
        ol.nn.cross_entropy(one(x[:20]), y[:20]).backward()
        if not packed:
            one.layers[-1].bias.grad = None
        if packed:
            trained = [p for p in one.parameters() if p.requires_grad]
            optimizers.append(ol.Optimizer(trained, ol.Adam(lr=0.01)))
            optimizers[-1].step()
    before = snapshot(model)
    found = lr_find(model, (x, y), ol.Momentum(), engine=engine, steps=30)
    assert found.engine == engine
    assert_same(before, snapshot(model))
    for one, optimizer in zip((model, twin), optimizers, strict=False):  # and the optimizer goes on working
        optimizer.zero_grad()
        ol.nn.cross_entropy(one(x[:20]), y[:20]).backward()
        optimizer.step()
    assert_same(snapshot(twin)[:2], snapshot(model)[:2])


class Moody(ol.nn.Module):
    """Draws from the global generators, notes its batches, and gives up when told to."""

    seen: list = []  # noqa: RUF012

    def __init__(self, patience=10**9):
        self.patience = patience

    def forward(self, x):
        np.random.random()  # noqa: NPY002
        random.random()
        self.seen.append(x.data[:, 0].copy())
        if len(self.seen) > self.patience:
            raise KeyboardInterrupt
        return x


@pytest.mark.parametrize("patience", [5, 10**9])
def test_random_state_and_model_stay_after_an_exception_too(patience):
    model = ol.nn.Sequential(Moody(patience), network())
    Moody.seen.clear()
    before, state = snapshot(model), (random.getstate(), np.random.get_state()[1].tolist())  # noqa: NPY002
    if patience == 5:
        with pytest.raises(KeyboardInterrupt):
            lr_find(model, blobs(), "adam", steps=FEWEST)
    else:
        assert lr_find(model, blobs(), "adam", steps=FEWEST).engine == "tape"
    assert_same(before, snapshot(model))
    assert state == (random.getstate(), np.random.get_state()[1].tolist())  # noqa: NPY002


# --- the sweep --------------------------------------------------------------------------------------------------------


def test_batches_are_shuffled_and_go_through_the_data_again():
    x = np.zeros((40, 6), "f4")
    x[:, 0] = np.arange(40)
    Moody.seen.clear()
    lr_find(ol.nn.Sequential(Moody(), network()), (x, np.arange(40) % 3), "sgd", steps=27, batch_size=16)
    assert {len(batch) for batch in Moody.seen} == {16}
    rows = np.concatenate(Moody.seen).astype(int)
    epochs, rest = rows[:400].reshape(10, 40), rows[400:]
    assert len(set(rest)) == len(rest) == 32
    assert len({tuple(epoch) for epoch in epochs}) == 10
    for epoch in epochs:
        np.testing.assert_array_equal(np.sort(epoch), np.arange(40))
        assert (epoch != np.arange(40)).any()


@pytest.mark.parametrize("rule", list(ol.RULES))
def test_tape_and_machine_agree(rule):
    options = {"steps": 40 if JIT else FEWEST, "l2": 1e-3, "clip_norm": 5.0, "label_smoothing": 0.1, "stop": np.inf}
    one, other = (lr_find(network(), blobs(), rule, engine=engine, **options) for engine in ("machine", "tape"))
    np.testing.assert_allclose(one.losses, other.losses, rtol=3e-7)  # the tape's loss is a float32
    assert one.reason == other.reason


def test_it_is_a_function_of_its_seed():
    one, same, other = (lr_find(network(), blobs(), "sgd", steps=FEWEST, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one.losses, same.losses)
    assert (one.losses != other.losses).any()


def test_the_losses_are_those_of_training_at_these_rates():
    """The first steps, by hand."""
    x, y = blobs(32)
    found = lr_find(ol.nn.MLP([6, 3], seed=1), (x, y), ol.SGD(), low=0.01, high=1.0, steps=FEWEST, batch_size=32)
    model = ol.nn.MLP([6, 3], seed=1)
    optimizer = ol.Optimizer(model.parameters(), ol.SGD(lr=1.0))
    for rate, loss in zip(0.01 * 100.0 ** (np.arange(FEWEST) / (FEWEST - 1)), found.losses, strict=True):
        optimizer.zero_grad()
        value = ol.nn.cross_entropy(model(x), y)
        value.backward()
        optimizer.lr = rate
        optimizer.step()
        assert loss == pytest.approx(value.item(), rel=1e-5)
    assert found.reason.startswith("all 20 steps were taken; the loss did not blow up")


def test_pictures_may_be_augmented():
    data = ol.data.load("digits").part().take(200)
    model = ol.nn.MLP([64, 8, 10])
    plain = lr_find(model, data, "sgd", steps=FEWEST)
    moved = lr_find(model, data, "sgd", steps=FEWEST, augment=ol.data.Augment(shift=1))
    assert (plain.losses != moved.losses).any()
    assert np.isfinite(moved.losses).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"low": 0.0}, "0 < low < high"),
        ({"low": 1.0, "high": 0.1}, "got low=1.0 and high=0.1"),
        ({"high": np.inf}, "0 < low < high"),
        ({"steps": 19}, "steps is a whole number >= 20"),
        ({"smoothing": 1.0}, r"smoothing is in \[0, 1\)"),
        ({"stop": 1.0}, "stop is a multiple"),
        ({"batch_size": 0}, "batch_size"),
        ({"engine": "gpu"}, "unknown engine"),
        ({"loss": "mse"}, "do not go with"),
        ({"rule": "sdg"}, "unknown rule"),
    ],
)
def test_mistakes_are_explained(options, message):
    with pytest.raises(ol.ConfigError, match=message):
        lr_find(ol.nn.MLP([6, 3]), blobs(), **{"rule": "sgd", **options})


def test_suggestions_far_apart_are_not_averaged():
    found = read(RATES, np.linspace(2.0, 1.0, len(RATES)))
    near, far = ({"steepest": low, "valley": 0.01, STEADY: 0.1} for low in (1e-3, 1e-5))
    assert dataclasses.replace(found, suggestions=near).suggestion == pytest.approx(0.01)
    assert dataclasses.replace(found, suggestions=far).suggestion == 0.1
    assert np.isnan(dataclasses.replace(found, suggestions=dict.fromkeys(NAMES, np.nan)).suggestion)


# --- is it any good ---------------------------------------------------------------------------------------------------


@pytest.mark.skipif(not JIT, reason="thirty sweeps, interpreted")
@pytest.mark.parametrize(
    ("rule", "want"),
    [("sgd", (0.89, 0.042, 0.17)), ("momentum", (0.42, 0.012, 0.11)), ("adam", (0.087, 0.0059, 0.047))],
)
def test_suggestions_on_digits_are_those_of_another_implementation(rule, want):
    """Medians of 10 seeds of a NumPy network with fastai's formulas, measured before this finder was written."""
    train, _, _ = ol.data.load("digits").split(val=0.2, test=0.2, seed=0, standardize=False)
    found = [lr_find(ol.nn.MLP([64, 32, 10], seed=seed), train, rule, seed=seed) for seed in range(10)]
    medians = np.median([list(one.suggestions.values()) for one in found], axis=0)
    assert (np.abs(np.log(medians / want)) < np.log(1.6)).all(), medians


@pytest.mark.skipif(not JIT, reason="hundreds of trainings, interpreted")
def test_the_suggestion_trains_about_as_well_as_the_best_rate_of_a_grid():
    """Validation loss after three epochs, median of seeds, for three of four rules; `scripts/lr_find_check.py`."""
    check = Check("digits")
    ratios = []
    for rule in RULES.values():
        best, _ = check.best(rule)
        ratios.append(check.losses(rule, [found.suggestion for found in check.found(rule)])[1] / best[1])
    assert np.sum(np.array(ratios) <= SLACK) >= 3, ratios
