"""The file is the study: copied or renamed it holds every trial; deleted or replaced while open, nothing is lost."""

import json
import os
import shutil
import sqlite3
import threading
import time
import warnings
from contextlib import closing
from itertools import product
from pathlib import Path

import pytest
from sweeps import DESCRIPTION, SPACE, begun, bowl, ran, study_of, table

from optlab.cli import main
from optlab.errors import ConfigError, StorageError
from optlab.search import Float, Random, Space, Study, identity
from optlab.search import database as databases

pytestmark = pytest.mark.skipif(os.name == "nt", reason="files that are open can't be moved there")


def held(path):
    """The trials in a file, from a copy without what stands beside it."""
    copy = path.with_name("held.db")
    shutil.copy(path, copy)
    study = begun(copy)
    found = table(study)
    study.close()
    copy.unlink()
    return found


# --- copies of the file -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("about", ["nobody", "a notebook", "a reader that ends"])
@pytest.mark.fault(39)
def test_the_file_alone_holds_every_trial_of_a_run_that_has_returned(about, tmp_path):
    path = tmp_path / "a.db"
    first = begun(path, 3)
    if about != "a notebook":
        first.close()
    study = begun(path)
    with closing(sqlite3.connect(path, check_same_thread=False)) as reader:
        rows = reader.execute("SELECT number FROM trial")
        rows.fetchone()
        if about == "a reader that ends":  # until then it holds what it saw first
            threading.Timer(0.5, rows.close).start()
        else:
            rows.close()
        study.run(bowl, trials=47)
        assert held(path) == table(begun(None, 50))


@pytest.mark.fault(39)
def test_the_file_alone_holds_every_trial_when_one_of_two_drivers_has_closed(tmp_path):
    path = tmp_path / "a.db"
    notebook, study = begun(path), begun(path)
    for _ in range(5):
        study.tell(trial := study.ask(), bowl(trial.params))
    study.close()
    assert held(path) == table(begun(None, 5))
    assert len(notebook.trials) == 5


@pytest.mark.fault(39, cases=2)
def test_told_by_hand_the_file_alone_is_little_behind(tmp_path, monkeypatch):
    path = tmp_path / "a.db"
    study = begun(path)
    for _ in range(2 * databases.CHECKPOINT_RECORDS + 10):
        study.tell(trial := study.ask(), bowl(trial.params))
    ended = [row for row in held(path) if row[3] == "complete"]
    assert len(ended) >= len(study.trials) - databases.CHECKPOINT_RECORDS
    trial, real = study.ask(), time.time
    monkeypatch.setattr(time, "time", lambda: real() + 3600.0)  # an objective that takes its time
    study.tell(trial, 1.0)
    assert held(path) == table(study)


@pytest.mark.fault(39)
def test_a_file_that_was_renamed_after_a_run_goes_on_under_its_new_name(tmp_path):
    path, new = tmp_path / "a.db", tmp_path / "b.db"
    notebook = begun(path, 5)
    path.rename(new)
    study = begun(new)
    study.run(bowl, trials=5)
    assert table(study) == table(begun(None, 10))
    with pytest.raises(StorageError, match=r"a\.db was deleted or moved"):
        notebook.ask()
    assert table(study) == table(begun(new)) == table(begun(None, 10))


# --- while it is open -------------------------------------------------------------------------------------------------


def delete(path):
    for file in path.parent.glob("a.db*"):
        file.unlink()


WAYS = {
    "deleted": (delete, "a.db was deleted or moved"),
    "deleted without its log": (lambda path: path.unlink(), "a.db was deleted or moved"),
    "moved": (lambda path: path.rename(path.with_name("moved.db")), "a.db was deleted or moved"),
    "replaced": (lambda path: os.replace(shutil.copy(path.with_name("other.db"), "new"), path), "was replaced by"),
    "written over": (lambda path: shutil.copy(path.with_name("other.db"), path), "was written over with another"),
    "emptied": (lambda path: os.truncate(path, 0), "was damaged"),
    "without its log": (lambda path: os.unlink(f"{path}-wal"), "lost its log, the file a.db-wal"),
    "in a directory that was moved": (lambda path: path.parent.rename(f"{path.parent}-moved"), "was deleted or moved"),
}


