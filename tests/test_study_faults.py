"""Faults a sweep survives, counted: short counts by default, the published ones with OPTLAB_LONG=1."""

import collections
import concurrent.futures
import json
import math
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import threading
import time
import warnings

import numpy as np
import pytest
import sweeps
from conftest import LONG
from sweeps import POISON, SPACE, bowl, table

from optlab.search import GP, Grid, Int, Pruned, Random, Sobol, Space, Study, TrialError

SAMPLERS = {
    "grid": lambda: Grid(x=[-0.5, 0.0, 0.5], lr=[1e-3, 1e-2], width=[4, 8], rule=["sgd", "adam"]),
    "random": lambda: Random(seed=5),
    "sobol": lambda: Sobol(seed=5),
}
LEARNS = {**SAMPLERS, "gp": lambda: GP(seed=5)}


def straight(sampler, trials, objective=bowl, **options):
    study = Study(SPACE, LEARNS[sampler](), **options)
    study.run(objective, trials=trials)
    return study


def driver(path, total, workers, name="logged", **environment):
    paths = os.pathsep.join(p for p in sys.path if p)
    command = [sys.executable, sweeps.__file__, str(path), str(total), str(workers), name]
    environment = {**os.environ, "PYTHONPATH": paths, **environment}
    return subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)


# --- 1: the driver is killed ------------------------------------------------------------------------------------------


KILLS = 200 if LONG else 5


@pytest.mark.fault(1, cases=KILLS)
def test_a_killed_driver_loses_and_repeats_nothing(tmp_path):
    """Workers that outlive their driver may end a trial that nobody records; that one alone runs again.

    As many sweeps as it takes: a kill counts if it found the driver at work.
    """
    total, want = (200 if LONG else 60), None
    options = {"SWEEP_SLEEP": "0.1" if LONG else "0.02"}
    chance = random.Random(0)
    kills = lost = repeated = sweep = 0
    resumes = []
    while kills < KILLS:
        sweep += 1
        path, log = tmp_path / f"{sweep}.db", tmp_path / f"{sweep}.log"
        acknowledged, before = {}, kills
        while len(acknowledged) < total:
            began = time.monotonic()
            process = driver(path, total, 4, **options, SWEEP_LOG=str(log))
            ready = path.with_name(f"{path.name}.ready")
            while kills < KILLS and not ready.exists():
                time.sleep(0.01)
            if kills < KILLS:
                resumes.append(time.monotonic() - began)
                ready.unlink()
                time.sleep(chance.uniform(0.0, 2.0 if LONG else 0.8))
                kills += process.poll() is None
                process.kill()
            _, error = process.communicate(timeout=120)
            assert error == "" or process.returncode == -signal.SIGKILL
            ended = {t.number: t for t in Study(SPACE, Random(seed=5), storage=path).trials if t.state != "running"}
            lost += sum(number not in ended for number in acknowledged)
            repeated += sum(
                ended[n].finished != t.finished or ended[n].starts != t.starts for n, t in acknowledged.items()
            )
            acknowledged = ended
        runs = len(log.read_text().splitlines())
        assert total <= runs <= total + 4 * (kills - before), "only what ran at a kill may run twice"
        want = want or table(straight("random", total))
        assert table(Study(SPACE, Random(seed=5), storage=path)) == want
    print(f"{kills} kills in {sweep} sweeps: lost {lost}, repeated {repeated}, resumed in at most {max(resumes):.2f} s")
    assert (lost, repeated) == (0, 0)


# --- 3: a worker dies -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("workers", [1, 2, 4] if LONG else [2])
@pytest.mark.parametrize("kind", POISON)
@pytest.mark.fault(3)
def test_a_poison_trial_costs_itself_alone(kind, workers, tmp_path, monkeypatch):
    monkeypatch.setenv("SWEEP_LOG", str(tmp_path / "log"))
    monkeypatch.setenv("SWEEP_POISON", kind)
    study = Study(Space(n=Int(0, 40)), Grid(n=list(range(41))))
    study.run(sweeps.poisoned, trials=41, executor=workers, retries=2)
    states = collections.Counter(trial.state for trial in study.trials)
    assert states == {"complete": 40, "crashed": 1}
    assert study.trials[17].error.startswith("its process ")
    runs = (tmp_path / "log").read_text().split()
    assert len(runs) == 43
    assert runs.count("17") == 3
    assert runs[-2:] == ["17", "17"], "its later tries are alone, after the others"
    assert [text for _, _, text in study.log()] == [f"{study.trials[17].error}; once more, alone"] * 2


