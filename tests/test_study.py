"""What a study does when nothing goes wrong: ask, tell, run, prune, judge, repeat, export, draw."""

import concurrent.futures
import csv
import itertools
import json
import math
import multiprocessing
import statistics
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import sweeps
from conftest import JIT
from scipy import stats
from sweeps import SPACE, bowl, noisy, table

import optlab.search as search
from optlab.errors import ConfigError, StorageError
from optlab.search import (
    GP,
    Choice,
    Float,
    Grid,
    Halving,
    Int,
    Median,
    Random,
    Sampler,
    Sobol,
    Space,
    Study,
    TrialError,
)
from optlab.search.judgement import expected_best, expected_gain
from optlab.search.trial import as_number, wants_trial

LINE = Space(x=Float(0.0, 1.0))


def study_of(space=SPACE, seed=5, **options):
    return Study(space, Random(seed=seed), **options)


def told(space, points, direction="minimize"):
    """A study of given (params, value)."""
    study = study_of(space, direction=direction)
    for params, value in points:
        study.tell(study.ask(params=params), value)
    return study


# --- ask, tell, run ---------------------------------------------------------------------------------------------------


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
    want = table(_run(study_of(), 8, noisy))
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(2, mp_context=context) as pool:
        assert table(_run(study_of(), 8, noisy, executor=pool)) == want
        with pytest.raises(ConfigError, match="can't be sent to another process"):
            study_of().run(lambda params: 0.0, executor=pool)
    with pytest.raises(TrialError, match="executor broke"):
        _run(study_of(), 2, executor=pool)


def test_studies_may_share_a_sampler():
    sampler = Random(seed=5)
    one, other = Study(SPACE, sampler), Study(LINE, sampler)
    other.run(lambda params: params["x"], trials=3)
    assert table(_run(one, 10)) == table(_run(study_of(), 10))


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
    assert table(study) == table(_run(study_of(), 4))
    assert threading.get_ident() not in Objective.threads


def _run(study, trials, objective=bowl, **options):
    study.run(objective, trials=trials, **options)
    return study


def test_a_script_without_a_guard_is_told(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "from optlab.search import Float, Random, Space, Study\n"
        "def f(params): return params['x']\n"
        "Study(Space(x=Float(0, 1)), Random(seed=0)).run(f, trials=2, executor=2)\n"
    )
    result = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=60)
    assert result.returncode == 1
    assert "TrialError: the worker processes can't run f" in result.stderr
    assert "if __name__ == '__main__':" in result.stderr


# --- pruning ----------------------------------------------------------------------------------------------------------


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
    full = _run(study_of(), 40)
    assert sign * study.best.value <= statistics.median(t.value for t in full.trials)


def test_a_resumed_sweep_prunes_as_it_would_have(tmp_path):
    whole = _run(study_of(), 30, sweeps.curve, pruner="median")
    _run(study_of(storage=tmp_path / "a.db"), 13, sweeps.curve, pruner="median").close()
    assert table(_run(study_of(storage=tmp_path / "a.db"), 17, sweeps.curve, pruner="median")) == table(whole)


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


# --- judgement --------------------------------------------------------------------------------------------------------


def test_the_expected_best_is_the_mean_over_all_subsets():
    values = [3.0, 1.0, 4.0, 1.5, 9.0, 2.6]
    for m in range(1, 7):
        want = np.mean([min(subset) for subset in itertools.combinations(values, m)])
        assert expected_best(values, m) == pytest.approx(want, rel=1e-12)


def test_the_expected_gain_is_about_what_a_doubling_gives():
    """The smallest of n uniform numbers is 1/(n + 1) on average: the mean estimate is a third off at most."""
    rng, n = np.random.default_rng(0), 64
    truth = 1 / (n + 1) - 1 / (2 * n + 1)
    estimates = [expected_gain(rng.random(n)) for _ in range(4000)]
    assert np.mean(estimates) == pytest.approx(truth, rel=1 / 3)
    assert expected_gain([1.0] * 20) == 0.0


