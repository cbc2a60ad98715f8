"""What `storage=` may name: files as SQLite, SQLAlchemy and Optuna name them, memory, and nothing that is no file."""

import os
import socket
from pathlib import Path

import pytest
from sweeps import begun, bowl, table

from optlab.cli import main
from optlab.errors import ConfigError, StorageError
from optlab.search import Study
from optlab.search.location import storage_path
from optlab.search.spec import SweepSpec

SURFACE = {"objective": "surface", "settings": {"name": "beale"}, "sampler": "random", "trials": 3}
# As SQLAlchemy reads them: sqlalchemy.engine.make_url(text).database
ADDRESSES = {
    "sqlite:///a.db": "a.db",
    "sqlite:///b/a.db": "b/a.db",
    "sqlite:////b/a.db": "/b/a.db",
    "sqlite+pysqlite:///a.db": "a.db",
    "sqlite:///a b%20c.db": "a b c.db",
    "sqlite:///": "",
    "sqlite://": "",
    "sqlite:///:memory:": ":memory:",
}
NO_NAMES = {
    "empty": ("", ConfigError, "is empty"),
    "blank": (" ", ConfigError, "is empty"),
    "a NUL": ("a\0b.db", ConfigError, "has a NUL"),
    "a NUL in an address": ("sqlite:///a\0b.db", ConfigError, "has a NUL"),
    "a NUL in an address, encoded": ("sqlite:///a%00b.db", ConfigError, "has a NUL"),
    "a NUL in bytes": (b"a\0b.db", ConfigError, "has a NUL"),
    "a surrogate": ("\ud800.db", ConfigError, "isn't Unicode"),
    "bytes that are no text": (b"\xff.db", ConfigError, "isn't Unicode"),
    "a number": (5, ConfigError, "name of a file, or None"),
    "a file": (open, ConfigError, "name of a file, or None"),
    "another database": ("mysql://user@host/a", ConfigError, "kept in SQLite files"),
    "redis": ("redis://localhost", ConfigError, "kept in SQLite files"),
    "two slashes": ("sqlite://a.db", ConfigError, "three slashes"),
    "a path of an address": (Path("sqlite:///a.db"), ConfigError, "three slashes"),
    "options": ("sqlite:///a.db?timeout=5", ConfigError, "no options"),
    "a URI of SQLite's": ("file:a.db?mode=memory", ConfigError, "give the file's path"),
    "a directory by its slash": ("a/", StorageError, "directory"),
    "this directory": (".", StorageError, "directory"),
    "a directory by its dot": ("a.db/.", StorageError, "directory"),
    "a long name": ("x" * 300, StorageError, "File name too long|too long by"),
    "no room for -wal": ("x" * 252, StorageError, "too long by"),
    "a long path": ("/".join(["d" * 100] * 60) + "/a.db", StorageError, "too long"),
    "in a file": ("file/a.db", StorageError, "is a file, not a directory"),
    "a device": ("/dev/null", StorageError, "is a device"),
    "a full device": ("/dev/full", StorageError, "is a device"),
    "a loop": ("loop.db", StorageError, "symbolic links"),
    "a pipe": ("pipe.db", StorageError, "a pipe"),
    "a socket": ("socket.db", StorageError, "a socket"),
}


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("address", ADDRESSES)
@pytest.mark.fault(7)
def test_addresses_mean_what_they_mean_to_sqlalchemy(address):
    name = ADDRESSES[address]
    assert storage_path(address) == (None if name in ("", ":memory:") else Path(name))


def test_addresses_are_read_as_by_sqlalchemy_itself():
    url = pytest.importorskip("sqlalchemy.engine").make_url
    assert {address: url(address).database or "" for address in ADDRESSES} == ADDRESSES


@pytest.mark.parametrize("storage", ["a.db", b"a.db", Path("a.db"), "sqlite:///a.db"], ids=repr)
def test_one_file_by_all_its_names(storage, here):
    begun(storage, 2).close()
    assert [file.name for file in here.iterdir()] == ["a.db"]
    assert table(begun(here / "a.db")) == table(begun(None, 2))


@pytest.mark.parametrize("storage", [":memory:", "sqlite://", Path(":memory:")], ids=repr)
def test_memory_by_its_names(storage, here):
    assert table(begun(storage, 2)) == table(begun(None, 2))
    assert not list(here.iterdir())


@pytest.mark.skipif(os.name == "nt", reason="devices, pipes and links")
@pytest.mark.parametrize("kind", NO_NAMES)
@pytest.mark.fault(7)
def test_what_no_file_can_be_called_is_refused_and_nothing_is_left(kind, here):
    storage, error, message = NO_NAMES[kind]
    Path("file").touch()
    os.symlink("loop.db", "loop.db")
    os.mkfifo("pipe.db")
    with socket.socket(socket.AF_UNIX) as place:
        place.bind("socket.db")
        before = sorted(here.iterdir())
        with pytest.raises(error, match=message) as caught:
            begun(storage)
        assert str(caught.value).isprintable()
        assert sorted(here.iterdir()) == before


@pytest.mark.parametrize("kind", ["a NUL", "another database", "blank", "a directory by its slash"])
@pytest.mark.fault(7)
def test_a_sweep_file_is_refused_with_its_key(kind):
    storage, _, message = NO_NAMES[kind]
    with pytest.raises(ConfigError, match=rf"storage.*{message}"):
        SweepSpec.from_dict({**SURFACE, "space": {"x": {"low": 0.0, "high": 1.0}}, "storage": storage})


@pytest.mark.parametrize(("storage", "code"), [
    ("sqlite:///a.db", 0), (":memory:", 0), ("mysql://host/a", 2), ("x" * 300, 5), ("/dev/null", 5), ("", 2),
])  # fmt: skip
def test_the_command_line_reads_them_alike(storage, code, here, capsys):
    arguments = ["sweep", "--objective=surface", "--set=name=beale", "--sampler=random", "--trials=2", "--quiet"]
    with pytest.raises(SystemExit) as ended:
        main([*arguments, "--storage", storage])
    assert (ended.value.code or 0) == code, capsys.readouterr()
    assert [file.name for file in here.iterdir()] == (["a.db"] if storage.endswith("a.db") else [])


def test_a_study_in_a_named_memory_is_its_own():
    a, b = begun(":memory:", 2), begun("sqlite://")
    b.run(bowl, trials=1)
    assert (len(a.trials), len(b.trials)) == (2, 1)


def test_reading_and_converting_take_the_same_names(here, capsys):
    begun("a.db", 2).close()
    assert len(Study.open("sqlite:///a.db").trials) == len(Study.open(b"a.db").trials) == 2
    assert Study.list("sqlite:///a.db") == ["study"]
    for command in (["report", "sqlite:///a.db"], ["convert", "--to", "optuna", "sqlite:///a.db"]):
        if command[0] == "convert":
            pytest.importorskip("optuna")
        with pytest.raises(SystemExit) as ended:
            main(command)
        assert not ended.value.code, capsys.readouterr()
    assert {file.name for file in here.iterdir()} == {"a.db", "a.optuna.db"}


@pytest.mark.skipif(os.name == "nt", reason="devices, pipes and links")
@pytest.mark.parametrize("kind", NO_NAMES)
@pytest.mark.fault(7)
def test_what_no_file_can_be_called_can_not_be_read(kind, here):
    storage, error, _ = NO_NAMES[kind]
    os.symlink("loop.db", "loop.db")
    os.mkfifo("pipe.db")
    with pytest.raises((error, StorageError)) as caught:
        Study.open(storage)
    assert str(caught.value).isprintable()