@pytest.mark.fault(3, cases=3)
def test_a_worker_killed_from_outside_costs_no_trial():
    study = Study(SPACE, Random(seed=5))
    stop = threading.Event()
    others = multiprocessing.active_children()  # an earlier test's pool may be idling in this process

    def hunt():
        """At most once per ten trials: workers that never get to begin are another matter."""
        try:
            for kill in range(3):
                while len(study.trials) < 10 * kill + 3:
                    time.sleep(0.05)
                for child in [child for child in multiprocessing.active_children() if child not in others][:1]:
                    child.kill()
        finally:
            stop.set()

    hunter = threading.Thread(target=hunt)
    hunter.start()
    while not stop.is_set():
        study.run(sweeps.slow, trials=10, executor=2, retries=5)
    hunter.join()
    assert {trial.state for trial in study.trials} == {"complete"}
    assert table(study) == table(straight("random", len(study.trials)))


@pytest.mark.fault(3)
def test_a_pool_that_breaks_is_told_and_its_trials_run_next_time(tmp_path, monkeypatch):
    monkeypatch.setenv("SWEEP_LOG", str(tmp_path / "log"))
    monkeypatch.setenv("SWEEP_POISON", "exit")
    study = Study(Space(n=Int(0, 40)), Grid(n=list(range(41))))
    context = multiprocessing.get_context("spawn")
    with (
        concurrent.futures.ProcessPoolExecutor(2, mp_context=context) as pool,
        pytest.raises(TrialError, match=r"executor broke.*executor=2"),
    ):
        study.run(sweeps.poisoned, trials=41, executor=pool)
    before = sum(trial.state == "complete" for trial in study.trials)
    assert all(trial.state in ("complete", "running") for trial in study.trials)
    study.run(bowl_of_n, trials=41 - before)
    assert {trial.state for trial in study.trials} == {"complete"}


def bowl_of_n(params):
    return float(params["n"])


# --- 4: answers that come twice or late -------------------------------------------------------------------------------


class Twice(concurrent.futures.ThreadPoolExecutor):
    """An engine that runs everything twice."""

    def submit(self, function, *args):
        super().submit(function, *args)
        return super().submit(function, *args)


@pytest.mark.fault(4)
def test_an_engine_that_runs_a_trial_twice_leaves_one_row():
    study = Study(SPACE, Random(seed=5))
    with Twice(4) as pool:
        study.run(bowl, trials=30, executor=pool)
    assert table(study) == table(straight("random", 30))


@pytest.mark.fault(4, cases=2)
def test_a_late_answer_is_not_taken(tmp_path):
    go = threading.Event()

    def late(params):
        go.wait(20)
        return 1.0

    study = Study(SPACE, Random(seed=5))
    with pytest.warns(UserWarning, match="runs in threads"):
        study.run(late, trials=2, executor=2, timeout=0.2)
    go.set()
    time.sleep(0.1)
    assert [trial.state for trial in study.trials] == ["failed"] * 2
    assert "timed out after 0.2 s; its thread can't be stopped" in study.trials[0].error


@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="no SIGSTOP")
@pytest.mark.fault(4)
def test_a_paused_driver_that_wakes_finds_its_trials_done_by_none_but_itself(tmp_path):
    """Its process lives, so that nobody takes its claims; another driver goes on around them."""
    path = tmp_path / "a.db"
    options = {"SWEEP_LOG": str(tmp_path / "log"), "SWEEP_SLEEP": "0.05"}
    process = driver(path, 12, 0, **options)
    while not (path.exists() and len(Study(SPACE, Random(seed=5), storage=path).trials) > 2):
        time.sleep(0.02)
    process.send_signal(signal.SIGSTOP)
    study = Study(SPACE, Random(seed=5), storage=path)
    study.run(bowl, trials=5)
    assert sum(trial.state == "running" for trial in study.trials) <= 1
    process.send_signal(signal.SIGCONT)
    assert process.wait(60) == 0
    process.stderr.close()
    trials = study.trials
    assert {trial.state for trial in trials} == {"complete"}
    assert {trial.starts for trial in trials} == {1}
    assert table(study) == table(straight("random", len(trials)))


# --- 6, 9: any number of workers and drivers --------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["threads", "pool", "processes"])
@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.fault(9, cases=4 if LONG else 1)
def test_the_same_trials_at_any_number_of_workers(sampler, kind):
    want = table(straight(sampler, 24, sweeps.noisy))
    for workers in [1, 2, 4, 8] if LONG or kind != "processes" else [4]:
        study = Study(SPACE, SAMPLERS[sampler]())
        with concurrent.futures.ThreadPoolExecutor(workers) as pool, warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # a closure runs in threads, with a notice
            closure = lambda params, trial: sweeps.noisy(params, trial)  # noqa: E731
            crew = {"pool": pool, "threads": workers, "processes": workers}[kind]
            study.run(closure if kind == "threads" else sweeps.noisy, trials=24, executor=crew)
        assert table(study) == want


