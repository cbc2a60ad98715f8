"""Copies and pickles: they go on as the original does, bit for bit and without it, or are refused in one line."""

import copy
import pickle
import subprocess
import sys

import numpy as np
import pytest
from conftest import BOTH
from examples import PARTS, Hyper
from tensors import SAVED, frozen, pull, tensors

import optlab as ol
from optlab import nn
from optlab.data.ledger import Ledger
from optlab.search import GP, Float, Grid, Halving, Median, Random, Sobol, Space, Study
from optlab.train.machine import Machine
from optlab.train.tape import Tape
from optlab.train.training import Training

STEPS = 20
RNG = np.random.default_rng(0)
X, Y = RNG.standard_normal((48, 5)).astype(np.float32), np.arange(48) % 3
WAYS = {"deepcopy": copy.deepcopy, "pickle": lambda thing: pickle.loads(pickle.dumps(thing))}
EACH_WAY = pytest.mark.parametrize("way", WAYS.values(), ids=list(WAYS))


def network(dtype="float32"):
    layers = [nn.Linear(5, 8, seed=1, dtype=dtype), nn.BatchNorm1d(8, dtype=dtype), nn.Activation("tanh")]
    return nn.Sequential(*layers, nn.Dropout(0.2, seed=3), nn.Linear(8, 3, seed=2, dtype=dtype))


def train(model, optimizer, steps=STEPS):
    """Steps by hand; the losses."""
    losses = []
    for i in range(steps):
        optimizer.zero_grad()
        at = np.arange(8 * i, 8 * i + 8) % len(X)
        loss = nn.cross_entropy(model(X[at]), Y[at])
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def numbers(model):
    return {name: value.tobytes() for name, value in model.state_dict().items()}


SETUPS = {
    "plain": lambda m: ol.Optimizer(m.parameters(), ol.Adam(0.01)),
    "groups": lambda m: ol.Optimizer(m.parameter_groups(0.1), ol.AdamW(0.01)),
    "clipped": lambda m: ol.Optimizer(m.parameters(), ol.Momentum(0.1), clip_norm=0.1, clip_value=0.05, norms=True),
    "uphill": lambda m: ol.Optimizer(m.parameters(), ol.SGD(1e-3), maximize=True, nonfinite="skip"),
    "a part of the model": lambda m: ol.Optimizer([m.layers[-1].weight], ol.Lion(0.01)),
    "a variant of the groups": lambda m: ol.Optimizer(
        [{"params": m.parameters(), "centered": True}], ol.RMSProp(0.01), nonfinite="raise"
    ),
}


@pytest.mark.fault(34, cases=2 * len(SETUPS))
@EACH_WAY
@pytest.mark.parametrize("setup", SETUPS.values(), ids=list(SETUPS))
def test_a_model_and_its_optimizer_train_on_without_the_original(setup, way):
    model = network()
    optimizer = setup(model)
    train(model, optimizer, 5)
    optimizer.lr *= 0.5
    copied, again = way((model, optimizer))
    assert (again.t, again.lr, again.skipped) == (optimizer.t, optimizer.lr, optimizer.skipped)
    before = numbers(model)
    losses = train(copied, again)
    assert numbers(model) == before, "the original stands still"
    assert numbers(copied) != before, "the copy moves"
    assert train(model, optimizer) == losses
    assert numbers(model) == numbers(copied)
    assert frozen(again) == frozen(optimizer)


@pytest.mark.fault(34, cases=4 * len(SAVED))
@EACH_WAY
@BOTH
@pytest.mark.parametrize("settings", SAVED, ids=repr)
def test_every_rule_goes_on_from_its_slots_and_gradients(settings, dtype, way):
    optimizer = ol.Optimizer(tensors(dtype), settings, clip_norm=1.0)
    pull(optimizer, 3)
    for p in optimizer.params:
        p.grad[...] = 0.5  # a copy between backward and step
    again = way(optimizer)
    assert frozen(again) == frozen(optimizer)
    assert [p.name for p in again.params] == [p.name for p in optimizer.params]
    for each in (again, optimizer):
        each.step()
        pull(each, STEPS)
    assert frozen(again) == frozen(optimizer)
    assert all(np.shares_memory(p.data, again.arena.array) for p in again.params)
    assert not np.shares_memory(again.arena.array, optimizer.arena.array)


@EACH_WAY
def test_what_hangs_on_an_optimizer_follows_its_copy(way):
    """A schedule that holds a group drives the copy of that optimizer; tied weights stay tied; a name stays."""
    w = ol.Tensor(np.ones(3), requires_grad=True, name="w")
    optimizer = ol.Optimizer([w], ol.SGD(1.0))
    held = {"group": optimizer.groups[0], "optimizer": optimizer, "tied": [w, w]}
    again = way(held)
    again["group"].lr = 0.25
    assert again["optimizer"].lr == 0.25
    assert optimizer.lr == 1.0
    left, right = again["tied"]
    assert left is right is again["optimizer"].params[0]
    left.grad[...] = 1.0
    again["optimizer"].step()
    np.testing.assert_array_equal(right.data, 0.75)
    with pytest.raises(ol.ConfigError, match="never None"):
        left.grad = None


