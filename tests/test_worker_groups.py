"""What an objective starts ends with its worker, and a worker with its driver, whatever either was doing."""

import concurrent.futures
import ctypes
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest
import sweeps
from conftest import LONG
from sweeps import bowl

from optlab.search import Choice, Float, Grid, Random, Space, Study
from optlab.search.processes import reap

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
LINE = Space(x=Float(0.0, 1.0))


def children():
    """Starts a program, a program of a program, a fork and a process of multiprocessing, and notes who they are."""
    before = len(below(os.getpid()))
    subprocess.Popen(["sleep", "600"])
    subprocess.Popen(["sh", "-c", "sleep 600 & sleep 600"])
    if os.fork() == 0:
        time.sleep(600)
        os._exit(0)
    multiprocessing.get_context("fork").Process(target=time.sleep, args=(600,), daemon=True).start()
    note(before + 5)


def note(expected):
    """Write the numbers of this process and of all below it, once there are so many, into a folder."""
    while len(found := below(os.getpid())) < expected:
        time.sleep(0.02)
    for pid in [os.getpid(), *found]:
        Path(os.environ["SWEEP_LOG"], str(pid)).touch()
    Path(os.environ["SWEEP_LOG"], "all").touch()


def stat(pid):
    """State and parent of a process; None if it has ended."""
    with suppress(OSError):
        state, parent = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[:2]
        return None if state in "ZX" else (state, int(parent))
    return None


def below(pid):
    """The children of a process and theirs."""
    pids = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
    own = [child for child in pids if (found := stat(child)) is not None and found[1] == pid]
    return own + [grandchild for child in own for grandchild in below(child)]


def assert_all_end(folder, count):
    """Those that are noted in the folder; a killed process may take a moment."""
    pids = [int(path.name) for path in folder.iterdir() if path.name.isdigit()]
    assert len(pids) >= count
    until = time.monotonic() + 30.0
    while alive := [pid for pid in pids if stat(pid) is not None]:
        assert time.monotonic() < until, alive
        time.sleep(0.02)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("SWEEP_LOG", str(tmp_path))
    return tmp_path


ENDS = {
    "returns": lambda: 1.0,
    "exits": lambda: os._exit(3),
    "is killed": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "is late": lambda: time.sleep(600),
    "holds the GIL": lambda: ctypes.PyDLL(None).sleep(600),
}


def parent(params):
    children()
    return ENDS[params["end"]]()


@pytest.mark.fault(36, cases=5)
def test_children_end_with_their_worker(folder):
    study = Study(Space(end=Choice(list(ENDS))), Grid(end=list(ENDS)))
    study.run(parent, trials=len(ENDS), executor=2, retries=0, timeout=5.0)
    assert [trial.state for trial in study.trials] == ["complete", "crashed", "crashed", "failed", "failed"]
    assert_all_end(folder, 5 * len(ENDS))


DRIVER = """
import os, sys, threading, time
from pathlib import Path
import test_worker_groups
from optlab.search import Random, Study
from test_worker_groups import LINE

def fork():
    folder = Path(os.environ["SWEEP_LOG"])
    while not (folder / "all").exists():
        time.sleep(0.02)
    if os.fork() == 0:
        (folder / "forked").write_text(str(os.getpid()))
        time.sleep(600)

if sys.argv[2] == "forks":
    threading.Thread(target=fork, daemon=True).start()
Study(LINE, Random()).run(getattr(test_worker_groups, sys.argv[1]), trials=1, executor=1)
"""


def sleeps(params):
    children()
    time.sleep(600)


def holds(params):
    children()
    ctypes.PyDLL(None).sleep(600)


def alone(params):
    note(0)
    ctypes.PyDLL(None).sleep(600)


def nests(params):
    Study(LINE, Random()).run(sleeps, trials=1, executor=1)


@pytest.mark.parametrize(
    ("objective", "forks", "count"), [("sleeps", "", 6), ("holds", "", 6), ("nests", "", 6), ("alone", "forks", 1)]
)
@pytest.mark.fault(36)
def test_a_killed_driver_leaves_nothing(objective, forks, count, folder):
    """The last: another process keeps the driver's end of every pipe, so that only Linux says that it died."""
    driver = subprocess.Popen([sys.executable, "-c", DRIVER, objective, forks], env=sweeps.environment())
    forked = folder / "forked"
    while not (forked if forks else folder / "all").exists():
        assert driver.poll() is None
        time.sleep(0.02)
    driver.kill()
    driver.wait()
    try:
        assert_all_end(folder, count)
    finally:
        if forks:
            os.kill(int(forked.read_text()), signal.SIGKILL)


