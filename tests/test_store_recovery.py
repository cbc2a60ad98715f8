"""A damaged study is recovered once, whoever opens it, whatever lies in its pages, and whoever is at work on it."""

import os
import random
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
import warnings
from contextlib import closing

import pytest
from conftest import LONG
from sweeps import SPACE, begun, bowl, environment, ran, table

from optlab.errors import StorageError
from optlab.locks import exclusive, of_file
from optlab.search import Random, Study, salvage
from optlab.search import database as databases

TRIALS = 150
ROOTS = 2  # pages without which nothing can be read: the header, the list of studies


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    """A study of so many trials, closed, as bytes."""
    path = tmp_path_factory.mktemp("sound") / "a.db"
    begun(path, TRIALS).close()
    return path.read_bytes()


@pytest.fixture(scope="module")
def whole():
    return table(begun(None, TRIALS + 30))


def page_size(content):
    return int.from_bytes(content[16:18], "big")


def with_page(content, number, kind):
    """A file with one page (the first is 0) full of zeros or of noise."""
    size = page_size(content)
    new = bytes(size) if kind == "zeros" else random.Random(number).randbytes(size)
    return content[: number * size] + new + content[(number + 1) * size :]


@pytest.fixture(scope="module")
def cells(sound, tmp_path_factory):
    """How many trials are on each page of their tree, as SQLite counts them: what a page costs; the root is the first.

    A tree without rowids has rows above its leaves, too.
    """
    path = tmp_path_factory.mktemp("cells") / "a.db"
    path.write_bytes(sound)
    with closing(sqlite3.connect(path)) as db:
        try:
            found = db.execute("SELECT pageno - 1, ncell FROM dbstat WHERE name = 'trial' ORDER BY pageno").fetchall()
        except sqlite3.OperationalError:
            pytest.skip("this SQLite does not tell which pages a table has")
    assert sum(count for _, count in found) == TRIALS
    return dict(found)


@pytest.fixture
def leaf(cells):
    """A page with trials between others."""
    return list(cells)[2]


def opened(path):
    with warnings.catch_warnings(record=True, action="always") as caught:
        return begun(path), [str(warning.message) for warning in caught]


