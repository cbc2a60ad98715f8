"""A saved optimizer: continues bit for bit, or is refused and changes nothing."""

import json

import numpy as np
import pytest
from conftest import BOTH
from tensors import SAVED, frozen, pull, tensors

import optlab as ol
from optlab import nn
from optlab_kernels.rule import SCALE


@BOTH
@pytest.mark.parametrize("settings", SAVED, ids=repr)
def test_a_saved_state_continues_bit_for_bit(settings, dtype):
    optimizer = ol.Optimizer(tensors(dtype), settings)
    pull(optimizer, steps=3)
    optimizer.lr = 0.37
    optimizer.skipped = 5
    state, data = optimizer.state_dict(), [p.data.copy() for p in optimizer.params]
    pull(optimizer, steps=3, seed=2)
    end = frozen(optimizer)
    fresh = ol.Optimizer([ol.Tensor(d) for d in data], ol.RULES[settings.name](**settings.to_dict()))
    for again in (optimizer, fresh):
        again.load_state_dict(state)
        assert (again.t, again.lr, again.skipped, again.settings) == (3, 0.37, 5, settings)
        for p, d in zip(again.params, data, strict=True):
            p.data = d
        pull(again, steps=3, seed=2)
        assert frozen(again) == end


def test_a_saved_state_is_a_copy_of_plain_values():
    optimizer = ol.Optimizer(tensors(), "adam")
    state = optimizer.state_dict()
    pull(optimizer)
    assert state["controls"][0, 0] == 0
    assert not state["slots"]["m"].any()
    assert (state["rule"], state["settings"]) == ("adam", [ol.Adam().to_dict()])


def without(state, key, name):
    return {**state, key: {k: v for k, v in state[key].items() if k != name}}


def changed(state, **options):
    return {**state, "settings": [{**state["settings"][0], **options}]}


def controls(state, at, value):
    new = state["controls"].copy()
    new[:, at] = value
    return {**state, "controls": new}


def slots(state, change):
    return {**state, "slots": {k: change(v) for k, v in state["slots"].items()}}


