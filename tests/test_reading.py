"""A study's file that is read: nothing that it names is imported or run, and it stays as it is to the last byte."""

import json
import os
import sqlite3
import subprocess
import sys
from contextlib import closing, suppress

import matplotlib
import pytest
from sweeps import SPACE, begun, bowl, child, ran, study_of, table

from optlab.cli import _code
from optlab.errors import ConfigError, StorageError
from optlab.search import GP, Choice, Float, Random, Sobol, Space, Study, schema

matplotlib.use("agg")

MARKER = """
from pathlib import Path
Path({path!r}).touch()

def call(params):
    Path({path!r}).touch()
    return 0.0

class Sampler:
    def __init__(self, **options):
        Path({path!r}).touch()
"""
COMMANDS = {
    "report": ["report", "{file}"],
    "report --html": ["report", "{file}", "--html", "{folder}/page.html"],
    "report --json": ["report", "{file}", "--json"],
    "convert": ["convert", "{file}", "--to", "optuna", "--out", "{folder}/theirs.db"],
}
CALLS = {
    "open": lambda study, folder: study.trials,
    "replay": lambda study, folder: study.replay(),
    "verdict": lambda study, folder: study.verdict(),
    "importance": lambda study, folder: study.importance(),
    "plot_history": lambda study, folder: study.plot_history(),
    "plot_slice": lambda study, folder: study.plot_slice(),
    "plot_contour": lambda study, folder: study.plot_contour("touch", "PWNED"),
    "plot_posterior": lambda study, folder: study.plot_posterior("touch"),
    "plot_posterior before a trial": lambda study, folder: study.plot_posterior("touch", trial=6),
    "html": lambda study, folder: study.html(folder / "page.html"),
    "to_json": lambda study, folder: study.to_json(folder / "a.json"),
    "to_csv": lambda study, folder: study.to_csv(folder / "a.csv"),
    "to_optuna": lambda study, folder: study.to_optuna(),
    "repr": lambda study, folder: repr(study),
    "ask": lambda study, folder: study.ask(),
    "run": lambda study, folder: study.run(lambda params: 0.0, trials=1),
}
NAMED = {  # what a file may say of its sweep
    "a command as the mean": {"sampler": {"name": "gp", "seed": 0, "initial": 4, "mean": "subprocess:call"}},
    "a module as the mean": {"sampler": {"name": "gp", "seed": 0, "initial": 4, "mean": "leaves_a_mark:call"}},
    "an objective": {"objective": "leaves_a_mark:call", "settings": {}, "sampler": {"name": "random", "seed": 0}},
    "a class as the sampler": {"sampler": {"name": "leaves_a_mark:Sampler", "seed": 0}},
    "a class as the objective": {"objective": "leaves_a_mark:Sampler", "settings": {"a": 1}, "sampler": "gp"},
}


def described(path, told):
    """A study as somebody else may have written it, whose parameters are a command's words."""
    study = Study(Space(touch=Float(0, 1), PWNED=Float(0, 1)), Random(seed=0), storage=path)
    study.run(lambda params: params["touch"], trials=8)
    study.describe(told)
    study.close()


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """A folder to work in, with a module on the path whose import leaves a mark."""
    (tmp_path / "modules").mkdir()
    (tmp_path / "modules" / "leaves_a_mark.py").write_text(MARKER.format(path=str(tmp_path / "MARK")))
    monkeypatch.syspath_prepend(tmp_path / "modules")
    monkeypatch.delitem(sys.modules, "leaves_a_mark", raising=False)
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    yield tmp_path / "work"
    assert "leaves_a_mark" not in sys.modules
    assert not (tmp_path / "MARK").exists()
    assert not (tmp_path / "work" / "PWNED").exists()


@pytest.mark.parametrize("named", NAMED)
@pytest.mark.fault(31, cases=len(COMMANDS) + len(CALLS))
def test_nothing_that_a_file_names_is_imported_or_called(named, elsewhere, monkeypatch):
    ran = []
    monkeypatch.setattr(subprocess, "call", lambda *args, **options: ran.append(args) or 0.0)
    described(elsewhere / "a.db", NAMED[named])
    for name, command in COMMANDS.items():
        if "mean" not in named and name != "report":
            continue
        words = [word.format(file=elsewhere / "a.db", folder=elsewhere) for word in command]
        assert _code(words) == 0
    for name, call in CALLS.items():
        if "mean" not in named and name not in ("open", "replay", "repr"):
            continue
        study = Study.open(elsewhere / "a.db")
        with suppress(ConfigError):  # another sampler than GP, or one that needs the function
            call(study, elsewhere)
        study.close()
    assert ran == []


