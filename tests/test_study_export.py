"""What leaves a study: tables that read back, and pictures that show the trials."""

import csv
import json
import math
from pathlib import Path

import pytest
from sweeps import SPACE, ran, study_of, told

from optlab.errors import ConfigError, StorageError
from optlab.search import (
    Choice,
    Float,
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
