"""Standard streams that are None, closed, without a terminal's methods or without a reader stop no work."""

import contextlib
import io
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import warnings
from pathlib import Path

import numpy as np
import pytest
from test_csv_index import INDEX, table

import optlab as ol
from optlab.cli import main
from optlab.data import catalogue
from optlab.interrupt import Interrupts
from optlab.search import Float, Random, Space, Study
from optlab.sklearn import MLPRegressor

ROOT = Path(__file__).parents[1]
X, Y = np.random.default_rng(0).normal(size=(20, 2)), np.arange(20) % 2
SWEEP = """
objective = "surface"
trials = 4
sampler = "random"
[settings]
name = "beale"
[space]
x = { low = -4.5, high = 4.5 }
y = { low = -4.5, high = 4.5 }
"""


class Plain:
    """What a small editor puts in place of a stream."""

    def __init__(self):
        self.text = ""

    def write(self, text):
        self.text += text


class Broken(io.StringIO):
    """A pipe whose reader has gone."""

    def write(self, text):
        raise BrokenPipeError(32, "Broken pipe")


class Hung(io.StringIO):
    """A terminal that hung up."""

    def write(self, text):
        raise OSError(5, "Input/output error")

    def isatty(self):
        raise OSError(5, "Input/output error")


def closed():
    stream = io.StringIO()
    stream.close()
    return stream


STREAMS = {"None": lambda: None, "closed": closed, "no isatty": Plain, "broken pipe": Broken, "hung up": Hung}


def train(verbose):
    model = ol.nn.MLP([2, 2], seed=0)
    history = ol.fit(model, (X, Y), epochs=2, verbose=verbose)
    assert (history.status, history.epochs) == ("finished", 2)


def interrupt():
    if threading.current_thread() is threading.main_thread():
        with Interrupts() as interrupts:
            signal.raise_signal(signal.SIGTERM)
        assert interrupts.asked == signal.SIGTERM


@contextlib.contextmanager
def shown_warnings():
    """As Python shows them; pytest records them instead."""

    def show(message, category, file_name, line, file=None, text=None):
        if sys.stderr is not None:
            with contextlib.suppress(OSError):
                sys.stderr.write(warnings.formatwarning(message, category, file_name, line, text))

    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.showwarning = show
        yield


def warn(folder):
    with shown_warnings():
        assert ol.data.read(table(folder / "t.csv", *INDEX["pandas"])).x.shape[1] == 1


def notice():
    """A study on threads warns about an objective that can't be sent to a process."""
    with shown_warnings():
        study = Study(Space(x=Float(0.0, 1.0)), Random(seed=0))
        study.run(lambda params: params["x"], trials=3, executor=2)
    assert len(study.complete) == 3


PLACES = {
    "fit": lambda folder: train(None),
    "fit, verbose": lambda folder: train(True),
    "MLPRegressor": lambda folder: MLPRegressor((2,), epochs=2, verbose=True).fit(X, Y * 1.0),
    "interrupt": lambda folder: interrupt(),
    "warning": warn,
    "notice of a study": lambda folder: notice(),
}


@pytest.mark.fault(42, cases=len(STREAMS))
@pytest.mark.parametrize("place", PLACES)
def test_the_library_works_whatever_the_streams_are(place, tmp_path, monkeypatch):
    for make in STREAMS.values():
        monkeypatch.setattr(sys, "stderr", make())
        monkeypatch.setattr(sys, "stdout", make())
        PLACES[place](tmp_path)


COMMANDS = {
    "rules": (["rules"], 0),
    "surfaces --json": (["surfaces", "--json"], 0),
    "data": (["data", "list"], 0),
    "race": (["race", "beale", "sgd", "--steps", "3", "--out", "race"], 0),
    "train": (["train", "t.csv", "--index", "--epochs", "1", "--hidden", "0", "--out", "run"], 0),
    "lr-find": (["lr-find", "t.csv", "--index", "--hidden", "0", "--steps", "20"], 0),
    "sweep": (["sweep", "sweep.toml", "--storage", "a.db"], 0),
    "report": (["report", "b.db", "--html", "report.html"], 0),
    "gallery": (["gallery", "epsilon", "--fast", "--out", "gallery"], 0),
    "help": (["--help"], 0),
    "usage": (["nonsense"], 2),
    "no such rule": (["race", "beale", "nonsense"], 2),
    "no such file": (["train", "nothing.csv"], 3),
    "bug": (["bug"], 1),
}
SLOW = ("gallery", "race", "train", "report")  # they draw
WRITTEN = {
    "race": "race",
    "train": "run/report.html",
    "sweep": "a.db",
    "report": "report.html",
    "gallery": "gallery/epsilon.svg",
}


