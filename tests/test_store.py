"""The file under a study: shared, cut, foreign, full, and what a driver leaves behind."""

import gc
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from contextlib import closing
from pathlib import Path

import pytest
from sweeps import SPACE, bowl, table

from optlab.cli.studies import open_study
from optlab.errors import ConfigError, StorageError
from optlab.search import Float, Random, Space, Study, salvage, schema
from optlab.search import owner as owners
from optlab.search.owner import Owner, birth_of, this_process
from optlab.search.store import DEATHS, Store
from optlab.search.trial import Outcome

LONG = bool(os.environ.get("OPTLAB_LONG"))


def begun(path, trials=0, **options):
    study = Study(SPACE, Random(seed=1), storage=path, **options)
    study.run(bowl, trials=trials)
    return study


def test_memory_and_file_keep_the_same(tmp_path):
    there, here = begun(tmp_path / "a.db", 30), begun(None, 30)
    assert table(there) == table(here)
    there.close()
    assert table(Study(SPACE, Random(seed=1), storage=tmp_path / "a.db")) == table(here)


def test_several_studies_in_one_file(tmp_path):
    a = begun(tmp_path / "a.db", 3, name="a")
    other = Study(Space(y=Float(0, 1)), Random(seed=2), "maximize", tmp_path / "a.db", "b")
    other.run(lambda params: params["y"], trials=4)
    assert [len(a.trials), len(other.trials)] == [3, 4]
    assert all(set(trial.params) == {"y"} for trial in other.trials)


def test_another_space_or_direction_needs_another_name(tmp_path):
    begun(tmp_path / "a.db", 1)
    with pytest.raises(ConfigError, match="another space"):
        Study(Space(y=Float(0, 1)), Random(seed=1), storage=tmp_path / "a.db")
    with pytest.raises(ConfigError, match="another direction"):
        begun(tmp_path / "a.db", direction="maximize")


# --- files that can't be used -----------------------------------------------------------------------------------------


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


def child(script, *arguments, **options):
    paths = os.pathsep.join(p for p in sys.path if p)
    environment = {**os.environ, "PYTHONPATH": paths, **options.pop("env", {})}
    command = [sys.executable, "-c", script, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120, **options)


@pytest.mark.fault(7)
def test_a_file_system_without_locks(tmp_path, monkeypatch):
    def no_locks(*args, **kwargs):
        raise sqlite3.OperationalError("locking protocol")

    monkeypatch.setattr(sqlite3, "connect", no_locks)
    with pytest.raises(StorageError, match="local disk"):
        begun(tmp_path / "a.db")


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


# --- several drivers --------------------------------------------------------------------------------------------------

WRITER = """
import sys
from sweeps import *
study = Study(SPACE, Random(seed=1), storage=sys.argv[1])
for _ in range(int(sys.argv[2])):
    trial = study.ask()
    study.tell(trial, bowl(trial.params))
"""


@pytest.mark.fault(6)
def test_many_processes_write_one_file(tmp_path):
    drivers, each = (16, 100) if LONG else (5, 25)
    paths = os.pathsep.join(p for p in sys.path if p)
    command = [sys.executable, "-c", WRITER, str(tmp_path / "a.db"), str(each)]
    environment = {**os.environ, "PYTHONPATH": paths}
    writers = [subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) for _ in range(drivers)]
    errors = [writer.communicate(timeout=280)[1] for writer in writers]
    assert errors == [""] * drivers
    assert table(Study(SPACE, Random(seed=1), storage=tmp_path / "a.db")) == table(begun(None, drivers * each))


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
    study = begun_seed5(tmp_path / "a.db")
    study.run(bowl, trials=2)
    assert [t.state for t in study.trials] == ["quarantined", "complete", "complete"]
    assert "driver died 5 times" in study.trials[0].error


def begun_seed5(path):
    return Study(SPACE, Random(seed=5), storage=path)


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
    assert not Owner(me.host.split("/")[0] + "/another boot", me.pid, me.birth).alive(now, now)
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