def test_a_function_that_a_file_names_is_shown_and_can_be_given(elsewhere):
    path = elsewhere / "a.db"
    described(path, NAMED["a module as the mean"])
    study = Study.open(path)
    assert repr(study.sampler) == "GP(initial=4, mean='leaves_a_mark:call', seed=0)"
    assert study.sampler == GP(seed=0, initial=4, mean="leaves_a_mark:call")
    page = study.html(elsewhere / "page.html").read_text()
    assert "leaves_a_mark:call" in page
    assert "not imported" in page
    for use in (study.ask, study.plot_posterior, lambda: study.sampler.recommend(study.observations())):
        with pytest.raises(ConfigError, match=r"'leaves_a_mark:call' .* give the function yourself"):
            use()
    study.close()
    given = Study.open(path, sampler=GP(seed=0, initial=4, mean=lambda params: params["touch"]))
    given.run(lambda params: params["touch"], trials=2)
    assert len(given.complete) == 10
    assert given.sampler.options()["mean"].startswith("test_reading:")
    given.close()


# --- it stays as it is ------------------------------------------------------------------------------------------------


def contents(folder):
    return {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.iterdir()}


def clean(path):
    begun(path, 6).close()


def abandoned(path):
    """The driver was killed: its log and the index of the log lie beside the file."""
    script = "import os, sys; from sweeps import *; study = begun(sys.argv[1], 6); study.note(0, 'last'); os._exit(0)"
    child(script, path)
    assert path.with_name("a.db-wal").stat().st_size


def archived(path):
    """The same, copied without the index."""
    abandoned(path)
    path.with_name("a.db-shm").unlink()


def old_version(path, version):
    with closing(sqlite3.connect(path)) as db:
        schema.bring(db, since=0, to=version)
        text, digest = json.dumps(SPACE.to_dict()), SPACE.digest
        db.execute("INSERT INTO study VALUES (1, 'study', 'minimize', ?, ?, 1.0)", (text, digest))
        for number, trial in enumerate(ran(Study(SPACE, Random(seed=1)), 6).trials):
            row = (1, number, json.dumps(trial.params), "complete", trial.value, None, None, trial.seed, 2.0, 3.0, 1)
            row = (*row, 0, None, number + 1)
            db.execute(f"INSERT INTO trial VALUES ({', '.join('?' * len(row))})", row)
        db.commit()


def zeroed(path):
    """A page inside the file is lost: that of the logbook, so that the trials can be told from it."""
    clean(path)
    with closing(sqlite3.connect(path)) as db:
        page = db.execute("SELECT rootpage FROM sqlite_master WHERE name = 'news'").fetchone()[0]
        size = db.execute("PRAGMA page_size").fetchone()[0]
    with path.open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(bytes(size))


def cut(path):
    clean(path)
    os.truncate(path, path.stat().st_size - 100)


FILES = {
    "clean": clean,
    "of a killed driver": abandoned,
    "of a killed driver, archived": archived,
    "of version 1": lambda path: old_version(path, 1),
    "of version 2": lambda path: old_version(path, 2),
}
DAMAGED = {"a page of zeros": zeroed, "cut": cut}
USES = {**CALLS, "studies": lambda study, folder: Study.list(folder.parent / "archive" / "a.db")}
PAGES = ("html", "plot", "ask", "run", "--html", "convert", "optuna")  # each takes a while: of one file


@pytest.mark.parametrize("kind", [*FILES, *DAMAGED])
@pytest.mark.filterwarnings("ignore:.*is damaged:UserWarning")
@pytest.mark.fault(32, cases=5)
def test_reading_leaves_file_and_folder_as_they_are(kind, tmp_path, capsys):
    archive, elsewhere = tmp_path / "archive", tmp_path / "elsewhere"
    archive.mkdir(), elsewhere.mkdir()
    path = archive / "a.db"
    {**FILES, **DAMAGED}[kind](path)
    before = contents(archive)
    for name, command in COMMANDS.items():
        if kind == "of a killed driver" or not any(word in name for word in PAGES):
            assert _code([word.format(file=path, folder=elsewhere) for word in command]) == 0, capsys.readouterr().err
    for name, call in USES.items():
        if name not in ("ask", "run") and "touch" not in name and not any(word in name for word in PAGES):
            study = Study.open(path)
            with suppress(ConfigError):  # the sampler is not known
                call(study, elsewhere)
            study.close()
    study = Study.open(path)
    assert contents(archive) == before
    assert set(map(str, table(study))) <= set(map(str, table(ran(Study(SPACE, Random(seed=1)), 6))))
    assert len(study.trials) == 6 or kind == "cut"
    study.close()
    if kind in FILES:  # and it goes on, as any other study
        study = Study.open(path, sampler=Random(seed=1))
        study.run(bowl, trials=1)
        assert table(Study.open(path)) == table(ran(Study(SPACE, Random(seed=1)), 7))
        study.close()


