"""Pages and pictures of thousands of trials: small files that say what they leave out."""

import re

import numpy as np
import pytest
from conftest import JIT
from test_report import Reader

from optlab.search import Choice, Float, Int, Random, Space, Study
from optlab.viz.study_pictures import Shown, study_pictures
from optlab.viz.study_report import write_study_report

MUCH = 10_000 if JIT else 2_000


@pytest.fixture(scope="module")
def large():
    """Of eight parameters; a fifth failed, each for a reason of its own, a fifth pruned."""
    space = Space(
        **{f"x{i}": Float(-1, 1) for i in range(5)},
        lr=Float(1e-5, 1, log=True),
        n=Int(1, 64),
        rule=Choice(["sgd", "adam", "rmsprop"]),
    )
    study = Study(space, Random(seed=0))
    for live in study.ask(MUCH):
        value = sum((live.params[f"x{i}"] - 0.3) ** 2 for i in range(5)) + 0.01
        if live.number % 5 == 1:
            reason = "".join(chr(97 + int(digit)) for digit in str(live.number))
            study.tell(live, error=f"ValueError: {reason} can't be used")
        elif live.number % 5 == 2:
            live.report(value, 1)
            live.pruned = True
            study.tell(live)
        else:
            study.tell(live, value)
    return study


@pytest.mark.fault(48)
def test_a_page_of_thousands_of_trials_is_small_and_says_what_is_left_out(large, tmp_path):
    path = write_study_report(large, tmp_path / "r.html")
    assert path.stat().st_size < 1_000_000
    text = Reader(path.read_text(encoding="utf-8")).text
    complete, failed = len(large.complete), MUCH // 5
    assert f"{failed} failed" in text
    assert f"all {MUCH:,} as pixels" in text
    assert f"of the best 200 of {complete:,}" in text
    assert f"without a value (the first 100 of {2 * failed:,})" in text
    assert re.search(rf"linear between 50[01] of {complete:,} complete trials, the best among them", text)
    assert f"{failed - 20:,} more reasons" in text
    assert len(re.findall("can't be used", text)) == 20


@pytest.mark.parametrize("most", [1, 7, 500])
@pytest.mark.fault(48)
def test_thinned_trials_are_spread_evenly_and_hold_the_best(large, most):
    seen = Shown(large).thin(most)
    numbers, best = [trial.number for trial in seen.complete], large.best.number
    assert best in numbers
    assert len(numbers) in (most, most + 1)
    every = np.array([trial.number for trial in large.complete])
    places = np.searchsorted(every, [n for n in numbers if n != best])
    assert (np.diff(places) <= 2 * len(every) / most + 1).all()
    assert f"of {len(every):,} complete trials" in seen.thinned
    assert Shown(large).thinned == Shown(large).thin(len(every)).thinned == ""


def test_few_trials_are_not_thinned(tmp_path):
    study = Study(Space(x=Float(0, 1), y=Float(0, 1)), Random(seed=0))
    study.run(lambda params: params["x"] + params["y"], trials=12)
    text = Reader(write_study_report(study, tmp_path / "r.html").read_text(encoding="utf-8")).text
    assert not re.search("pixels|of the best 200|the first 100|more reasons", text)
    panels = study.plot_slice().axes[: len(study.space)]
    assert not any(artist.get_rasterized() for panel in panels for artist in panel.collections)


@pytest.mark.fault(48)
def test_more_marks_than_a_file_should_hold_are_pixels(large, tmp_path):
    """In the user's own axes too: a vector file has no element per trial, and the best is drawn over the pixels."""
    pictures = {
        "history": large.plot_history(),
        "slice": large.plot_slice(),
        "contour": large.plot_contour("x0", "lr"),
    }
    for name, picture in pictures.items():
        figure = picture.figure if name != "slice" else picture
        figure.savefig(tmp_path / f"{name}.svg")
        svg = (tmp_path / f"{name}.svg").read_text()
        assert svg.count("<use ") < 500, name
        assert len(svg) < 1_500_000, name
        stars = [line for ax in figure.axes for line in ax.lines if line.get_marker() == "*"]
        assert len(stars) == (len(large.space) if name == "slice" else 1), name
        assert not any(star.get_rasterized() for star in stars)
    x, y = pictures["history"].lines[2].get_xydata()[0]
    assert (x, y) == (large.best.number, large.best.value)


def test_a_page_looks_at_the_best_trial_a_few_times_and_not_once_per_trial(large, monkeypatch):
    """It was looked for anew at each trial: the time grew with the square of their number."""
    calls, best = [], Study.best.fget
    monkeypatch.setattr(Study, "best", property(lambda self: calls.append(1) or best(self)))
    study_pictures(large)
    assert len(calls) < 20


@pytest.mark.fault(48)
def test_the_text_says_how_many_reasons_it_leaves_out(large, capsys):
    from optlab.cli.studies import show

    show(large, {})
    text = capsys.readouterr().out
    assert len(re.findall("can't be used", text)) == 8
    assert f"{MUCH // 5 - 8:,} trials more failed for {MUCH // 5 - 8:,} other reasons." in text
