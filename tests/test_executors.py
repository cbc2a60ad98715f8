"""What every executor must do: one suite for serial, threads, processes, other people's pools and Dask."""

import collections
import concurrent.futures
import contextlib
import importlib
import os
import sys
import threading
import time

import pytest
from conftest import LONG
from faults import SAMPLERS, straight
from sweeps import POISON, SPACE, bowl, child, noisy, poisoned, table

from optlab.errors import ConfigError
from optlab.integrations.dask import HERE
from optlab.search import Float, Grid, Int, Random, Space, Study, TrialError
from optlab.search.executors import crew_for
from optlab.search.trial import Live

NUMBERS = Space(n=Int(0, 11))
KINDS = ["serial", "threads", "processes", "thread pool", "process pool", "dask"]
FAR = ["processes", "dask"]  # a trial that takes its process along takes nothing else


def number(params):
    return float(params["n"])


def broken(params):
    if params["n"] == 3:
        raise ValueError("no threes")
    return float(params["n"])


def deadly(params):
    if params["n"] == 3:
        os._exit(7)
    return float(params["n"])


def slow(params):
    time.sleep(9.0)
    return float(params["n"])


class Free:
    """Runs in threads: it says that it leaves the interpreter to others."""

    releases_gil = True

    def __init__(self, function):
        self._function = function

    def __call__(self, params):
        return self._function(params)


@contextlib.contextmanager
def cluster_of(workers, **scheduler):
    """A scheduler and worker processes, reached over TCP as anywhere else."""
    distributed = pytest.importorskip("distributed", reason="needs Dask: pip install 'optlab[dask]'")
    options = {**HERE, "protocol": "tcp", "silence_logs": "CRITICAL"}
    options["scheduler_kwargs"] = HERE["scheduler_kwargs"] | scheduler
    environment, path = dict(os.environ), sys.path[:]
    with distributed.LocalCluster(n_workers=workers, **options) as cluster:
        yield cluster
    os.environ.clear()  # Dask sets thread counts and a hash seed for all that comes after it
    os.environ.update(environment)
    sys.path[:] = path


@pytest.fixture(scope="module")
def cluster():
    with cluster_of(2) as cluster:
        yield cluster.scheduler_address


@pytest.fixture(params=KINDS)
def kind(request):
    return request.param


@pytest.fixture
def sweep(kind, request):
    """``sweep(objective, **options)`` runs a grid of 12 on this executor; returns the study."""
    pool = {"thread pool": concurrent.futures.ThreadPoolExecutor, "process pool": _spawned}.get(kind)
    executor = {"serial": None, "threads": 2, "processes": 2}.get(kind)
    if kind == "dask":
        executor = request.getfixturevalue("cluster")
    elif pool is not None:
        executor = pool(2)

    def run(objective, study=None, **options):
        study = study or Study(NUMBERS, Grid(n=list(range(12))))
        objective = Free(objective) if kind == "threads" else objective
        study.run(objective, trials=options.pop("trials", 12), executor=executor, **options)
        return study

    run.executor = executor
    yield run
    if pool is not None:
        executor.shutdown()


def _spawned(workers):
    import multiprocessing

    return concurrent.futures.ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"))


def states(study):
    return collections.Counter(trial.state for trial in study.trials)


def test_every_trial_is_run_once_with_its_own_result(sweep):
    assert [trial.value for trial in sweep(number).trials] == [float(n) for n in range(12)]


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.fault(9)
def test_the_trials_are_those_of_any_other(sweep, sampler):
    assert table(sweep(bowl, Study(SPACE, SAMPLERS[sampler]()))) == table(straight(sampler, 12))


@pytest.mark.skipif(not LONG, reason="a cluster for each number of workers takes long")
@pytest.mark.parametrize("workers", [1, 2, 4, 8])
@pytest.mark.fault(9, cases=len(SAMPLERS))
def test_the_trials_are_the_same_at_any_number_of_dask_workers(workers):
    with cluster_of(workers) as cluster:
        for sampler in SAMPLERS:
            study = Study(SPACE, SAMPLERS[sampler]())
            study.run(noisy, trials=24, executor=cluster.scheduler_address)
            assert table(study) == table(straight(sampler, 24, noisy))


def test_an_exception_is_the_trials_own(sweep):
    study = sweep(broken)
    assert states(study) == {"complete": 11, "failed": 1}
    assert study.trials[3].error == "ValueError: no threes"


def test_a_second_run_finds_the_executor_as_it_was(sweep):
    study = sweep(number, trials=6)
    assert states(sweep(number, study, trials=6)) == {"complete": 12}


@pytest.mark.parametrize("kind", FAR, indirect=True)
@pytest.mark.fault(3)
def test_a_worker_that_dies_costs_its_own_trial(sweep):
    study = sweep(deadly, retries=0)
    assert states(study) == {"complete": 11, "crashed": 1}
    assert study.trials[3].state == "crashed"