def command(arguments):
    """The code that it leaves with."""
    with pytest.raises(SystemExit) as left:
        main(arguments)
    return left.value.code


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    folder = tmp_path_factory.mktemp("prepared")
    table(folder / "t.csv", *INDEX["pandas"])
    (folder / "sweep.toml").write_text(SWEEP)
    study = Study(Space(x=Float(0.0, 1.0)), Random(seed=0), storage=folder / "b.db", name="three")
    study.run(lambda params: params["x"], trials=3)
    return folder


@pytest.mark.fault(42, cases=len(STREAMS))
@pytest.mark.parametrize("name", COMMANDS)
def test_commands_do_their_work_whatever_the_streams_are(name, prepared, tmp_path, monkeypatch):
    arguments, code = COMMANDS[name]
    if name == "bug":
        monkeypatch.setattr(catalogue, "DATASETS", None)
        arguments = ["data", "list"]
    for kind, make in STREAMS.items():
        if (name in SLOW and kind not in ("None", "broken pipe")) or (name, kind) == ("gallery", "None"):
            continue
        folder = shutil.copytree(prepared, tmp_path / kind.replace(" ", "-"))
        monkeypatch.chdir(folder)
        for which in ("stdout", "stderr", "both"):
            if name in WRITTEN and which != "both":
                continue
            for stream in ("stdout", "stderr"):
                monkeypatch.setattr(sys, stream, make() if which in (stream, "both") else io.StringIO())
            got = command(arguments)
            no_disk = (
                kind == "hung up" and which != "stderr" and code == 0
            )  # output that is lost is an error of its own
            assert got in ((code, 5) if no_disk else (code,)), (kind, which)
        if name in WRITTEN:
            assert (folder / WRITTEN[name]).exists(), kind


def test_a_stream_without_methods_of_a_terminal_still_gets_the_text(monkeypatch):
    monkeypatch.setattr(sys, "stderr", stream := Plain())
    train(True)
    assert "epoch 2/2" in stream.text
    monkeypatch.setattr(sys, "stdout", stream := Plain())
    assert command(["rules"]) == 0
    assert "adam" in stream.text


@pytest.mark.fault(42, cases=2)
@pytest.mark.skipif(sys.platform == "win32", reason="POSIX shells close descriptors")
def test_files_do_not_take_the_place_of_closed_streams(prepared, tmp_path):
    """What a library prints into descriptor 1 or 2 must not get into a study or a checkpoint."""
    script = (
        "import os\nfrom optlab import streams\nstreams.attach()\n"
        "file = open('precious', 'w')\nassert file.fileno() > 2, file.fileno()\n"
        "os.write(1, b'noise')\nos.write(2, b'noise')\nfile.write('fine')\nfile.close()\n"
    )
    (tmp_path / "script.py").write_text(script)
    run = f"{sys.executable} script.py <&- >&- 2>&-"
    assert subprocess.run(["sh", "-c", run], cwd=tmp_path, check=False, env=environment()).returncode == 0
    assert (tmp_path / "precious").read_text() == "fine"
    run = f"{sys.executable} -m optlab sweep {prepared / 'sweep.toml'} --storage a.db --workers 2 <&- >&- 2>&-"
    assert subprocess.run(["sh", "-c", run], cwd=tmp_path, check=False, env=environment()).returncode == 0
    with contextlib.closing(sqlite3.connect(tmp_path / "a.db")) as file:
        assert file.execute("SELECT count(*) FROM trial WHERE state = 'complete'").fetchone() == (4,)


def environment():
    return {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'kernels'}"}