WRONG = {
    "nothing": lambda s: {},
    "None": lambda s: None,
    "text": lambda s: "a state",
    "a list": lambda s: list(s.items()),
    "another rule": lambda s: {**s, "rule": "adamw"},
    "no rule": lambda s: {**s, "rule": None},
    "a setting outside its interval": lambda s: changed(s, beta1=2.0),
    "a setting of text": lambda s: changed(s, beta1="0.9"),
    "an unknown setting": lambda s: changed(s, beta3=0.5),
    "a setting whose name is a number": lambda s: {**s, "settings": [{1: 2}]},
    "settings that the controls are not of": lambda s: changed(s, beta1=0.5),
    "settings that are none": lambda s: {**s, "settings": None},
    "settings of text": lambda s: {**s, "settings": ["adam"]},
    "settings of no group": lambda s: {**s, "settings": []},
    "a slot less": lambda s: without(s, "slots", "v"),
    "a slot more": lambda s: {**s, "slots": {**s["slots"], "u": s["slots"]["m"]}},
    "slots that are none": lambda s: {**s, "slots": None},
    "slots that are a list": lambda s: {**s, "slots": list(s["slots"].values())},
    "fewer numbers": lambda s: slots(s, lambda v: v[:-1]),
    "slots of text": lambda s: slots(s, lambda v: ["x"] * v.size),
    "slots of digits": lambda s: slots(s, lambda v: v.astype(str)),
    "slots of objects": lambda s: slots(s, lambda v: v.astype(object)),
    "complex slots": lambda s: slots(s, lambda v: v.astype(complex)),
    "slots of half the precision": lambda s: slots(s, lambda v: v.astype(np.float32)),
    "uneven slots": lambda s: slots(s, lambda v: [[1.0], [1.0, 2.0]]),
    "slots in another shape": lambda s: slots(s, lambda v: v[None]),
    "a short control": lambda s: {**s, "controls": s["controls"][:, :-1]},
    "another number of groups": lambda s: {**s, "controls": np.vstack([s["controls"]] * 2)},
    "a control of other columns": lambda s: controls(s, 2, 18),
    "a control of text": lambda s: {**s, "controls": "x" * s["controls"].size},
    "a control of None": lambda s: {**s, "controls": None},
    "NaN steps": lambda s: controls(s, 0, np.nan),
    "half a step": lambda s: controls(s, 0, 2.5),
    "fewer steps than none": lambda s: controls(s, 0, -1),
    "steps without end": lambda s: controls(s, 0, np.inf),
    "a rate below 0": lambda s: controls(s, 9, -0.1),
    "a rate that is NaN": lambda s: controls(s, 9, np.nan),
    "a memory that is NaN": lambda s: controls(s, -1, np.nan),
    "another weight decay in the controls": lambda s: controls(s, 4, 0.5),
    "uphill": lambda s: controls(s, 3, -1.0),
    "no control": lambda s: {k: v for k, v in s.items() if k != "controls"},
    "no count": lambda s: {k: v for k, v in s.items() if k != "skipped"},
    "a count below 0": lambda s: {**s, "skipped": -1},
    "a count of text": lambda s: {**s, "skipped": "3"},
    "half a count": lambda s: {**s, "skipped": 0.5},
    "something else": lambda s: {**s, "momentum": 0.9},
    "a parameter less": lambda s: {**s, "parameters": s["parameters"][:-1]},
    "parameters that are none": lambda s: {**s, "parameters": None},
    "parameters without shapes": lambda s: {**s, "parameters": [{"name": None} for _ in s["parameters"]]},
    "shapes of text": lambda s: {**s, "parameters": [{"name": None, "shape": "3"} for _ in s["parameters"]]},
}


@pytest.mark.fault(34, cases=len(WRONG))
@pytest.mark.parametrize("change", WRONG.values(), ids=list(WRONG))
def test_a_state_that_does_not_fit_is_refused_and_changes_nothing(change):
    optimizer = ol.Optimizer(tensors(), ol.Adam(0.1))
    state = change(optimizer.state_dict())
    pull(optimizer, steps=3)
    before = frozen(optimizer), optimizer.settings, optimizer.groups[0].settings, optimizer.skipped, optimizer.lr
    with pytest.raises(ol.ConfigError):
        optimizer.load_state_dict(state)
    after = frozen(optimizer), optimizer.settings, optimizer.groups[0].settings, optimizer.skipped, optimizer.lr
    assert after == before


def over(*shapes, names=None):
    names = names or [None] * len(shapes)
    return [ol.Tensor(np.zeros(shape), name=name) for shape, name in zip(shapes, names, strict=True)]


OTHERS = {
    "shapes": (over((2, 3), (3, 2)), over((3, 2), (2, 3)), [r"0 has the shape \[3, 2\], the state's \[2, 3\]", " 1 "]),
    "one shape of three": (over(4, (2, 2), 1), over(4, 4, 1), [r"1 has the shape \[4\], the state's \[2, 2\]"]),
    "a row": (over(6), over((1, 6)), [r"\[1, 6\], the state's \[6\]"]),
    "a cut elsewhere": (over(2, 4), over(4, 2), [r"0 has the shape \[4\]", r"1 has the shape \[2\]"]),
    "one for two": (over(2, 4), over(6), ["it is of 2 parameters, this optimizer has 1"]),
    "names": (
        over(3, 3, names=["a", "b"]), over(3, 3, names=["b", "a"]), [r"0 \(b\) is 'a' in the state", r"1 \(a\) is 'b'"],
    ),
}  # fmt: skip