@pytest.mark.skipif(not LONG, reason="Dask begins a poison trial eight times, each in a new process")
@pytest.mark.parametrize("poison", POISON)
@pytest.mark.fault(3)
def test_a_poison_trial_on_dask_costs_itself_alone(poison, tmp_path, monkeypatch):
    monkeypatch.setenv("SWEEP_LOG", str(tmp_path / "log"))
    monkeypatch.setenv("SWEEP_POISON", poison)
    with cluster_of(2) as cluster:  # its workers have this environment
        study = Study(Space(n=Int(0, 40)), Grid(n=list(range(41))))
        study.run(poisoned, trials=41, executor=cluster.scheduler_address)
    assert states(study) == {"complete": 40, "crashed": 1}
    assert study.trials[17].state == "crashed"


@pytest.mark.parametrize("kind", ["process pool"], indirect=True)
@pytest.mark.fault(3)
def test_a_pool_that_dies_with_its_worker_says_so(sweep):
    with pytest.raises(TrialError, match="survive a process that dies"):
        sweep(deadly)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "serial"], indirect=True)
def test_a_slow_trial_is_given_up(sweep):
    study = sweep(number, trials=6)  # the clock of somebody else's pool runs while its processes start
    sweep(slow, study, trials=1, timeout=1.0)  # alone: on a busy machine any other would be late, too
    sweep(number, study, trials=5)
    assert states(study) == {"complete": 11, "failed": 1}
    assert "timed out after 1 s" in study.trials[6].error


def test_a_trial_that_was_given_up_keeps_its_place_until_it_ends():
    """Another one would wait behind it, and be given up without having begun."""
    end = threading.Event()
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        crew = crew_for(pool, lambda params: float(end.wait()), timeout=0.1)
        assert crew.size == 2
        for number in range(2):
            assert crew.submit(Live(number, {}, 0)).result().state == "failed"
            assert crew.size == 1
        end.set()
    assert crew.size == 2


class Cancels(concurrent.futures.ThreadPoolExecutor):
    """Cancels its fifth task."""

    tasks = 0

    def submit(self, *arguments):
        self.tasks += 1
        if self.tasks != 5:
            return super().submit(*arguments)
        future = concurrent.futures.Future()
        future.cancel()
        future.set_running_or_notify_cancel()
        return future


def test_a_cancelled_trial_is_unfinished_and_runs_first_next_time():
    study = Study(NUMBERS, Grid(n=list(range(12))))
    with Cancels(1) as pool, pytest.raises(TrialError, match="cancelled"):
        study.run(number, trials=12, executor=pool)
    assert study.trials[4].state == "running"
    study.run(number, trials=12)
    assert [trial.value for trial in study.trials] == [float(n) for n in range(12)]


def test_an_executor_that_was_shut_down_is_told():
    pool = concurrent.futures.ThreadPoolExecutor(1)
    pool.shutdown()
    study = Study(NUMBERS, Grid(n=list(range(12))))
    with pytest.raises(TrialError, match="shutdown"):
        study.run(number, trials=12, executor=pool)


@pytest.mark.fault(4)
def test_a_result_that_comes_twice_counts_once():
    class Twice(concurrent.futures.ThreadPoolExecutor):
        def submit(self, *arguments):
            super().submit(*arguments)
            return super().submit(*arguments)

    study = Study(NUMBERS, Grid(n=list(range(12))))
    with Twice(3) as pool:
        study.run(number, trials=12, executor=pool)
    assert [trial.value for trial in study.trials] == [float(n) for n in range(12)]


def test_nothing_is_left_behind():
    """In a process of its own: in this one, Dask starts threads when it likes."""
    script = (
        "import multiprocessing, threading\n"
        "from test_executors import *\n"
        "Study(NUMBERS, Grid(n=list(range(12)))).run(number, trials=12, executor=2)\n"
        "assert multiprocessing.active_children() == []\n"
        "assert threading.enumerate() == [threading.main_thread()]"
    )
    done = child(script)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("executor", "message"),
    {
        "daks": "'dask' or the address of a scheduler",
        0: "at least 1",
        3.5: "executor= takes",
        True: "executor= takes",
        "tcp://127.0.0.1:1": "no Dask scheduler answers|pip install",
    }.items(),
)
def test_what_is_no_executor_is_refused(executor, message, monkeypatch):
    monkeypatch.setattr("optlab.integrations.dask.WAIT", 1)
    with pytest.raises((ConfigError, TrialError), match=message):
        Study(Space(x=Float(0, 1)), Random()).run(bowl, trials=1, executor=executor)


def test_dask_is_named_where_it_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(ConfigError, match=r"pip install 'optlab\[dask\]'"):
        Study(Space(x=Float(0, 1)), Random()).run(bowl, trials=1, executor="dask")


def test_an_objective_that_the_cluster_cannot_import_is_refused(cluster, tmp_path, monkeypatch):
    (tmp_path / "only_here.py").write_text("def objective(params):\n    return params['n']\n")
    monkeypatch.syspath_prepend(tmp_path)
    objective = importlib.import_module("only_here").objective
    study = Study(NUMBERS, Grid(n=list(range(12))))
    with pytest.raises(ConfigError, match=r"the Dask cluster can't load objective: ModuleNotFoundError: .*only_here"):
        study.run(objective, trials=12, executor=cluster)
    assert study.trials == []
