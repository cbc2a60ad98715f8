"""`optlab sweep` and `optlab report` in processes of their own: files, options, exit codes, interrupts."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from test_cli import ROOT, optlab

from optlab.cli import _code
from optlab.cli.flags import parameter, setting
from optlab.search import Float, Random, Space, Study

SURFACE = """
objective = "surface"
trials = 12
sampler = "random"
[settings]
name = "beale"
[space]
x = { low = -4.5, high = 4.5 }
y = { low = -4.5, high = 4.5 }
"""
CHEAP = ("--objective", "surface", "--set", "name=beale", "--sampler", "random")
MODULE = """
import math, os, time

def fails(params):
    if params["x"] < 0:
        raise ValueError(f"x is negative: {params['x']}")
    return params["x"]

def never(params):
    return math.nan

def slow(params, trial, seconds=0.02):
    while trial.number > 2 and not os.path.exists("go"):
        time.sleep(seconds)
    return params["x"] ** 2

def corner(params):
    return params["x"]
"""
X = ("--param", "x=-1..1", "--sampler", "random")


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "sweep.toml").write_text(SURFACE)
    (tmp_path / "mine.py").write_text(MODULE)
    return tmp_path


def sweep(folder, *arguments, check=0, **environment):
    return optlab("sweep", *arguments, cwd=folder, check=check, **environment)


@pytest.fixture
def refused(folder, monkeypatch, capsys):
    """What a refusal says: in this process, which is quicker."""
    monkeypatch.chdir(folder)

    def run(*arguments, code=2):
        assert _code(["sweep", *map(str, arguments)]) == code
        told = capsys.readouterr()
        assert told.out == ""
        assert not list(folder.glob("*.db"))
        return told.err

    return run


def document(done):
    return json.loads(done.stdout, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))


# --- what it does -----------------------------------------------------------------------------------------------------


def test_a_sweep_file_is_run_kept_and_reported(folder):
    done = sweep(folder, "sweep.toml")
    assert "12/12" in done.stderr
    assert "best" in done.stdout
    assert "edge:x" in done.stdout
    again = document(optlab("report", "sweep.db", "--json", cwd=folder, check=0))
    assert again["trials"] == {"complete": 12}
    assert again["objective"] == "surface"
    assert again["settings"] == {"name": "beale"}
    straight = Study(Space(x=Float(-4.5, 4.5), y=Float(-4.5, 4.5)), Random(seed=0))
    from optlab.objectives import surface

    straight.run(surface("beale"), trials=12)
    assert again["best"]["params"] == straight.best.params
    assert again["best"]["value"] == straight.best.value
    assert {v["id"] for v in again["verdicts"]} >= {"edge:x", "edge:y"}
    shown = optlab("report", "sweep.db", "--html", "pages/r.html", cwd=folder, check=0)
    assert (folder / "pages" / "r.html").stat().st_size > 10_000
    assert "wrote" in shown.stderr
    assert "sampler" in shown.stdout


def test_options_are_enough_and_win_over_the_file(folder):
    quiet = sweep(folder, *CHEAP, "--trials", 3, "--json", "-q")
    assert quiet.stderr == ""
    told = document(quiet)
    assert (told["trials"], told["storage"], told["study"]) == ({"complete": 3}, "sweep.db", "surface")
    assert set(told["best"]["params"]) == {"x", "y"}  # the surface's own space
    over = document(sweep(folder, "sweep.toml", "--trials", 2, "--seed", 5, "--set", "name=booth", "--json"))
    assert over["trials"] == {"complete": 2}
    assert over["settings"] == {"name": "booth"}
    assert over["sampler"]["seed"] == 5


def test_resume_continues_to_the_same_trials(folder):
    first = sweep(folder, "sweep.toml", "--trials", 5, "--storage", "a.db")
    assert "5/5" in first.stderr
    refused = sweep(folder, "sweep.toml", "--storage", "a.db", check=2)
    assert "--resume continues it" in refused.stderr
    resumed = document(sweep(folder, "sweep.toml", "--storage", "a.db", "--resume", "--json"))
    straight = document(sweep(folder, "sweep.toml", "--storage", "b.db", "--json"))
    assert resumed["trials"] == {"complete": 12}
    assert resumed["best"] == straight["best"]
    other = sweep(folder, "sweep.toml", "--storage", "a.db", "--resume", "--set", "name=booth", check=2)
    assert "could not be compared" in other.stderr
    nothing = sweep(folder, "sweep.toml", "--storage", "c.db", "--resume", check=2)
    assert "nothing to resume" in nothing.stderr
    assert not (folder / "c.db").exists()


def test_a_dry_run_writes_nothing(folder):
    done = sweep(folder, "sweep.toml", "--dry-run")
    assert "-4.5 .. 4.5" in done.stdout
    assert done.stdout.count("x=") == 5
    plan = document(sweep(folder, "sweep.toml", "--dry-run", "--json"))
    assert len(plan["first"]) == 5
    assert sorted(p.name for p in folder.iterdir()) == ["mine.py", "sweep.toml"]


def test_training_from_options_in_two_threads(folder):
    params = (
        "--param",
        "lr=1e-3..1e-1 log",
        "--param",
        "rule=sgd,momentum",
        "--param",
        "beta=0.5..0.9 when rule=momentum",
    )
    fixed = ("--set", "dataset=digits", "--set", "epochs=1", "--set", "hidden=8", "--set", "batch_size=256")
    done = sweep(folder, "--objective", "training", *fixed, *params, "--trials", 3, "--workers", 2, "--json", "-q")
    told = document(done)
    assert told["trials"] == {"complete": 3}
    assert 0.0 < told["best"]["value"] < 5.0


# --- exit codes -------------------------------------------------------------------------------------------------------


def test_too_many_failures_are_exit_code_4_with_the_reasons(folder):
    done = sweep(folder, "--objective", "mine:fails", *X, "--trials", 30, "--max-failures", 3, check=4)
    assert "more than max_failures=3" in done.stderr
    assert "ValueError: x is negative" in done.stdout
    row = next(line for line in done.stdout.splitlines() if "ValueError" in line)
    assert row.split()[0] == "4"  # one reason, though each has its own number
    fewer = sweep(folder, "--objective", "mine:fails", *X, "--trials", 6, "--max-failures", 6, "--storage", "b.db")
    assert "complete" in fewer.stdout
    none = sweep(folder, "--objective", "mine:never", *X, "--trials", 2, "--storage", "c.db", check=4)
    assert "No trial is complete" in none.stdout


def test_a_best_on_an_edge_is_exit_code_6_if_strict(folder):
    arguments = ("--objective", "mine:corner", "--set", "nothing=1")
    sweep(folder, *arguments, *X, check=4)  # an argument that the function does not take: all trials fail
    grid = ("--objective", "mine:corner", "--param", "x=1..2", "--sampler", "sobol", "--trials", 40)
    sweep(folder, *grid, "--storage", "a.db")
    done = sweep(folder, *grid, "--storage", "b.db", "--strict-edge", "--trials", 400, check=6)
    assert "extend x below 1" in done.stdout


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (SURFACE.replace("beale", "beal"), ["did you mean 'beale'?"]),
        (SURFACE.replace("name =", "nam ="), ["settings.nam", "settings.name is missing"]),
        (SURFACE.replace("x =", "z ="), ["space.z is unknown", "space.x is missing"]),
        (SURFACE.replace("trials = 12", "trials = -1\nsample = 3"), ["trials", "sample is unknown", "2 mistakes"]),
        (SURFACE.replace("low = -4.5", "low = 9") + "\nw = 3", ["space.x.low", "space.w", "3 mistakes"]),
        (SURFACE.replace('"surface"', '"surfaces"'), ["objective", "surface"]),
        ("objective = ", ["no valid TOML"]),
        ('objective = "training"\n[settings]\ndataset = "digits"\nlr = 0.1\n[space]\nlr = { low = 0.1, high = 1.0 }',
         ["space.lr is fixed"]),
    ],
)  # fmt: skip
@pytest.mark.fault(18)
def test_all_mistakes_of_a_file_come_at_once_with_exit_code_2(refused, text, words):
    Path("bad.toml").write_text(text)
    told = refused("bad.toml")
    assert all(word in told for word in ["bad.toml", *words]), told


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "expected a sweep file"),
        (("missing.toml",), "can't be read"),
        ((*CHEAP, "--param", "x"), "reads like"),
        ((*CHEAP, "--param", "x=0..1 logg"), "means nothing from 'logg' on"),
        ((*CHEAP, "--set", "name"), "reads like"),
        ((*CHEAP, "--sampler", "gq"), "sampler"),
        (("--objective", "no.module:here", *X), "can't be imported"),
        ((*CHEAP, "--workers", "0"), "--workers"),
        ((*CHEAP, "--pruner", "mean"), "median"),
        (("--objective", "training", "--param", "lr=0..1"), "settings.dataset is missing"),
    ],
)
@pytest.mark.fault(19)
def test_a_users_mistake_is_exit_code_2(refused, arguments, words):
    assert words in refused(*arguments)


def test_data_that_can_not_be_had_are_exit_code_3(refused, folder):
    fixed = ("--set", "dataset=mnist", "--set", f"data_dir={folder}")
    assert "mnist" in refused("--objective", "training", *fixed, code=3)


@pytest.mark.fault(7, cases=4)
def test_storage_that_can_not_be_are_exit_code_5(folder):
    (folder / "other.db").write_text("not a database" * 100)
    for storage in ("no/such/folder.db", "other.db", "."):
        done = sweep(folder, *CHEAP, "--storage", storage, check=5)
        assert len(done.stderr.strip().splitlines()) == 1
    assert optlab("report", "none.db", cwd=folder, check=5).stdout == ""
    assert (folder / "other.db").read_text().startswith("not a database")


def test_report_asks_which_study(folder):
    for name in ("a", "b"):
        sweep(folder, *CHEAP, "--trials", 2, "--name", name)
    assert "--name: a, b" in optlab("report", "sweep.db", cwd=folder, check=2).stderr
    assert "did you mean 'b'" in optlab("report", "sweep.db", "--name", "bb", cwd=folder, check=2).stderr
    assert document(optlab("report", "sweep.db", "--name", "b", "--json", cwd=folder, check=0))["study"] == "b"
    Study(Space(x=Float(0, 1)), Random(), storage=folder / "bare.db").close()
    assert "No trial is complete" in optlab("report", "bare.db", "--html", "r.html", cwd=folder, check=0).stdout


@pytest.mark.skipif(os.name == "nt", reason="signals are POSIX's")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.fault(25)
def test_an_interrupted_sweep_is_saved_and_continues(folder, number, code):
    command = [sys.executable, "-m", "optlab", "sweep", "--objective", "mine:slow", *X, "--trials", "12"]
    path = os.pathsep.join([str(ROOT), str(ROOT / "kernels")])
    env = {**os.environ, "PYTHONPATH": path}
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=folder, env=env, stdout=pipe, stderr=pipe, text=True) as running:
        while not running.stderr.readline().startswith("2/12"):
            assert running.poll() is None
        running.send_signal(number)
        (folder / "go").touch()
        told = running.stderr.read()
    assert running.returncode == code
    assert "saved" in told
    assert "--resume" in told
    assert "Traceback" not in told
    kept = document(optlab("report", "sweep.db", "--json", cwd=folder, check=0))["trials"]
    assert set(kept) == {"complete"}
    assert 2 <= kept["complete"] < 12
    rest = sweep(folder, *command[4:], "--resume", "--json", "--set", "seconds=0", check=2)
    assert "another" in rest.stderr
    assert document(sweep(folder, *command[4:], "--resume", "--json"))["trials"] == {"complete": 12}


@pytest.mark.fault(19, cases=4)
def test_odd_surroundings(folder):
    done = sweep(folder, *CHEAP, "--trials", 3, "--storage", "поиск ü.db", COLUMNS="20", HOME="")
    assert "поиск ü.db" in done.stdout
    read, write = os.pipe()
    os.close(read)
    path = os.pathsep.join([str(ROOT), str(ROOT / "kernels")])
    command = [sys.executable, "-m", "optlab", "sweep", *CHEAP, "--trials", "3", "--storage", "p.db"]
    piped = subprocess.run(
        command, cwd=folder, env={**os.environ, "PYTHONPATH": path}, stdout=write, stderr=subprocess.PIPE, text=True
    )
    os.close(write)
    assert (piped.returncode, "Traceback" in piped.stderr) == (0, False)


# --- how options are written ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "entry"),
    [
        ("lr=1e-5..1 log", {"low": 1e-5, "high": 1, "log": True}),
        ("n = 8..64 step 8 int", {"low": 8, "high": 64, "step": 8, "int": True}),
        ("x=-1..-.5", {"low": -1, "high": -0.5}),
        ("rule=sgd,adam", ["sgd", "adam"]),
        ("flag=true,false", [True, False]),
        ("n=1,2,4", [1, 2, 4]),
        ("b=0.5..0.9 when rule=momentum", {"low": 0.5, "high": 0.9, "when": {"rule": "momentum"}}),
        ("b=1,2 when rule=a|b flag=true", {"values": [1, 2], "when": {"rule": ["a", "b"], "flag": True}}),
    ],
)
def test_parameters_as_options(text, entry):
    found = []
    assert parameter(text, found)[1] == entry
    assert not found


def test_settings_as_options():
    texts = (
        "a=1",
        "a=0.5",
        "a=true",
        "a=some text",
        "a=[1, 2]",
        'a="1"',
        "a=2020-01-01",
        "a=.5",
        "a=[",
        "a==",
        "a=1\nb=2",
    )
    values = [1, 0.5, True, "some text", [1, 2], "1", "2020-01-01", 0.5, "[", "=", "1\nb=2"]
    assert [setting(text, [])[1] for text in texts] == values


def test_help_is_quick_to_read():
    text = optlab("sweep", "--help", check=0).stdout
    assert "optlab sweep sweep.toml --workers 2" in text


@pytest.mark.fault(31, cases=4)
def test_what_is_imported_is_said_and_comes_from_this_call(folder):
    """A study's file names an objective and a mean too; these are never imported, also on a resume."""
    (folder / "bad.py").write_text("from pathlib import Path\nPath('MARK').touch()\ndef call(params): return 0.0\n")
    text = 'objective = "mine:corner"\ntrials = 4\nsampler = { name = "gp", initial = 2, mean = "mine:corner" }\n'
    (folder / "own.toml").write_text(text + "[space]\nx = { low = -1, high = 1 }\n")
    first = sweep(folder, "own.toml", "--trials", 3)
    assert "optlab: importing mine:corner, mine:corner\n" in first.stderr
    with closing(sqlite3.connect(folder / "own.db")) as db:
        [kept] = db.execute("SELECT settings FROM sweep").fetchone()
        db.execute("UPDATE sweep SET settings = ?", (kept.replace('"mean": "mine:corner"', '"mean": "bad:call"'),))
        db.commit()
    resumed = sweep(folder, "own.toml", "--resume", "-q", "--json")
    assert resumed.stderr == ""
    assert document(resumed)["trials"] == {"complete": 4}
    with closing(sqlite3.connect(folder / "own.db")) as db:
        db.execute("UPDATE sweep SET settings = ?", (kept.replace("mine:corner", "bad:call"),))
        db.commit()
    assert "objective 'bad:call'" in sweep(folder, "own.toml", "--resume", check=2).stderr
    optlab("report", "own.db", "--html", "page.html", cwd=folder, check=0)
    assert not (folder / "MARK").exists()
