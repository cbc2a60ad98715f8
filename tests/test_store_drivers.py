"""Several drivers of one file: who holds which trial, who is dead, whose result stands."""

import gc
import os
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing

import pytest
from conftest import LONG
from sweeps import SPACE, begun, bowl, child, environment, ran, study_of, table

from optlab.errors import ConfigError
from optlab.search import Random, Study
from optlab.search import owner as owners
from optlab.search.owner import Owner, birth_of, this_process
from optlab.search.store import DEATHS

WRITER = """
import sys
from sweeps import *
study = Study(SPACE, Random(seed=1), storage=sys.argv[1])
for _ in range(int(sys.argv[2])):
    trial = study.ask()
    study.tell(trial, bowl(trial.params))
"""


@pytest.mark.fault(6, cases=5 if LONG else 1)
def test_many_processes_write_one_file(tmp_path):
    drivers, each, runs = (16, 100, 5) if LONG else (5, 25, 1)
    want = table(begun(None, drivers * each))
    for run in range(runs):
        path = tmp_path / f"{run}.db"
        command = [sys.executable, "-c", WRITER, str(path), str(each)]
        options = {"env": environment(), "stderr": subprocess.PIPE, "text": True}
        writers = [subprocess.Popen(command, **options) for _ in range(drivers)]
        assert [(writer.communicate()[1], writer.returncode) for writer in writers] == [("", 0)] * drivers
        study = Study(SPACE, Random(seed=1), storage=path)
        assert table(study) == want
        assert {trial.starts for trial in study.trials} == {1}
    print(f"{drivers} processes, each {each} trials into one file: no lock error, none twice in {runs} of {runs} runs")


@pytest.mark.fault(4, cases=2)
def test_the_first_result_stands_and_the_second_is_noted(tmp_path):
    mine = begun(tmp_path / "a.db")
    theirs = begun(tmp_path / "a.db")
    trial = mine.ask()
    theirs.tell(trial.number, 1.0)
    mine.tell(trial, 2.0)
    mine.tell(trial, error="late")
    assert [mine.trials[0].value, theirs.trials[0].value] == [1.0, 1.0]
    assert [(number, text.split(":")[0]) for _, number, text in mine.log()] == [
        (0, "a second result was not taken")
    ] * 2


def test_claims_of_a_dead_process_are_free_at_once_and_those_of_a_living_one_are_not(tmp_path):
    script = "import os, sys; from sweeps import *; s = Study(SPACE, Random(seed=1), storage=sys.argv[1]); s.ask(n=3)\n"
    child(script + "os._exit(9)", tmp_path / "a.db")
    living = begun(tmp_path / "a.db")
    held = living.ask()
    study = begun(tmp_path / "a.db")
    study.run(bowl, trials=4)
    assert [(t.number, t.state, t.starts) for t in study.trials] == [
        (0, "complete", 2), (1, "complete", 2), (2, "complete", 2), (3, "running", 1), (4, "complete", 1),
    ]  # fmt: skip
    living.close()
    study.run(bowl, trials=1)
    assert study.trials[held.number].state == "complete"


@pytest.mark.fault(3)
def test_a_trial_that_outlives_no_driver_is_quarantined(tmp_path):
    script = "import os, sys; from sweeps import *; drive(sys.argv[1], 3, 0, 'deadly')"
    script = script.replace("drive(", "import sweeps; sweeps.deadly = lambda p: os._exit(1); drive(", 1)
    for _ in range(DEATHS):
        child(script, tmp_path / "a.db")
    study = study_of(storage=tmp_path / "a.db")
    study.run(bowl, trials=2)
    assert [t.state for t in study.trials] == ["quarantined", "complete", "complete"]
    assert "driver died 5 times" in study.trials[0].error


@pytest.mark.fault(8, cases=2)
def test_a_process_is_known_by_its_birth(monkeypatch):
    me = this_process()
    assert me.alive(seen=0.0, now=1e12), "on this host clocks don't matter"
    assert not Owner(me.host, me.pid, "1").alive(0.0, 0.0), "a pid that is used again"
    assert not Owner(me.host, 2**22 + 1, me.birth).alive(0.0, 0.0)
    assert birth_of(2**22 + 1) == ""
    elsewhere = Owner("elsewhere/1", 1, "1")
    now = time.time()
    assert elsewhere.alive(now, now)
    for jump in (-3600, 3600):  # a clock that is put back or forward ends a lease early, never late
        assert not elsewhere.alive(now, now + jump)
    assert owners.this_host() == me.host


@pytest.mark.parametrize("jump", [-3600.0, 3600.0])
@pytest.mark.parametrize("storage", [None, "a.db"])
@pytest.mark.fault(8)
def test_a_clock_that_jumps_changes_nothing_but_times(jump, storage, tmp_path, monkeypatch):
    study = begun(storage and tmp_path / storage, 5)
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + jump)
    study.run(bowl, trials=5)
    assert table(study) == table(begun(None, 10))
    assert (study.trials[7].started > study.trials[2].started) == (jump > 0)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
