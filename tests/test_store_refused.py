"""Files that can't be a study's: foreign, newer, cut, read-only; refused with what to do, and left alone."""

import os
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

import pytest
from sweeps import begun, child

from optlab.errors import StorageError
from optlab.search import salvage


def foreign(path):
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE theirs (x)")
    db.close()


def newer(path):
    begun(path, 1).close()
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version=99")
    db.close()


def cut(path, size=1000):
    begun(path, 1).close()
    os.truncate(path, size)


def foreign_cut(path):
    foreign(path)
    os.truncate(path, 1000)


UNUSABLE = {
    "cut in its first page": (cut, "beyond reading"),
    "cut to 567 bytes": (lambda path: cut(path, 567), "beyond reading"),
    "cut in its header": (lambda path: cut(path, 50), "malformed; move it away"),
    "another program's, cut": (foreign_cut, "malformed"),
    "a directory": (lambda path: path.mkdir(), "is a directory"),
    "another program's": (foreign, "another program"),
    "newer": (newer, "newer optlab"),
    "a text": (lambda path: path.write_text("lr,loss\n" * 100), "not a database"),
    "a header alone": (lambda path: path.write_bytes(b"SQLite format 3\0"), "a.db"),
}


@pytest.mark.parametrize("kind", UNUSABLE)
@pytest.mark.fault(7)
def test_files_that_are_not_ours_are_refused_and_left_alone(kind, tmp_path):
    make, message = UNUSABLE[kind]
    path = tmp_path / "a.db"
    make(path)
    before = path.read_bytes() if path.is_file() else None
    with pytest.raises(StorageError, match=message):
        begun(path)
    assert before == (path.read_bytes() if path.is_file() else None)


@pytest.mark.fault(7, cases=2)
def test_a_place_that_is_not_there_or_not_ours():
    with pytest.raises(StorageError, match="does not exist; make the directory"):
        begun("/nowhere/a.db")
    with pytest.raises(StorageError, match="can't be written"):
        begun("/proc/a.db")


@pytest.mark.skipif(not hasattr(os, "fork") or os.geteuid() != 0, reason="changes its user, which only root may")
@pytest.mark.fault(7, cases=2)
def test_a_directory_one_may_only_read(tmp_path):
    """In a child that is nobody: for root every directory is writable."""
    begun(tmp_path / "a.db", 2).close()
    script = (
        "import os, sys; from sweeps import *; os.seteuid(65534)\n"
        "try: Study(SPACE, Random(seed=1), storage=sys.argv[1])\n"
        "except OSError as error: print(type(error).__name__, error)"
    )
    top = Path(tempfile.gettempdir())
    for place in tmp_path.parents:
        if place.is_relative_to(top) and place != top:
            place.chmod(0o755)
    tmp_path.chmod(0o755)
    (tmp_path / "a.db").chmod(0o644)
    for name in ("a.db", "new.db"):
        result = child(script, tmp_path / name)
        assert result.stdout.startswith("StorageError"), result
        assert "can't be written" in result.stdout
    assert not (tmp_path / "new.db").exists()


@pytest.mark.fault(7)
def test_a_file_system_without_locks(tmp_path, monkeypatch):
    def no_locks(*args, **kwargs):
        raise sqlite3.OperationalError("locking protocol")

    monkeypatch.setattr(sqlite3, "connect", no_locks)
    with pytest.raises(StorageError, match="local disk"):
        begun(tmp_path / "a.db")


@pytest.mark.fault(7)
def test_a_damaged_file_of_a_newer_optlab_is_left_alone(tmp_path):
    path = tmp_path / "a.db"
    begun(path, 1).close()
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA user_version=99")
    before = path.read_bytes()
    with pytest.raises(StorageError, match="a newer optlab wrote it"):
        salvage.rescue(path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