@EACH_WAY
def test_an_optimizer_that_lost_its_tensors_stays_without(way):
    w = ol.Tensor(np.ones(3), requires_grad=True)
    old = ol.Optimizer([w], "sgd")
    new = ol.Optimizer([w], ol.SGD(1.0))
    for pair in ((old, new), (new, old)):
        again = dict(zip(("old", "new") if pair[0] is old else ("new", "old"), way(pair), strict=True))
        with pytest.raises(ol.ConfigError, match="belong to a newer Optimizer"):
            again["old"].step()
        again["new"].params[0].grad[...] = 1.0
        again["new"].step()
        np.testing.assert_array_equal(again["new"].params[0].data, 0.0)
    np.testing.assert_array_equal(w.data, 1.0)


def test_a_graph_of_the_copy_knows_that_its_optimizer_stepped():
    model, optimizer = copy.deepcopy((m := network(), ol.Optimizer(m.parameters(), "sgd")))
    loss = nn.cross_entropy(model(X), Y)
    optimizer.step()
    with pytest.raises(ol.ConfigError, match="changed in place"):
        loss.backward()


@EACH_WAY
def test_a_model_alone_is_copied_out_of_the_arena(way):
    model = network()
    optimizer = ol.Optimizer(model.parameters(), "sgd")
    copied = way(model)
    assert numbers(copied) == numbers(model)
    assert not any(np.shares_memory(p.data, optimizer.arena.array) for p in copied.parameters())
    fresh = ol.Optimizer(copied.parameters(), "sgd")
    assert train(copied, fresh, 3) == train(model, optimizer, 3)


def test_a_shallow_copy_of_an_optimizer_is_refused_and_of_a_tensor_shares_the_memory():
    model = network()
    with pytest.raises(ol.ConfigError, match=r"copy\.deepcopy\(\(model, optimizer\)\)"):
        copy.copy(ol.Optimizer(model.parameters(), "sgd"))
    w = ol.Tensor([1.0, 2.0], requires_grad=True, name="w")
    other, y = copy.copy(w), (w * w).sum()
    assert (other.name, other.requires_grad) == ("w", True)
    other.data = [3.0, 4.0]
    np.testing.assert_array_equal(w.data, [3.0, 4.0])
    with pytest.raises(ol.ConfigError, match="changed in place"):
        y.backward()


@pytest.mark.fault(34, cases=4)
@EACH_WAY
@pytest.mark.parametrize("kind", [Machine, Tape])
def test_an_engine_trains_its_own_copies_on(kind, way):
    model = network()
    optimizer = ol.Optimizer([{"params": model.parameters(), "momentum": 0.9}], ol.RMSProp(0.01), nonfinite="raise")
    scaler = X.mean(0), 1 / X.std(0)
    engine = kind(model, optimizer, batch_size=8, label_smoothing=0.1, class_weights=[1, 2, 3], l2=0.01, scaler=scaler)
    engine.epoch(X, Y)
    again = way(engine)
    before = numbers(model)
    losses = [again.epoch(X, Y)["loss"].tolist() for _ in range(3)]
    assert numbers(model) == before
    assert [engine.epoch(X, Y)["loss"].tolist() for _ in range(3)] == losses
    assert numbers(again.model) == numbers(model)


@pytest.mark.fault(34, cases=4)
@EACH_WAY
@pytest.mark.parametrize("engine", ["machine", "tape"])
def test_a_training_goes_on_from_its_middle(engine, way):
    """Kept in memory by a callback, as it was after two of five epochs; the last time with what the end added."""
    part, kept = ol.data.from_arrays(X, Y).part(), []

    class Keep(ol.Callback):
        def on_epoch(self, run):
            if run.epoch == 2 and not kept:
                others, run.callbacks = run.callbacks, [c for c in run.callbacks if c is not self]
                kept.append(way(run))
                run.callbacks = others

    model = network()
    options = {"rule": ol.Adam(0.01), "engine": engine, "batch_size": 8, "seed": 5}
    schedule = ol.schedules.ReduceOnPlateau(patience=0, threshold=0.5)
    stop = ol.EarlyStopping(3, monitor="train_loss", restore_best=False)
    history = ol.fit(model, part, epochs=5, schedule=schedule, callbacks=[stop, Keep()], **options)
    [run] = kept
    assert isinstance(run, Training)
    assert run.epoch == 2
    end = run.run()
    assert {k: v.tolist() for k, v in end.items()} == {k: v.tolist() for k, v in history.items()}
    assert numbers(run.model) == numbers(model)


def data():
    return ol.data.from_arrays(X, Y)