@pytest.mark.fault(34, cases=3 * len(OTHERS))
@pytest.mark.parametrize("rule", ["sgd", "momentum", "adam"])
@pytest.mark.parametrize(("of", "into", "named"), OTHERS.values(), ids=list(OTHERS))
def test_a_state_of_other_tensors_is_refused_and_everything_that_differs_is_named(of, into, named, rule):
    state, optimizer = ol.Optimizer(of, rule).state_dict(), ol.Optimizer(into, rule)
    before = frozen(optimizer)
    for text in named:
        with pytest.raises(ol.ConfigError, match=f"do not fit.*{text}"):
            optimizer.load_state_dict(state)
    assert frozen(optimizer) == before


@BOTH
@pytest.mark.parametrize("settings", SAVED, ids=repr)
def test_a_state_without_shapes_is_an_older_one_and_loads(settings, dtype):
    """As it was written before states had them; also where only one side has names, and from JSON."""
    optimizer = ol.Optimizer(tensors(dtype), settings)
    pull(optimizer, steps=3)
    state = optimizer.state_dict()
    older = {name: state[name] for name in ("rule", "settings", "controls", "slots", "skipped")}
    listed = {"controls": state["controls"].tolist(), "slots": {k: v.tolist() for k, v in state["slots"].items()}}
    plain = json.loads(json.dumps({**state, **listed}))
    unnamed = ol.Optimizer([ol.Tensor(p.data.copy()) for p in optimizer.params], settings)
    for one in (older, plain):
        unnamed.load_state_dict(one)
        np.testing.assert_array_equal(unnamed._controls, optimizer._controls)
        np.testing.assert_array_equal(unnamed._array[2:], optimizer._array[2:])
    assert state["parameters"][1] == {"name": "weights", "shape": [2, 5]}


def test_a_loaded_state_does_not_turn_the_direction_or_keep_a_clip():
    clipped = ol.Optimizer(tensors(), "sgd", clip_norm=1e-3)
    pull(clipped)
    free = ol.Optimizer(tensors(), "sgd")
    free.load_state_dict(clipped.state_dict())
    assert free._controls[0, SCALE] == 1.0
    uphill = ol.Optimizer(tensors(), "sgd", maximize=True)
    with pytest.raises(ol.ConfigError, match="of an optimizer that maximizes"):
        free.load_state_dict(uphill.state_dict())


def model():
    return nn.Sequential(nn.Linear(3, 2, seed=0), nn.BatchNorm1d(2), nn.Dropout(0.5))


MODEL_WRONG = {
    "nothing": lambda s: {},
    "None": lambda s: None,
    "text": lambda s: "weights",
    "a number as a name": lambda s: {**s, 3: np.zeros(3)},
    "a parameter less": lambda s: {k: v for k, v in s.items() if k != "0.weight"},
    "another shape": lambda s: {**s, "1.gamma": np.zeros((2, 1))},
    "a shape turned": lambda s: {**s, "0.weight": s["0.weight"].T},
    "text as numbers": lambda s: {**s, "1.running_mean": np.array(["a", "b"])},
    "digits": lambda s: {**s, "1.running_mean": np.array(["1", "2"])},
    "None as numbers": lambda s: {**s, "1.beta": None},
    "objects": lambda s: {**s, "1.beta": np.array([0.0, None])},
    "complex": lambda s: {**s, "1.beta": np.array([1j, 0])},
    "uneven": lambda s: {**s, "1.beta": [[1.0], [1.0, 2.0]]},
    "beyond float32": lambda s: {**s, "1.beta": np.array([1e300, 0.0])},
    "halves as a whole number": lambda s: {**s, "2.calls": s["2.calls"] + 0.5},
}


@pytest.mark.fault(34, cases=len(MODEL_WRONG))
@pytest.mark.parametrize("change", MODEL_WRONG.values(), ids=list(MODEL_WRONG))
def test_a_models_state_that_does_not_fit_is_refused_and_changes_nothing(change):
    net = model()
    state = change({k: v + 1 for k, v in net.state_dict().items()})
    before = {k: v.tobytes() for k, v in net.state_dict().items()}
    with pytest.raises(ol.ConfigError):
        net.load_state_dict(state)
    assert {k: v.tobytes() for k, v in net.state_dict().items()} == before


