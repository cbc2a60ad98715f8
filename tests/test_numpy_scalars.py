"""NumPy's scalars wherever Python's are taken: the same result, nothing of NumPy's kept, each kind for its own."""

import math
import types
from collections.abc import Mapping

import numpy as np
import pytest
from sweeps import table

import optlab as ol
from optlab import nn, schedules
from optlab.data import Augment
from optlab.data.dataset import Part
from optlab.errors import OptlabError
from optlab.objectives.networks import widths
from optlab.search import GP, Choice, Float, Grid, Int, Random, Refine, Sobol, Space, Study, SweepSpec, minimize
from optlab.search.pruners import Halving, Median
from optlab.surfaces import as_surface
from optlab.train.config import Config

LINE = Space(x=Float(0.0, 1.0), n=Int(0, 9))


def bowl(params):
    return (params["x"] - 0.25) ** 2 + params["n"]


bowl.releases_gil = True


def climb(params, trial):
    trial.report(bowl(params), 1)
    return bowl(params)


def study(trials=0, sampler=None):
    made = Study(LINE, sampler or Random(seed=1))
    made.run(bowl, trials=trials)
    return made


def run(objective=bowl, **options):
    made = study()
    made.run(objective, **{"trials": 3, **options})
    return table(made)


def bound(sampler):
    made = study(3, sampler)
    return table(made), sampler.to_dict(), repr(sampler)


def told(number):
    made = study()
    made.ask(2)
    made.tell(number, 0.5)
    return table(made)


def reported(value=0.5, step=1):
    live = study().ask()
    live.report(value, step)
    return live.reports


def spec(**entries):
    data = {"objective": "surface", "space": {"x": [0, 1]}, "settings": {"name": "beale"}, **entries}
    return SweepSpec.from_dict(data).to_dict()


X = np.random.default_rng(0).standard_normal((40, 2)).astype("float32")
Y = np.arange(40) % 2


def dataset():
    return ol.data.from_arrays(X, Y)


def fit(**options):
    model = nn.MLP([2, 3, 2], seed=0)
    history = ol.fit(model, (X, Y), rule="sgd", verbose=False, **{"epochs": 1, "batch_size": 8, **options})
    return history["train_loss"], [p.data for p in model.parameters()]


def swept(**options):
    found = ol.lr_find(nn.MLP([2, 3, 2], seed=0), (X, Y), "sgd", **{"steps": 20, **options})
    return found.lrs, found.losses, found.smoothed


def optimizer(lr=None, **options):
    w = ol.Tensor(np.array([1.0, -1.0]), requires_grad=True)
    made = ol.Optimizer([w], ol.SGD(lr=0.5), **options)
    if lr is not None:
        made.groups[0].lr = lr
    w.grad[...] = [3.0, 4.0]
    made.step()
    return w.data, made.clip_norm, made.clip_value


def parts(*drawn):
    return [part.rows for part in drawn if isinstance(part, Part)]


def config(**options):
    made = Config("sgd", **options)
    return made, made.to_dict()


def tracker(metric):
    made = schedules.ReduceOnPlateau(patience=1).start(lr=0.5)
    return [made.update(metric) for _ in range(3)], made.state_dict()


def descended(**options):
    made = ol.descend("sphere", ol.SGD(lr=0.125), **{"steps": 5, **options})
    return made.record, repr(made)


def raced(**options):
    made = ol.race("sphere", ["sgd"], **{"steps": 5, "tune": 2, "starts": 2, **options})
    return made.tuned["SGD"].settings, made.target, {label: one.record for label, one in made.runs.items()}


def basin(**options):
    made = ol.basin("sphere", ol.SGD(lr=0.125), **{"resolution": 4, "steps": 9, **options})
    return made.steps, made.ends, made.max_steps, made.target


def objective(**options):
    made = ol.objectives.descent("sphere", **{"steps": 5, **options})
    return made({"rule": "sgd", "lr": 0.125}), made.settings, repr(made)


def tensor():
    return ol.Tensor(np.arange(6.0).reshape(2, 3))


