"""What leaves a study: tables that read back, and pictures that show the trials."""

import csv
import importlib.util
import io
import itertools
import json
import math
import re

import numpy as np
import pytest
from matplotlib.tri import TriContourSet
from sweeps import SPACE, ran, study_of, told

from optlab.cli import _code
from optlab.errors import ConfigError, StorageError
from optlab.search import (
    Choice,
    Float,
    Int,
    Random,
    Space,
    Study,
)
from optlab.train.callbacks import CSVLog
from optlab.train.history import History


def test_names_with_dollars_are_no_mathematics(tmp_path):
    space = Space(**{"$a$": Float(0, 1), "b$^{": Float(0, 1), "c": Choice(["$x_", "y$"])})
    study = told(space, [({"$a$": i / 10, "b$^{": (i % 4) / 4, "c": "$x_"}, float(i)) for i in range(10)])
    figure = study.plot_slice()
    figure.savefig(tmp_path / "slice.png")  # what is no valid mathematics would raise here
    assert figure.axes[0].get_xlabel() == r"\$a\$"
    study.plot_contour("$a$", "b$^{").figure.savefig(tmp_path / "contour.png")


def mixed():
    space = Space(value=Float(0, 1), rule=Choice(["a,b", 'c"d']), beta=Float(0, 1, when={"rule": "a,b"}))
    study = Study(space, Random(seed=3))
    outcomes = iter([0.5, math.nan, 0.25, 0.125])

    def objective(params, trial):
        trial.report(math.nan, 0)
        return next(outcomes)

    study.run(objective, trials=4)
    return study