def test_a_study_that_is_open_is_read_beside_its_driver(tmp_path):
    """In this process, whose locks an open and close of the file would drop, and in another one."""
    path = tmp_path / "a.db"
    driver = begun(path, 3)
    reader = Study.open(path)
    assert table(reader) == table(driver)
    driver.run(bowl, trials=3)
    assert len(reader.trials) == 6
    script = (
        "import sys; from sweeps import *; study = Study.open(sys.argv[1]); print(len(study.trials))\n"
        "study.tell(study.ask(params=study.best.params), 0.0); print(len(study.trials))"
    )
    assert child(script, path).stdout.split() == ["6", "7"]
    driver.run(bowl, trials=1)
    assert [len(study.trials) for study in (driver, reader)] == [8, 8]
    assert driver._store._db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert driver._store._db.execute("SELECT count(*) FROM driver").fetchone() == (2,)  # the first, and who told
    path.unlink()
    assert len(reader.trials) == 8
    reader.close(), driver.close()


@pytest.mark.skipif(not hasattr(os, "fork") or os.geteuid() != 0, reason="changes its user, which only root may")
@pytest.mark.parametrize("kind", FILES)
@pytest.mark.fault(32)
def test_a_file_in_a_folder_that_one_may_only_read(kind, tmp_path):
    """In a child that is nobody: for root every folder is writable."""
    archive = tmp_path / "archive"
    archive.mkdir()
    FILES[kind](archive / "a.db")
    before = contents(archive)
    for place in (archive, *(place for place in tmp_path.parents if place.stat().st_mode & 0o77 == 0)):
        place.chmod(0o755)
    tmp_path.chmod(0o755)
    script = (
        "import os, sys; from sweeps import *; os.seteuid(65534)\n"
        "study = Study.open(sys.argv[1], sampler=Random(seed=1)); print(len(study.trials))\n"
        "try: study.ask()\n"
        "except OSError as error: print(type(error).__name__, error)\n"
        "print(len(study.trials))"
    )
    told = child(script, archive / "a.db")
    first, refused, last = told.stdout.splitlines()
    assert (first, last) == ("6", "6"), told
    assert refused.startswith("StorageError")
    assert "can't be written" in refused
    assert contents(archive) == before


