"""Faults of a driver that a sweep survives, counted: short counts by default, the published ones with OPTLAB_LONG=1."""

import collections
import json
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import sweeps
from conftest import LONG
from faults import LEARNS, driver, straight
from sweeps import SPACE, bowl, child, table

from optlab.search import Grid, Int, Random, Space, Study

# --- 1: the driver is killed ------------------------------------------------------------------------------------------


KILLS = 200 if LONG else 20


@pytest.mark.fault(1, cases=KILLS)
def test_a_killed_driver_loses_and_repeats_nothing(tmp_path):
    """Workers that outlive their driver may end a trial that nobody records; that one alone runs again.

    As many sweeps as it takes: a kill counts if it found workers at work. One in ten comes while they start.
    """
    total, most = (200, 20) if LONG else (80, 8)
    options = {"SWEEP_SLEEP": "0.1" if LONG else "0.02"}
    want = table(straight("random", total))
    chance = random.Random(0)
    kills = lost = repeated = cut = sweep = 0
    resumes = []
    while kills < KILLS:
        sweep += 1
        path, log = tmp_path / f"{sweep}.db", tmp_path / f"{sweep}.log"
        acknowledged, shots = {}, 0
        while len(acknowledged) < total:
            began, before = time.monotonic(), lines(log)
            process = driver(path, total, 4, **options, SWEEP_LOG=str(log))
            ready = path.with_name(f"{path.name}.ready")
            while kills < KILLS and not ready.exists():
                time.sleep(0.01)
            if kills < KILLS:
                resumes.append(time.monotonic() - began)
                ready.unlink()
                ends = 0 if chance.random() < 0.1 else chance.randint(1, most)
                while process.poll() is None and lines(log) < before + ends:
                    time.sleep(0.001)
                time.sleep(chance.uniform(0.0, 0.1))
                shots += process.poll() is None
                kills += process.poll() is None and lines(log) > before
                process.kill()
            _, error = process.communicate()
            assert error == "" or process.returncode == -signal.SIGKILL
            ended = {t.number: t for t in Study(SPACE, Random(seed=5), storage=path).trials if t.state != "running"}
            lost += sum(number not in ended for number in acknowledged)
            repeated += sum(
                ended[n].finished != t.finished or ended[n].starts != t.starts for n, t in acknowledged.items()
            )
            acknowledged = ended
        cut += (runs := lines(log)) - total
        assert total <= runs <= total + 4 * shots, "only what ran at a kill may run twice"
        assert table(Study(SPACE, Random(seed=5), storage=path)) == want
    print(
        f"{kills} kills that found trials at work, in {sweep} sweeps of {total} trials: {lost} recorded ones lost, "
        f"{repeated} run again, {cut} ended unheard and ran again; ready to go on after at most {max(resumes):.1f} s"
    )
    assert (lost, repeated) == (0, 0)


def lines(path):
    return len(path.read_text().splitlines()) if path.exists() else 0


# --- 4: it is paused ------------------------------------------------------------------------------------------


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
    assert process.wait() == 0
    process.stderr.close()
    trials = study.trials
    assert {trial.state for trial in trials} == {"complete"}
    assert {trial.starts for trial in trials} == {1}
    assert table(study) == table(straight("random", len(trials)))


# --- 6: many drivers -------------------------------------------------------------------------------------------------


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
    for run in range(20 if LONG else 1):
        path, log = tmp_path / f"{run}.db", tmp_path / f"{run}.log"
        environment = {**sweeps.environment(), "SWEEP_LOG": str(log), "SWEEP_SLEEP": "0.05"}
        command = [sys.executable, "-c", EIGHTY, str(path)]
        drivers = [subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) for _ in range(8)]
        assert [d.communicate()[1] for d in drivers] == [""] * 8
        done = sorted(json.loads(line)["n"] for line in log.read_text().splitlines())
        assert done == list(range(80)), "80 evaluations, none twice"
    print(f"8 processes on a grid of 80: 80 evaluations in {run + 1} of {run + 1} runs")


# --- 11: stop and resume ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sampler", LEARNS)
@pytest.mark.fault(11, cases=39 if LONG else 3)
def test_a_sweep_stopped_anywhere_and_resumed_is_the_same(sampler, tmp_path):
    total = 40 if LONG else 14 if sampler == "gp" else 20
    want = table(straight(sampler, total))
    for k in range(1, total) if LONG else (1, 7, total - 1):
        path = tmp_path / f"{k}.db"
        straight(sampler, k, storage=path).close()
        study = Study(SPACE, LEARNS[sampler](), storage=path)
        study.run(bowl, trials=total - k)
        assert table(study) == want
        study.close()


# --- 25: signals ------------------------------------------------------------------------------------------------------

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
        _, said = process.communicate()
        assert process.returncode == CODES[name]
        assert said == "optlab: finishing the running trials and saving; once more to stop now\n"
        study = Study(SPACE, Random(seed=5), storage=path)
        assert {trial.state for trial in study.trials} == {"complete"}
        assert len((tmp_path / "log").read_text().splitlines()) == len(study.trials)
        assert table(study) == table(straight("random", len(study.trials)))


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.fault(25, cases=10 if LONG else 1)
def test_a_second_signal_stops_now(workers, tmp_path):
    path, log = tmp_path / "a.db", tmp_path / "log"
    for _ in range(10 if LONG else 1):
        with driver(path, 1000, workers, "endless", SWEEP_LOG=str(log)) as process:
            while not log.exists():  # until a trial is at work
                time.sleep(0.02)
            process.send_signal(signal.SIGINT)
            assert process.stderr.readline().startswith("optlab: finishing the running trials")
            process.send_signal(signal.SIGINT)
            process.stderr.read()
        assert process.returncode == 130
        log.unlink(missing_ok=True)
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
    print(f"{count:,} trials in memory: Python's objects grew by {grown / 1e6:.1f} MB")


GROWTH = """
import sys
from pathlib import Path
from sweeps import *
def most():
    return next(int(line.split()[1]) for line in Path("/proc/self/status").read_text().splitlines() if "VmHWM" in line)
study = Study(SPACE, Random(seed=5), storage=sys.argv[1])
study.run(bowl, trials=100)
before = most()
study.run(bowl, trials=int(sys.argv[2]) - 100)
print(most() - before)
"""
REOPENED = """
import sys
from sweeps import *
study = Study(SPACE, Random(seed=5), storage=sys.argv[1])
print([t.number for t in study.trials] == list(range(int(sys.argv[2]))))
print(all(t.state == "complete" and t.value == bowl(t.params) and t.starts == 1 for t in study.trials))
study.run(bowl, trials=1)
print(len(study.trials))
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="no /proc to read the memory from")
@pytest.mark.fault(28)
def test_many_trials_in_a_file_take_little_memory(tmp_path):
    """What the process takes at most, SQLite's part with it, which Python does not see."""
    count, path = (10_000 if LONG else 1_000), tmp_path / "a.db"
    done = child(GROWTH, path, count)
    assert done.returncode == 0, done.stderr
    grown = int(done.stdout)  # kB
    assert grown < 5 * count, "50 MB for 10,000 trials"
    again = child(REOPENED, path, count)
    assert (again.stdout.split(), again.stderr) == (["True", "True", str(count + 1)], "")
    print(f"{count:,} trials in a file: the process grew by {grown / 1000:.1f} MB; a fresh one has them all")