# Where a number or a truth value is taken: a call with it, and a value, all of them exact in float32.
PLACES = {
    "Float(low)": (lambda v: Float(v, 2.0), 0.5),
    "Float(high)": (lambda v: Float(0.5, v), 2.0),
    "Float(step)": (lambda v: Float(0.0, 2.0, step=v), 0.5),
    "Float(log)": (lambda v: Float(0.5, 2.0, log=v), True),
    "Float(limits)": (lambda v: Float(0.5, 2.0, limits=(v, 4.0)), 0.25),
    "Float(infinite limit)": (lambda v: Float(0.5, 2.0, limits=(0.25, v)), math.inf),
    "Int(low)": (lambda v: Int(v, 9), 3),
    "Int(high)": (lambda v: Int(3, v), 9),
    "Int(step)": (lambda v: Int(3, 9, step=v), 2),
    "Int(log)": (lambda v: Int(3, 9, log=v), True),
    "Space.from_dict(int)": (lambda v: Space.from_dict({"n": {"low": 1, "high": 9, "int": v}}).to_dict(), True),
    "Space.check": (lambda v: LINE.check({"x": 0.5, "n": v}), 3),
    "Random(seed)": (lambda v: bound(Random(seed=v)), 3),
    "Sobol(seed)": (lambda v: bound(Sobol(seed=v)), 3),
    "GP(seed)": (lambda v: bound(GP(seed=v)), 3),
    "GP(initial)": (lambda v: bound(GP(initial=v)), 3),
    "GP(noise)": (lambda v: bound(GP(noise=v)), 0.25),
    "GP(prior)": (lambda v: bound(GP(prior={"x": (v, 0.5)})), 0.25),
    "Refine(coarse)": (lambda v: bound(Refine(coarse=v)), 3),
    "Refine(shrink)": (lambda v: bound(Refine(shrink=v)), 0.5),
    "Grid(points)": (lambda v: bound(Grid(points=v)), 3),
    "Grid(refine)": (lambda v: bound(Grid(points=2, refine=v)), 1),
    "Grid(extend)": (lambda v: bound(Grid(points=2, extend=v)), True),
    "Grid(axis)": (lambda v: bound(Grid(x=[v, 0.5])), 0.25),
    "Grid(number of values)": (lambda v: bound(Grid(x=v)), 3),
    "Grid(bounds)": (lambda v: bound(Grid(x=[0.5, 0.75], extend=True, bounds={"x": (v, 1.0)})), 0.25),
    "Median(startup)": (lambda v: vars(Median(startup=v)), 3),
    "Median(warmup)": (lambda v: vars(Median(warmup=v)), 3),
    "Halving(first)": (lambda v: vars(Halving(first=v)), 3),
    "Halving(factor)": (lambda v: vars(Halving(factor=v)), 3),
    "Study.ask(n)": (lambda v: [live.params for live in study().ask(v)], 3),
    "Study.tell(number)": (told, 1),
    "Study.seen": (lambda v: study(3).seen(v), 2),
    "Study.run(trials)": (lambda v: run(trials=v), 2),
    "Study.run(executor)": (lambda v: run(executor=v), 2),
    "Study.run(retries)": (lambda v: run(retries=v), 2),
    "Study.run(timeout)": (lambda v: run(executor=1, timeout=v), 600.0),
    "Study.run(max_failures)": (lambda v: run(max_failures=v), 2),
    "Study.run(batch)": (lambda v: run(batch=v), 2),
    "Study.run(total)": (lambda v: run(total=v), 2),
    "Study.repeat": (lambda v: study(3).repeat(climb, v), 2),
    "trial.report(value)": (lambda v: reported(value=v), 0.5),
    "trial.report(step)": (lambda v: reported(step=v), 3),
    "minimize(trials)": (lambda v: table(minimize(bowl, LINE, "random", trials=v)), 3),
    "minimize(seed)": (lambda v: table(minimize(bowl, LINE, "random", trials=3, seed=v)), 3),
    "SweepSpec(trials)": (lambda v: spec(trials=v), 3),
    "SweepSpec(timeout)": (lambda v: spec(timeout=v), 0.5),
    "SGD(lr)": (lambda v: ol.SGD(lr=v), 0.25),
    "Adam(beta1)": (lambda v: ol.Adam(beta1=v).replace(lr=0.5), 0.25),
    "Adam(weight_decay)": (lambda v: ol.Adam(weight_decay=v).replace(lr=0.5), 0.25),
    "Optimizer.lr": (lambda v: optimizer(lr=v), 0.25),
    "Optimizer(clip_norm)": (lambda v: optimizer(clip_norm=v), 0.25),
    "Optimizer(clip_value)": (lambda v: optimizer(clip_value=v), 0.25),
    "Optimizer(maximize)": (lambda v: optimizer(maximize=v), True),
    "Optimizer(norms)": (lambda v: optimizer(norms=v), True),
    "StepDecay(every)": (lambda v: schedules.StepDecay(every=v), 3),
    "StepDecay(factor)": (lambda v: schedules.StepDecay(every=3, factor=v), 0.25),
    "OneCycle(three_phase)": (lambda v: schedules.OneCycle(three_phase=v), True),
    "MultiStep(milestones)": (lambda v: schedules.MultiStep([2, v]), 9),
    "Schedule.rates(steps)": (lambda v: schedules.Cosine(steps=9).rates(v), 3),
    "Schedule.rates(lr)": (lambda v: schedules.Cosine(steps=9).rates(3, v), 0.25),
    "Schedule.rates(start)": (lambda v: schedules.Cosine(steps=9).rates(3, start=v), 2),
    "ReduceOnPlateau(patience)": (lambda v: schedules.ReduceOnPlateau(patience=v), 3),
    "Tracker.update": (tracker, 0.25),
    "Linear(inputs)": (lambda v: nn.Linear(v, 2).weight.data, 3),
    "Linear(outputs)": (lambda v: nn.Linear(2, v).weight.data, 3),
    "Linear(bias)": (lambda v: nn.Linear(2, 3, bias=v).bias is None, False),
    "Linear(seed)": (lambda v: nn.Linear(2, 3, seed=v).weight.data, 3),
    "Activation(slope)": (lambda v: nn.Activation("leaky-relu", v).slope, 0.25),
    "BatchNorm1d(features)": (lambda v: nn.BatchNorm1d(v).gamma.data, 3),
    "BatchNorm1d(momentum)": (lambda v: nn.BatchNorm1d(3, momentum=v).momentum, 0.25),
    "BatchNorm1d(eps)": (lambda v: nn.BatchNorm1d(3, eps=v).eps, 0.25),
    "Dropout(p)": (lambda v: (nn.Dropout(v).p, repr(nn.Dropout(v))), 0.25),
    "Dropout(seed)": (lambda v: nn.Dropout(0.25, seed=v).seed, 3),
    "MLP(widths)": (lambda v: nn.MLP([2, v, 2]).widths, 3),
    "MLP(batch_norm)": (lambda v: repr(nn.MLP([2, 3, 2], batch_norm=v)), True),
    "MLP(dropout)": (lambda v: repr(nn.MLP([2, 3, 2], dropout=v)), 0.25),
    "MLP(seed)": (lambda v: nn.MLP([2, 3, 2], seed=v).parameters()[0].data, 3),
    "replace_head(outputs)": (lambda v: nn.MLP([2, 3, 2]).replace_head(v).widths, 5),
    "replace_head(seed)": (lambda v: nn.MLP([2, 3, 2]).replace_head(2, seed=v).layers[-1].weight.data, 5),
    "cross_entropy(label_smoothing)": (lambda v: nn.cross_entropy(tensor(), [0, 2], label_smoothing=v).data, 0.25),
    "l1_penalty(strength)": (lambda v: nn.l1_penalty([tensor()], v).data, 0.25),
    "l2_penalty(strength)": (lambda v: nn.l2_penalty([tensor()], v).data, 0.25),
    "split(val), a share": (lambda v: parts(*dataset().split(val=v, test=0)), 0.25),
    "split(val), rows": (lambda v: parts(*dataset().split(val=v, test=0)), 6),
    "split(seed)": (lambda v: parts(*dataset().split(seed=v)), 3),
    "split(stratify)": (lambda v: parts(*dataset().split(stratify=v)), False),
    "split(standardize)": (lambda v: dataset().split(standardize=v)[0].scaler is None, False),
    "folds(k)": (lambda v: [parts(*pair) for pair in dataset().folds(v)], 4),
    "folds(seed)": (lambda v: [parts(*pair) for pair in dataset().folds(seed=v)], 4),
    "take(rows)": (lambda v: parts(dataset().part().take(v)), 8),
    "take(seed)": (lambda v: parts(dataset().part().take(8, seed=v)), 3),
    "Augment(shift)": (lambda v: Augment(shift=v), 1),
    "Augment(flip)": (lambda v: Augment(flip=v), True),
    "Augment(noise)": (lambda v: Augment(noise=v), 0.25),
    "shapes(n)": (lambda v: ol.data.load("shapes", n=v).x, 10),
    "shapes(seed)": (lambda v: ol.data.load("shapes", n=10, seed=v).x, 3),
    "fit(epochs)": (lambda v: fit(epochs=v), 2),
    "fit(steps)": (lambda v: fit(steps=v), 3),
    "fit(batch_size)": (lambda v: fit(batch_size=v), 16),
    "fit(seed)": (lambda v: fit(seed=v), 3),
    "fit(norms)": (lambda v: config(norms=v), True),
    "fit(label_smoothing)": (lambda v: config(label_smoothing=v), 0.25),
    "fit(class_weights)": (lambda v: config(class_weights=[1.0, v]), 0.25),
    "fit(l1)": (lambda v: config(l1=v), 0.25),
    "fit(l2)": (lambda v: config(l2=v), 0.25),
    "fit(clip_norm)": (lambda v: config(clip_norm=v), 0.25),
    "fit(clip_value)": (lambda v: config(clip_value=v), 0.25),
    "EarlyStopping(patience)": (lambda v: ol.EarlyStopping(v).settings(), 3),
    "EarlyStopping(min_delta)": (lambda v: ol.EarlyStopping(min_delta=v).settings(), 0.25),
    "EarlyStopping(restore_best)": (lambda v: ol.EarlyStopping(restore_best=v).settings(), False),
    "Checkpoint(every)": (lambda v: ol.Checkpoint("a", every=v).settings(), 3),
    "Checkpoint(keep)": (lambda v: ol.Checkpoint("a", keep=v).settings(), 3),
    "lr_find(low)": (lambda v: swept(low=v), 2.0**-20),
    "lr_find(high)": (lambda v: swept(high=v), 2.0),
    "lr_find(steps)": (lambda v: swept(steps=v), 24),
    "lr_find(batch_size)": (lambda v: swept(batch_size=v), 8),
    "lr_find(smoothing)": (lambda v: swept(smoothing=v), 0.5),
    "lr_find(stop)": (lambda v: swept(stop=v), 8.0),
    "descend(steps)": (lambda v: descended(steps=v), 7),
    "descend(start)": (lambda v: descended(start=(v, 1.0)), 0.25),
    "descend(noise)": (lambda v: descended(noise=v), 0.25),
    "descend(seed)": (lambda v: descended(noise=0.25, seed=v), 3),
    "descend(tol)": (lambda v: descended(tol=v), 0.25),
    "race(tune)": (lambda v: raced(tune=v), 3),
    "race(starts)": (lambda v: raced(starts=v), 3),
    "race(target)": (lambda v: raced(target=v), 0.25),
    "race(seed)": (lambda v: raced(seed=v), 3),
    "basin(resolution)": (lambda v: basin(resolution=v), 5),
    "basin(steps)": (lambda v: basin(steps=v), 5),
    "basin(target)": (lambda v: basin(target=v), 0.25),
    "basin(window)": (lambda v: basin(window=((v, 1.0), (0.0, 1.0))), 0.25),
    "Surface.grid(resolution)": (lambda v: as_surface("sphere").grid(v), 5),
    "objectives.descent(steps)": (lambda v: objective(steps=v), 7),
    "objectives.descent(target)": (lambda v: objective(target=v), 0.25),
    "objectives.descent(starts)": (lambda v: objective(starts=v), 3),
    "objectives.descent(noise)": (lambda v: objective(noise=v), 0.25),
    "objectives.descent(seed)": (lambda v: objective(starts=2, seed=v), 3),
    "objectives.surface(noise)": (lambda v: ol.objectives.surface("beale", noise=v).settings, 0.25),
    "objectives.training(hidden)": (lambda v: widths([v, 4]), 3),
    "objectives.training(layers)": (lambda v: widths(4, v), 3),
    "Tensor.sum(axis)": (lambda v: tensor().sum(v).data, 1),
    "Tensor.softmax(axis)": (lambda v: tensor().softmax(v).data, 1),
    "Tensor.clip": (lambda v: tensor().clip(v, 4.0).data, 2.0),
}
# What takes either kind, as a value of a choice or of what is computed with.
EITHER = {
    "Momentum(nesterov)": (lambda v: ol.Momentum(nesterov=v), True),
    "Choice(boolean)": (lambda v: Choice([v, 5]), True),
    "Choice(whole)": (lambda v: Choice([v, 5]), 3),
    "Choice(real)": (lambda v: Choice([v, 5]), 0.5),
    "Float(when)": (lambda v: Float(0.5, 2.0, when={"n": [v, 4]}), 3),
    "Int(when)": (lambda v: Int(1, 3, when={"flag": v}), True),
    "Space.check, of a choice": (lambda v: Space(c=Choice([True, False])).check({"c": v}), True),
    "SweepSpec(settings)": (lambda v: spec(settings={"noise": v}), 0.5),
    "Study.tell(value)": (lambda v: _told_value(v), 0.5),
    "Tensor.transpose": (lambda v: tensor().transpose(v, 0).data, 1),
    "Tensor.reshape": (lambda v: tensor().reshape(v, 2).data, 3),
    "Tensor.__pow__": (lambda v: (tensor() ** v).data, 2.0),
}
NUMPY = {int: (np.int64, np.uint8), float: (np.float64, np.float32), bool: (np.bool_,)}
FOREIGN = {int: (True, np.True_), float: (True, np.True_), bool: (1, 0.0, np.int64(1), np.float64(1.0))}