@pytest.mark.fault(6, cases=5 if LONG else 1)
def test_eight_drivers_share_a_grid_without_a_double(tmp_path):
    grid = {"n": list(range(80))}
    counts = collections.Counter()

    def counted(params):
        counts[params["n"]] += 1
        time.sleep(0.002)
        return float(params["n"])

    def drive():
        Study(Space(n=Int(0, 79)), Grid(**grid), storage=tmp_path / "a.db").run(counted, trials=80)

    for _ in range(5 if LONG else 1):
        (tmp_path / "a.db").unlink(missing_ok=True)
        counts.clear()
        threads = [threading.Thread(target=drive) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert counts == dict.fromkeys(range(80), 1)


EIGHTY = """
import sys
import sweeps
from optlab.search import Grid, Int, Space, Study
Study(Space(n=Int(0, 79)), Grid(n=list(range(80))), storage=sys.argv[1]).run(sweeps.logged, trials=80)
"""


@pytest.mark.fault(6, cases=20 if LONG else 1)
def test_eight_driver_processes_share_a_grid_without_a_double(tmp_path):
    paths = os.pathsep.join(p for p in sys.path if p)
    for run in range(20 if LONG else 1):
        path, log = tmp_path / f"{run}.db", tmp_path / f"{run}.log"
        environment = {**os.environ, "PYTHONPATH": paths, "SWEEP_LOG": str(log), "SWEEP_SLEEP": "0.05"}
        command = [sys.executable, "-c", EIGHTY, str(path)]
        drivers = [subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) for _ in range(8)]
        assert [d.communicate(timeout=120)[1] for d in drivers] == [""] * 8
        done = sorted(json.loads(line)["n"] for line in log.read_text().splitlines())
        assert done == list(range(80)), "80 evaluations, none twice"


# --- 11: stop and resume ----------------------------------------------------------------------------------------------


def stops(sampler):
    return pytest.mark.fault(11, cases=(23 if sampler == "grid" else 39) if LONG else 3)


@pytest.mark.parametrize("sampler", [pytest.param(name, marks=stops(name)) for name in LEARNS])
def test_a_sweep_stopped_anywhere_and_resumed_is_the_same(sampler, tmp_path):
    total = {"grid": 24, "gp": 40 if LONG else 14}.get(sampler, 40 if LONG else 20)
    want = table(straight(sampler, total))
    for k in range(1, total) if LONG else (1, 7, total - 1):
        path = tmp_path / f"{k}.db"
        straight(sampler, k, storage=path).close()
        study = Study(SPACE, LEARNS[sampler](), storage=path)
        study.run(bowl, trials=total - k)
        assert table(study) == want
        study.close()


# --- 12: what an objective may do -------------------------------------------------------------------------------------


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
def test_a_hanging_objective_is_ended():
    study = Study(SPACE, Random(seed=5))
    began = time.monotonic()
    study.run(sweeps.seconds, trials=2, timeout=0.3)
    assert time.monotonic() - began < 20
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


# --- 25: signals ------------------------------------------------------------------------------------------------------


def lines(path):
    return len(path.read_text().splitlines()) if path.exists() else 0


CODES = {"SIGINT": 130, "SIGTERM": 143, "SIGHUP": 129}


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("name", CODES)
@pytest.mark.fault(25, cases=10 if LONG else 1)
def test_a_signal_finishes_what_runs_and_leaves(name, workers, tmp_path):
    options = {"SWEEP_LOG": str(tmp_path / "log"), "SWEEP_SLEEP": "0.1"}
    path = tmp_path / "a.db"
    chance = random.Random(name)
    for _ in range(10 if LONG else 1):
        before = lines(tmp_path / "log")
        process = driver(path, 1000, workers, **options)
        while lines(tmp_path / "log") < before + 2:
            time.sleep(0.02)
        time.sleep(chance.uniform(0.0, 0.3))
        process.send_signal(getattr(signal, name))
        _, said = process.communicate(timeout=60)
        assert process.returncode == CODES[name]
        assert said == "optlab: finishing the running trials and saving; once more to stop now\n"
        study = Study(SPACE, Random(seed=5), storage=path)
        assert {trial.state for trial in study.trials} == {"complete"}
        assert len((tmp_path / "log").read_text().splitlines()) == len(study.trials)
        assert table(study) == table(straight("random", len(study.trials)))


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.fault(25, cases=10 if LONG else 1)
def test_a_second_signal_stops_now(workers, tmp_path):
    path = tmp_path / "a.db"
    for _ in range(10 if LONG else 1):
        process = driver(path, 1000, workers, "seconds")
        ready = path.with_name("a.db.ready")
        while not ready.exists():
            time.sleep(0.02)
        ready.unlink()
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=10)
        assert process.returncode == 130
    study = Study(SPACE, Random(seed=5), storage=path)
    study.run(bowl, trials=2)
    assert [t.state for t in study.trials] == ["complete"] * 2


# --- 28: endurance ----------------------------------------------------------------------------------------------------


@pytest.mark.fault(28)
def test_many_trials_take_little_memory():
    import tracemalloc

    count = 10_000 if LONG else 1_000
    study = Study(SPACE, Random(seed=5))
    tracemalloc.start()
    study.run(lambda params: params["x"], trials=count)
    grown = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert len(study.trials) == count
    assert grown < 5_000 * count, "50 MB for 10,000 trials"


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