@pytest.mark.skipif(not JIT, reason="fits of a hundred points are minutes without the compiler")
def test_importance_of_a_sum_and_of_ishigami():
    """Analytic first-order indices: a²/Σa² of a linear function; Ishigami & Homma 1990 with a = 7, b = 0.1."""
    linear = Study(Space(a=Float(0, 1), b=Float(0, 1), c=Float(0, 1)), Sobol(seed=0))
    linear.run(lambda p: 3 * p["a"] + 2 * p["b"] + 0 * p["c"], trials=64)
    shares = linear.importance()
    assert list(shares)[:2] == ["a", "b"]
    assert shares == pytest.approx({"a": 9 / 13, "b": 4 / 13, "c": 0.0}, abs=0.01)
    wave = Study(
        Space(x=Float(-math.pi, math.pi), y=Float(-math.pi, math.pi), z=Float(-math.pi, math.pi)), Sobol(seed=0)
    )
    wave.run(lambda p: math.sin(p["x"]) + 7 * math.sin(p["y"]) ** 2 + 0.1 * p["z"] ** 4 * math.sin(p["x"]), trials=256)
    assert wave.importance() == pytest.approx({"y": 0.4424, "x": 0.3139, "z": 0.0}, abs=0.02)


@pytest.mark.skipif(not JIT, reason="fits of a hundred points are minutes without the compiler")
def test_importance_is_of_the_space_and_not_of_where_the_trials_are():
    """9 (a - 0.3)^2 + 4 (b - 0.6)^2: the variances of both terms, by hand, though most trials are at the optimum."""
    space = Space(a=Float(0, 1), b=Float(0, 1), c=Float(0, 1))
    study = Study(space, GP(seed=1))
    study.run(lambda p: 9 * (p["a"] - 0.3) ** 2 + 4 * (p["b"] - 0.6) ** 2, trials=40)
    square = {center: 1 / 80 + (0.5 - center) ** 2 / 3 - 1 / 144 for center in (0.3, 0.6)}
    a, b = 81 * square[0.3], 16 * square[0.6]
    assert study.importance() == pytest.approx({"a": a / (a + b), "b": b / (a + b), "c": 0.0}, abs=0.03)


@pytest.mark.skipif(not JIT, reason="fits of a hundred points are minutes without the compiler")
def test_importance_of_choices_conditions_and_outliers():
    rng = np.random.default_rng(0)
    space = Space(rule=Choice(["a", "b"]), beta=Float(0, 1, when={"rule": "b"}), idle=Int(0, 9))
    study = Study(space, Random(seed=1))
    study.run(lambda p: (1.0 if p["rule"] == "a" else 2.0 + p["beta"]) + 1e-3 * rng.random(), trials=300)
    study.tell(study.ask(), 1e30)
    # by hand: 1 or 2 + beta, each half of the space; the rest to 1 is the interaction of rule and beta
    total = 1.5**2 / 4 + 1 / 24
    want = {"rule": 1.5**2 / 4 / total, "beta": 1 / 48 / total, "idle": 0.0}
    assert study.importance() == pytest.approx(want, abs=0.02)


def test_importance_of_too_few_and_of_equal_values():
    assert told(LINE, [({"x": 0.5}, 1.0)]).importance() == {}
    flat = told(LINE, [({"x": i / 20}, 1.0) for i in range(20)])
    assert flat.importance() == {"x": 0.0}


def test_names_with_dollars_are_no_mathematics(tmp_path):
    space = Space(**{"$a$": Float(0, 1), "b$^{": Float(0, 1), "c": Choice(["$x_", "y$"])})
    study = told(space, [({"$a$": i / 10, "b$^{": (i % 4) / 4, "c": "$x_"}, float(i)) for i in range(10)])
    figure = study.plot_slice()
    figure.savefig(tmp_path / "slice.png")  # what is no valid mathematics would raise here
    assert figure.axes[0].get_xlabel() == r"\$a\$"
    study.plot_contour("$a$", "b$^{").figure.savefig(tmp_path / "contour.png")


def test_verdicts_on_edge_gain_and_gap():
    points = [({"x": i / 40}, (i / 40) ** 2 + 0.1) for i in range(1, 40)]
    space = Space(x=Float(0.025, 1.0))
    found = {v.id: v for v in told(space, points).verdict(test=0.11)}
    assert list(found) == ["edge:x", "gain", "gap"]
    assert not found["edge:x"].passed
    assert "extend x below" in found["edge:x"].explanation
    assert found["gain"].passed
    assert found["gap"].passed
    assert not {v.id: v for v in told(space, points).verdict(test=5.0)}["gap"].passed
    lucky = told(LINE, [({"x": i / 10}, 1.0 - (i == 5)) for i in range(10)])
    assert not {v.id: v for v in lucky.verdict()}["gain"].passed, "one lucky trial: more may be lucky"
    assert [v.id for v in told(LINE, [({"x": 0.5}, 1.0)]).verdict()] == ["edge:x"]