def test_csv_reads_back_exactly(tmp_path):
    study = mixed()
    study.to_csv(tmp_path / "a.csv")
    with open(tmp_path / "a.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    for row, trial in zip(rows, study.trials, strict=True):
        assert row["value"] == ("" if trial.value is None else repr(trial.value))
        assert float(row["params.value"]) == trial.params["value"]
        assert row["rule"] == trial.params["rule"]
        assert (row["beta"] == "") == ("beta" not in trial.params)
        assert row["error"] == (trial.error or "")


FORMULAS = ["=1+1", "+1", "-1+cmd|' /C calc'!A0", "@SUM(A1)", "\t=1+1", "\r=1+1", "\n=1+1"]


@pytest.mark.parametrize("text", FORMULAS)
def test_no_text_of_a_csv_is_a_formula(text, tmp_path):
    """Whatever a reader of CSV gives back for a text, it begins as no formula; numbers are the same as before."""
    study = Study(Space({text: Float(-5, -1), "kind": Choice([text, "plain"])}), Random(seed=0))
    study.run(lambda params: params[text], trials=6)
    study.tell(study.ask(params={text: -2.0, "kind": text}), error=f"{text} failed")
    for safe in (True, False):
        study.to_csv(tmp_path / "a.csv", spreadsheet_safe=safe)
        with open(tmp_path / "a.csv", newline="") as file:
            head, *rows = csv.reader(file)
        mark = "'" if safe else ""
        assert head[-2:] == [mark + text, "kind"]
        assert [row[-1] for row in rows] == [
            mark * (kind == text) + kind for kind in (t.params["kind"] for t in study.trials)
        ]
        assert [row[-2] for row in rows] == [repr(trial.params[text]) for trial in study.trials]  # negative ones too
        assert [float(row[2]) for row in rows[:-1]] == [trial.value for trial in study.complete]
        assert rows[-1][3] == f"{mark}{text} failed"
    study.to_csv(tmp_path / "b.csv")
    with open(tmp_path / "b.csv", newline="") as file:
        cells = [cell for row in csv.reader(file) for cell in row]
    assert not [cell for cell in cells if cell.startswith(tuple("=+-@\t\r")) and not _is_number(cell)]


def _is_number(cell):
    try:
        return math.isfinite(float(cell))
    except ValueError:
        return False


@pytest.mark.parametrize("text", FORMULAS)
def test_no_heading_of_another_csv_is_a_formula(text, tmp_path):
    """A curve's name is whatever a callback of the user's or a checkpoint says."""
    history = History()
    history.restore({"seconds": np.array([]), f"epochs/{text}": np.array([-1.5]), "epochs/a": np.array([2.0])})
    history.save(tmp_path / "history.csv")
    log = CSVLog(tmp_path / "log.csv")._line({text: -1.5, "a": 2.0}, True)
    for written in ((tmp_path / "history.csv").open(newline=""), io.StringIO(log, newline="")):
        head, row = csv.reader(written)
        assert f"'{text}" in head
        assert text not in head
        assert row[head.index(f"'{text}")] == "-1.5"
        written.close()


def test_a_parameter_with_the_name_of_a_column_replaces_none(tmp_path, capsys):
    names = ("value", "trial", "trials", "study", "storage", "number", "params.value")
    study = Study(Space({name: Float(1, 2) for name in names}), Random(seed=0), storage=tmp_path / "a.db")
    study.run(lambda params: 7.25, trials=2)
    study.to_csv(tmp_path / "a.csv")
    with open(tmp_path / "a.csv", newline="") as file:
        row = next(csv.DictReader(file))
    assert (row["value"], row["number"]) == ("7.25", "0")
    assert float(row["params.number"]) == study.trials[0].params["number"]
    assert {float(value) for key, value in row.items() if key.startswith("params.")} >= {
        study.trials[0].params[name] for name in ("value", "number", "params.value")
    }
    page = study.html(tmp_path / "a.html").read_text()
    assert "<tr><th>value</th><td>7.25</td></tr>" in page
    assert page.count("<td>7.25</td>") == 3  # the best, and in a table of both
    assert _code(["report", str(tmp_path / "a.db")]) == 0
    lines = dict(
        re.split(r"  +", line.strip(), maxsplit=1) for line in capsys.readouterr().out.split("\n\n")[0].splitlines()
    )
    assert (lines["value"], lines["trials"], lines["study"]) == ("7.25", "2 complete", "study")
    assert {f"params.{name}" for name in ("value", "trials", "study", "storage")} <= lines.keys()
    study.close()


def test_json_is_json(tmp_path):
    study = mixed()
    study.to_json(tmp_path / "a.json")
    content = json.loads((tmp_path / "a.json").read_text(), parse_constant=pytest.fail)
    assert [t["params"] for t in content["trials"]] == [t.params for t in study.trials]
    assert content["trials"][0]["reports"] == [[0, None]]
    assert Space.from_dict(content["space"]) == study.space
    with pytest.raises(StorageError, match="can't be written"):
        study.to_json(tmp_path)


def test_parquet_reads_back_or_says_what_it_needs(tmp_path):
    study, path = mixed(), tmp_path / "a.parquet"
    readers = {"pyarrow": lambda module: module.parquet.read_table(path).column("value").to_pylist(),
               "polars": lambda module: module.read_parquet(path)["value"].to_list()}  # fmt: skip
    name = next((name for name in readers if importlib.util.find_spec(name)), None)
    if name is None:
        with pytest.raises(ConfigError, match=r"pip install 'optlab\[parquet\]'"):
            study.to_parquet(path)
        assert not path.exists()
        return
    study.to_parquet(path)
    if name == "pyarrow":
        importlib.import_module("pyarrow.parquet")
    assert readers[name](importlib.import_module(name)) == [t.value for t in study.trials]


def test_pictures_show_the_trials():
    study = ran(study_of(), 30)
    study.tell(study.ask(), math.nan)
    ax = study.plot_history()
    lines = {line.get_label(): line.get_xydata() for line in ax.get_lines()}
    assert lines["trial"].tolist() == [[t.number, t.value] for t in study.complete]
    assert lines["best so far"][-1, 1] == study.best.value
    assert lines["failed or pruned"][:, 0].tolist() == [30]
    fig = study.plot_slice()
    panels = fig.axes[: len(SPACE)]
    assert [panel.get_xlabel() for panel in panels] == list(SPACE)
    assert panels[1].get_xscale() == "log"
    xs = panels[0].collections[0].get_offsets()[:, 0]
    assert xs.tolist() == [t.params["x"] for t in study.complete]
    for pair in (("x", "lr"), ("lr", "width"), ("rule", "x"), ("x", "rule")):
        ax = study.plot_contour(*pair)
        assert (ax.get_xlabel(), ax.get_ylabel()) == pair
        ax.figure.canvas.draw()
    fig.canvas.draw()


def test_pictures_of_little_and_of_much():
    one = told(SPACE, [({"x": 0.0, "lr": 0.1, "width": 3, "rule": "sgd"}, -1.0)])
    line = told(Space(x=Float(0, 1), y=Float(0, 1)), [({"x": i / 10, "y": i / 10}, 10.0**i) for i in range(10)])
    for study, pair in ((one, ("x", "lr")), (line, ("x", "y"))):
        for artist in (study.plot_history(), study.plot_contour(*pair)):
            artist.figure.canvas.draw()
        study.plot_slice().canvas.draw()
    assert line.plot_history().get_yscale() == "log"


FIELDS = {  # space, and a function that is linear on the axes as they are shown
    "log": (Space(lr=Float(1e-5, 1, log=True), y=Float(0, 1)), lambda p: math.log10(p["lr"]) + 5),
    "two logs": (
        Space(lr=Float(1e-5, 1, log=True), y=Int(1, 1000, log=True)),
        lambda p: math.log10(p["lr"]) + math.log10(p["y"]),
    ),
    "linear": (Space(lr=Float(-2, 3), y=Int(1, 40)), lambda p: p["lr"] - p["y"] / 40),
    "steps": (Space(lr=Float(0, 5, step=0.5), y=Float(1e-3, 10, log=True)), lambda p: p["lr"] + math.log10(p["y"])),
}


@pytest.mark.parametrize("kind", FIELDS)
def test_a_contour_is_drawn_where_mathematics_has_it(kind):
    """Every band of colour as it lies in the picture; a raw interpolation had 0.010 to 0.020 from 0.011 to 0.341."""
    space, f = FIELDS[kind]
    study = told(
        space, [(p, f(p)) for p in (trial.params for trial in ran(Study(space, Random(seed=3)), 60, f).trials)]
    )
    ax = study.plot_contour("lr", "y")
    ax.figure.canvas.draw()
    (drawn,) = [artist for artist in ax.collections if isinstance(artist, TriContourSet)]
    bands = [ax.transData.transform_path(path) for path in drawn.get_paths()]
    inside = [space.decode([u, v]) for u in np.linspace(0.3, 0.7, 60) for v in (0.35, 0.5, 0.65)]
    places = ax.transData.transform([(p["lr"], p["y"]) for p in inside])
    found = np.array([band.contains_points(places) for band in bands])
    assert (found.sum(0) == 1).mean() > 0.9
    for (low, high), members in zip(itertools.pairwise(drawn.levels), found, strict=True):
        assert all(low - 1e-6 <= f(p) <= high + 1e-6 for p, member in zip(inside, members, strict=True) if member)
    (left, right), (low, high) = ax.get_xlim(), ax.get_ylim()
    assert all(left <= trial.params["lr"] <= right and low <= trial.params["y"] <= high for trial in study.trials)
    assert -0.2 < space["lr"].position(left) < space["lr"].position(right) < 1.2
