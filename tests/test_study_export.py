"""What leaves a study: tables that read back, and pictures that show the trials."""

import csv
import itertools
import json
import math
from pathlib import Path

import numpy as np
import pytest
from matplotlib.tri import TriContourSet
from sweeps import SPACE, ran, study_of, told

from optlab.errors import ConfigError, StorageError
from optlab.search import (
    Choice,
    Float,
    Int,
    Random,
    Space,
    Study,
)


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
    study = mixed()
    try:
        import pyarrow.parquet as pq
    except ImportError:
        with pytest.raises(ConfigError, match=r"pip install \'optlab\[parquet\]\'"):
            study.to_parquet(tmp_path / "a.parquet")
        assert not Path(tmp_path / "a.parquet").exists()
    else:
        study.to_parquet(tmp_path / "a.parquet")
        assert pq.read_table(tmp_path / "a.parquet").column("value").to_pylist() == [t.value for t in study.trials]


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