THINGS = {
    "settings": lambda: ol.Adam(0.3, convention="keras"),
    "space": lambda: Space(x=Float(0, 1)),
    "sampler": lambda: Random(seed=3),
    "grid": lambda: Grid({"x": 3}),
    "sobol": lambda: Sobol(seed=3),
    "pruners": lambda: [Halving(), Median()],
    "data": lambda: data(),
    "part": lambda: data().part([0, 3, 5], standardize=True),
    "history": lambda: ol.fit(network(), data().part(), epochs=2, batch_size=8),
    "schedule": lambda: ol.schedules.OneCycle(0.1),
    "tracker": lambda: ol.schedules.ReduceOnPlateau().start(0.1),
    "early stopping": lambda: ol.EarlyStopping(3),
    "log": lambda: ol.CSVLog("history.csv"),
    "descent": lambda: ol.descend("beale", ol.Adam(0.1), steps=5),
}


def known(thing):
    """What there is to compare, as plain values."""
    if isinstance(thing, ol.History):
        return thing.to_dict()
    if isinstance(thing, list):
        return [known(one) for one in thing]
    if hasattr(thing, "digest"):
        return thing.digest
    fields = {**getattr(thing, "__dict__", {})}
    return {k: repr(v) for k, v in fields.items() if "at 0x" not in repr(v)} | {"": type(thing)}


@pytest.mark.fault(34, cases=2 * len(THINGS))
@EACH_WAY
@pytest.mark.parametrize("make", THINGS.values(), ids=list(THINGS))
def test_what_holds_no_views_is_copied_whole(make, way):
    thing = make()
    assert known(way(thing)) == known(thing)


@EACH_WAY
@pytest.mark.parametrize(
    "sampler", [Random(seed=1), Sobol(seed=1), GP(seed=1, initial=3)], ids=lambda s: type(s).__name__
)
def test_a_sampler_proposes_as_its_original(sampler, way):
    space = Space(x=Float(0, 1), y=Float(-1, 1))
    first = Study(space, sampler)
    first.run(lambda p: p["x"] + p["y"] ** 2, trials=5)
    again = Study(space, way(first.sampler))
    for trial in first.trials:
        again.tell(again.ask(params=trial.params), trial.value)
    assert again.ask().params == first.ask().params


def test_a_log_that_is_open_is_copied_without_its_file(tmp_path):
    copies = []

    class Copy(ol.Callback):
        def on_epoch(self, run):
            copies.append(copy.deepcopy(log))

    log = ol.JSONLog(tmp_path / "log.jsonl")
    ol.fit(network(), data().part(), epochs=2, batch_size=8, callbacks=[log, Copy()])
    assert len((tmp_path / "log.jsonl").read_text().splitlines()) == 2
    assert [c._file for c in copies] == [None, None]


REFUSED = {
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "pickle": pickle.dumps,
    "in a list": lambda thing: copy.deepcopy([thing]),
}


@pytest.mark.fault(34, cases=8)
@pytest.mark.parametrize("way", REFUSED.values(), ids=list(REFUSED))
def test_what_can_not_be_copied_says_so_in_one_line(way, tmp_path):
    study = Study(Space(x=Float(0, 1)), Random(seed=0), storage=tmp_path / "study.db")
    study.run(lambda p: p["x"], trials=2)
    with pytest.raises(ol.ConfigError, match=r"a study can't be copied.*Study\.open") as refusal:
        way(study)
    assert "\n" not in str(refusal.value)
    study.run(lambda p: p["x"], trials=2)
    assert len(study.trials) == 4
    sealed = data().split(0.2, 0.2)[2]
    with pytest.raises(ol.SealError, match="is sealed"):
        way(sealed)


def test_a_copy_is_no_way_around_the_seal():
    """A data set that is copied before it is split, or split twice, holds the same test set: it opens once."""
    original, ledger = data(), Ledger(None)
    others = [copy.deepcopy(original), pickle.loads(pickle.dumps(original)), original]
    first, *rest = (d.split(0.2, 0.2, seed=4)[2] for d in others)
    first.open("the end", ledger)
    for sealed in rest:
        with pytest.raises(ol.SealError):
            sealed.open("once more", Ledger(None))


MINE = """
import pickle, sys
from typing import NamedTuple
import optlab as ol
class Hyper(NamedTuple):
    lr: float = 0.01
def coefficients(t, h): return (h.lr,)
def update(p, g, s, c): return p - c[0] * g, ()
if sys.argv[2] == "register":
    ol.register("mine", Hyper, coefficients=coefficients, update=update)
try:
    print(pickle.load(open(sys.argv[1], "rb")))
except ol.ConfigError as error:
    print(error)
"""


def test_a_rule_of_ones_own_is_pickled_by_its_name(tmp_path, registry):
    kind = ol.register("mine", Hyper, **PARTS)
    settings, path = kind(0.3, weight_decay=0.1), tmp_path / "rule.pickle"
    path.write_bytes(pickle.dumps(settings))
    assert pickle.loads(path.read_bytes()) == settings
    run = [sys.executable, "-c", MINE, str(path)]
    out = [
        subprocess.run([*run, how], capture_output=True, text=True, check=True).stdout for how in ("register", "not")
    ]
    assert out[0].strip() == repr(settings)
    assert "unknown rule 'mine'" in out[1]
    ol.register("mine", Hyper, **PARTS)
    assert copy.deepcopy(settings) is settings
    with pytest.raises(ol.ConfigError, match="was registered anew"):
        pickle.dumps(settings)
