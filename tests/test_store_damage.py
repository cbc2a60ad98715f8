"""A store that suffered: a full disk, a log or a file cut anywhere, rows that make no sense."""

import shutil
import sqlite3
import sys
import warnings
from contextlib import closing

import pytest
from conftest import LONG
from sweeps import DESCRIPTION, SPACE, begun, bowl, child, table

from optlab.errors import StorageError
from optlab.search import Random, Study, salvage
from optlab.search.store import Store
from optlab.search.trial import Outcome

# --- disk full --------------------------------------------------------------------------------------------------------


FULL = """
import resource, signal, sys
from sweeps import *
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
path, limit = sys.argv[1], int(sys.argv[2])
study = Study(SPACE, Random(seed=1), storage=path)
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
told = 0
try:
    for _ in range(400):
        trial = study.ask()
        study.tell(trial, bowl(trial.params))
        told += 1
except OSError as error:
    print(told, type(error).__name__, str(error).count(chr(10)), "run again" in str(error).lower())
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
study.run(bowl, trials=1)
print(sum(trial.state == "complete" for trial in study.trials))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="limits the size of files")
@pytest.mark.parametrize("limit", range(40_000, 540_000, 10_000) if LONG else (50_000, 120_000, 300_000))
@pytest.mark.fault(5)
def test_a_full_disk_loses_nothing_that_was_told(limit, tmp_path):
    result = child(FULL, tmp_path / "a.db", limit)
    assert result.returncode == 0, result.stderr
    first, last = result.stdout.splitlines()
    told, name, lines, advised = first.split()
    assert (name, lines, advised) == ("StorageError", "0", "True")
    assert int(last) == int(told) + 1
    study = Study(SPACE, Random(seed=1), storage=tmp_path / "a.db")
    complete = [trial for trial in study.trials if trial.value is not None]
    assert len(complete) == int(told) + 1
    assert table(study)[: int(told)] == table(begun(None, int(told)))


# --- cuts -------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def crashed(tmp_path_factory):
    """A store as a killed driver leaves it, and the length of its WAL after each of 12 records."""
    place = tmp_path_factory.mktemp("crashed")
    study = Study(SPACE, Random(seed=1), storage=place / "live.db")
    sizes = []
    for _ in range(12):
        trial = study.ask()
        study.tell(trial, bowl(trial.params))
        sizes.append((place / "live.db-wal").stat().st_size)
    for end in ("", "-wal"):
        shutil.copy(place / f"live.db{end}", place / f"a.db{end}")
    with sqlite3.connect(place / "a.db") as db:  # its driver is this process, which lives: make it a dead one
        db.execute("UPDATE driver SET pid = 999999999, birth = 'x'")
    db.close()
    for end in ("", "-wal"):
        shutil.copy(place / f"live.db{end}", place / f"a.db{end}")
    return place / "a.db", sizes


@pytest.mark.fault(2, cases=800 if LONG else 30)
def test_a_log_cut_anywhere_in_the_last_three_records(crashed, tmp_path):
    source, sizes = crashed
    whole = table(begun(None, 15))
    start, stop = sizes[-4], sizes[-1]
    cuts = range(start, stop, 61 if LONG else 1499)
    for cut in cuts:
        path = tmp_path / "a.db"
        for end in ("", "-wal", "-shm"):
            (tmp_path / f"a.db{end}").unlink(missing_ok=True)
        shutil.copy(source, path)
        (tmp_path / "a.db-wal").write_bytes((source.parent / "a.db-wal").read_bytes()[:cut])
        study = Study(SPACE, Random(seed=1), storage=path)
        kept = sum(trial.value is not None for trial in study.trials)
        assert kept == sum(size <= cut for size in sizes), "a record before the cut is lost"
        study._store._owners = dict.fromkeys(study._store._owners)  # their driver, this process, is alive
        study.run(bowl, trials=15 - kept)
        assert table(study) == whole
        study.close()


def opened(path):
    try:
        return Study(SPACE, Random(seed=1), storage=path), ""
    except StorageError as error:
        return None, str(error)


@pytest.mark.fault(2, cases=100 if LONG else 7)
def test_a_file_cut_anywhere_opens_and_the_sweep_ends_as_it_would_have(tmp_path):
    source = tmp_path / "source.db"
    begun(source, 150).close()
    data, whole = source.read_bytes(), table(begun(None, 160))
    page = int.from_bytes(data[16:18], "big")
    refused = rescued = 0
    cuts = [len(data) * i // 101 for i in range(1, 101)] if LONG else [len(data) * i // 8 for i in range(1, 8)]
    for cut in cuts:
        path = tmp_path / f"{cut}.db"
        path.write_bytes(data[:cut])
        with warnings.catch_warnings(record=True, action="always") as caught:
            study, refusal = opened(path)
        if study is None:
            assert "beyond reading" in refusal
            assert path.read_bytes() == data[:cut]
            refused += 1
            continue
        assert "trials were read from it and go on" in str(caught[0].message)
        rescued += len(study.trials)
        assert (tmp_path / f"{cut}.db.damaged").read_bytes()[:cut] == data[:cut]
        assert all(row in whole for row in table(study))
        study.run(bowl, trials=160 - len(study.trials))
        assert table(study) == whole
        study.close()
    print(f"{len(cuts)} cuts of {len(data)} bytes (pages of {page}): {refused} refused, {rescued} trials rescued")
    assert refused < len(cuts)
    assert rescued > 0


# --- rows that are gone or make no sense ------------------------------------------------------------------------------


@pytest.mark.fault(2)
def test_numbers_a_rescue_lost_come_first():
    store = Store()
    store.study("s", "minimize", SPACE)
    propose, seed = (lambda numbers: [{"n": n} for n in numbers]), (lambda number: number)
    store.claim(6, propose, seed)
    for number in (1, 4):
        store._db.execute("DELETE FROM trial WHERE number = ?", (number,))
        del store.trials[number]
    assert [t.number for t in store.claim(1, propose, seed)] == [1]
    assert [t.number for t in store.claim(3, propose, seed)] == [4, 6, 7]
    assert store.record(4, Outcome("complete", 1.0))
    store.close()


@pytest.mark.fault(2)
def test_a_rescue_keeps_descriptions_and_leaves_rows_out_that_make_no_sense(tmp_path):
    path = tmp_path / "a.db"
    study = begun(path, 5)
    study.describe(DESCRIPTION)
    study.tell(2, 9.0)
    study.close()
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA writable_schema=ON")  # a bit that flipped: number 3 has no state
        db.execute("UPDATE sqlite_master SET sql = replace(sql, 'state TEXT NOT NULL', 'state TEXT')")
        db.commit()
    with closing(sqlite3.connect(path)) as db:
        db.execute("UPDATE trial SET state = NULL WHERE number = 3")
        db.commit()
    assert "4 trials were read" in salvage.rescue(path)
    study = begun(path)
    assert [t.number for t in study.trials] == [0, 1, 2, 4]
    assert study.description == DESCRIPTION
    assert [number for _, number, _ in study.log()] == [2]
    assert study.ask().number == 3
