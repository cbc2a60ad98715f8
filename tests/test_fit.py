"""`fit`: both engines give the same, every option reaches them, what can't be is refused before anything changes."""

import copy
import tracemalloc

import numpy as np
import pytest
from conftest import JIT, SHRINK
from runs import Last, assert_same, contents, network, parts, pictures, table, trained

import optlab as ol
from optlab import nn
from optlab.data.augment import Augment
from optlab.data.splits import AUGMENT, ORDER, generator, shuffled
from optlab.train.config import Config

EPOCHS = 4 if SHRINK == 1 else 2


# --- machine and tape -------------------------------------------------------------------------------------------------

OPTIONS = {
    "plain": {},
    "penalties": {"l1": 1e-3, "l2": 1e-2},
    "smoothed, weighted": {"label_smoothing": 0.1, "class_weights": [1.0, 2.0, 0.5]},
    "clipped": {"clip_norm": 0.5, "clip_value": 0.1, "norms": True},
    "batch norm, dropout": {"network": {"batch_norm": True, "dropout": 0.3}},
    "targets": {"data": lambda **kind: table(0, **kind)},
    "augmented": {"data": pictures, "augment": Augment(shift=1, flip=True, noise=0.1)},
    "schedule": {"schedule": "one-cycle(max_lr=0.05)"},
    "plateau": {"schedule": ol.schedules.ReduceOnPlateau(patience=0)},
    "steps": {"steps": 7},
    "one row left": {"network": {"batch_norm": True}, "batch_size": 7},  # 36 = 5 x 7 + 1
}


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", OPTIONS)
def test_machine_and_tape_give_the_same(name, dtype):
    options = {"epochs": EPOCHS, "batch_size": 12, **OPTIONS[name]}
    data, layers = options.pop("data", table)(dtype=dtype), options.pop("network", {})
    train, val, _ = parts(data)
    runs = [
        trained(network(data, **layers), train, val, ol.Adam(lr=0.01), engine=engine, **options)
        for engine in ("machine", "tape")
    ]
    assert [run.history.engine for run in runs] == ["machine", "tape"]
    if dtype == "float64" and name != "penalties":
        assert_same(*runs)
        return
    # the machine logs the loss in float64, the tape in the model's dtype; penalties are summed in another order
    numbers, wanted = map(contents, runs)
    for key, value in wanted.items():
        if key in ("epochs train_loss", "steps loss"):
            np.testing.assert_allclose(numbers[key], value, rtol=4 * np.finfo(dtype).eps)
        else:
            np.testing.assert_array_equal(numbers[key], value, err_msg=key)


@pytest.mark.parametrize(("name", "options"), [
    ("penalties", {"l1": 1e-2, "l2": 0.1}),
    ("label_smoothing", {"label_smoothing": 0.2}),
    ("class_weights", {"class_weights": [0.2, 1.0, 3.0]}),
    ("clip_norm", {"clip_norm": 0.3}),
    ("clip_value", {"clip_value": 0.05}),
    ("schedule", {"schedule": ol.schedules.Cosine()}),
])  # fmt: skip
def test_every_option_does_what_a_loop_by_hand_does(name, options):
    train, val, _ = parts()
    run = trained(network(dropout=0.2), train, val, ol.Adam(lr=0.02), epochs=EPOCHS, batch_size=10, seed=5, **options)
    model = network(dropout=0.2)
    clipping = {key: value for key, value in options.items() if key.startswith("clip")}
    optimizer = ol.Optimizer(model.parameters(), ol.Adam(lr=0.02), **clipping)
    of_loss = {key: value for key, value in options.items() if key in ("label_smoothing", "class_weights")}
    losses = []
    for epoch in range(EPOCHS):
        order = shuffled(len(train), 5, ORDER, epoch)
        for first in range(0, len(train), 10):
            at = order[first : first + 10]
            optimizer.zero_grad()
            loss = nn.cross_entropy(model(train.x[at]), train.y[at], **of_loss)
            if name == "penalties":
                loss = loss + nn.l1_penalty(model.parameters(), 1e-2)
                loss = loss + nn.l2_penalty(model.parameters(), 0.1)
            loss.backward()
            if name == "schedule":
                optimizer.lr = ol.schedules.Cosine(4 * EPOCHS)(len(losses), 0.02)
            optimizer.step()
            losses.append(loss.item())
    np.testing.assert_allclose(run.history.steps["loss"], losses, rtol=1e-15 if name == "penalties" else 0.0)
    for key, value in model.state_dict().items():
        np.testing.assert_array_equal(run.model.state_dict()[key], value, err_msg=key)
    # and it makes a difference
    without = trained(network(dropout=0.2), train, val, ol.Adam(lr=0.02), epochs=EPOCHS, batch_size=10, seed=5)
    assert (without.model.state_dict()["0.weight"] != run.model.state_dict()["0.weight"]).any()


