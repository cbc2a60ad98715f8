"""Trials that are stopped early: the rules against their definitions, and what a sweep saves by them."""

import math
import statistics

import numpy as np
import pytest
import sweeps
from sweeps import ran, study_of, table

from optlab.errors import ConfigError
from optlab.search import (
    Halving,
    Median,
)


def test_the_median_rule_by_hand():
    pruner = Median(startup=3)
    for number, values in enumerate([(4.0, 2.0), (6.0, 4.0), (9.0, 9.0)]):
        for step, value in enumerate(values):
            assert not pruner.poor(number, step, value)
        pruner.ended(number, complete=True)
    # means up to step 0: 4, 6, 9; up to step 1: 3, 5, 9
    assert not pruner.poor(3, 0, 6.0)
    assert pruner.poor(4, 0, 6.1)
    assert pruner.poor(3, 1, 7.0), "its best, 6, is above the median 5"


def test_the_median_rule_looks_at_the_best_so_far():
    pruner = Median(startup=1)
    pruner.poor(0, 0, 5.0)
    pruner.poor(0, 1, 5.0)
    pruner.ended(0, complete=True)
    assert not pruner.poor(1, 0, 4.0)
    assert not pruner.poor(1, 1, 9.0), "4 was better than 5"
    assert pruner.poor(2, 0, math.nan)


def test_halving_keeps_the_best_of_every_four():
    """Against the definition, with all trials in a random order: rung k at step 4^k."""
    rng = np.random.default_rng(0)
    pruner, seen = Halving(first=1, factor=4), {}
    survivors = 0
    for number in range(200):
        loss = rng.random()
        for step in range(1, 65):
            poor = pruner.poor(number, step, loss)
            rung = round(math.log(step, 4), 9)
            if rung != int(rung):
                assert not poor
                continue
            values = seen.setdefault(rung, [])
            values.append(loss)
            keep = sorted(values)[: max(1, len(values) // 4)]
            assert poor == (loss > keep[-1])
            if poor:
                break
        else:
            survivors += 1
    assert survivors < 30
    assert [len(values) for values in seen.values()] == sorted(map(len, seen.values()), reverse=True)


@pytest.mark.parametrize("pruner", ["median", "halving"])
@pytest.mark.parametrize("direction", ["minimize", "maximize"])
@pytest.mark.parametrize("workers", [None, 2])
def test_pruning_saves_steps_and_keeps_the_best(pruner, direction, workers):
    study = study_of(direction=direction)
    sign = 1 if direction == "minimize" else -1
    objective = sweeps.curve if direction == "minimize" else sweeps.climb
    study.run(objective, trials=40, pruner=pruner, executor=workers)
    states = [t.state for t in study.trials]
    assert set(states) == {"complete", "pruned"}
    assert states.count("pruned") > 8
    assert all(t.value is None and "stopped at step" in t.error and t.reports for t in study.trials if t.error)
    full = ran(study_of(), 40)
    assert sign * study.best.value <= statistics.median(t.value for t in full.trials)


def test_a_resumed_sweep_prunes_as_it_would_have(tmp_path):
    whole = ran(study_of(), 30, sweeps.curve, pruner="median")
    ran(study_of(storage=tmp_path / "a.db"), 13, sweeps.curve, pruner="median").close()
    assert table(ran(study_of(storage=tmp_path / "a.db"), 17, sweeps.curve, pruner="median")) == table(whole)


def test_reports_by_hand_are_kept():
    study = study_of()
    trial = study.ask()
    trial.report(0.5, step=3)
    trial.report(np.float32(0.25), step=np.int64(4))
    with pytest.raises(ConfigError, match="one number"):
        trial.report("0.1", 5)
    with pytest.raises(ConfigError, match="whole number"):
        trial.report(0.1, -1)
    study.tell(trial, 0.25)
    assert study.trials[0].reports == ((3, 0.5), (4, 0.25))