def test_what_is_on_disk_is_no_pickle_and_plain(tmp_path):
    begun(tmp_path / "a.db", 2).close()
    db = sqlite3.connect(tmp_path / "a.db")
    rows = db.execute("SELECT params, value FROM trial").fetchall()
    db.close()
    assert [json.loads(params) for params, _ in rows] == [trial.params for trial in begun(None, 2).trials]


@pytest.mark.fault(2)
def test_numbers_a_rescue_lost_come_first():
    store = Store()
    store.study("s", "minimize", "{}", "d")
    propose, seed = (lambda numbers: [{"n": n} for n in numbers]), (lambda number: number)
    store.claim(6, propose, seed)
    for number in (1, 4):
        store._db.execute("DELETE FROM trial WHERE number = ?", (number,))
        del store.trials[number]
    assert [t.number for t in store.claim(1, propose, seed)] == [1]
    assert [t.number for t in store.claim(3, propose, seed)] == [4, 6, 7]
    assert store.record(4, Outcome("complete", 1.0))
    store.close()


# --- what a sweep is, and older files ---------------------------------------------------------------------------------

SETTINGS = {"objective": "digits", "sampler": {"name": "sobol", "seed": 3}}


def old_file(path):
    """As version 1 wrote it: settings among the events, under trial -1."""
    with closing(sqlite3.connect(path)) as db:
        schema.bring(db, since=0, to=1)
        space = (json.dumps(SPACE.to_dict()), SPACE.digest)
        db.execute("INSERT INTO study VALUES (1, 'study', 'minimize', ?, ?, 0.0)", space)
        params = [json.dumps(SPACE.decode([x, 0.5, 0.5, 0.5])) for x in (0.25, 0.75)]
        row = "INSERT INTO trial VALUES (1, ?, ?, 'complete', ?, NULL, NULL, 7, 1.0, 2.0, 1, 0, NULL, ?)"
        db.executemany(row, [(0, params[0], 0.5, 1), (1, params[1], 0.25, 2)])
        earlier = {**SETTINGS, "sampler": {"name": "random"}}
        for number, text in (
            (-1, "sweep " + json.dumps(earlier)),
            (0, "sweep up"),
            (-1, "sweep " + json.dumps(SETTINGS)),
        ):
            db.execute("INSERT INTO event VALUES (1, ?, 3.0, ?)", (number, text))
        db.commit()


@pytest.mark.parametrize("damaged", [False, True])
@pytest.mark.fault(7)
def test_a_file_of_version_1_comes_up_to_date(damaged, tmp_path):
    path = tmp_path / "a.db"
    old_file(path)
    if damaged:
        assert "2 trials were read" in salvage.rescue(path)
    for _ in range(2):
        study = begun(path)
        assert study.description == SETTINGS
        assert [(number, text) for _, number, text in study.log()] == [(0, "sweep up")]
        assert [(t.value, t.seed, t.params["x"]) for t in study.trials] == [(0.5, 7, -0.5), (0.25, 7, 0.5)]
        study.close()
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (schema.VERSION,)
        assert db.execute("SELECT count(*) FROM sweep").fetchone() == (2,)
    assert repr(open_study(path, None).sampler) == "Sobol(seed=3)"


def test_the_last_description_stands_and_each_study_has_its_own(tmp_path):
    a, b = begun(tmp_path / "a.db", name="a"), begun(tmp_path / "a.db", name="b")
    assert a.description == {}
    a.describe({"lr": 1})
    a.describe(SETTINGS)
    assert (a.description, b.description, a.log()) == (SETTINGS, {}, [])
    memory = begun(None)
    memory.describe(SETTINGS)
    assert memory.description == SETTINGS


@pytest.mark.fault(2)
def test_a_rescue_keeps_descriptions_and_leaves_rows_out_that_make_no_sense(tmp_path):
    path = tmp_path / "a.db"
    study = begun(path, 5)
    study.describe(SETTINGS)
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
    assert study.description == SETTINGS
    assert [number for _, number, _ in study.log()] == [2]
    assert study.ask().number == 3


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
