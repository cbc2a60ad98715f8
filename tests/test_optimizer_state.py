"""A saved optimizer: continues bit for bit, or is refused and changes nothing."""

import numpy as np
import pytest
from conftest import BOTH
from tensors import SAVED, frozen, pull, tensors

import optlab as ol


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


WRONG = {
    "another rule": lambda s: {**s, "rule": "adamw"},
    "a setting outside its interval": lambda s: changed(s, beta1=2.0),
    "an unknown setting": lambda s: changed(s, beta3=0.5),
    "a slot less": lambda s: without(s, "slots", "v"),
    "a slot more": lambda s: {**s, "slots": {**s["slots"], "u": s["slots"]["m"]}},
    "fewer numbers": lambda s: {**s, "slots": {k: v[:-1] for k, v in s["slots"].items()}},
    "slots of text": lambda s: {**s, "slots": {k: ["x"] * v.size for k, v in s["slots"].items()}},
    "a short control": lambda s: {**s, "controls": s["controls"][:, :-1]},
    "another number of groups": lambda s: {**s, "controls": np.vstack([s["controls"]] * 2)},
    "a control of other columns": lambda s: {**s, "controls": s["controls"] + (np.arange(s["controls"].size) == 2)},
    "a control of text": lambda s: {**s, "controls": "x" * s["controls"].size},
    "no control": lambda s: {k: v for k, v in s.items() if k != "controls"},
    "no count": lambda s: {k: v for k, v in s.items() if k != "skipped"},
}


@pytest.mark.parametrize("change", WRONG.values(), ids=list(WRONG))
def test_a_state_that_does_not_fit_is_refused_and_changes_nothing(change):
    optimizer = ol.Optimizer(tensors(), ol.Adam(0.1))
    state = change(optimizer.state_dict())
    pull(optimizer, steps=3)
    before = frozen(optimizer), optimizer.settings, optimizer.skipped
    with pytest.raises((ol.ConfigError, TypeError, ValueError, KeyError)):
        optimizer.load_state_dict(state)
    assert (frozen(optimizer), optimizer.settings, optimizer.skipped) == before


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
