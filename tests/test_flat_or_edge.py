"""An extremum of noise, of what is flat or at the edge of what was looked at is not reported as one that was found."""

import json

import matplotlib.pyplot as plt
import numpy as np
import pytest
from conftest import JIT, SHRINK
from scipy.stats import mannwhitneyu

import optlab as ol
from optlab.plain import plain
from optlab.search import Float, Random, Space, Study
from optlab.train.falls import FEWEST_LOSSES, fall_z, falls
from optlab.train.history import History
from optlab.train.lr_find import NAMES, read

RATES = np.geomspace(1e-7, 10.0, 100)
NOISES = {
    "normal": lambda rng, n: 2.3 + 0.1 * rng.standard_normal(n),
    "skewed": lambda rng, n: rng.exponential(size=n),
    "heavy tails": lambda rng, n: 5.0 + rng.standard_t(2, size=n),
    "few values": lambda rng, n: rng.integers(1, 5, n).astype(float),
}


@pytest.fixture(scope="module")
def digits():
    return ol.data.load("digits").split(val=0.2, test=0.2, seed=0, standardize=False)[0]


# --- lr_find: noise ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("noise", NOISES)
@pytest.mark.parametrize("steps", [20, 50, 69, 100, 500])
@pytest.mark.fault(45, cases=1000)
def test_noise_alone_gets_no_suggestion(noise, steps):
    """At most 3 in 100 of 1,000 sweeps of noise by design; 45 would be six standard deviations more."""
    rng, cases = np.random.default_rng(steps), 1000 // SHRINK
    rates = np.geomspace(1e-7, 10.0, steps)
    size = max(FEWEST_LOSSES, steps // 10)
    found = sum(falls(NOISES[noise](rng, steps), size) for _ in range(cases))
    assert found <= 0.045 * cases + 2 * (SHRINK > 1)
    shown = [read(rates, NOISES[noise](rng, steps), stop=np.inf) for _ in range(20)]
    assert sum(np.isnan(one.suggestion) for one in shown) >= 18
    refused = next(one for one in shown if np.isnan(one.suggestion))
    assert "does not fall below its start by more than the batches' noise" in refused.reason
    assert np.isnan(list(refused.suggestions.values())).all()


@pytest.mark.parametrize("size", [3, 6, 10])
def test_the_statistic_is_that_of_mann_and_whitney(size):
    losses = np.random.default_rng(size).permutation(40).astype(float)
    for at, z in enumerate(fall_z(losses, size)):
        window = losses[size + at : 2 * size + at]
        peer = mannwhitneyu(losses[:size], window)
        spread = np.sqrt(size * size * (2 * size + 1) / 12)
        assert z == pytest.approx((peer.statistic - size**2 / 2) / spread)
    assert fall_z(losses[: 2 * size - 1], size).size == 0


@pytest.mark.skipif(not JIT, reason="forty sweeps, interpreted")
@pytest.mark.parametrize("rule", ["sgd", "momentum", "rmsprop", "adam"])
@pytest.mark.fault(45, cases=5)
def test_ordinary_sweeps_still_get_one(rule, digits):
    for seed in range(5):
        found = ol.lr_find(ol.nn.MLP([64, 32, 10], seed=seed), digits, rule, seed=seed)
        assert np.isfinite(list(found.suggestions.values())).all()
        assert 1e-3 < found.suggestion < 1.0
        assert found.edge is None


def dead():
    """No unit of the hidden layer is ever active: only the last bias could learn, and the classes are balanced."""
    model = ol.nn.MLP([64, 32, 10], seed=0)
    model.layers[0].bias.data = np.full_like(model.layers[0].bias.data, -1e3)
    return model


@pytest.mark.skipif(not JIT, reason="forty sweeps, interpreted")
@pytest.mark.parametrize("rule", ["sgd", "adam"])
@pytest.mark.parametrize(
    ("made", "rates"), [(dead, {}), (lambda: ol.nn.MLP([64, 32, 10], seed=1), {"low": 1e-30, "high": 1e-20})]
)
@pytest.mark.fault(45, cases=5)
def test_a_loss_that_stays_flat_gets_no_suggestion(rule, made, rates, digits):
    """Each of the five has a chance of a few in a hundred to be told from noise; two of five would be none."""
    found = [ol.lr_find(made(), digits, rule, seed=seed, **rates) for seed in range(5)]
    assert sum(np.isnan(one.suggestion) for one in found) >= 4


@pytest.mark.parametrize("engine", ["machine", "tape"])
@pytest.mark.fault(45)
def test_a_loss_that_does_not_change_at_all(engine):
    x, y = np.ones((32, 4), "f4"), np.arange(32) % 2
    found = ol.lr_find(ol.nn.MLP([4, 4, 2], seed=0), (x, y), "sgd", low=1e-30, high=1e-20, batch_size=32, engine=engine)
    assert np.isnan(found.suggestion)
    assert found.reason.endswith("the loss did not change: no rate of this sweep trains the model")


# --- lr_find: edges ---------------------------------------------------------------------------------------------------


def curve(centre, noise, seed=0):
    """A loss that falls around this log10 rate and blows up a decade behind it."""
    x = np.log10(RATES)
    fall = 0.5 + 1.8 / (1.0 + np.exp((x - centre) / 0.15)) + np.exp(6.0 * (x - centre - 1.5))
    return fall + noise * np.random.default_rng(seed).standard_normal(100)


@pytest.mark.parametrize("noise", [0.0, 0.05])
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.fault(45)
def test_an_edge_of_the_sweep_is_named(noise, seed):
    """The same fall inside the sweep, at its low end and at its high end."""
    inside = read(RATES, curve(-2.5, noise, seed))
    assert inside.edge is None
    assert np.isfinite(list(inside.suggestions.values())).all()

    low = read(RATES, curve(-6.4, noise, seed), stop=np.inf)
    assert (low.edge, np.isnan(low.suggestion), np.isnan(low.suggestions["steepest"])) == ("low", True, True)
    assert low.reason.endswith("the steepest fall is at the low end of what was searched: extend low below 1e-07")

    high = read(RATES, curve(0.7, noise, seed))
    assert (high.edge, np.isnan(high.suggestion)) == ("high", True)
    assert high.reason.endswith("the steepest fall is at the high end of what was searched: extend high above 10")


@pytest.mark.fault(45)
def test_a_lowest_loss_at_the_high_end_takes_its_tenth_along():
    """The loss stays low to the end: the steepest fall was seen, the minimum was not."""
    losses = 0.5 + 1.8 / (1.0 + np.exp((np.log10(RATES) + 2.5) / 0.15)) - 0.01 * np.arange(100)
    found = read(RATES, losses, smoothing=0.5)
    assert found.edge == "high"
    assert np.isnan(found.suggestions["minimum/10"])
    assert found.suggestion == pytest.approx(np.sqrt(found.suggestions["steepest"] * found.suggestions["valley"]))
    assert found.reason.endswith("the lowest loss is at the high end of what was searched: extend high above 10")


@pytest.mark.parametrize("losses", [np.ones(100), curve(1.2, 0.0), curve(-6.4, 0.0)])
@pytest.mark.fault(45)
def test_the_doubt_is_in_picture_text_and_json(losses):
    found = read(RATES, losses, "all 100 steps were taken", stop=np.inf)
    ax = found.plot()
    assert ax.get_title().replace("\n", " ") == found.reason.rpartition("; ")[2]
    assert not any("suggested" in text.get_text() for text in ax.get_legend().get_texts())
    plt.close(ax.figure)
    assert repr(found).startswith("Found(nan; ")
    document = json.loads(json.dumps(plain({"suggestion": found.suggestion, **vars(found)}), allow_nan=False))
    assert document["suggestion"] is None
    assert set(document["suggestions"]) == set(NAMES)
    assert document["edge"] == found.edge


# --- elsewhere --------------------------------------------------------------------------------------------------------

SPACE = Space(a=Float(0.0, 1.0), b=Float(0.0, 1.0))


def importance(value, seed=0, trials=40):
    rng = np.random.default_rng(seed)
    study = Study(SPACE, Random(seed=seed))
    study.run(lambda params: value(params, rng), trials=trials)
    return study.importance()


@pytest.mark.skipif(not JIT, reason="fits of Gaussian processes, interpreted")
@pytest.mark.parametrize("value", [
    lambda params, rng: 1.0,
    lambda params, rng: 1.0 + 2e-16 * int(rng.integers(0, 4)),
    lambda params, rng: float(rng.standard_normal()),
])  # fmt: skip
@pytest.mark.fault(45, cases=3)
def test_importance_of_nothing_is_nothing(value):
    assert sum(importance(value, seed) == {"a": 0.0, "b": 0.0} for seed in range(3)) >= 2


@pytest.mark.skipif(not JIT, reason="fits of Gaussian processes, interpreted")
def test_importance_sees_a_signal_in_noise():
    """f = 3 a + noise of variance 0.09: the share of a in what is not noise is 1."""
    shares = importance(lambda params, rng: 3.0 * params["a"] + 0.3 * float(rng.standard_normal()))
    assert shares["a"] > 0.8
    assert shares["b"] < 0.1


@pytest.mark.fault(45)
def test_early_stopping_names_no_best_epoch_where_there_is_none(monkeypatch):
    callback, reasons = ol.EarlyStopping(patience=2), []
    run = type("Run", (), {"history": History(), "stop": lambda self, reason: reasons.append(reason), "epoch": 0})()
    for _ in range(3):
        run.history.add_epoch({"val_loss": np.nan}, 0.0)
        run.epoch += 1
        callback.on_epoch(run)
    assert reasons[0] == "val_loss has not improved for 2 epochs; it was never a number"
    assert run.history.best() == (0, pytest.approx(np.nan, nan_ok=True))


@pytest.mark.parametrize(("values", "last"), [([3.0, 2.0, 1.0], True), ([3.0, 1.0, 2.0], False), ([1.0], False)])
@pytest.mark.fault(45)
def test_a_best_last_epoch_is_named(values, last):
    history = History()
    for value in values:
        history.add_epoch({"train_loss": value, "val_loss": value, "lr": 0.1}, 0.0)
    assert history.still_improving() == last
    figure = history.plot()
    texts = [text.get_text() for ax in figure.axes if ax.get_legend() for text in ax.get_legend().get_texts()]
    assert any(text.endswith(", the last: train longer") for text in texts) == last
    plt.close(figure)


@pytest.mark.fault(45)
def test_a_tuned_rate_at_the_end_of_what_was_tried_is_named():
    """On a nearly flat bowl the largest rate is the best; on x^2 + y^2 one between 0 and 1 is; nothing on -exp."""
    flat = ol.Surface(lambda x, y: 1e-4 * (x * x + y * y), name="flat", minima=[(0.0, 0.0)])
    race = ol.race(flat, ["sgd"], steps=20, tune=8, starts=4, target=1e-12)
    (note,) = race.tuned["SGD"].edges
    assert note.startswith("the best lr, ")
    assert "is at the high end of what was searched: try lr above" in note
    assert race.table.rows[0]["doubt"] == note
    bowl = ol.race("sphere", ["sgd"], steps=20, tune=16, starts=4)
    assert bowl.tuned["SGD"].edges == ()
    assert "doubt" not in bowl.table.rows[0]
    cliff = ol.Surface(lambda x, y: -np.exp(1e3 * (x * x + y * y)), name="cliff")
    (note,) = ol.race(cliff, ["sgd"], steps=5, tune=4, starts=2).tuned["SGD"].edges
    assert note == "all 4 settings diverged"