def _told_value(value):
    made = study()
    made.tell(made.ask(), value)
    return table(made)


def assert_same(ours, theirs):
    """Equal with the same types, or both arrays; of objects all that they hold."""
    assert type(ours) is type(theirs)
    if isinstance(ours, np.ndarray):
        np.testing.assert_array_equal(ours, theirs)
        assert ours.dtype == theirs.dtype
    elif isinstance(ours, Mapping):
        assert list(ours) == list(theirs)
        for key in ours:
            assert_same(ours[key], theirs[key])
    elif isinstance(ours, list | tuple):
        assert len(ours) == len(theirs)
        for one, other in zip(ours, theirs, strict=True):
            assert_same(one, other)
    elif type(ours).__module__.startswith("optlab") and not isinstance(ours, types.FunctionType):
        assert repr(ours) == repr(theirs)
        assert ours == theirs
        assert_same(vars(ours), vars(theirs))
    else:
        assert repr(ours) == repr(theirs)


@pytest.mark.parametrize("place", [*PLACES, *EITHER])
@pytest.mark.fault(47)
def test_a_scalar_of_numpys_is_as_pythons(place):
    call, value = {**PLACES, **EITHER}[place]
    want = call(value)
    for kind in NUMPY[type(value)]:
        assert_same(call(kind(value)), want)


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.fault(47)
def test_truth_values_are_no_numbers_and_numbers_no_truth_values(place):
    call, value = PLACES[place]
    for other in FOREIGN[type(value)]:
        with pytest.raises(OptlabError):
            call(other)