@pytest.mark.parametrize("place", ["", "no.db", ".", "pipe", "a\0b", "x" * 300, ":memory:", "text", "empty"])
@pytest.mark.fault(32)
def test_what_holds_no_study_is_refused(place, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    if place == "pipe":
        os.mkfifo("pipe")
    (tmp_path / "text").write_text("lr,loss\n" * 100)
    (tmp_path / "empty").touch()
    before = contents(tmp_path) if place != "pipe" else None
    for use in (Study.open, Study.list):
        with pytest.raises((StorageError, ConfigError)):
            use(place)
    assert before is None or contents(tmp_path) == before


def test_which_study_of_a_file(tmp_path):
    path = tmp_path / "a.db"
    for name in ("first", "second"):
        study_of(storage=path, name=name, direction="maximize").close()
    assert Study.list(path) == ["first", "second"]
    assert Study.open(path, "second").name == "second"
    assert Study.open(path, "first").direction == "maximize"
    with pytest.raises(ConfigError, match="holds 2 studies; choose one with name= or --name: first, second"):
        Study.open(path)
    with pytest.raises(ConfigError, match="did you mean 'second'"):
        Study.open(path, "secnd")
    with pytest.raises(ConfigError, match="sampler"):
        Study.open(path, "first", sampler="gp")
    assert Study.open(path, "first", sampler=Sobol(seed=2)).sampler == Sobol(seed=2)


# --- values that make no sense ----------------------------------------------------------------------------------------

DEEP = "[" * 5000 + "]" * 5000
HUGE = "1" + "0" * 5000
ODD = (
    DEEP,
    HUGE,
    "",
    "{",
    "null",
    "[]",
    "3",
    '"x"',
    "{}",
    "[1]",
    "NaN",
    '{"x": NaN}',
    '{"a": ' + "[" * 60 + "]" * 60 + "}",
)
SAMPLERS = ('"gp"', "[]", "3", '{"name": []}', '{"name": "gp", "seed": []}', '{"name": "gp", "seed": -1}')
SAMPLERS += (
    '{"name": "gp", "prior": [1]}',
    '{"name": "gp", "prior": {"x": {"a": [[1]]}}}',
    '{"name": "gp", "mean": 3}',
)
SAMPLERS += ('{"name": "grid", "axes": [1]}', '{"name": "grid", "points": 1e9}', '{"name": "gp", "noise": "x"}')
SAMPLERS += (
    '{"name": "grid", "axes": {"x": [5, 5]}}',
    '{"seed": 0}',
    '{"name": "gp", "new": 1}',
    '{"name": "gp", "mean": ":"}',
)
COLUMNS = ("number", "params", "state", "value", "error", "reports", "seed", "started", "finished", "starts", "changed")
VALUES = (None, -1, 2**63 - 1, 1e300, -1e308, "x", b"\xff", b"", "complete", "running", DEEP, HUGE, "{}", '{"x": "a"}')
VALUES += ('{"y": 1}', '{"x": 1e999}', '{"x": [1]}', '{"x": ' + HUGE + "}", "[[0, 1]]", "[[[]]]", '[["a", 1]]', "[0]")
ROWS = [
    *(("study", "space", text) for text in (*ODD, '{"x": [' + DEEP + "]}", '{"x": {"low": ' + HUGE + ', "high": 1}}')),
    *(("study", "direction", value) for value in ("up", "", b"minimize", 3)),
    *(("study", "name", value) for value in (b"\xff\xfe", b"study", "")),
    *(("sweep", "settings", text) for text in (*ODD, None, 3, b"\xff")),
    *(("sweep", "settings", f'{{"sampler": {text}}}') for text in SAMPLERS),
    *(("sweep", "settings", f'{{"objective": {text}, "settings": {text}, "first": {text}}}') for text in SAMPLERS[:4]),
    *(("trial", column, value) for column in COLUMNS for value in VALUES),
]


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    path = tmp_path_factory.mktemp("sound") / "a.db"
    study = Study(Space(x=Float(0, 1)), Random(seed=1), storage=path)
    study.describe({"objective": "bowl", "settings": {}, "sampler": {"name": "random", "seed": 1}})
    study.run(lambda params: params["x"], trials=6)  # too few for importances, which take long
    study.close()
    return path.read_bytes()


@pytest.mark.parametrize("table", ["study", "sweep", "trial"])
@pytest.mark.fault(31, cases=len(ROWS) // 3)
def test_values_that_make_no_sense_end_in_a_documented_error(table, sound, tmp_path, capsys):
    path, read = tmp_path / "a.db", 0
    for row, column, value in ROWS:
        if row != table:
            continue
        path.write_bytes(sound)
        with closing(sqlite3.connect(path)) as db:
            where = "WHERE number = 5" if table == "trial" else ""
            db.execute(f"UPDATE OR IGNORE {table} SET {column} = ? {where}", (value,))
            with suppress(sqlite3.IntegrityError):
                db.commit()
        before = path.read_bytes()
        code = _code(["report", str(path), "--json"])
        told = capsys.readouterr()
        assert code in (0, 2, 5), (column, value, told.err)
        read += code == 0
        if code == 0:
            study = Study.open(path)
            with suppress(ConfigError, StorageError):  # a sampler that can only be shown; moments that make no sense
                study.replay()
            assert repr(study)
            study.to_json(tmp_path / "a.json")
            study.to_csv(tmp_path / "a.csv")
            study.close()
        assert path.read_bytes() == before
    assert read


@pytest.mark.parametrize(
    "hidden", ["VIEW v AS SELECT 1", "TRIGGER t AFTER INSERT ON driver BEGIN DELETE FROM trial; END"]
)
@pytest.mark.fault(31, cases=2)
def test_a_file_with_queries_of_its_own_is_refused(hidden, sound, tmp_path):
    """A view may never end, and a trigger changes what a driver writes."""
    path = tmp_path / "a.db"
    path.write_bytes(sound)
    with closing(sqlite3.connect(path)) as db:
        db.execute(f"CREATE {hidden}")
        db.commit()
    for use in (Study.open, lambda path: Study(Space(x=Float(0, 1)), Random(seed=1), storage=path)):
        with pytest.raises(StorageError, match="has a view or a trigger"):
            use(path)
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("SELECT count(*) FROM trial").fetchone() == (6,)


def test_a_name_commands_no_terminal(tmp_path, capsys):
    path = tmp_path / "a.db"
    space = Space({"\x1b[31mred\x07": Float(0, 1), "rule": Choice(["\x1b]0;title\x07", "\x9bplain"])})
    study = Study(space, Random(seed=0), storage=path, name="\x1b[2J")
    study.run(lambda params: params["\x1b[31mred\x07"], trials=5)
    study.tell(study.ask(), error="lost\x1b[1m")
    study.close()
    assert _code(["report", str(path)]) == 0
    assert _code(["report", str(path), "--name", "\x1b[3J"]) == 2
    told = capsys.readouterr()
    assert "\\x1b[31mred\\x07" in told.out
    assert not [c for c in told.out + told.err if not c.isprintable() and c != "\n"]