@pytest.mark.parametrize(("way", "step"), [
    *product(WAYS, ["tell"]), *product(["deleted", "replaced", "written over"], ["ask", "run"]),
])  # fmt: skip
@pytest.mark.fault(39)
def test_nothing_is_written_where_nobody_finds_it_and_nothing_is_lost(way, step, tmp_path, monkeypatch):
    monkeypatch.setattr(identity, "TORN_SECONDS", 0.1)
    place = tmp_path / "place"
    place.mkdir()
    monkeypatch.chdir(tmp_path)
    path, (happens, message) = place / "a.db", WAYS[way]
    ran(Study(SPACE, Random(seed=9), storage=place / "other.db"), 3).close()
    other = (place / "other.db").read_bytes()
    study = begun(path, 6)
    study.describe(DESCRIPTION)
    trial = study.ask()
    steps = {
        "ask": study.ask,
        "tell": lambda: study.tell(trial, bowl(trial.params)),
        "run": lambda: study.run(bowl, trials=2),
    }
    happens(path)
    for _ in range(2):
        with pytest.raises(StorageError, match=rf"{message}.*study\.copy"):
            steps[step]()
    assert [t.state for t in study.trials[:7]] == ["complete"] * 6 + ["running"]
    copied = begun(study.copy(tmp_path / "elsewhere.db"))
    assert table(copied)[:6] == table(begun(None, 6))
    assert copied.trials[6].state == ("complete" if step == "tell" else "running")
    assert study.best == copied.best
    copied.run(bowl, trials=10 - sum(t.state == "complete" for t in copied.trials))
    assert table(copied) == table(begun(None, 10))
    if way in ("replaced", "written over"):
        assert table(Study(SPACE, Random(seed=9), storage=path)) == table(ran(study_of(seed=9), 3))
    study.close()
    if way in ("replaced", "written over"):
        assert path.stat().st_size == len(other)
        assert table(Study(SPACE, Random(seed=9), storage=path)) == table(ran(study_of(seed=9), 3))


@pytest.mark.fault(39)
def test_a_heartbeat_does_not_touch_the_file_in_its_place(tmp_path, monkeypatch):
    path, other = tmp_path / "a.db", tmp_path / "other.db"
    ran(Study(SPACE, Random(seed=9), storage=other), 3).close()
    content = other.read_bytes()
    monkeypatch.setattr(databases, "RENEWAL", 0.02)
    study = begun(path, 3)
    other.rename(path)
    time.sleep(0.3)
    assert path.read_bytes() == content
    study.close()
    assert path.read_bytes() == content


def test_a_file_that_is_moved_back_goes_on(tmp_path):
    path, away = tmp_path / "a.db", tmp_path / "b.db"
    study = begun(path, 2)
    path.rename(away)
    with pytest.raises(StorageError, match="moved"):
        study.ask()
    away.rename(path)
    study.run(bowl, trials=2)
    study.close()
    assert table(begun(path)) == table(begun(None, 4))


def test_what_may_change_while_a_study_is_open(tmp_path, monkeypatch):
    """Another working directory, another driver's checkpoints and studies, times of the file, a link to it."""
    monkeypatch.chdir(tmp_path)
    study = begun("a.db", 2)
    (tmp_path / "link").symlink_to("a.db")
    linked = begun("link", 2)
    monkeypatch.chdir("/")
    ran(Study(Space(y=Float(0, 1)), Random(seed=1), storage=tmp_path / "a.db", name="b"), 2, lambda p: p["y"]).close()
    os.utime(tmp_path / "a.db", (0, 0))
    study.run(bowl, trials=2)
    linked.run(bowl, trials=2)
    assert table(study) == table(begun(None, 8))
    (tmp_path / "link").unlink()
    with pytest.raises(StorageError, match="link was deleted"):
        linked.ask()


# --- copies by the library --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("storage", [None, "a.db"])
def test_a_copy_is_the_study_with_its_drivers_signed_off(storage, tmp_path):
    study = begun(storage and tmp_path / storage, 4)
    study.describe(DESCRIPTION)
    study.tell(0, 9.0)  # a second result, for the log
    held = study.ask()
    path = study.copy(tmp_path / "copy.db")
    assert path == tmp_path / "copy.db"
    study.tell(held, 1.0)
    copied = begun(path)
    assert table(copied)[:4] == table(study)[:4]
    assert copied.description == DESCRIPTION
    assert [number for _, number, _ in copied.log()] == [0]
    copied.run(bowl, trials=1)
    assert [t.number for t in copied.trials] == [0, 1, 2, 3, held.number]
    assert copied.trials[4].starts == 2
    assert study.trials[4].value == 1.0


