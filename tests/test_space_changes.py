"""A fixed value has its place, and a study that can't go on with another space says what differs."""

import json

import pytest

import optlab as ol
from optlab.search import Choice, Float, Int, Random, Space, Study
from optlab.search.changes import changes

BEFORE = {"lr": Float(1e-5, 1.0, log=True), "width": Int(8, 64), "rule": Choice(["sgd", "adam"])}
CHANGED = {
    "a lower end": ({"lr": Float(1e-6, 1.0, log=True)}, ["lr: low was 1e-05, is 1e-06"]),
    "both ends": ({"width": Int(4, 128)}, ["width: low was 8, is 4", "width: high was 64, is 128"]),
    "scale": ({"lr": Float(1e-5, 1.0)}, ["lr: log was True, is none"]),
    "step": ({"width": Int(8, 64, step=8)}, ["width: step was none, is 8"]),
    "kind": ({"width": Float(8, 64)}, ["width was an Int, is a Float"]),
    "values": ({"rule": Choice(["sgd"])}, ["rule: values was ['sgd', 'adam'], is ['sgd']"]),
    "a choice of a range": ({"lr": Choice([0.1, 1.0])}, ["lr was a Float, is a Choice"]),
    "condition": (
        {"width": Int(8, 64, when={"rule": "sgd"})},
        ["width: when was none, is {'rule': 'sgd'}"],
    ),
    "added": ({"beta": Float(0.5, 0.9)}, ["beta is new"]),
    "taken out": ({"rule": None}, ["rule is gone"]),
    "renamed": ({"rule": None, "method": Choice(["sgd", "adam"])}, ["rule is gone", "method is new"]),
    "limits": ({"lr": Float(1e-5, 1.0, log=True, limits=(0, 1))}, ["lr: limits was none, is"]),
}


def other(change):
    return Space({name: p for name, p in {**BEFORE, **change}.items() if p is not None})


@pytest.mark.parametrize("name", CHANGED)
def test_a_study_that_is_resumed_with_another_space_says_what_differs(name, tmp_path):
    change, wanted = CHANGED[name]
    study = Study(Space(BEFORE), Random(seed=0), storage=tmp_path / "a.db", name="s")
    study.run(lambda params: params["lr"], trials=2)
    study.close()
    with pytest.raises(ol.ConfigError, match="holds study 's' with another space") as refused:
        Study(other(change), Random(seed=0), storage=tmp_path / "a.db", name="s")
    for text in wanted:
        assert text in str(refused.value)
    assert str(refused.value).count(" was ") + str(refused.value).count(" is new") >= len(wanted) - 1
    again = Study(Space(BEFORE), Random(seed=0), storage=tmp_path / "a.db", name="s")
    assert len(again.trials) == 2


def test_nothing_but_the_order_and_other_oddities():
    backwards = Space(dict(reversed(BEFORE.items())))
    stored = json.dumps(Space(BEFORE).to_dict())
    assert changes(stored, backwards).startswith("the parameters were in the order lr, width, rule")
    many = Space({f"x{i}": Float(0, 1) for i in range(30)})
    assert changes(stored, many).endswith("and 23 more")
    for damaged in ("", "[]", "{", '{"lr": 3}', "[" * 100_000):
        assert changes(damaged, backwards) == "the stored one can't be read"


@pytest.mark.parametrize(("kind", "value"), [(Float, 1), (Int, 3), (Float, 1e-3), (Int, -2)])
def test_a_fixed_value_is_refused_with_its_place(kind, value):
    entry = {"low": value, "high": value} | ({"int": True} if kind is Int else {})
    wanted = rf"low must be less than high.*Choice\(\[{kind(value, value + 1).low!r}\]\).*\[settings\]"
    for make in (lambda: kind(value, value), lambda: Space.from_dict({"x": entry})):
        with pytest.raises(ol.ConfigError, match=wanted):
            make()
    with pytest.raises(ol.ConfigError, match="low must be less than high") as refused:
        kind(value, value - 1)
    assert "Choice" not in str(refused.value)


def test_the_advice_works():
    study = Study(Space(x=Choice([3]), y=Float(0.0, 1.0)), Random(seed=0))
    study.run(lambda params: params["x"] + params["y"], trials=5)
    assert {trial.params["x"] for trial in study.trials} == {3}
