"""A trial's value and reports are its own: forks that return twice, reports of threads, answers for another trial."""

import gc
import json
import os
import subprocess
import sys
import threading
import time
from multiprocessing import Pipe

import pytest
import sweeps
from conftest import LONG

from optlab.search import Grid, Int, Space, Study
from optlab.search.pruners import Pruner
from optlab.search.trial import Outcome
from optlab.search.worker import Channel

TRIALS = 30
NUMBERS = Space(n=Int(0, TRIALS - 1))
needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")


def numbers(**options):
    return Study(NUMBERS, Grid(n=list(range(TRIALS))), **options)


def forked(params):
    """Comes back twice, the second time in one of five ways."""
    n = params["n"]
    if os.fork() == 0:
        if n % 5 == 1:
            raise ValueError("of the fork")
        if n % 5 == 2:
            sys.exit(0)
        if n % 5 == 3:
            time.sleep(0.3)  # until the next trial runs
        if n % 5 == 4:
            return -1.0
    else:
        time.sleep(0.01)
    return float(n)


EXECUTORS = {
    "serial": "executor = None",
    "threads": "forked.releases_gil = True; executor = 2",
    "processes": "executor = 2",
    "thread pool": "executor = concurrent.futures.ThreadPoolExecutor(2)",
    "fork pool": "executor = concurrent.futures.ProcessPoolExecutor(2, multiprocessing.get_context('fork'))",
    "spawn pool": "executor = concurrent.futures.ProcessPoolExecutor(2, multiprocessing.get_context('spawn'))",
    "dask": "executor = 'dask'",
}
RUN = """
import concurrent.futures, json, multiprocessing, sys
import test_worker_answers
from test_worker_answers import *
forked = test_worker_answers.forked
{executor}
if __name__ == "__main__":
    study = numbers(storage=sys.argv[1])
    study.run(forked, trials=TRIALS, executor=executor)
    print(json.dumps([[trial.state, trial.value] for trial in study.trials]), study.log())
"""


@needs_fork
@pytest.mark.parametrize("kind", [kind for kind in EXECUTORS if kind != "dask" or LONG])
@pytest.mark.fault(35, cases=TRIALS)
def test_a_fork_that_returns_is_not_heard(kind, tmp_path):
    """In a process of its own: a fork that goes on would be a second run of these tests."""
    if kind == "dask":
        pytest.importorskip("distributed")
    command = [sys.executable, "-W", "ignore", "-c", RUN.format(executor=EXECUTORS[kind]), str(tmp_path / "study.db")]
    done = subprocess.run(command, capture_output=True, text=True, env=sweeps.environment(), timeout=300)
    assert done.returncode == 0, done.stderr
    want = [["complete", float(n)] for n in range(TRIALS)]
    assert done.stdout == f"{json.dumps(want)} []\n", done.stderr
    assert done.stderr.count("ValueError: of the fork") == TRIALS // 5


@needs_fork
@pytest.mark.fault(35)
def test_the_forks_exit_code_is_as_pythons_own(tmp_path):
    script = """
import os, sys
from optlab.search import Float, Random, Space, Study
ends = [lambda: 1.0, lambda: sys.exit(), lambda: sys.exit(7), lambda: sys.exit("text"), lambda: 1 / 0]
codes = []
def objective(params):
    end = ends[len(codes)]
    if (pid := os.fork()) == 0:
        return end()
    codes.append(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
    return 0.0
Study(Space(x=Float(0, 1)), Random()).run(objective, trials=5)
print(codes)
"""
    assert sweeps.child(script).stdout == "[0, 0, 7, 1, 1]\n"


# --- reports ----------------------------------------------------------------------------------------------------------