@pytest.mark.fault(24)
def test_a_fork_is_a_driver_of_its_own(tmp_path):
    """In a process of its own: this one may have loaded a library that objects to being forked."""
    script = (
        "import os, sys; from sweeps import *\n"
        "study = Study(SPACE, Random(seed=1), storage=sys.argv[1])\n"
        "study.run(bowl, trials=2)\n"
        "pid = os.fork()\n"
        "study.run(bowl, trials=2)\n"
        "if pid == 0: os._exit(0)\n"
        "assert os.waitpid(pid, 0)[1] == 0"
    )
    result = child(script, tmp_path / "a.db")
    assert result.returncode == 0, result.stderr
    assert table(begun(tmp_path / "a.db")) == table(begun(None, 6))


@pytest.mark.fault(4)
def test_nobody_gives_back_what_another_driver_has_taken_over(tmp_path):
    """A driver that was taken for dead comes back to life and is told to stop."""
    slow = begun(tmp_path / "a.db")
    number = slow.ask().number
    with closing(sqlite3.connect(tmp_path / "a.db")) as db:
        db.execute("UPDATE driver SET closed = 1")
        db.commit()
    heir = begun(tmp_path / "a.db")
    assert [live.number for live in heir.take(1, None, False)] == [number]
    slow.drop([number])
    third = begun(tmp_path / "a.db")
    assert [live.number for live in third.take(1, None, False)] == [1]
    assert third.log() == []
    heir.drop([number])
    assert [live.number for live in third.take(1, None, False)] == [number]


@pytest.mark.fault(4)
def test_a_refused_result_hides_nothing_that_others_write(tmp_path):
    a, b = begun(tmp_path / "a.db"), begun(tmp_path / "a.db")
    first, second = a.ask(), b.ask()
    a.tell(first, 1.0)
    a.tell(first, 2.0)  # refused
    b.tell(second, 3.0)
    assert [t.value for t in a.trials] == [t.value for t in b.trials] == [1.0, 3.0]


def test_a_study_is_read_while_another_thread_writes():
    study = begun(None)
    writer = threading.Thread(target=study.run, args=(bowl, 400))
    writer.start()
    while writer.is_alive():
        seen = study.observations()
        assert [o.number for o in seen] == list(range(len(seen)))
    writer.join()
    assert [(o.number, o.state) for o in study.observations()] == [(n, "complete") for n in range(400)]


def test_a_study_that_is_collected_inside_another_ones_transaction_does_not_wait_for_it(tmp_path, monkeypatch):
    """Its close would need the lock that the transaction holds: without care it waits for itself."""
    monkeypatch.setattr("optlab.search.database.PATIENCE", 0.2)
    path = tmp_path / "s.db"
    first = [Study(SPACE, Random(seed=5), storage=path)]
    first[0].ask()

    class Collects(Random):
        def propose(self, numbers, seen):
            first.clear()
            gc.collect()
            return super().propose(numbers, seen)

    second = Study(SPACE, Collects(seed=5), storage=path)
    second.ask()
    with closing(sqlite3.connect(path)) as db:
        assert sorted(row[0] for row in db.execute("SELECT closed FROM driver")) == [0, 1]
    second.run(bowl, trials=1)
    assert second.trials[0].state == "complete", "what it left unfinished is free"


TOGETHER = """
import sys, time
from pathlib import Path
from sweeps import *
study = Study(SPACE, Random(seed=5), storage=sys.argv[1])
Path(sys.argv[1] + "." + sys.argv[2]).touch()
while len(list(Path(sys.argv[1]).parent.glob("*.db.*[0-9]"))) < 4:
    time.sleep(0.001)
study.run(slow, trials=40, executor=int(sys.argv[2]) or None, total=40)
print(sum(t.state == "complete" for t in study.trials) > 30)
"""


@pytest.mark.fault(6)
def test_drivers_at_once_make_no_more_trials_than_they_were_told(tmp_path):
    command = [sys.executable, "-W", "ignore", "-c", TOGETHER, str(tmp_path / "a.db")]
    options = {"env": environment(), "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    drivers = [subprocess.Popen([*command, str(workers)], **options) for workers in range(4)]
    assert [driver.communicate() for driver in drivers] == [("True\n", "")] * 4
    study = study_of(storage=tmp_path / "a.db")
    assert table(study) == table(ran(study_of(), 40))
    assert {trial.starts for trial in study.trials} == {1}
    study.run(bowl, trials=5, total=40)
    assert len(study.trials) == 40
    study.run(bowl, trials=5, total=42)
    assert len(study.trials) == 42
    assert study_of(storage=tmp_path / "a.db").ask().number == 42
    study.run(bowl, trials=5, total=43)  # whose last trial is another driver's, which is not waited for
    assert study.trials[42].state == "running"


def test_a_total_ends_a_batch_too():
    study = study_of()
    study.run(bowl, trials=20, executor=2, batch=4, total=6)
    assert table(study) == table(ran(study_of(), 6))
    with pytest.raises(ConfigError, match="total= is a whole number from 0 on, got -1"):
        study.run(bowl, trials=1, total=-1)