@pytest.mark.fault(36)
def test_an_interpreter_ends_whose_thread_still_runs_a_study(folder):
    script = """
import os, threading, time
from test_worker_groups import *
run = lambda: Study(LINE, Random()).run(sleeps, trials=1, executor=1)
threading.Thread(target=run, daemon=True).start()
while not Path(os.environ["SWEEP_LOG"], "all").exists():
    time.sleep(0.02)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, env=sweeps.environment(), timeout=120)
    assert (done.returncode, done.stderr) == (0, b"")
    assert_all_end(folder, 6)


def test_an_exit_code_that_another_thread_takes_is_waited_for():
    process = multiprocessing.get_context("spawn").Process(target=time.sleep, args=(600,), daemon=True)
    process.start()
    taken = threading.Event()

    def take():  # what `multiprocessing` does to all processes whenever one starts, slowly
        _, status = os.waitpid(process.pid, 0)
        taken.set()
        time.sleep(0.3)
        process._popen.returncode = os.waitstatus_to_exitcode(status)

    thread = threading.Thread(target=take)
    thread.start()
    process.kill()
    taken.wait()
    reap(process)
    assert process.exitcode == -signal.SIGKILL
    process.close()
    thread.join()


# --- what an objective may do with processes --------------------------------------------------------------------------


def square(x):
    return x * x


def pools(params):
    """Uses pools of its own, as data loaders do."""
    total = 0
    for method in ("fork", "spawn"):
        with multiprocessing.get_context(method).Pool(2) as pool:
            total += sum(pool.map(square, range(5)))
    with concurrent.futures.ProcessPoolExecutor(2, multiprocessing.get_context("fork")) as pool:
        total += sum(pool.map(square, range(5)))
    process = multiprocessing.get_context("spawn").Process(target=square, args=(3,))
    process.start()
    process.join()
    return float(total + process.exitcode)


@pytest.mark.fault(36)
def test_an_objective_may_use_multiprocessing():
    study = Study(LINE, Random())
    study.run(pools, trials=1, executor=1)
    assert study.trials[0].value == 3 * (0 + 1 + 4 + 9 + 16), study.trials[0].error


def ends_its_children(params):
    """Asks a program and a fork to end; -15 twice."""
    program = subprocess.Popen(["sleep", "600"])
    program.terminate()
    fork = multiprocessing.get_context("fork").Process(target=time.sleep, args=(600,))
    fork.start()
    fork.terminate()
    fork.join(20)
    return float(program.wait(60) + (fork.exitcode or 0))


@pytest.mark.fault(36)
def test_a_workers_children_can_be_terminated():
    """A worker doesn't act on SIGTERM, and a program inherits what its parent ignores."""
    study = Study(LINE, Random())
    study.run(ends_its_children, trials=1, executor=1)
    assert study.trials[0].value == -2.0 * signal.SIGTERM, study.trials[0].error


def loads(params):
    """What a training with torch does: an epoch from a loader with workers."""
    import torch

    data = torch.utils.data.TensorDataset(torch.arange(10.0))
    loader = torch.utils.data.DataLoader(data, batch_size=5, num_workers=2)
    return float(sum(batch.sum() for (batch,) in loader))


@pytest.mark.skipif(not LONG, reason="torch takes ten seconds to import, twice")
@pytest.mark.fault(36)
def test_an_objective_may_use_a_data_loader():
    pytest.importorskip("torch", reason="torch's loader is the one that people use; pip install torch")
    study = Study(LINE, Random())
    study.run(loads, trials=1, executor=1)
    assert study.trials[0].value == sum(range(10)), study.trials[0].error


def signaled(params):
    """Gets what a batch system sends to every process of a job."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        os.kill(os.getpid(), number)
    return bowl({**params, "lr": 0.01, "width": 1, "rule": "sgd"})


@pytest.mark.fault(36, cases=3)
def test_a_signal_to_a_worker_ends_no_trial():
    study = Study(LINE, Random())
    study.run(signaled, trials=2, executor=1)
    assert [trial.state for trial in study.trials] == ["complete", "complete"]
