"""Races: labels, order, the same noise for all, the table; tuned races are in `test_tuning.py`."""

import json

import numpy as np
import pytest

import optlab as ol
from optlab.descent.table import Table

RULES = [ol.SGD(lr=0.1), ol.Momentum(lr=0.01), ol.Adam(lr=0.1)]


def test_each_run_is_the_descent_alone():
    race = ol.race("beale", RULES, start=(1.0, 1.0), steps=30, noise=0.1, seed=2)
    assert list(race.runs) == ["SGD", "Momentum", "Adam"]
    for rule, run in zip(RULES, race.runs.values(), strict=True):
        alone = ol.descend("beale", rule, (1.0, 1.0), 30, noise=0.1, seed=2)
        np.testing.assert_array_equal(run.record, alone.record)


@pytest.mark.parametrize(
    ("rules", "labels"),
    [
        (["sgd", "adam(lr=0.1)"], ["SGD", "Adam"]),
        ([ol.SGD, ol.Adam(lr=0.1)], ["SGD", "Adam"]),
        (["adam(lr=0.1)", "sgd", "adam(lr=0.2)"], ["Adam(lr=0.1)", "SGD", "Adam(lr=0.2)"]),
        (["adam", "adam(convention=keras)"], ["Adam(lr=0.001)", "Adam(lr=0.001, convention='keras')"]),
        ({"slow": "sgd", "fast": ol.SGD(lr=0.1), "same": "sgd"}, ["slow", "fast", "same"]),
        ("adam", ["Adam"]),
        (ol.Adam, ["Adam"]),
        (ol.Adam(lr=0.1), ["Adam"]),
        ((rule for rule in ("sgd", "adam")), ["SGD", "Adam"]),
    ],
)
def test_labels(rules, labels):
    assert list(ol.race("sphere", rules, steps=2).runs) == labels


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rules": ["sgd", "sgd"]}, "two of the rules have the same settings; give a dictionary"),
        ({"rules": ["sgd", ol.SGD(), "adam"]}, "two of the rules have the same settings"),
        ({"rules": []}, "at least one rule"),
        ({"rules": {}}, "at least one rule"),
        ({"rules": 3}, "rules are a list such as .* got 3"),
        ({"rules": None}, "rules are a list such as .* got None"),
        ({"rules": ["sgd", "adm"]}, "unknown rule 'adm'; did you mean 'adam'?"),
        ({"rules": ["sgd(lr)"]}, "an option of sgd reads like lr=0.1, got 'lr'"),
        ({"rules": ["sgd(lr=0.1, rate=2)"]}, "SGD has no option 'rate'"),
        ({"rules": [3]}, "a rule is settings such as"),
        ({"surface": "rosenbrok"}, "did you mean 'rosenbrock'?"),
        ({"start": (1.0,)}, "start: expected two finite numbers"),
        ({"steps": -1}, "steps is a whole number >= 0"),
        ({"noise": -1.0}, "noise is a finite number >= 0"),
        ({"target": -1.0}, "target is a finite number >= 0"),
        ({"target": "near"}, "target is a finite number >= 0, got 'near'"),
        ({"tune": 0}, "tune is a whole number >= 1, got 0"),
        ({"tune": 1.5}, "tune is a whole number >= 1"),
        ({"tune": 1, "starts": 0}, "starts is a whole number >= 1"),
    ],
)
def test_mistakes_are_explained(options, message):
    with pytest.raises(ol.ConfigError, match=message):
        ol.race(**{"surface": "beale", "rules": ["sgd"], **options})


def test_order_is_by_the_first_step_near_a_minimum():
    """On the sphere SGD shrinks the distance of 5 by 1 - 2 lr: within 0.1 after log(0.02) / log(1 - 2 lr) steps."""
    rates = {"a": 0.05, "b": 0.4, "c": 0.2, "never": 1e-4}
    rules = {label: ol.SGD(lr=lr) for label, lr in rates.items()}
    race = ol.race("sphere", rules, start=(-4.0, 3.0), steps=60)
    assert race.order(0.1) == ["b", "c", "a"]
    for label in "abc":
        want = int(np.ceil(np.log(0.02) / np.log(1 - 2 * rates[label])))
        assert race.runs[label].steps_within(0.1) == want
    assert race.order(5.0) == ["a", "b", "c", "never"], "all are there at the start: in the order given"
    assert race.order(1e-15) == ["b"]
    assert ol.race("saddle", ["sgd"], steps=3).order(1e9) == []


def test_all_meet_the_same_noise():
    race = ol.race("sphere", RULES, steps=20, noise=1.0, seed=5)
    noises = [run.gradients - 2.0 * run.points for run in race.runs.values()]
    assert np.abs(noises[0]).max() > 1.0
    for other in noises[1:]:
        np.testing.assert_allclose(other, noises[0], atol=1e-13)


def test_table():
    race = ol.race("sphere", {"in time": ol.SGD(lr=0.4), "late": ol.SGD(lr=1e-4), "too fast": ol.SGD(lr=5.0)}, steps=9)
    rows = {row["rule"]: row for row in race.table.rows}
    assert [rows[label]["status"] for label in rows] == ["converged", "running", "diverged"]
    assert rows["in time"]["steps to 0.001"] == race.runs["in time"].steps_to(1e-3) == 4  # 25 x 0.04^4 = 6e-5
    assert rows["late"]["steps to 0.001"] is None
    last = race.runs["too fast"].rows - 1
    assert rows["too fast"]["final f"] == race.runs["too fast"].values[last]
    text = str(race.table).splitlines()
    assert len(text) == 4
    assert text[0].split()[:3] == ["rule", "settings", "status"]
    assert text[2].split()[-4] == "-", "never there"
    assert repr(race) == f"Race on sphere\n{race.table}"
    assert "steps to 2" in ol.race("sphere", ["sgd"], steps=1, target=2.0).table.columns


def test_tables():
    table = Table([{"a<b": 1.23456, "c": "x & y"}, {"a<b": None, "c": 3}])
    assert len(table) == 2
    assert str(table).splitlines() == ["a<b    c", "1.235  x & y", "-      3"]
    html = table._repr_html_()
    assert html.count("<tr>") == 3
    assert "a&lt;b" in html
    assert "x &amp; y" in html
    assert (len(Table([])), Table([]).columns) == (0, [])


@pytest.mark.parametrize("surface", ["beale", "saddle"])
def test_to_dict_is_strict_json(surface):
    race = ol.race(surface, ["sgd(lr=50)", "adam"], steps=9)
    data = json.loads(json.dumps(race.to_dict(), allow_nan=False))
    assert data == race.to_dict()
    assert data["surface"] == surface
    assert {label: run.to_dict() for label, run in race.runs.items()} == data["runs"]
    assert [row["rule"] for row in data["table"]] == ["SGD", "Adam"]
    tuned = ol.race(surface, ["sgd"], steps=3, tune=1, starts=3).to_dict()
    assert json.loads(json.dumps(tuned, allow_nan=False)) == tuned


def test_a_race_without_steps():
    race = ol.race("beale", RULES, steps=0)
    assert [run.steps for run in race.runs.values()] == [0, 0, 0]
    assert len(race.table) == 3
