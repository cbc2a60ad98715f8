"""Faults of workers that a sweep survives, and that their number changes nothing."""

import collections
import concurrent.futures
import multiprocessing
import os
import pickle
import signal
import threading
import time
import warnings
from contextlib import suppress

import pytest
import sweeps
from conftest import LONG
from faults import SAMPLERS, straight
from sweeps import POISON, SPACE, bowl, table

from optlab.search import GP, Grid, Int, Random, Space, Study, TrialError
from optlab.search.worker import work

# --- 1: its driver dies ----------------------------------------------------------------------------------------------


@pytest.mark.fault(1)
def test_a_worker_whose_driver_is_gone_ends_without_a_word(tmp_path, capfd):
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    worker = context.Process(target=work, args=(theirs, pickle.dumps(sweeps.awaited), 1))
    worker.start()
    theirs.close()
    assert ours.recv() == ("ready", None)
    ours.send(("trial", (0, 0), {"file": str(tmp_path / "go on")}, 1))
    ours.close()
    (tmp_path / "go on").touch()
    worker.join()
    assert worker.exitcode == 0
    assert capfd.readouterr().err == ""


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
        go.wait(600)
        return 1.0

    study = Study(SPACE, Random(seed=5))
    with pytest.warns(UserWarning, match="runs in threads"):
        study.run(late, trials=2, executor=2, timeout=0.2)
    go.set()
    time.sleep(0.1)
    assert [trial.state for trial in study.trials] == ["failed"] * 2
    assert "timed out after 0.2 s; its thread can't be stopped" in study.trials[0].error


def paused(params):
    """The first trial says which process it runs in, and pauses it."""
    try:
        with open(os.environ["SWEEP_LOG"], "x") as file:
            file.write(f"{os.getpid()}\n")
    except FileExistsError:
        return bowl(params)
    os.kill(os.getpid(), signal.SIGSTOP)
    return bowl(params)


@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="no SIGSTOP")
@pytest.mark.parametrize("timeout", [None, 5.0])
@pytest.mark.fault(4)
def test_a_paused_worker_costs_at_most_its_own_trial(timeout, tmp_path, monkeypatch):
    """Without a timeout it is waited for, and what it says at last is its trial's one result."""
    log = tmp_path / "log"
    monkeypatch.setenv("SWEEP_LOG", str(log))

    over = threading.Event()

    def wake():
        while not (log.exists() and log.read_text().endswith("\n")):
            time.sleep(0.01)
        time.sleep(60.0 if LONG else 1.0)
        while not over.wait(0.1):  # one that comes before the pause is lost
            with suppress(ProcessLookupError):
                os.kill(int(log.read_text()), signal.SIGCONT)

    study = Study(SPACE, Random(seed=5))
    if timeout is None:
        waker = threading.Thread(target=wake)
        waker.start()
        study.run(paused, trials=40, executor=2)
        over.set()
        waker.join()
    else:  # alone: on a busy machine any other would be late, too
        study.run(paused, trials=1, executor=1, timeout=timeout)
        study.run(paused, trials=39, executor=2)
    late = {trial.number: trial.error for trial in study.trials if trial.state != "complete"}
    assert list(late.values()) == ["timed out after 5 s; its process was killed"] * (timeout is not None)
    assert {trial.starts for trial in study.trials} == {1}
    done = [row for row in table(study) if row[0] not in late]
    assert done == [row for row in table(straight("random", 40)) if row[0] not in late]
    assert study.log() == []


# --- 9: any number of workers --------------------------------------------------------------------------


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


# --- 10: a sampler that learns, in batches ----------------------------------------------------------------------------


@pytest.mark.parametrize("batch", [1, 4] if LONG else [4])
@pytest.mark.parametrize("seed", [2, 3] if LONG else [2])
@pytest.mark.fault(10, cases=3 if LONG else 1)
def test_the_same_proposals_of_a_batch_at_any_number_of_processes(seed, batch):
    def searched(executor):
        study = Study(SPACE, GP(seed=seed, initial=4))
        study.run(bowl, trials=14, batch=batch, executor=executor)
        return table(study)

    want = searched(None)
    for workers in (1, 2, 4) if LONG else (2,):
        assert searched(workers) == want
