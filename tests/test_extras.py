"""An extra that is not installed is named in one line wherever it is needed, in Python and on the command line."""

import importlib
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from sweeps import SPACE, bowl

from optlab.cli import _code
from optlab.cli.bench import TABLES
from optlab.data.catalogue import DATASETS
from optlab.data.fetch import fetch
from optlab.errors import OptlabError
from optlab.nn import MLP
from optlab.search import Random, Study

ROOT = Path(__file__).parents[1]
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
MODULES = {"bayesian-optimization": "bayes_opt", "scikit-optimize": "skopt"}  # of packages with another name
ALSO = {"parquet": ["polars"]}  # what will do, too
SEARCH = ["--objective", "surface", "--set", "name=beale", "--trials", "1"]

COMMANDS = {
    "data": [(3, "data", "fetch", "mnist", "--data-dir", "new")],
    "dask": [
        (2, "sweep", *SEARCH, "--dask", "local"),
        (2, "sweep", *SEARCH, "--dask", "tcp://127.0.0.1:1", "--storage", "other.db"),
    ],
    "optuna": [
        (2, "convert", "study.db", "--to", "optuna"),
        (2, "convert", "theirs.log", "--from", "optuna"),
        (2, "convert", "theirs.db", "--from", "optuna"),
    ],
    "parquet": [],
    "safetensors": [],
    "peers": [(2, "bench", table, "--peers") for table in TABLES if table != "search"],  # which says who is missing
}
CALLS = {
    "data": [lambda study: fetch(DATASETS["mnist"], "new")],
    "dask": [
        lambda study: study.run(bowl, trials=1, executor="dask"),
        lambda study: study.run(bowl, trials=1, executor="tcp://127.0.0.1:1"),
    ],
    "optuna": [
        lambda study: study.to_optuna(),
        lambda study: study.to_optuna("copy.db"),
        lambda study: importlib.import_module("optlab.integrations.convert"),
        lambda study: importlib.import_module("optlab.integrations.optuna"),
    ],
    "parquet": [lambda study: study.to_parquet("study.parquet")],
    "safetensors": [
        lambda study: MLP([1, 1]).save("model.safetensors"),
        lambda study: MLP([1, 1]).load(safetensors_file("theirs.safetensors")),
    ],
    "peers": [],
}


def safetensors_file(name):
    """The arrays of MLP([1, 1]), written as the format's documentation says."""
    header = {
        "0.weight": {"dtype": "F32", "shape": [1, 1], "data_offsets": [0, 4]},
        "0.bias": {"dtype": "F32", "shape": [1], "data_offsets": [4, 8]},
    }
    text = json.dumps(header).encode()
    Path(name).write_bytes(len(text).to_bytes(8, "little") + text + bytes(8))
    return name


def cases(uses):
    return [pytest.param(extra, use, id=f"{extra}-{i}") for extra in uses for i, use in enumerate(uses[extra])]


def modules(extra):
    packages = [re.split(r"[^\w-]", requirement)[0] for requirement in EXTRAS[extra]]
    return [MODULES.get(package, package) for package in packages] + ALSO.get(extra, [])


@pytest.fixture
def study(tmp_path, monkeypatch):
    """A study in the file study.db of an empty folder, which is where we are."""
    monkeypatch.chdir(tmp_path)
    study = Study(SPACE, Random(seed=1), storage="study.db")
    study.run(bowl, trials=2)
    return study


@pytest.fixture
def without(monkeypatch):
    """``without(extra)``: its modules can't be imported, nor are they found."""

    def remove(extra):
        for name in [name for name in sys.modules if name.startswith("optlab.integrations.")]:
            monkeypatch.delitem(sys.modules, name)
        blocked = tuple(modules(extra))
        loaded = [name for name in sys.modules if name.startswith(tuple(f"{module}." for module in blocked))]
        for name in (*blocked, *loaded):  # a submodule that another test has loaded would be found without its package
            monkeypatch.setitem(sys.modules, name, None)

    return remove


def test_every_extra_is_here():
    assert set(COMMANDS) == set(CALLS) == set(EXTRAS)
    assert all(COMMANDS[extra] or CALLS[extra] for extra in EXTRAS)


@pytest.mark.parametrize(("extra", "call"), cases(CALLS))
def test_python_names_the_extra_in_one_line(extra, call, study, without):
    without(extra)
    with pytest.raises((OptlabError, ImportError)) as caught:
        call(study)
    assert "\n" not in str(caught.value)
    assert f"pip install 'optlab[{extra}]'" in str(caught.value)
    assert len(study.trials) == 2, "nothing was begun"


@pytest.mark.parametrize(("extra", "command"), cases(COMMANDS))
def test_a_command_names_the_extra_in_one_line(extra, command, study, without, capfd):
    code, *arguments = command
    Path("theirs.db").touch()
    Path("theirs.log").touch()
    without(extra)
    assert _code(arguments) == code
    out, error = capfd.readouterr()
    assert out == ""
    assert error.startswith("optlab: ")
    assert error.count("\n") == 1
    assert f"pip install 'optlab[{extra}]'" in error


def test_nothing_else_needs_an_extra():
    """Every public name, every command's help, without any extra."""
    blocked = sorted({module for extra in EXTRAS for module in modules(extra)})
    code = (  # SciPy stumbles over None in sys.modules
        "import sys\n"
        "class Absent:\n"
        "    def find_spec(self, name, *rest):\n"
        f"        if name in {blocked}: raise ModuleNotFoundError(name)\n"
        "sys.meta_path.insert(0, Absent())\n"
        "import optlab as ol, optlab.search, optlab.nn, optlab.schedules, optlab.data\n"
        "for module in (ol, ol.search, ol.nn, ol.schedules, ol.data):\n"
        "    for name in dir(module): getattr(module, name)\n"
        "from optlab.cli import _code, cli\n"
        "for name in cli.commands: assert _code([name, '--help']) == 0\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
