"""What a study does when nothing goes wrong: ask, tell, run, with whatever executor."""

import concurrent.futures
import math
import multiprocessing
import subprocess
import sys
import warnings

import pytest
import sweeps
from conftest import JIT
from sweeps import LINE, SPACE, bowl, noisy, ran, study_of, table, told

import optlab.search as search
from optlab.errors import ConfigError
from optlab.search import (
    Float,
    Grid,
    Random,
    Sampler,
    Space,
    Study,
    TrialError,
)
from optlab.search.trial import as_number, wants_trial


def test_ask_and_tell_by_hand_equal_run():
    study, other = study_of(), study_of()
    for _ in range(5):
        trial = study.ask()
        study.tell(trial, bowl(trial.params))
    batch = study.ask(n=5)
    assert [trial.number for trial in batch] == [5, 6, 7, 8, 9]
    for trial in reversed(batch):
        study.tell(trial.number, bowl(trial.params))
    other.run(bowl, trials=10)
    assert table(study) == table(other)


def test_trials_counts_new_ones_and_may_be_none():
    study = study_of()
    for count in (10, 0, 5):
        study.run(bowl, trials=count)
    assert len(study.trials) == 15
    other = study_of()
    other.run(bowl, trials=15)
    assert table(study) == table(other)


def test_best_by_direction_and_the_first_of_equals():
    study = told(LINE, [({"x": 0.1}, 3.0), ({"x": 0.2}, 1.0), ({"x": 0.3}, 1.0), ({"x": 0.4}, math.nan)])
    assert study.best.params == {"x": 0.2}
    study = told(LINE, [({"x": 0.1}, 3.0), ({"x": 0.2}, 1.0), ({"x": 0.3}, math.inf)], "maximize")
    assert study.best.value == 3.0
    with pytest.raises(ConfigError, match=r"no trial of study 'study' is complete; 1 ended otherwise.*returned nan"):
        _ = told(LINE, [({"x": 0.1}, math.nan)]).best


def test_points_of_ones_own_are_checked_and_run_first():
    study = study_of(LINE)
    with pytest.raises(ConfigError):
        study.ask(params={"x": 2.0})
    study.ask(params={"x": 0.25})
    study.run(lambda params: params["x"], trials=3)
    assert [study.trials[0].params, len(study.trials)] == [{"x": 0.25}, 3]
    own = study.ask(params={"x": 0.75})
    study.tell(own, 0.0)
    study.run(lambda params: params["x"], trials=1)
    assert [t.state for t in study.trials] == ["complete"] * 5


def test_told_errors_and_reasons():
    study = study_of(LINE)
    study.tell(study.ask(), error="out of paper")
    study.tell(study.ask(), "0.5")
    assert [t.error for t in study.trials] == ["out of paper", "returned '0.5' (str); expected a finite number"]


