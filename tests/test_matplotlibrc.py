"""The user's matplotlibrc does not reach the files that optlab writes; it does reach the user's own figures."""

import os
import subprocess
import sys
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from click.testing import CliRunner
from test_bench_page import COMMITTED
from test_csv_index import INDEX, table

import optlab as ol
from optlab import gallery
from optlab.bench import pictures
from optlab.cli import cli
from optlab.search import Float, Random, Space, Study
from optlab.viz.study_report import write_study_report

ROOT = Path(__file__).parents[1]
HOSTILE = {
    "text.usetex": True,  # and no LaTeX is there
    "font.family": ["No Such Font"],
    "mathtext.fontset": "custom",
    "mathtext.rm": "No Such Font",
    "svg.fonttype": "none",
    "svg.image_inline": False,
    "svg.hashsalt": "mine",
    "savefig.dpi": 7,
    "savefig.bbox": "tight",
    "savefig.transparent": True,
    "savefig.facecolor": "red",
    "figure.dpi": 31,
    "figure.facecolor": "black",
    "figure.autolayout": True,
    "axes.facecolor": "0.1",
    "axes.grid": True,
    "axes.labelsize": 30,
    "axes.formatter.use_locale": True,
    "axes.spines.top": False,
    "image.cmap": "jet",
    "lines.linewidth": 9,
    "path.sketch": (1, 100, 2),
    "legend.fontsize": 30,
    "xtick.direction": "in",
}
FILE = "\n".join(
    f"{name}: {', '.join(map(str, value)) if isinstance(value, list | tuple) else value}"
    for name, value in HOSTILE.items()
)
FILE = f"{FILE}\nbackend: module://no.such.backend\n"


def race(folder):
    result = ol.race("beale", ["sgd", "adam(lr=0.1)"], steps=3)
    return [result.animate(folder / "a.gif", size=(200, 150)), result.html(folder / "a.html")]


def study(folder):
    made = Study(Space(x=Float(0.0, 1.0), y=Float(0.0, 1.0)), Random(seed=0), name="s")
    for trial in range(6):
        live = made.ask()
        made.tell(live, live.params["x"] + trial)
    text = write_study_report(made, folder / "s.html").read_text(encoding="utf-8")
    return [part for part in text.split('"') if part.startswith("data:")]


def figure(folder):
    made = gallery.make("epsilon", folder, fast=True)
    return [folder / name for name in made.pictures]


def bench(folder):
    return pictures.draw({"search": COMMITTED["search"]}, folder)


def commands(folder):
    """Those that save a picture, in one process."""
    path = table(folder / "t.csv", *INDEX["pandas"])
    for line in (
        "race beale sgd --steps 3 --png race.png",
        "basin beale sgd --resolution 8 --steps 3 --png basin.png",
        f"lr-find {path} --index --hidden 0 --steps 20 --png lr.png",
    ):
        done = CliRunner().invoke(cli, line.split(), catch_exceptions=False)
        assert done.exit_code == 0, done.output
    return [Path(name) for name in ("race.png", "basin.png", "lr.png")]


WRITERS = {"race": race, "study": study, "gallery": figure, "bench": bench, "commands": commands}


def contents(found):
    return [item.read_bytes() if isinstance(item, Path) else item for item in found]


@pytest.mark.fault(43, cases=len(HOSTILE))
@pytest.mark.parametrize("name", WRITERS)
def test_files_are_the_same_bytes_under_any_matplotlibrc(name, tmp_path, monkeypatch):
    found = []
    for kind, settings in (("usual", {}), ("hostile", HOSTILE)):
        (folder := tmp_path / kind).mkdir()
        monkeypatch.chdir(folder)
        with matplotlib.rc_context(settings):
            before = dict(matplotlib.rcParams)
            found.append(contents(WRITERS[name](folder)))
            assert dict(matplotlib.rcParams) == before
    assert found[0]
    assert found[0] == found[1]


@pytest.mark.fault(43, cases=4)
def test_figures_of_the_user_keep_the_style_of_the_user():
    with matplotlib.rc_context({"figure.facecolor": "0.25", "axes.facecolor": "0.75", "axes.grid": True}):
        result = ol.race("beale", ["sgd"], steps=3)
        for ax in (result.plot_loss(), ol.lr_find(*finding(), "sgd", steps=20).plot()):
            assert matplotlib.colors.to_hex(ax.figure.get_facecolor()) == "#404040"
            assert matplotlib.colors.to_hex(ax.get_facecolor()) == "#bfbfbf"


def finding():
    return ol.nn.MLP([2, 2], seed=0), (np.random.default_rng(0).normal(size=(20, 2)), np.arange(20) % 2)


@pytest.mark.fault(43, cases=4)
def test_commands_work_under_a_hostile_matplotlibrc(tmp_path):
    """Also under a back end that is not there, which a figure for the user then does without."""
    table(tmp_path / "t.csv", *INDEX["pandas"])
    (tmp_path / "matplotlibrc").write_text(FILE)
    script = (
        "import matplotlib\n"
        "assert matplotlib.rcParams['text.usetex'] and matplotlib.rcParams['lines.linewidth'] == 9\n"
        "from click.testing import CliRunner\n"
        "from optlab.cli import cli\n"
        "for line in (\n"
        "    'race beale sgd --steps 1 --out race',\n"
        "    'basin beale sgd --resolution 8 --steps 3 --out basin',\n"
        "    'train t.csv --index --epochs 1 --hidden 0 --out run',\n"
        "    'lr-find t.csv --index --hidden 0 --steps 20 --png lr.png',\n"
        "):\n"
        "    done = CliRunner().invoke(cli, line.split(), catch_exceptions=False)\n"
        "    assert done.exit_code == 0, done.output\n"
        "import optlab as ol\n"
        "ol.race('beale', ['sgd'], steps=3).plot_loss()\n"
    )
    variables = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'kernels'}"}
    variables.pop("MPLBACKEND", None)
    variables["MATPLOTLIBRC"] = str(tmp_path / "matplotlibrc")
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, cwd=tmp_path, env=variables, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    report = (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    assert "No pictures" not in report
    for file in ("race/beale.png", "race/beale.gif", "race/beale.html", "basin/beale-sgd.png", "lr.png"):
        assert (tmp_path / file).stat().st_size > 1000


@pytest.mark.fault(43, cases=2)
def test_a_picture_that_fails_costs_no_training(tmp_path, monkeypatch):
    path = table(tmp_path / "t.csv", *INDEX["pandas"])

    def fails(*args):
        raise RuntimeError("no ink")

    monkeypatch.setattr("optlab.viz.report.curves", fails)
    monkeypatch.setattr("optlab.viz.report.evidence", fails)
    done = CliRunner().invoke(cli, ["train", str(path), "--index", "--epochs", "1", "--out", str(tmp_path / "run")])
    assert done.exit_code == 0
    assert "finished" in done.output
    page = (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    for what in ("the curves", "the data"):
        assert f"No pictures of {what}: RuntimeError: no ink" in page
