"""Tuning: the same budget for every rule, candidates inside every bound, and a report on other starts."""

from collections import Counter
from typing import NamedTuple

import numpy as np
import pytest
from conftest import SHRINK

import optlab as ol
from optlab.descent import tuning
from optlab.descent.tuning import HELD_OUT, NOISE, TUNING, candidates, draw_starts, tune_rule

EVERY_RULE = pytest.mark.parametrize("name", ol.RULES)
FEW = {"tune": 6, "starts": 3, "steps": 100 // SHRINK}
BEALE = ol.SURFACES["beale"]


def test_every_rule_gets_the_same_number_of_trials(monkeypatch):
    """Counted where the work is done: one descent per trial and start, then one per start for the report."""
    descents = Counter()

    def counted(surface, settings, *args, **options):
        descents[settings.name] += 1
        return ol.descend(surface, settings, *args, **options)

    monkeypatch.setattr(tuning, "descend", counted)
    race = ol.race("beale", list(ol.RULES), **(FEW | {"steps": 10}))
    assert {race.tuned[label].trials for label in race.tuned} == {6}
    assert descents == dict.fromkeys(ol.RULES, 6 * 3 + 3)


def test_a_seed_is_a_result():
    rules = ["sgd", "momentum", "adam"]
    one, same, other = (ol.race("beale", rules, seed=seed, **FEW) for seed in (1, 1, 2))
    for label in one.runs:
        assert one.tuned[label].settings == same.tuned[label].settings
        np.testing.assert_array_equal(one.tuned[label].finals, same.tuned[label].finals)
        np.testing.assert_array_equal(one.runs[label].record, same.runs[label].record)
        assert one.tuned[label].settings != other.tuned[label].settings
    assert one.table.rows == same.table.rows
    assert one.runs["Adam"].settings == one.tuned["Adam"].settings, "the race is run with what was kept"
    alone = ol.race("beale", ["adam"], seed=1, **FEW)
    assert alone.tuned["Adam"].settings == one.tuned["Adam"].settings, "whoever else takes part"


@EVERY_RULE
def test_candidates_are_inside_every_bound(name):
    """Settings check their own bounds when they are made; here also what is searched and what is not."""
    given = ol.RULES[name](weight_decay=0.05)
    drawn = list(candidates(given, 128, seed=3))
    assert len(drawn) == 128
    assert all(type(s) is type(given) and s.weight_decay == 0.05 for s in drawn)
    searched = {k for k in given.hyper._fields if len({getattr(s, k) for s in drawn}) > 1}
    decays = {"beta", "rho", "alpha", "beta1", "beta2"}
    assert searched == {"lr"} | decays & set(given.hyper._fields)
    for k in searched - {"lr"}:
        values = np.array([getattr(s, k) for s in drawn])
        assert ((values >= 0.5) & (values <= 0.999)).all()
    rates = np.array([s.lr for s in drawn])
    assert ((rates >= 1e-5) & (rates <= 10.0)).all()
    # a scrambled Sobol sequence has one point in each of 128 equal strips, here of log lr
    strips = np.floor(128 * np.log(rates / 1e-5) / np.log(1e6))
    assert sorted(strips) == list(range(128))


def test_fewer_trials_are_the_first_of_a_power_of_two():
    for trials in (1, 2, 3, 5, 8, 9):
        assert len(list(candidates(ol.Adam(), trials, 0))) == trials
    assert list(candidates(ol.Adam(), 5, 0)) == list(candidates(ol.Adam(), 8, 0))[:5]


class Hyper(NamedTuple):
    lr: float = 0.01
    mix: float = 0.5
    inertia: float = 0.9


def test_a_users_rule_is_tuned_in_its_decays(registry):
    kind = ol.register(
        "inert",
        Hyper,
        slots=("v",),
        coefficients=lambda t, h: (h.lr, h.inertia),
        update=lambda p, g, s, c: (p - c[0] * (c[1] * s[0] + g), (c[1] * s[0] + g,)),
        bounds={"inertia": "[0, 1)"},
    )
    drawn = list(candidates(kind(), 8, 0))
    assert {s.mix for s in drawn} == {0.5}
    assert len({s.inertia for s in drawn}) == 8
    assert ol.race("sphere", [kind], tune=4, starts=2, steps=10).tuned["Inert"].trials == 4


def test_the_report_is_on_other_starts():
    (x0, x1), (y0, y1) = BEALE.domain
    practice, held_out = (draw_starts(BEALE, 16, 0, stream) for stream in (TUNING, HELD_OUT))
    assert practice.shape == held_out.shape == (16, 2)
    assert not set(map(tuple, practice)) & set(map(tuple, held_out))
    for points in (practice, held_out):
        assert ((points >= (x0, y0)) & (points <= (x1, y1))).all()
    assert (draw_starts(BEALE, 16, 1, TUNING) != practice).all()


@pytest.mark.parametrize("noise", [0.0, 0.1])
def test_two_starts_by_brute_force(noise):
    """Every candidate on both practice starts; best median arrival, then best median end; reported on the others."""
    steps, target, options = 60 // SHRINK, 0.05, {"noise": noise, "seed": 4}
    practice, held_out = (
        [
            (start, int(np.random.SeedSequence(4, spawn_key=(stream, NOISE)).generate_state(2)[i]))
            for i, start in enumerate(draw_starts(BEALE, 2, 4, stream))
        ]
        for stream in (TUNING, HELD_OUT)
    )  # each start with a noise of its own
    assert len({seed for _, seed in practice + held_out}) == 4

    def outcome(settings, starts):
        runs = [ol.descend("beale", settings, start, steps, noise=noise, seed=seed) for start, seed in starts]
        arrivals = [next((t for t, f in enumerate(r.values) if f <= target), np.inf) for r in runs]
        return arrivals, [np.inf if r.status == "diverged" else r.values[-1] for r in runs]

    trials = list(candidates(ol.Momentum(), 12, 4))
    scores = [tuple(0.5 * (a + b) for a, b in outcome(s, practice)) for s in trials]
    best = trials[scores.index(min(scores))]
    tuned = tune_rule(BEALE, ol.Momentum(), 12, steps, starts=2, target=target, **options)
    assert tuned.settings == best
    arrivals, ends = outcome(best, held_out)
    np.testing.assert_array_equal(np.where(np.isnan(tuned.steps), np.inf, tuned.steps), arrivals)
    np.testing.assert_array_equal(tuned.finals, ends)


def test_quartiles_and_shares():
    race = ol.race("rosenbrock", ["sgd", "adam"], tune=4, starts=16, steps=200 // SHRINK, target=1.0)
    for label, row in zip(race.tuned, race.table.rows, strict=True):
        tuned = race.tuned[label]
        for cell, median, values in (
            ("steps (quartiles)", "steps (median)", np.nan_to_num(tuned.steps, nan=np.inf)),
            ("final (quartiles)", "final f - f_min (median)", tuned.finals),
        ):
            low, high = map(float, row[cell].split(" .. "))
            assert low <= row[median] * (1 + 1e-2)  # the quartiles are printed to three digits
            assert row[median] <= high * (1 + 1e-2)
            assert row[median] in values
            assert (values <= row[median]).mean() >= 0.5 <= (values >= row[median]).mean()
        assert row["reached"] == np.isfinite(tuned.steps).mean()
        assert row["diverged"] == tuned.diverged == np.isinf(tuned.finals).mean()
    assert str(race.table).splitlines()[0].startswith("rule")
    assert len(str(race.table).splitlines()) == 3


def test_share_that_diverged():
    """Far up a wall whose slope grows like exp(r^2), any rate of the search overshoots."""
    surface = ol.Surface(lambda x, y: np.exp(x * x + y * y), domain=((2.0, 6.0), (2.0, 6.0)))
    tuned = tune_rule(surface, ol.SGD(), 1, 20, starts=4)
    assert tuned.diverged == 1.0
    assert np.isinf(tuned.finals).all()
    assert np.isnan(tuned.steps).all()
    assert tune_rule(ol.SURFACES["sphere"], ol.Adam(), 1, 5, starts=4).diverged == 0.0


def test_one_trial_and_one_start():
    race = ol.race("sphere", ["sgd"], tune=1, starts=1, steps=5)
    assert race.tuned["SGD"].settings == next(candidates(ol.SGD(), 1, 0))
    assert race.tuned["SGD"].steps.shape == (1,)
    assert race.table.rows[0]["rule"] == "SGD"


def test_on_a_surface_without_a_minimum_the_lowest_value_is_best():
    saddle = ol.SURFACES["saddle"]
    tuned = tune_rule(saddle, ol.SGD(), 8, 10, starts=3)
    starts = draw_starts(saddle, 3, 0, TUNING)
    ends = [np.median([ol.descend(saddle, s, p, 10).values[-1] for p in starts]) for s in candidates(ol.SGD(), 8, 0)]
    assert tuned.settings == list(candidates(ol.SGD(), 8, 0))[int(np.nanargmin(ends))]


def test_rates_stay_inside_a_rules_own_bounds(registry):
    class Hyper(NamedTuple):
        lr: float = 0.5

    parts = {"coefficients": lambda t, h: (h.lr,), "update": lambda p, g, s, c: (p - c[0] * g, ())}
    timid = ol.register("timid", Hyper, bounds={"lr": "(0.1, 0.9]"}, **parts)
    rates = [settings.lr for settings in candidates(timid(), 64, 0)]
    assert 0.1 <= min(rates) < 0.15
    assert 0.8 < max(rates) <= 0.9