def test_augmented_pictures_are_those_of_the_seed_and_the_epoch():
    data = pictures()
    train, _, _ = parts(data)
    augment = Augment(shift=1, flip=True, noise=0.1)
    run = trained(network(data), train, rule=ol.SGD(lr=0.1), epochs=2, batch_size=36, seed=3, augment=augment)
    model = network(data)
    optimizer = ol.Optimizer(model.parameters(), ol.SGD(lr=0.1))
    for epoch in range(2):
        rows = train.rows[shuffled(len(train), 3, ORDER, epoch)]
        x = augment(data.x[rows], data.image, generator(3, AUGMENT, epoch))
        optimizer.zero_grad()
        nn.cross_entropy(model((x - train.scaler.shift) * train.scaler.scale), data.y[rows]).backward()
        optimizer.step()
    np.testing.assert_array_equal(model.layers[0].weight.data, run.model.layers[0].weight.data)


class Doubled(nn.Module):
    """A layer that the machine does not know."""

    def forward(self, x):
        return x * 2.0


def test_the_engine_is_chosen_and_the_reason_kept():
    train, val, _ = parts()
    layers = network().layers
    odd = nn.Sequential(layers[0], Doubled(), *layers[1:])
    history = ol.fit(odd, train, val, epochs=1)
    assert (history.engine, history.why[:37]) == ("tape", "the machine does not know the layer <")
    assert np.isfinite(history["val_loss"]).all()
    with pytest.raises(ol.ConfigError, match=r'does not know the layer .*; engine="auto" trains on the tape then'):
        ol.fit(odd, train, val, epochs=1, engine="machine")
    history = ol.fit(network(), train, val, epochs=1)
    assert (history.engine, history.why) == ("machine", "")
    history = ol.fit(network(), train, val, epochs=1, engine="tape")
    assert (history.engine, history.why) == ("tape", "as asked for")
    # part of a network in eval mode, whatever it trains
    model = network(batch_norm=True).freeze("1").unfreeze("1.gamma", "1.beta")
    history = ol.fit(model, train, val, epochs=1)
    assert (history.engine, history.why) == ("tape", "the machine does not know frozen layers")
    assert not model.layers[1].running_mean.any()
    assert (model.layers[1].gamma.data != 1.0).all()
    model = network(dropout=0.5).freeze("2")
    ol.fit(model, train, val, epochs=1)
    assert model.layers[2].calls == 0


# --- what repeats -----------------------------------------------------------------------------------------------------


def orders(model, **options):
    """The rows of every epoch in the order in which the engine got them."""
    train, _, _ = parts(options.pop("data", None))
    seen = []

    class Spy(ol.Callback):
        def on_start(self, run):
            inner = run.engine.epoch

            def epoch(x, y, order, rates):
                seen.append(np.array(y if order is None else order))
                return inner(x, y, order, rates)

            run.engine.epoch = epoch

    ol.fit(model, train, epochs=2, callbacks=[Spy()], **options)
    return np.array(seen)


def test_random_streams_do_not_touch_each_other():
    want = orders(network())
    assert not np.array_equal(want[0], want[1])
    train, _, _ = parts()
    assert [sorted(order) for order in want.tolist()] == [sorted(train.rows.tolist())] * 2
    for model in (network(seed=5), network(dropout=0.5), network(batch_norm=True)):
        np.testing.assert_array_equal(orders(model), want)
    for options in ({"rule": "sgd"}, {"engine": "tape"}, {"batch_size": 5}, {"l2": 0.1}):
        np.testing.assert_array_equal(orders(network(), **options), want)
    assert not np.array_equal(orders(network(), seed=1), want)
    # augmentation: other pictures, the same rows
    data = pictures()
    plain = data.y[orders(network(data), data=data)]
    np.testing.assert_array_equal(orders(network(data), data=data, augment=Augment(shift=1)), plain)


