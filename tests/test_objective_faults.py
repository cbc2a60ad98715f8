"""Whatever an objective does, the sweep goes on (docs/faults.md, row 12)."""

import math
import warnings

import numpy as np
import pytest
import sweeps
from faults import LEARNS, SAMPLERS, straight
from sweeps import SPACE, bowl, table

from optlab.search import GP, Pruned, Random, Study, TrialError


def raises(error):
    def objective(params):
        raise error

    return objective


def recurse(params):
    return recurse(params)


class Unprintable(Exception):
    def __str__(self):
        raise RuntimeError


BAD = {
    "nan": lambda p: math.nan,
    "inf": lambda p: math.inf,
    "-inf": lambda p: -math.inf,
    "None": lambda p: None,
    "text": lambda p: "0.5",
    "complex": lambda p: 1j,
    "numpy complex": lambda p: np.complex128(1.0),
    "array of one": lambda p: np.ones(1),
    "array of two": lambda p: np.ones(2),
    "bool": lambda p: True,
    "numpy bool": lambda p: np.True_,
    "huge": lambda p: 10**400,
    "masked": lambda p: np.ma.masked_array(1.0, mask=True),
    "list": lambda p: [0.5],
    "unpicklable": lambda p: lambda: 0,
    "ValueError": raises(ValueError("x" * 10_000)),
    "MemoryError": raises(MemoryError()),
    "RecursionError": recurse,
    "SystemExit": raises(SystemExit(0)),
    "GeneratorExit": raises(GeneratorExit()),
    "an error without text": raises(Unprintable()),
    "wrong key": lambda p: p["learning_rate"],
    "wrong signature": lambda: 0.5,
}
GOOD = {
    "float": 0.5,
    "int": 1,
    "float32": np.float32(0.5),
    "0-d": np.array(0.5),
    "int64": np.int64(1),
    "0-d unmasked": np.ma.masked_array(0.5, mask=False),
}


@pytest.mark.parametrize("sampler", LEARNS)
@pytest.mark.parametrize("kind", BAD)
@pytest.mark.fault(12)
def test_whatever_an_objective_does_the_sweep_goes_on(kind, sampler):
    study = Study(SPACE, GP(seed=5, initial=2) if sampler == "gp" else SAMPLERS[sampler]())
    numbers = iter(range(10))

    def sometimes(params):
        return bowl(params) if next(numbers) % 2 else BAD[kind](params)

    if kind == "wrong signature":
        study.run(BAD[kind], trials=3)
        assert {trial.state for trial in study.trials} == {"failed"}
        return
    study.run(sometimes, trials=6)
    assert [trial.state for trial in study.trials] == ["failed", "complete"] * 3
    assert all(t.error and len(t.error) <= 2000 and t.value is None for t in study.trials[::2])
    assert math.isfinite(study.best.value)
    trial = study.ask()
    study.tell(trial, study.best.value - 1)
    assert study.best.number == trial.number


@pytest.mark.parametrize("kind", GOOD)
@pytest.mark.fault(12)
def test_numbers_of_all_kinds_are_taken(kind):
    study = Study(SPACE, Random(seed=5))
    study.run(lambda params: GOOD[kind], trials=1)
    assert study.best.value == float(GOOD[kind])


@pytest.mark.fault(12)
def test_a_flood_on_stdout_stops_nothing(capfd):
    study = Study(SPACE, Random(seed=5))
    study.run(sweeps.flood, trials=2, executor=2)
    assert [trial.state for trial in study.trials] == ["complete"] * 2
    assert len(capfd.readouterr().out) == 20_000_000


@pytest.mark.fault(12)
def test_a_hanging_objective_is_ended(tmp_path, monkeypatch):
    monkeypatch.setenv("SWEEP_LOG", str(tmp_path / "log"))
    study = Study(SPACE, Random(seed=5))
    study.run(sweeps.endless, trials=2, timeout=0.3)
    assert [t.error for t in study.trials] == ["timed out after 0.3 s; its process was killed"] * 2


@pytest.mark.fault(12)
def test_an_interrupt_from_the_objective_saves_and_is_passed_on(tmp_path):
    numbers = iter(range(10))

    def objective(params):
        if next(numbers) == 3:
            raise KeyboardInterrupt
        return bowl(params)

    study = Study(SPACE, Random(seed=5), storage=tmp_path / "a.db")
    with pytest.raises(KeyboardInterrupt):
        study.run(objective, trials=8)
    assert [t.state for t in study.trials] == ["complete"] * 3 + ["running"]
    study.run(bowl, trials=5)
    assert table(study) == table(straight("random", 8))
    assert {t.starts for t in study.trials} == {1}


def test_an_exception_from_pruning_is_no_failure():
    def objective(params, trial):
        trial.report(1.0, 0)
        raise Pruned

    study = Study(SPACE, Random(seed=5))
    study.run(objective, trials=1)
    assert [(t.state, t.reports) for t in study.trials] == [("pruned", ((0, 1.0),))]


def test_too_many_failures_end_the_run_after_saving():
    study = Study(SPACE, Random(seed=5))
    with warnings.catch_warnings(), pytest.raises(TrialError, match=r"3 trials failed, more than max_failures=2"):
        study.run(BAD["nan"], trials=50, max_failures=2)
    assert [t.state for t in study.trials] == ["failed"] * 3
