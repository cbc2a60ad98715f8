"""Drivers of other hosts: a claim is theirs as long as they are heard of, however long one trial takes."""

import os
import sqlite3
import threading
import time
from contextlib import closing

import pytest
from sweeps import SPACE, bowl

from optlab.search import Random
from optlab.search import database as databases
from optlab.search.study import Study

PATIENCE = 60.0  # seconds for what takes milliseconds on a machine that is free


def until(condition):
    """Whether it comes true."""
    end = time.monotonic() + PATIENCE
    while not condition() and time.monotonic() < end:
        time.sleep(0.01)
    return condition()


def told(path, query, *values):
    with closing(sqlite3.connect(path, timeout=PATIENCE)) as file, file:
        return file.execute(query, values).fetchall()


def study_in(path):
    return Study(SPACE, Random(seed=1), storage=path)


@pytest.fixture(autouse=True)
def often(monkeypatch):
    monkeypatch.setattr(databases, "RENEWAL", 0.05)


@pytest.mark.parametrize("lives", [True, False])
def test_a_driver_elsewhere_keeps_a_long_trial_while_it_is_heard_of(tmp_path, lives):
    path = tmp_path / "a.db"

    def objective(params):
        """Takes longer than the lease, on another host."""
        if not lives:
            told(path, "UPDATE driver SET id = id || ' is lost', host = 'elsewhere/1', seen = 0")
            told(path, "UPDATE trial SET owner = owner || ' is lost', changed = changed + 1")
        else:
            told(path, "UPDATE driver SET host = 'elsewhere/1', seen = 0")
            assert until(lambda: told(path, "SELECT seen FROM driver")[0][0] > 0)
        other = study_in(path)
        taken.extend(live.number for live in other.take(1, None, exposed=True))
        other.close()
        return bowl(params)

    taken = []
    study_in(path).run(objective, trials=1)
    assert taken == [1 if lives else 0]


def test_a_trial_that_was_asked_for_is_kept_too(tmp_path):
    study = study_in(tmp_path / "a.db")
    held = study.ask()
    told(tmp_path / "a.db", "UPDATE driver SET host = 'elsewhere/1', seen = 0")
    assert until(lambda: told(tmp_path / "a.db", "SELECT seen FROM driver")[0][0] > 0)
    other = study_in(tmp_path / "a.db")
    other.run(bowl, trials=2)
    assert [t.state for t in study.trials] == ["running", "complete", "complete"]
    study.tell(held, 1.0)
    assert study.trials[0].starts == 1


def test_nobody_is_heard_of_after_the_end(tmp_path):
    before = set(threading.enumerate())
    study = study_in(tmp_path / "a.db")
    [thread] = set(threading.enumerate()) - before
    study.close()
    thread.join(PATIENCE)
    assert not thread.is_alive()
    del study
    study_in(tmp_path / "b.db")  # the collector closes it
    assert until(lambda: set(threading.enumerate()) <= before)


@pytest.mark.skipif(os.name == "nt", reason="an open file can't be removed there")
def test_a_file_that_is_gone_is_not_made_again(tmp_path):
    study = study_in(tmp_path / "a.db")
    for file in tmp_path.glob("a.db*"):
        file.unlink()
    time.sleep(0.3)
    assert not list(tmp_path.iterdir())
    study.close()