def test_a_model_names_everything_that_differs():
    net = model()
    state = {**net.state_dict(), "0.weight": np.zeros((2, 3)), "1.beta": np.zeros(2, complex)}
    with pytest.raises(ol.ConfigError, match=r"0\.weight has shape \(3, 2\), the state's has \(2, 3\).*1\.beta"):
        net.load_state_dict(state)


def test_a_graph_knows_that_its_parameters_were_loaded():
    net = nn.MLP([3, 2])
    y = net(np.ones((4, 3), np.float32)).sum()
    net.load_state_dict(net.state_dict())
    with pytest.raises(ol.ConfigError, match="changed in place"):
        y.backward()


HOLDERS = {
    "EarlyStopping": (ol.EarlyStopping, "state_dict", "load_state_dict"),
    "Checkpoint": (lambda: ol.Checkpoint("run"), "state_dict", "load_state_dict"),
    "Tracker": (lambda: ol.schedules.ReduceOnPlateau().start(0.1), "state_dict", "load_state_dict"),
    "History": (ol.History, "state", "restore"),
}
BAD = {
    "nothing": lambda s: {},
    "None": lambda s: None,
    "text": lambda s: "state",
    "something else": lambda s: {**s, "other": 1.0},
    "text for numbers": lambda s: dict.fromkeys(s, "x"),
    "None for numbers": lambda s: dict.fromkeys(s),
    "tables": lambda s: dict.fromkeys(s, np.zeros((2, 2))),
    "objects": lambda s: dict.fromkeys(s, np.array([object()])),
    "uneven rows": lambda s: {key: [[1.0], [1.0, 2.0]] for key in s},
}


@pytest.mark.fault(34, cases=len(HOLDERS) * len(BAD))
@pytest.mark.parametrize("bad", BAD.values(), ids=list(BAD))
@pytest.mark.parametrize("holder", HOLDERS.values(), ids=list(HOLDERS))
def test_every_state_that_is_none_is_refused_and_changes_nothing(holder, bad):
    make, get, put = holder
    thing = make()
    state = bad(getattr(thing, get)())
    before = {k: repr(v) for k, v in vars(thing).items()}
    with pytest.raises(ol.ConfigError):
        getattr(thing, put)(state)
    assert {k: repr(v) for k, v in vars(thing).items()} == before


def test_a_history_takes_over_and_does_not_add():
    first, second = ol.History(), ol.History()
    for history, name in ((first, "a"), (second, "b")):
        history.add_epoch({name: 1.0}, 0.1)
        history.add_steps({"loss": np.ones(2)})
    second.restore(first.state())
    assert second.to_dict() == first.to_dict()


@pytest.mark.parametrize("rule", ["sgd", "momentum", "adam"])
def test_a_state_of_another_number_of_parameters_is_refused(rule):
    """Also where the rule has no slots whose size would tell: columns beyond the arena would be written to."""
    large = ol.Optimizer([ol.Tensor(np.zeros(100))], rule)
    small = ol.Optimizer([ol.Tensor(np.zeros(3))], rule)
    with pytest.raises(ol.ConfigError, match="do not fit"):
        small.load_state_dict(large.state_dict())
    with pytest.raises(ol.ConfigError, match="do not fit"):
        large.load_state_dict(small.state_dict())


def test_a_state_of_another_variant_is_refused():
    centered = ol.Optimizer(tensors(), ol.RMSProp(centered=True)).state_dict()
    with pytest.raises(ol.ConfigError, match="do not fit"):
        ol.Optimizer(tensors(), ol.RMSProp(momentum=0.9)).load_state_dict(centered)
