"""Faults that no other file has (docs/faults.md, rows 17, 19, 28, 29), and the script that counts all of them."""

import importlib.util
import os
import re
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from conftest import LONG
from sweeps import SPACE, bowl

import optlab as ol
from optlab.data import ledger
from optlab.data.ledger import Ledger
from optlab.errors import SealError
from optlab.search import Random, Study

ROOT = Path(__file__).parents[1]
spec = importlib.util.spec_from_file_location("soak", ROOT / "scripts" / "soak.py")
soak = importlib.util.module_from_spec(spec)
spec.loader.exec_module(soak)


# --- 17: softmax of the unusual ---------------------------------------------------------------------------------------

LOGITS = {
    "far apart": [1e308, -1e308, 0.0],
    "all large": [1e308] * 3,
    "all small": [-1e308] * 3,
    "equal": [7.0] * 4,
    "masked": [0.0, -np.inf, 1.0],
    "all masked but one": [-np.inf, -np.inf, 3.0],
    "one class": [5.0],
    "denormal": [5e-324, 0.0, -5e-324],
}


@pytest.mark.fault(17)
@pytest.mark.parametrize("name", LOGITS)
def test_probabilities_of_extreme_logits_sum_to_one(name):
    z = np.array([LOGITS[name]])
    with np.errstate(all="ignore"):
        p, log = ol.Tensor(z).softmax(1).data, ol.Tensor(z).log_softmax(1).data
    assert abs(p.sum() - 1.0) < 1e-12
    assert ((p >= 0) & (p <= 1)).all()
    assert (log <= 0).all()
    assert p[0, np.argmax(z)] == p.max()
    assert (p[np.isneginf(z)] == 0).all()


# --- 19: odd surroundings ---------------------------------------------------------------------------------------------

ODD = {
    "no HOME": {"HOME": None, "XDG_CACHE_HOME": None},
    "a HOME that is not there": {"HOME": "/nowhere/at/all", "XDG_CACHE_HOME": None},
    "a terminal of no kind": {"TERM": "dumb", "NO_COLOR": "1", "COLUMNS": "20"},
    "an encoding of 1963": {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0", "LC_ALL": "C"},
}


@pytest.mark.fault(19)
@pytest.mark.parametrize("name", ODD)
def test_a_command_in_odd_surroundings(name, tmp_path):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "kernels")]), **ODD[name]}
    environment = {key: value for key, value in environment.items() if value is not None}
    command = [sys.executable, "-m", "optlab", "rules"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, stdin=subprocess.DEVNULL, capture_output=True)
    assert done.returncode == 0, done.stderr
    assert b"Traceback" not in done.stderr
    assert b"adam" in done.stdout


# --- 28: a long study -------------------------------------------------------------------------------------------------


@pytest.mark.fault(28)
def test_a_study_of_many_trials_opens_and_goes_on(tmp_path):
    count, path = (100_000 if LONG else 2_000), tmp_path / "a.db"
    study = Study(SPACE, Random(seed=1), storage=path)
    study.run(bowl, trials=1)
    study.close()
    with closing(sqlite3.connect(path)) as db:
        columns = [name for _, name, *_ in db.execute("PRAGMA table_info(trial)")]
        copied = ", ".join({"number": "n", "changed": "n + 1000"}.get(name, name) for name in columns)
        numbers = f"WITH RECURSIVE more(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM more WHERE n < {count - 1})"
        db.execute(f"{numbers} INSERT INTO trial SELECT {copied} FROM trial, more WHERE number = 0")
        db.commit()
    began = time.perf_counter()
    study = Study(SPACE, Random(seed=1), storage=path)
    assert len(study.trials) == count
    print(f"a file of {count:,} trials opened in {time.perf_counter() - began:.2f} s")
    assert study.best.number == 0
    assert study.ask().number == count


# --- 29: a test set, and Optuna between its two uses ------------------------------------------------------------------


@pytest.mark.fault(29, cases=3)
def test_no_way_through_optuna_opens_a_test_set(tmp_path, monkeypatch):
    optuna = pytest.importorskip("optuna", reason="needs Optuna: pip install 'optlab[optuna]'")
    from optlab.integrations.convert import from_optuna
    from optlab.integrations.optuna import RandomSampler

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    monkeypatch.setattr(ledger, "_process", {})
    objective = ol.objectives.training("digits", epochs=1, rule="adam")
    test = ol.data.load("digits").split()[2]
    held_out = test.open("final table", Ledger(None)).rows
    given = [part.rows for pair in objective.parts for part in pair]
    assert sorted(np.concatenate([*given, held_out])) == list(range(1797)), "it learns from all the others"

    theirs = optuna.create_study(sampler=RandomSampler(seed=0), storage=f"sqlite:///{tmp_path / 'theirs.db'}")
    theirs.optimize(lambda trial: objective({"lr": trial.suggest_float("lr", 1e-3, 1e-1, log=True)}), n_trials=2)
    ours = from_optuna(tmp_path / "theirs.db", tmp_path / "ours.db")
    ours.run(objective, trials=1)
    ours.to_optuna(tmp_path / "again.db")
    assert len(ours.complete) == 3
    assert len(Ledger(None).records()) == 1, "nobody looked"
    with pytest.raises(SealError, match="final table"):
        test.open("after Optuna", Ledger(None))
    with pytest.raises(SealError, match="final table"):
        ol.data.load("digits").split()[2].open("a split of one's own", Ledger(None))


# --- the script and its page ------------------------------------------------------------------------------------------


def test_every_row_has_tests_and_every_marker_a_row():
    known = soak.rows(soak.PAGE.read_text("utf-8"))
    assert list(known) == list(range(1, 49))
    assert [row for row in known if not soak.files(row)] == []
    marked = {
        int(row)
        for path in (ROOT / "tests").glob("test_*.py")
        for row in re.findall(r"mark\.fault\((\d+)", path.read_text("utf-8"))
    }
    assert marked == set(known)


REPORT = """<testsuites><testsuite>
<testcase name="a" time="1.5"><properties><property name="cases" value="7"/></properties>
<system-out>--- Captured Out ---
7 kills: lost 0</system-out></testcase>
<testcase name="b" time="2"><properties><property name="cases" value="3"/></properties>{}</testcase>
<testcase name="c" time="0"><properties><property name="cases" value="9"/></properties>
<skipped message="no fork here"/></testcase>
</testsuite></testsuites>"""


def test_a_row_is_filled_from_pytests_report():
    row = soak.rows(soak.PAGE.read_text("utf-8"))[3]
    filled, said = soak.filled(row, ElementTree.fromstring(REPORT.format("")), short=False)
    assert filled == row._replace(cases="10", result="all pass; left out: no fork here", seconds="4")
    assert said == ["a: 7 kills: lost 0"]
    assert soak.rows(str(filled)) == {3: filled}
    failed, _ = soak.filled(row, ElementTree.fromstring(REPORT.format("<failure/>")), short=True)
    assert (failed.cases, failed.result) == ("10 (short)", "**failed**: b; left out: no fork here")


def test_the_script_refuses_rows_that_are_not_there():
    for arguments in ([], ["0"], ["99"], ["1", "x"], ["all", "1"]):
        done = subprocess.run([sys.executable, soak.__file__, *arguments], capture_output=True, text=True)
        assert done.returncode == 2
        assert "expected rows from 1 to " in done.stderr
