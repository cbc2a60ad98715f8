"""A study's file that is read: nothing that it names is imported or run, and it stays as it is to the last byte."""

import json
import os
import sqlite3
import subprocess
import sys
from contextlib import closing, suppress

import matplotlib
import pytest
from sweeps import SPACE, begun, bowl, child, ran, table

from optlab.cli import _code
from optlab.errors import ConfigError
from optlab.search import GP, Float, Random, Space, Study, schema

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