def chatty(params, trial):
    """Four threads report at once."""
    n = params["n"]

    def report(thread):
        for step in range(25):
            trial.report(n + 100 * thread, 25 * thread + step)
            assert not trial.should_prune()

    threads = [threading.Thread(target=report, args=(thread,)) for thread in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return float(n)


class Listens(Pruner):
    """Notes what it hears."""

    def __init__(self):
        self.heard = {}

    def poor(self, number, step, loss):
        self.heard.setdefault(number, []).append((step, loss))
        return False


@pytest.mark.parametrize("executor", [None, 2])
@pytest.mark.fault(35, cases=8)
def test_threads_of_an_objective_may_report(executor):
    study, pruner = numbers(), Listens()
    study.run(chatty, trials=8, executor=executor, pruner=pruner)
    for n, trial in enumerate(study.trials):
        assert (trial.state, trial.value) == ("complete", float(n)), trial.error
        assert sorted(trial.reports) == [(step, n + 100.0 * (step // 25)) for step in range(100)]
        assert list(trial.reports) == pruner.heard[n]


def haunted(params, trial):
    """Leaves a thread that goes on reporting."""
    n = params["n"]
    trial.report(n, 0)

    def late(begun):
        while not begun.wait(0.001):
            trial.report(n, 1)

    begun = threading.Event()
    threading.Thread(target=late, args=(begun,), daemon=True).start()
    time.sleep(0.05)
    LEFT.append(begun)
    return float(n)


LEFT = []


@pytest.mark.parametrize("executor", [None, 1])
@pytest.mark.fault(35, cases=5)
def test_a_thread_that_its_trial_left_is_not_heard(executor):
    study, pruner = numbers(), Listens()
    study.run(haunted, trials=5, executor=executor, pruner=pruner)
    heard = {number: list(reports) for number, reports in pruner.heard.items()}
    time.sleep(0.05)
    assert pruner.heard == heard
    for begun in LEFT:
        begun.set()
    LEFT.clear()
    for n, trial in enumerate(study.trials):
        assert (trial.state, trial.value) == ("complete", float(n)), trial.error
        assert {value for _, value in trial.reports} == {float(n)}
        assert {loss for _, loss in heard[n]} == {float(n)}


@needs_fork
@pytest.mark.fault(35)
def test_a_fork_can_not_report():
    script = """
import os
from optlab.search import Float, Random, Space, Study
def objective(params, trial):
    if (pid := os.fork()) == 0:
        trial.report(1.0, 0)
    os.waitpid(pid, 0)
    return 0.0
Study(Space(x=Float(0, 1)), Random()).run(objective, trials=1)
"""
    assert "ConfigError: a report comes from the process that runs the trial" in sweeps.child(script).stderr


# --- the pipe ---------------------------------------------------------------------------------------------------------


def forger(params, trial):
    """Answers for another trial, too; which process it was is a report."""
    [channel] = [thing for thing in gc.get_objects() if type(thing) is Channel]
    other = (trial.number + 1, channel._ticket[1] + 1)
    channel._pipe.send(("done", other, "complete", -1.0, None, ()))
    trial.report(os.getpid(), 0)
    return float(params["n"])


@pytest.mark.fault(35, cases=4)
def test_an_answer_for_another_trial_is_dropped_and_its_worker_replaced():
    study = numbers()
    study.run(forger, trials=4, executor=1)
    assert [trial.value for trial in study.trials] == [0.0, 1.0, 2.0, 3.0]
    assert len({trial.reports[0][1] for trial in study.trials}) == 4


@pytest.mark.fault(35)
def test_an_answer_that_nobody_waits_for_any_more_is_dropped():
    """A signal's handler may raise while a report waits; what comes then belongs to that report."""
    driver, worker = Pipe()
    channel = Channel(worker)
    for attempt, late in ((0, 0), (1, 1)):
        driver.send(("answer", late, True))
        driver.send(("trial", (5, attempt), {}, 1))
        live = channel.receive_trial()
        driver.send(("answer", late, True))
        driver.send(("answer", attempt + 1, False))
        live.report(0.5, 3)
        assert not live.should_prune()
        assert driver.recv() == ("report", (5, attempt), attempt + 1, 0.5, 3)
        channel.finish("done", *Outcome("complete", 1.0))
        live.report(0.6, 4)
        assert driver.recv() == ("done", (5, attempt), "complete", 1.0, None, ())
    assert not driver.poll()


def kept(params):
    """Dies, and leaves a process that has all that it had open."""
    if params["n"] == 1:
        if os.fork() == 0:
            time.sleep(600)
        os._exit(3)
    return float(params["n"])


@needs_fork
@pytest.mark.fault(35)
def test_a_fork_that_keeps_the_pipe_does_not_hide_a_death(tmp_path):
    script = """
from test_worker_answers import *
study = numbers()
study.run(kept, trials=4, executor=1, retries=0)
print([trial.error or trial.value for trial in study.trials])
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, env=sweeps.environment(), timeout=120
    )
    assert done.stdout == "[0.0, 'its process ended with exit code 3', 2.0, 3.0]\n", done.stderr


# --- a timeout --------------------------------------------------------------------------------------------------------


def overdue(params, trial):
    """The first trial comes back, and leaves a mark, after its time."""
    trial.report(os.getpid(), 0)
    if params["n"] == 0:
        time.sleep(3.5)
        with open(os.environ["SWEEP_LOG"], "x"):
            pass
    return float(params["n"])


@pytest.mark.fault(35, cases=2)
def test_a_trial_that_would_return_after_its_timeout_is_killed_and_good_ones_follow(tmp_path, monkeypatch):
    mark = tmp_path / "mark"
    monkeypatch.setenv("SWEEP_LOG", str(mark))
    study = numbers()
    study.run(overdue, trials=3, executor=1, timeout=2.0)
    time.sleep(2.0)
    assert not mark.exists()
    assert [trial.value for trial in study.trials] == [None, 1.0, 2.0]
    assert study.trials[0].error == "timed out after 2 s; its process was killed"
    first, second, third = (trial.reports[0][1] for trial in study.trials)
    assert first != second == third