def test_repeats_have_students_interval():
    study = _run(study_of(), 10, noisy)
    again = study.repeat(noisy, 6)
    assert again.params == study.best.params
    assert len(set(again.values)) == 6
    want = stats.t.interval(0.95, 5, np.mean(again.values), stats.sem(again.values))
    assert (again.low, again.high) == pytest.approx(want)
    assert again == study.repeat(noisy, 6)
    with pytest.raises(TrialError, match="did not complete"):
        study.repeat(lambda params, trial: None)


# --- export and pictures ----------------------------------------------------------------------------------------------


def mixed():
    space = Space(value=Float(0, 1), rule=Choice(["a,b", 'c"d']), beta=Float(0, 1, when={"rule": "a,b"}))
    study = Study(space, Random(seed=3))
    outcomes = iter([0.5, math.nan, 0.25, 0.125])

    def objective(params, trial):
        trial.report(math.nan, 0)
        return next(outcomes)

    study.run(objective, trials=4)
    return study


def test_csv_reads_back_exactly(tmp_path):
    study = mixed()
    study.to_csv(tmp_path / "a.csv")
    with open(tmp_path / "a.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    for row, trial in zip(rows, study.trials, strict=True):
        assert row["value"] == ("" if trial.value is None else repr(trial.value))
        assert float(row["params.value"]) == trial.params["value"]
        assert row["rule"] == trial.params["rule"]
        assert (row["beta"] == "") == ("beta" not in trial.params)
        assert row["error"] == (trial.error or "")


def test_json_is_json(tmp_path):
    study = mixed()
    study.to_json(tmp_path / "a.json")
    content = json.loads((tmp_path / "a.json").read_text(), parse_constant=pytest.fail)
    assert [t["params"] for t in content["trials"]] == [t.params for t in study.trials]
    assert content["trials"][0]["reports"] == [[0, None]]
    assert Space.from_dict(content["space"]) == study.space
    with pytest.raises(StorageError, match="can't be written"):
        study.to_json(tmp_path)


def test_parquet_reads_back_or_says_what_it_needs(tmp_path):
    study = mixed()
    try:
        import pyarrow.parquet as pq
    except ImportError:
        with pytest.raises(ConfigError, match=r"pip install \'optlab\[parquet\]\'"):
            study.to_parquet(tmp_path / "a.parquet")
        assert not Path(tmp_path / "a.parquet").exists()
    else:
        study.to_parquet(tmp_path / "a.parquet")
        assert pq.read_table(tmp_path / "a.parquet").column("value").to_pylist() == [t.value for t in study.trials]


def test_pictures_show_the_trials():
    study = _run(study_of(), 30)
    study.tell(study.ask(), math.nan)
    ax = study.plot_history()
    lines = {line.get_label(): line.get_xydata() for line in ax.get_lines()}
    assert lines["trial"].tolist() == [[t.number, t.value] for t in study.complete]
    assert lines["best so far"][-1, 1] == study.best.value
    assert lines["failed or pruned"][:, 0].tolist() == [30]
    fig = study.plot_slice()
    panels = fig.axes[: len(SPACE)]
    assert [panel.get_xlabel() for panel in panels] == list(SPACE)
    assert panels[1].get_xscale() == "log"
    xs = panels[0].collections[0].get_offsets()[:, 0]
    assert xs.tolist() == [t.params["x"] for t in study.complete]
    for pair in (("x", "lr"), ("lr", "width"), ("rule", "x"), ("x", "rule")):
        ax = study.plot_contour(*pair)
        assert (ax.get_xlabel(), ax.get_ylabel()) == pair
        ax.figure.canvas.draw()
    fig.canvas.draw()


def test_pictures_of_little_and_of_much():
    one = told(SPACE, [({"x": 0.0, "lr": 0.1, "width": 3, "rule": "sgd"}, -1.0)])
    line = told(Space(x=Float(0, 1), y=Float(0, 1)), [({"x": i / 10, "y": i / 10}, 10.0**i) for i in range(10)])
    for study, pair in ((one, ("x", "lr")), (line, ("x", "y"))):
        for artist in (study.plot_history(), study.plot_contour(*pair)):
            artist.figure.canvas.draw()
        study.plot_slice().canvas.draw()
    assert line.plot_history().get_yscale() == "log"


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