MISTAKES = {
    "no space": lambda: Study({"x": Float(0, 1)}, Random(seed=0)),
    "no sampler": lambda: Study(LINE, "random"),
    "no direction": lambda: Study(LINE, Random(seed=0), "down"),
    "both": lambda: study_of().ask(n=1, params={}),
    "none": lambda: study_of().ask(n=0),
    "unknown trial": lambda: study_of().tell(7, 0.5),
    "value and error": lambda: (lambda s: s.tell(s.ask(), 0.5, error="no"))(study_of()),
    "no objective": lambda: study_of().run(None),
    "trials": lambda: study_of().run(bowl, trials=-1),
    "trials as bool": lambda: study_of().run(bowl, trials=True),
    "batch": lambda: study_of().run(bowl, batch=0),
    "timeout": lambda: study_of().run(bowl, timeout=0),
    "executor": lambda: study_of().run(bowl, executor=0),
    "executor as bool": lambda: study_of().run(bowl, executor=True),
    "executor as text": lambda: study_of().run(bowl, executor="threads"),
    "executor as object": lambda: study_of().run(bowl, executor=object()),
    "pruner": lambda: study_of().run(bowl, pruner="medium"),
    "pruner as object": lambda: study_of().run(bowl, pruner=3),
    "one repeat": lambda: study_of().repeat(noisy, 1),
    "repeats without seeds": lambda: study_of().repeat(bowl),
    "no trials to draw": lambda: study_of().plot_history(),
    "contour of one": lambda: study_of().plot_contour("x", "x"),
    "contour of none": lambda: study_of().plot_contour("x", "z"),
    "name": lambda: search.minimize(bowl, SPACE, sampler="sobel", trials=0),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_are_told(mistake):
    with pytest.raises(ConfigError) as caught:
        MISTAKES[mistake]()
    assert len(str(caught.value)) > 20


def test_a_grid_ends_by_itself():
    grid = Grid(x=[0.1, 0.2, 0.3])
    study = Study(LINE, grid)
    study.run(lambda params: params["x"], trials=50, executor=None)
    assert [t.params["x"] for t in study.trials] == [0.1, 0.2, 0.3]
    with pytest.raises(ConfigError, match="nothing left"):
        study.ask()
    assert study.ask(n=2) == []


def test_a_growing_grid_waits_for_what_runs():
    """The next points depend on the last of the first ones, whoever runs them."""
    space = Space(x=Float(0.0, 10.0, limits=(0, 10)))
    tables = []
    for workers in (None, 3):
        study = Study(space, Grid(x=[4.0, 5.0, 6.0], extend=True))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            study.run(lambda params: (params["x"] - 8) ** 2, trials=50, executor=workers)
        tables.append(table(study))
    assert tables[0] == tables[1]
    assert study.best.params["x"] == 8.0


SMALL = Space(x=Float(-1.0, 1.0), lr=Float(1e-5, 1.0, log=True))


def valley(params):
    return params["x"] ** 2 + abs(math.log10(params["lr"]) + 2)


@pytest.mark.parametrize("batch", [1, 4])
@pytest.mark.fault(10, cases=6 if JIT else 2)
def test_a_sampler_that_learns_is_the_same_at_equal_batch_size(batch, tmp_path):
    def gp(**options):
        return Study(SMALL, search.GP(seed=1, initial=5), **options)

    count = 18 if JIT else 12
    whole = gp()
    whole.run(valley, trials=count, batch=batch)
    for workers in (1, 2, 4) if JIT else (2,):
        study = gp()
        with concurrent.futures.ThreadPoolExecutor(workers) as pool:
            study.run(valley, trials=count, batch=batch, executor=pool)
        assert table(study) == table(whole)
    for k in (3, 10, 15) if JIT else (10,):
        gp(storage=tmp_path / f"{k}.db").run(valley, trials=k, batch=batch)
        study = gp(storage=tmp_path / f"{k}.db")
        study.run(valley, trials=count - k, batch=batch)
        assert table(study) == table(whole), "stopped in the middle of a batch"
    serial = gp()
    serial.run(valley, trials=count)
    assert (table(serial) == table(whole)) == (batch == 1)


def test_seeds_are_the_trials_own():
    a, b = study_of(), study_of()
    a.run(noisy, trials=20)
    b.run(noisy, trials=20, executor=2)
    assert table(a) == table(b)
    seeds = [t.seed for t in a.trials]
    assert len(set(seeds)) == 20
    assert all(0 <= seed < 2**32 for seed in seeds)


def test_any_executor_will_do():
    want = table(ran(study_of(), 8, noisy))
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(2, mp_context=context) as pool:
        assert table(ran(study_of(), 8, noisy, executor=pool)) == want
        with pytest.raises(ConfigError, match="can't be sent to another process"):
            study_of().run(lambda params: 0.0, executor=pool)
    with pytest.raises(TrialError, match="executor broke"):
        ran(study_of(), 2, executor=pool)


def test_studies_may_share_a_sampler():
    sampler = Random(seed=5)
    one, other = Study(SPACE, sampler), Study(LINE, sampler)
    other.run(lambda params: params["x"], trials=3)
    assert table(ran(one, 10)) == table(ran(study_of(), 10))


def test_what_counts_as_taking_a_trial():
    assert wants_trial(noisy)
    assert wants_trial(lambda params, trial=None: 0)
    assert not wants_trial(lambda params, verbose=True: 0)
    assert not wants_trial(lambda *args: 0)
    assert not wants_trial(bowl)
    assert as_number(1e300) == (1e300, "")


def test_the_cores_are_shared():
    study = study_of()
    study.run(sweeps.pool_size, trials=2, executor=64)
    assert {t.value for t in study.trials} == {1.0}


def test_an_objective_that_frees_the_gil_runs_in_threads():
    import threading

    class Objective:
        releases_gil = True
        threads = set()  # noqa: RUF012

        def __call__(self, params):
            self.threads.add(threading.get_ident())
            return bowl(params)

    study = study_of()
    study.run(Objective(), trials=4, executor=2)
    assert table(study) == table(ran(study_of(), 4))
    assert threading.get_ident() not in Objective.threads


def test_a_script_without_a_guard_is_told(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "from optlab.search import Float, Random, Space, Study\n"
        "def f(params): return params['x']\n"
        "Study(Space(x=Float(0, 1)), Random(seed=0)).run(f, trials=2, executor=2)\n"
    )
    result = subprocess.run([sys.executable, script], capture_output=True, text=True)
    assert result.returncode == 1
    assert "TrialError: the worker processes can't run f" in result.stderr
    assert "if __name__ == '__main__':" in result.stderr


# --- the package ------------------------------------------------------------------------------------------------------


def test_the_face_of_the_package():
    assert search.__all__ == dir(search)
    for name in search.__all__:
        assert getattr(search, name) is not None
    assert issubclass(Random, Sampler)
    with pytest.raises(AttributeError, match="has no attribute 'studies'"):
        search.studies  # noqa: B018


def test_minimize():
    study = search.minimize(lambda p: (p["x"] - 0.3) ** 2, {"x": Float(0, 1)}, sampler="random", trials=20, seed=3)
    assert len(study.trials) == 20
    assert study.best.value < 0.01
    assert repr(study) == "Study('study', 20 trials, Random(seed=3), minimize)"
