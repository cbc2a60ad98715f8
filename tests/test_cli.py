"""The command line as a newcomer meets it: in processes of its own, with exit codes and without tracebacks."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).parents[1]


COMMANDS = [
    "race",
    "basin",
    "gallery",
    "rules",
    "surfaces",
    "bench",
    "doctor",
    "train",
    "evaluate",
    "lr-find",
    "data",
    "sweep",
    "report",
]


def optlab(*arguments, cwd=None, check=None, **environment):
    """Run `python -m optlab ...`; the source roots come from here, whatever the folder."""
    path = os.pathsep.join([str(ROOT), str(ROOT / "kernels")])
    env = {**os.environ, "PYTHONPATH": path, "COLUMNS": "120", **environment}
    done = subprocess.run(
        [sys.executable, "-m", "optlab", *map(str, arguments)],
        cwd=cwd,
        env=env,
        capture_output=True,
        text=True,
    )
    assert "Traceback" not in done.stderr, done.stderr
    if check is not None:
        assert done.returncode == check, (done.returncode, done.stdout, done.stderr)
    return done


def test_help_names_every_command():
    text = optlab("--help", check=0).stdout
    assert all(word in text for word in COMMANDS)


@pytest.mark.parametrize(
    "command",
    COMMANDS,
)
def test_help_of_a_command_imports_nothing_heavy(command):
    code = (
        "import sys; from optlab.cli import _code; _code([sys.argv[1], '--help']);"
        "print(sorted(m for m in ('numba', 'numpy', 'scipy', 'matplotlib', 'rich') if m in sys.modules))"
    )
    path = os.pathsep.join([str(ROOT), str(ROOT / "kernels")])
    done = subprocess.run(
        [sys.executable, "-c", code, command], env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True
    )
    assert done.stdout.splitlines()[-1] == "[]", done.stdout + done.stderr
    assert "Usage: " in done.stdout


def test_version():
    import optlab as ol

    assert optlab("--version", check=0).stdout.strip().endswith(ol.__version__)


def test_race_writes_everything_it_is_asked_for(tmp_path):
    done = optlab("race", "beale", "sgd", "adam(lr=0.1)", "--steps", 30, "--out", "a/b", cwd=tmp_path, check=0)
    names = {p.name for p in (tmp_path / "a" / "b").iterdir()}
    assert names == {"beale.png", "beale.gif", "beale.html", "beale-1-sgd.csv", "beale-2-adam.csv"}
    with Image.open(tmp_path / "a" / "b" / "beale.gif") as gif:
        assert gif.n_frames == 31
    assert done.stdout.splitlines()[0] == "Beale, 30 steps"
    assert "Adam(lr=0.1)" in done.stdout
    assert "wrote" in done.stderr
    assert "wrote" not in done.stdout


def test_race_lr_goes_to_every_rule():
    document = json.loads(
        optlab("race", "beale", "sgd", "momentum", "adam", "--lr", 0.01, "--steps", 5, "--json").stdout
    )
    assert [run["settings"]["lr"] for run in document["runs"].values()] == [0.01] * 3
    assert len(document["runs"]["Adam"]["points"]) == 6


def test_race_json_is_one_strict_document_even_when_a_run_diverges(tmp_path):
    done = optlab("race", "beale", "momentum", "--lr", 0.01, "--png", tmp_path / "x.png", "--json", check=0)
    document = json.loads(done.stdout, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    assert document["runs"]["Momentum"]["status"] == "diverged"
    assert document["runs"]["Momentum"]["points"][-1] == [None, None]
    assert (tmp_path / "x.png").is_file()


def test_race_tuned():
    arguments = ("race", "sphere", "sgd", "adam", "--tune", 8, "--starts", 4, "--steps", 40, "--json", "--seed", 3)
    once, again = (json.loads(optlab(*arguments, check=0).stdout)["table"] for _ in range(2))
    assert once == again
    assert [row["rule"] for row in once] == ["SGD", "Adam"]


def test_basin(tmp_path):
    done = optlab("basin", "himmelblau", "momentum", "--lr", 0.01, "--resolution", 40, cwd=tmp_path, check=0)
    assert (tmp_path / "himmelblau-momentum.png").is_file()
    assert "Himmelblau" in done.stdout
    arguments = ("--resolution", 20, "--window", -1, 1, -2, 2, "--npz", "m.npz", "--json")
    document = json.loads(optlab("basin", "himmelblau", "sgd", *arguments, cwd=tmp_path, check=0).stdout)
    assert document["window"] == [[-1, 1], [-2, 2]]
    assert np.load(tmp_path / "m.npz")["minimum"].shape == (20, 20)


def test_lists():
    rules = json.loads(optlab("rules", "--json", check=0).stdout)
    assert rules["adam"]["slots"] == ["m", "v"]
    assert "adam" in optlab("rules", check=0).stdout
    assert "Kingma" in optlab("rules", "adam", check=0).stdout
    surfaces = json.loads(optlab("surfaces", "--json", check=0).stdout)
    assert surfaces["beale"]["minima"] == [[3.0, 0.5]]
    assert surfaces["saddle"]["f_min"] is None
    assert "himmelblau" in optlab("surfaces", check=0).stdout
    assert "1.5" in optlab("surfaces", "beale", check=0).stdout


def test_doctor():
    report = json.loads(optlab("doctor", "--json", check=0).stdout)
    assert all(value.startswith("ok") for value in report["checks"].values())
    assert {"numpy", "numba"} <= set(report["packages"])


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("rase",), "rase"),
        (("race", "beale", "sgd", "--stepz", "3"), "--stepz"),
        (("race", "beale", "sgd", "--steps", "many"), "many"),
        (("race", "beale", "sgd", "--steps", "-1"), "-1"),
        (("race", "beale"), "RULES"),
        (("race", "beal", "sgd"), "did you mean 'beale'?"),
        (("race", "beale", "momentm"), "did you mean 'momentum'?"),
        (("race", "beale", "adam(lr=x)"), "lr must be a number"),
        (("race", "beale", "adam(beta=0.9)"), "did you mean beta"),
        (("race", "beale", "adam(lr)"), "lr=0.1"),
        (("race", "beale", "adam", "--lr", "-1"), "lr must be in [0, inf)"),
        (("race", "beale", "sgd", "--start", "nan", "0"), "finite"),
        (("race", "beale", "sgd", "--gif", "x.png"), ".gif"),
        (("basin", "beale", "sgd", "--window", "1", "0", "0", "1"), "low < high"),
        (("basin", "beale", "sgd", "--npz", "x.csv"), ".npz"),
        (("gallery", "contour"), "did you mean 'contours'?"),
        (("rules", "adamm"), "did you mean 'adam'?"),
        (("surfaces", "rosenbrok"), "did you mean 'rosenbrock'?"),
        (("bench", "kernel"), "kernel"),
    ],
)
@pytest.mark.fault(19)
def test_a_users_mistake_is_one_clear_message_and_exit_code_2(arguments, expected, tmp_path):
    done = optlab(*arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert expected in done.stderr
    assert done.stdout == ""


@pytest.mark.fault(19)
def test_a_file_that_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    done = optlab("race", "beale", "sgd", "--steps", 3, "--html", "file/x.html", cwd=tmp_path)
    assert done.returncode == 5
    assert len(done.stderr.strip().splitlines()) == 1


@pytest.mark.fault(19)
def test_a_closed_pipe_is_no_failure(tmp_path):
    path = os.pathsep.join([str(ROOT), str(ROOT / "kernels")])
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-m", "optlab", "race", "beale", "sgd", "--html", "x.html", "--json"]
    env = {**os.environ, "PYTHONPATH": path}
    done = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, text=True, cwd=tmp_path, env=env)
    os.close(write)
    assert (done.returncode, "Traceback" in done.stderr, "Error" in done.stderr) == (0, False, False)
    assert (tmp_path / "x.html").is_file()


@pytest.mark.fault(19, cases=3)
def test_odd_surroundings(tmp_path):
    folder = tmp_path / "grün und weit"
    folder.mkdir()
    done = optlab("race", "beale", "sgd", "--steps", 3, "--png", "плот.png", cwd=folder, check=0, COLUMNS="20", HOME="")
    assert (folder / "плот.png").is_file()
    assert "SGD" in done.stdout