# --- inside the file --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["zeros", "noise"])
@pytest.mark.fault(40, cases=16 if LONG else 11)
def test_a_damaged_page_costs_the_trials_on_it(kind, sound, cells, whole, tmp_path):
    every = LONG or kind == "zeros"
    for number in range(0, len(sound) // page_size(sound), 1 if every else 3):
        path = tmp_path / f"{number}.db"
        path.write_bytes(content := with_page(sound, number, kind))
        if number < ROOTS:
            with pytest.raises(StorageError, match=r"not a database|beyond reading"):
                opened(path)
            assert path.read_bytes() == content
            continue
        study, told = opened(path)
        there = TRIALS - cells.get(number, 0)
        assert f"{path} was damaged: {there} trials were read from it and go on" in told[0]
        assert path.with_name(f"{number}.db.damaged").read_bytes() == content
        assert len(study.trials) == there
        assert all(row in whole for row in table(study))
        if LONG or number % 10 == 5:  # the tree's root and a leaf
            study.run(bowl, trials=TRIALS - there + 10)
            assert table(study) == whole[: TRIALS + 10]
        study.close()
        assert opened(path)[1] == []


@pytest.mark.fault(40)
def test_a_row_that_makes_no_sense_is_left_out_and_the_others_go_on(tmp_path):
    """SQLite finds no fault in zeros inside a text."""
    path = tmp_path / "a.db"

    def objective(params, trial):
        for step in range(400 if trial.number == 3 else 2):
            trial.report(1.0 / 3.0 + step, step)
        return bowl(params)

    want = table(ran(begun(None), 8, objective))
    ran(begun(path), 8, objective).close()
    content = path.read_bytes()
    at, size = content.index(b"[200, 200.3333"), 40
    path.write_bytes(content[:at] + bytes(size) + content[at + size :])
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    study, told = opened(path)
    assert "7 trials were read" in told[0]
    assert table(study) == want[:3] + want[4:]
    study.run(objective, trials=1)
    assert table(study) == want


def test_a_gap_of_many_numbers_is_no_end(tmp_path):
    path = tmp_path / "a.db"
    study = begun(path)
    study.ask(n=3000)
    study.close()
    with closing(sqlite3.connect(path)) as db:
        db.execute("DELETE FROM trial WHERE number BETWEEN 20 AND 2500")
        db.commit()
    assert "519 trials were read" in salvage.rescue(path)


# --- several drivers --------------------------------------------------------------------------------------------------

OPEN = """
import sys, time, warnings
from pathlib import Path
from sweeps import *
warnings.simplefilter("ignore")
path, number, wait = sys.argv[1:]
Path(f"{path}.ready{number}").touch()
while not os.path.exists(path + ".go"):
    time.sleep(0.0005)
time.sleep(int(number) * float(wait))
study = begun(path, 5)
"""


@pytest.mark.parametrize(("drivers", "wait", "how"), [
    (2, 0.01, "a page"), (3, 0.0, "cut"), (4, 0.0, "a driver that died"),
])  # fmt: skip
@pytest.mark.fault(40)
def test_drivers_that_open_a_damaged_study_at_once_recover_it_once(drivers, wait, how, sound, cells, whole, tmp_path):
    path = tmp_path / "a.db"
    last = list(cells)[-1]
    path.write_bytes(sound[: last * page_size(sound)] if how == "cut" else with_page(sound, last, "zeros"))
    if how == "a driver that died":
        with closing(sqlite3.connect(path)) as db:
            db.execute("UPDATE driver SET closed = 0, pid = 999999999")
            db.commit()
    damaged, there = path.read_bytes(), TRIALS - cells[last]
    options = {"env": environment(), "stderr": subprocess.PIPE, "text": True}
    command = [sys.executable, "-c", OPEN, str(path)]
    started = [subprocess.Popen([*command, str(n), str(wait)], **options) for n in range(drivers)]
    while len(list(tmp_path.glob("*.ready*"))) < drivers:
        time.sleep(0.01)
    path.with_name("a.db.go").touch()
    assert [(driver.communicate()[1], driver.returncode) for driver in started] == [("", 0)] * drivers
    left = {file.name for file in tmp_path.iterdir() if ".ready" not in file.name and file.suffix != ".go"}
    assert left == {"a.db", "a.db.damaged"}
    assert (tmp_path / "a.db.damaged").read_bytes() == damaged
    study = begun(path)
    assert [t.state for t in study.trials] == ["complete"] * (there + 5 * drivers)
    study.run(bowl, trials=len(whole) - there - 5 * drivers)
    assert table(study) == whole


@pytest.mark.skipif(os.name == "nt", reason="a file that is open can't be put aside there")
@pytest.mark.parametrize("result", ["told", "not told"])
@pytest.mark.fault(40)
def test_a_driver_at_work_learns_that_another_has_recovered_its_file(result, sound, leaf, whole, tmp_path):
    path = tmp_path / "a.db"
    path.write_bytes(sound)
    first = begun(path)
    trial = first.ask()
    first._store.checkpoint()
    with path.open("r+b") as file:
        file.seek(leaf * page_size(sound))
        file.write(bytes(page_size(sound)))
    second, told = opened(path)
    assert "was damaged" in told[0]
    aside = (tmp_path / "a.db.damaged").read_bytes()
    with pytest.raises(StorageError, match=r"was replaced by another file .* Open it again"):
        first.tell(trial, bowl(trial.params)) if result == "told" else first.ask()
    kept = begun(first.copy(tmp_path / "kept.db"))
    ended = [row for row in table(kept) if row[3] == "complete"]
    assert ended == whole[: TRIALS + (result == "told")]
    first.close()
    assert (tmp_path / "a.db.damaged").read_bytes() == aside
    second.run(bowl, trials=len(whole) - sum(t.state == "complete" for t in second.trials))
    assert table(second) == table(begun(path)) == whole


@pytest.mark.skipif(os.name == "nt", reason="a file that is open can't be put aside there")
@pytest.mark.fault(40)
def test_nothing_is_recorded_in_a_file_while_it_is_recovered(sound, leaf, tmp_path, monkeypatch):
    path = tmp_path / "a.db"
    path.write_bytes(sound)
    first, ended = begun(path), []
    trial = first.ask()
    first._store.checkpoint()

    def tell():
        try:
            first.tell(trial, 1.0)
            ended.append("recorded")
        except StorageError:
            ended.append("refused")

    writer = threading.Thread(target=tell)

    def duplicate(place, copy, real=salvage.duplicate):
        real(place, copy)
        writer.start()
        time.sleep(0.2)

    monkeypatch.setattr(salvage, "duplicate", duplicate)
    with path.open("r+b") as file:
        file.seek(leaf * page_size(sound))
        file.write(bytes(page_size(sound)))
    second, _ = opened(path)
    writer.join()
    assert (ended, second.trials[-1].state) == (["refused"], "running")


@pytest.mark.parametrize("call", ["link", "replace"])
@pytest.mark.fault(40)
def test_a_recovery_that_is_interrupted_is_done_again(call, sound, leaf, cells, whole, tmp_path, monkeypatch):
    path = tmp_path / "a.db"
    path.write_bytes(content := with_page(sound, leaf, "noise"))

    def interrupted(*args):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(os, call, interrupted)
        with pytest.raises(KeyboardInterrupt):
            opened(path)
    assert path.read_bytes() == content
    study, _ = opened(path)
    assert len(study.trials) == TRIALS - cells[leaf]
    assert {file.suffix for file in tmp_path.iterdir()} <= {".db", ".damaged", ".damaged-2", ".db-wal", ".db-shm"}


@pytest.mark.fault(40)
def test_who_opens_a_file_waits_for_another_who_does(tmp_path, monkeypatch):
    path = tmp_path / "a.db"
    begun(path, 1).close()
    monkeypatch.setattr(databases, "PATIENCE", 0.05)
    with exclusive(of_file(path), "it"), pytest.raises(StorageError, match=rf"is in use by process {os.getpid()}"):
        begun(path)
    monkeypatch.setattr(databases, "PATIENCE", 60.0)
    with exclusive(of_file(path), "it"):
        opener = threading.Thread(target=begun, args=(path, 1))
        opener.start()
        time.sleep(0.1)
        assert opener.is_alive()
    opener.join()
    assert [file.name for file in tmp_path.iterdir()] == ["a.db"]


def test_a_file_system_without_links_recovers_too(sound, leaf, whole, tmp_path, monkeypatch):
    path = tmp_path / "a.db"
    path.write_bytes(with_page(sound, leaf, "zeros"))

    def refuse(*args):
        raise PermissionError("no links")

    monkeypatch.setattr(os, "link", refuse)
    study, told = opened(path)
    assert "trials were read" in told[0]
    assert all(row in whole for row in table(study))
    assert Study(SPACE, Random(seed=1), storage=shutil.copy(path, tmp_path / "b.db"))