@pytest.mark.parametrize("storage", [None, "a.db"])
@pytest.mark.parametrize(("target", "error", "message"), [
    ("there.db", StorageError, "is there already"), ("a.db", StorageError, "is there already"),
    ("nowhere/b.db", StorageError, "does not exist"), (":memory:", ConfigError, "a copy is a file"),
    (None, ConfigError, "a copy is a file"), ("dangling.db", StorageError, "is there already"),
    ("x" * 300, StorageError, "too long"), ("redis://host", ConfigError, "SQLite"),
])  # fmt: skip
def test_a_copy_that_can_not_be_made_leaves_everything_as_it_was(
    storage, target, error, message, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    study = begun(storage, 2)
    begun("there.db", 1).close()
    if storage is None:
        begun("a.db", 1).close()
    os.symlink("nothing.db", "dangling.db")
    before = {file.name: file.lstat().st_size for file in tmp_path.iterdir()}
    with pytest.raises(error, match=message):
        study.copy(target)
    assert {file.name: file.lstat().st_size for file in tmp_path.iterdir()} == before
    study.run(bowl, trials=1)


def test_copies_of_a_study_that_is_written_are_of_one_moment(tmp_path):
    study = begun(tmp_path / "a.db")
    writer = threading.Thread(target=study.run, args=(bowl, 120))
    writer.start()
    copies = []
    while writer.is_alive() and len(copies) < 5:
        copies.append(study.copy(tmp_path / f"{len(copies)}.db"))
    writer.join()
    whole = table(study)
    with warnings.catch_warnings(action="error"):
        for copy in copies:
            ended = [row for row in table(begun(copy)) if row[3] == "complete"]
            assert ended == whole[: len(ended)]


@pytest.mark.parametrize("page", [2, -1])
@pytest.mark.fault(40)
def test_a_file_that_was_damaged_meanwhile_is_copied_from_what_is_known(page, tmp_path):
    """SQLite copies damaged pages as they are; nothing but a check of the copy finds them."""
    path = tmp_path / "a.db"
    study = begun(path, 150)
    content = path.read_bytes()
    size = int.from_bytes(content[16:18], "big")
    at = page * size if page > 0 else len(content) - size
    with path.open("rb+") as file:
        file.seek(at)
        file.write(bytes(size))
    study._store._db.execute("PRAGMA shrink_memory")  # it knows the pages of a file of this size by heart
    copied = study.copy(tmp_path / "b.db")
    with warnings.catch_warnings(action="error"):
        assert table(begun(copied)) == table(study)
    assert sorted(file.name for file in tmp_path.glob("b.db*")) == ["b.db"]


def test_a_file_system_without_links_gets_its_copy_too(tmp_path, monkeypatch):
    def refuse(*args):
        raise PermissionError("no links")

    monkeypatch.setattr(os, "link", refuse)
    study = begun(None, 2)
    assert table(begun(study.copy(tmp_path / "b.db"))) == table(study)
    with pytest.raises(StorageError, match="there already"):
        study.copy(tmp_path / "b.db")


@pytest.mark.fault(39)
def test_the_command_line_keeps_what_it_has_when_its_file_goes(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    Path("takes_away.py").write_text(
        "import os\n"
        "def objective(params, trial):\n"
        "    if trial.number == 6:\n"
        "        os.unlink('sweep.db')\n"
        "    return params['x']\n"
    )
    Path("sweep-kept.db").touch()
    options = ["--objective=takes_away:objective", "--param=x=0..1", "--sampler=random", "--quiet"]
    with pytest.raises(SystemExit) as ended:
        main(["sweep", *options, "--trials=10"])
    assert ended.value.code == 5
    said = capsys.readouterr().err
    assert "sweep.db was deleted or moved" in said
    assert "all trials are kept in sweep-kept-2.db; continue with: --storage sweep-kept-2.db --resume" in said
    with pytest.raises(SystemExit) as ended:
        main(["sweep", *options, "--trials=10", "--storage=sweep-kept-2.db", "--resume", "--json"])
    assert not ended.value.code
    assert json.loads(capsys.readouterr().out)["trials"] == {"complete": 10}