def test_the_same_seed_gives_the_same_and_the_global_generator_is_left_alone():
    train, val, _ = parts()
    np.random.seed(1)  # noqa: NPY002  # the generator that must not matter
    state = np.random.get_state()[1].copy()  # noqa: NPY002
    want = trained(network(dropout=0.2), train, val, epochs=2)
    np.testing.assert_array_equal(np.random.get_state()[1], state)  # noqa: NPY002
    np.random.seed(2)  # noqa: NPY002
    assert_same(trained(network(dropout=0.2), train, val, epochs=2), want)
    assert not np.array_equal(trained(network(), train, val, epochs=2, seed=1).history["val_loss"], want.history["lr"])


def test_a_schedule_by_the_epoch_and_one_by_the_step():
    train, _, _ = parts()
    steps = -(-len(train) // 12)
    run = trained(network(), train, rule=ol.SGD(lr=0.5), epochs=4, batch_size=12, schedule="cosine")
    np.testing.assert_array_equal(run.history.steps["lr"], ol.schedules.Cosine(4 * steps).rates(4 * steps, 0.5))
    schedule = ol.schedules.StepDecay(every=2, per="epoch")
    run = trained(network(), train, rule=ol.SGD(lr=0.5), epochs=4, batch_size=12, schedule=schedule)
    assert run.history["lr"].tolist() == [0.5, 0.5, 0.05, 0.05]
    np.testing.assert_array_equal(run.history.steps["lr"], np.repeat(run.history["lr"], steps))
    run = trained(network(), train, steps=7, batch_size=12)
    assert (run.history.epochs, run.epochs, run.step, len(run.history.steps["loss"])) == (3, 3, 7, 7)


# --- data -------------------------------------------------------------------------------------------------------------


def test_val_is_standardised_as_train_is():
    data = table()
    train, val, _ = parts(data)
    model = network()
    history = ol.fit(model, train, val, epochs=1)
    x = (data.x[val.rows] - train.scaler.shift) * train.scaler.scale
    np.testing.assert_array_equal(x, val.x)
    with ol.no_grad():
        logits = model.eval()(x)
    assert history["val_loss"][0] == nn.cross_entropy(logits, val.y).item()
    assert history["val_accuracy"][0] == np.mean(logits.data.argmax(1) == val.y)
    # shifted and stretched data are the same data
    moved = ol.data.from_arrays(data.x * 8.0 + 4.0, data.y, dtype="float64")
    again = ol.fit(network(), *parts(moved)[:2], epochs=1)
    np.testing.assert_allclose(again["val_loss"], history["val_loss"], rtol=1e-12)


def test_arrays_of_ones_own():
    train, val, _ = parts()
    x, y = train.x, train.y
    want = ol.fit(network(), (x, y), (val.x, val.y), epochs=2)
    part = ol.data.from_arrays(x, y, dtype="float64")
    assert ol.fit(network(), part, ol.data.from_arrays(val.x, val.y, dtype="float64"), epochs=2)[
        "val_loss"
    ].tolist() == (want["val_loss"].tolist())
    some = val.y == 1  # not every class is there
    history = ol.fit(network(), (x, y), (val.x[some], val.y[some]), epochs=1)
    model = network()
    ol.fit(model, (x, y), epochs=1)
    assert history["val_accuracy"][0] == np.mean(model.predict(val.x[some]).argmax(1) == 1)
    assert model.evaluate((val.x[some], val.y[some])).rows == some.sum()
    # lists become float32
    ol.fit(network(dtype="float32"), (x.tolist(), y.tolist()), epochs=1)
    with pytest.raises(ol.ConfigError, match=r"labels in arrays \(X, y\) are class numbers; names: data = "):
        ol.fit(network(), (x, np.array(["a", "b", "c"])[y]))


def test_regression():
    data = table(0)
    train, val, _ = parts(data)
    model = network(data)
    history = ol.fit(model, train, val, ol.Adam(lr=0.02), epochs=60 // SHRINK)
    assert list(history) == ["train_loss", "val_loss", "lr"]
    assert history["val_loss"][-1] == model.evaluate(val).loss
    assert history["val_loss"][-1] == pytest.approx(np.mean((model.predict(val) - val.y) ** 2), rel=1e-14)
    assert model.evaluate(val).accuracy is None
    assert history["train_loss"][-1] < history["train_loss"][0]


@pytest.mark.skipif(not JIT, reason="interpreted kernels allocate")
def test_no_copy_of_the_data_per_epoch_and_no_growth():
    random = np.random.default_rng(0)
    x, y = random.random((4000, 200)), np.arange(4000) % 3
    train = ol.data.from_arrays(x, y, dtype="float64").part()
    used = []

    class Watch(ol.Callback):
        def on_epoch(self, run):
            used.append(tracemalloc.get_traced_memory())
            tracemalloc.reset_peak()

    model = nn.MLP([200, 4, 3], dtype="float64")
    ol.fit(model, train, rule="sgd", epochs=1, batch_size=100)  # what is made once
    tracemalloc.start()
    try:
        ol.fit(model, train, rule="sgd", epochs=12, batch_size=100, callbacks=[Watch()])
    finally:
        tracemalloc.stop()
    held, peaks = np.array(used[2:]).T
    assert held.max() - held.min() < 0.01 * x.nbytes
    assert (peaks - held.min()).max() < 0.05 * x.nbytes  # an order of the rows is one number per row


def test_a_divergence_is_recorded():
    train, val, _ = parts()
    runs = []
    for engine in ("machine", "tape"):
        model = network()
        with np.errstate(all="ignore"):
            runs.append(
                trained(model, train, val, ol.SGD(lr=1e200), epochs=5, batch_size=12, engine=engine, norms=True)
            )
        history = model.history
        assert history.status == "diverged"
        assert "epoch 1, step" in history.reason
        assert "the gradient of parameter" in history.reason
        assert np.isnan(history["train_loss"][-1])
        assert history.epochs == 1
        assert 1 < len(history.steps["loss"]) == len(history.steps["lr"]) <= 3
        assert np.isfinite(history.steps["loss"][0])
    assert_same(*runs)


def test_a_divergence_later_keeps_the_epochs_before(tmp_path):
    train, val, _ = parts()

    def blow(run):
        if run.epoch == 2:
            run.optimizer.lr = 1e200

    model = network()
    with np.errstate(all="ignore"):
        history = ol.fit(model, train, val, ol.SGD(lr=0.1), epochs=9, callbacks=[blow, ol.Checkpoint(tmp_path)])
    assert (history.status, history.epochs) == ("diverged", 3)
    assert np.isfinite(history["val_loss"][:2]).all()
    assert np.isnan(history["val_loss"][2])
    assert history["lr"].tolist() == [0.1, 0.1, 1e200]
    np.testing.assert_array_equal(network().load(tmp_path).evaluate(val).loss, history["val_loss"][:2].min())


# --- mistakes ---------------------------------------------------------------------------------------------------------


def refused(match, model, *data, error=ol.ConfigError, **options):
    """One clear error, and nothing is changed."""
    before, last = copy.deepcopy(model.state_dict()), Last()
    with pytest.raises(error, match=match):
        ol.fit(model, *data, callbacks=[last], **options)
    for name, value in model.state_dict().items():
        np.testing.assert_array_equal(value, before[name])
    assert not hasattr(last, "run")  # refused before anything was begun


def test_data_that_do_not_fit():
    train, _, test = parts()
    x, y = train.x, train.y
    refused("the test set is sealed; open it once", network(), test)
    refused("the test set is sealed; open it once", network(), train, test)
    refused(r"data are a part of a data set, or arrays \(X, y\), got ndarray", network(), x)
    refused("train has 6 features, the model takes 7", nn.MLP([7, 3], dtype="float64"), train)
    refused("val has 4 features, the model takes 6", network(), train, (x[:, :4], y))
    refused("train has 3 classes, the model only 2 outputs", nn.MLP([6, 2], dtype="float64"), train)
    refused("val has 8 classes, the model only 3 outputs", network(), train, (x, y + 5))
    refused("train has 2 targets per row, the model 3 outputs", network(), parts(table(0))[0])
    refused("labels go from 0 to k - 1, got -1", network(), (x, y - 1), error=ol.DataError)
    refused("train is float64, the model float32", network(dtype="float32"), train)
    refused("val is float32, the model float64", network(), train, parts(table(dtype="float32"))[1])
    refused("train has float targets, which do not go with loss='cross_entropy'", network(), (x, x[:, :3]),
            loss="cross_entropy")  # fmt: skip
    refused("train has classes, which do not go with loss='mse'", network(), train, loss="mse")
    refused("belong to cross_entropy", network(), (x, x[:, :3]), label_smoothing=0.1)
    refused("val has float targets", network(), train, (x, x[:, :3]))
    refused("val has no rows", network(), train, table().split(val=0, test=9)[1])
    refused("X needs at least two rows", network(), (x[:0], y[:0]), error=ol.DataError)
    refused("y must have one entry for each of X's 36 rows", network(), (x, y[:-1]), error=ol.DataError)
    named = [ol.data.from_arrays(x, y, classes, dtype="float64") for classes in (["a", "b", "c"], ["b", "c", "a"])]
    refused("train has the classes a, b, c, but val b, c, a", network(), *named)
    bad = x.copy()
    bad[17, 3] = np.nan
    refused("X at row 17, column 3 is nan", network(), (bad, y), error=ol.DataError)
    refused("X at row 17, column 3 is nan", network(), train, (bad, y), error=ol.DataError)


def test_data_that_went_bad_later_name_the_row():
    data = table()
    train, val, _ = parts(data)
    data.x[train.rows[4], 2] = np.inf
    model = network()
    with pytest.raises(ol.DataError, match=f"x has inf in row {train.rows[4]}, column 2"):
        ol.fit(model, train, val)
    assert model.history.status == "failed"


def test_models_that_do_not_fit():
    train, _, _ = parts()
    refused("the model has nothing to train", nn.Sequential(nn.Activation("relu")), train)
    refused("has no linear layer to train", nn.Sequential(nn.BatchNorm1d(6, dtype="float64")), train)
    refused("the model has nothing to train", network().freeze(), train)
    mixed = nn.Sequential(nn.Linear(6, 5, dtype="float64"), nn.Linear(5, 3, dtype="float32"))
    refused("parameters must share one dtype", mixed, train)
    refused("batches of at least two rows", network(batch_norm=True), train, batch_size=1)


def test_options_that_can_not_be():
    train, val, _ = parts()
    for match, options in {
        "epochs is a whole number >= 1, got 0": {"epochs": 0},
        "batch_size is a whole number >= 1, got 2.5": {"batch_size": 2.5},
        "seed is a whole number >= 0, got -1": {"seed": -1},
        "steps is a whole number >= 1, got True": {"steps": True},
        "unknown loss 'hinge'": {"loss": "hinge"},
        "unknown engine 'gpu'": {"engine": "gpu"},
        "unknown rule 'adm'; did you mean 'adam'": {"rule": "adm"},
        "unknown schedule 'cosin'; did you mean 'cosine'": {"schedule": "cosin"},
        "label_smoothing must be in": {"label_smoothing": 1.5},
        "l2 is a number, got 'x'": {"l2": "x"},
        "l1 and l2 finite and >= 0": {"l1": -1.0},
        "clip_norm must be a number above 0": {"clip_norm": 0.0},
        "clip_value must be a number above 0": {"clip_value": np.inf},
        "class_weights are 3 finite numbers": {"class_weights": [1.0, 2.0]},
        "class_weights are numbers, one per class, got 'balanced'": {"class_weights": "balanced"},
        "augment is": {"augment": "flip"},
        'mode="min"': {"schedule": ol.schedules.ReduceOnPlateau(mode="max")},
        "train has no pictures to augment": {"augment": Augment()},
    }.items():
        refused(match, network(), train, val, **options)


def test_what_is_no_model_and_what_no_callback():
    train, _, _ = parts()
    for model in (None, [1], nn.MLP):
        with pytest.raises(ol.ConfigError, match="model is a Module such as"):
            ol.fit(model, train)
    for callbacks in (5, ol.EarlyStopping(), [5], "abc"):
        with pytest.raises(ol.ConfigError, match="callbacks is a list of callbacks and functions"):
            ol.fit(network(), train, callbacks=callbacks)


def test_a_configuration_written_down_comes_back():
    config = Config(
        ol.Momentum(lr=0.1, beta=0.8), steps=7, schedule="warmup(5, then=cosine)", class_weights=[1, 2], l2=1e-3,
        augment=Augment(flip=True), clip_norm=1.0, engine="tape",
    )  # fmt: skip
    assert Config.from_dict(config.to_dict()) == config
    with pytest.raises(ol.ConfigError, match="unknown rule"):
        Config.from_dict({**config.to_dict(), "rule": {"name": "mine", "lr": 0.1}})
