"""The gallery's frame: data files, verdicts, what happens to a figure that fails or lies, hostile strings, pages."""

import ast
import dataclasses
import html
import io
import json
import os
import subprocess
import sys
from collections import namedtuple
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from conftest import JIT
from pages import Outline
from pages import axe as axe
from players import BOWL, descend, race
from players import context as context  # the fixture that starts a browser
from test_cli import ROOT, optlab
from test_report import HOSTILE, trained
from test_study_report import made as studied

import optlab as ol
from optlab import gallery
from optlab.cli.gallery import DATA
from optlab.data.catalogue import DATASETS
from optlab.gallery import Made, _data, _page, _published, _setup
from optlab.gallery._made import remember, remembered
from optlab.gallery._setup import Setup, parts
from optlab.gallery._topics import MORE
from optlab.search import GP
from optlab.verdict import Verdict, at_least, at_most, equals
from optlab.viz.report import write_report
from optlab.viz.study_report import write_study_report

# ---- verdicts -------------------------------------------------------------------------------------------------------


def test_verdicts_fail_on_nan():
    assert not at_most("a", "b", float("nan"), 1.0).passed
    assert not at_least("a", "b", float("nan"), 1.0).passed
    assert at_most("a", "b", 1.0, 1.0).passed
    assert equals("a", "b", [1], [1]).passed
    assert not equals("a", "b", [1], [2]).passed


def test_a_verdict_is_json_whatever_was_measured():
    value = {0.5: np.float64("nan"), "a": (np.int64(2), np.bool_(True)), "b": np.array([1.0, np.inf])}
    row = Verdict("x", "y", value, "<= 1", None).to_dict()
    assert json.loads(json.dumps(row, allow_nan=False)) == row
    assert row["value"] == {"0.5": None, "a": [2, True], "b": [1.0, None]}
    assert row["passed"] is None


def test_the_word_of_a_verdict():
    verdict = equals("a", "b", 1, 2)
    assert [v.word for v in (verdict, equals("a", "b", 1, 1), verdict.unjudged())] == [
        "does not hold",
        "holds",
        "not judged",
    ]


# ---- data -----------------------------------------------------------------------------------------------------------


@dataclasses.dataclass
class Record:
    x: np.ndarray
    f: object
    seconds_taken: float


Pair = namedtuple("Pair", "low high")


def test_nested_data_become_arrays_and_times_and_functions_are_left_out(tmp_path):
    data = {
        "n": 3,
        "flag": True,
        "word": "adam",
        "list": [1, 2.5],
        "mixed": [1, "a"],
        "ragged": [[1, 2], [3]],
        "none": None,
        "function": max,
        "seconds": {"a": 1.0},
        "deep": {1: {"seconds_each": [0.1], "x": np.arange(3)}},
        "record": Record(np.ones((2, 2)), min, 0.1),
        "pair": Pair(1.0, 2.0),
        "pairs": [Pair(np.ones(2), None)],
        "objects": np.array([1, "a", None], object),
        "rule": ol.Adam(lr=0.1),
        "empty": [],
    }
    path = _data.write_data(data, tmp_path / "x.npz")
    with np.load(path, allow_pickle=False) as saved:
        found = {name: saved[name].tolist() for name in saved.files}
    assert found == {
        "n": 3,
        "flag": True,
        "word": "adam",
        "list": [1, 2.5],
        "mixed/0": 1,
        "mixed/1": "a",
        "ragged/0": [1, 2],
        "ragged/1": [3],
        "deep/1/x": [0, 1, 2],
        "record/x": [[1, 1], [1, 1]],
        "pair": [1, 2],
        "pairs/0/low": [1, 1],
        "objects/0": 1,
        "objects/1": "a",
        "rule": repr(ol.Adam(lr=0.1)),
    }


def test_runs_races_and_histories_are_records():
    here = race(adam=descend(ol.Adam(lr=0.1), 5))
    data = ol.data.from_arrays(np.ones((8, 2), np.float32), np.arange(8) % 2)
    history = ol.fit(ol.nn.MLP([2, 3, 2]), data.part(), None, "adam", epochs=2, batch_size=4, verbose=False)
    found = _data.arrays({"race": here, "h": history})
    assert np.array_equal(found["race/runs/adam/record"], here.runs["adam"].record)
    assert found["race/runs/adam/settings"] == repr(here.runs["adam"].settings)
    assert found["race/surface/name"] == BOWL.name
    assert np.array_equal(found["h/epochs/train_loss"], history["train_loss"])
    assert np.array_equal(found["h/steps/loss"], history.steps["loss"])
    assert found["h/status"] == "finished"
    assert not [name for name in found if "seconds" in name]


def test_two_entries_of_one_name_are_refused():
    with pytest.raises(ValueError, match="two entries of the figure's data are called 'a/1'"):
        _data.arrays({"a": {1: 0.0, "1": 1.0}})


def test_a_data_file_has_no_date(tmp_path, monkeypatch):
    data = {"x": np.arange(1000.0), "y": {"z": "w"}}
    first = _data.write_data(data, tmp_path / "a.npz").read_bytes()
    monkeypatch.setattr("time.time", lambda: 2e9)
    assert _data.write_data(data, tmp_path / "b.npz").read_bytes() == first


# ---- what a figure is told ------------------------------------------------------------------------------------------


def test_options_reach_the_figure(tmp_path, monkeypatch):
    told = []
    module = gallery.figure("adam-eps")
    monkeypatch.setattr(module, "run", lambda setup: told.append(setup) or {"x": 1.0})
    monkeypatch.setattr(module, "judge", lambda data: [equals("adam-eps", "c", 1, 1)])
    monkeypatch.setattr(module, "draw", lambda data, out: [])
    made = gallery.make("adam-eps", tmp_path, data="mnist", seed=3)
    assert (made.setup.data, made.verdicts[0].passed) == ("", True)  # it trains on nothing
    monkeypatch.setattr(module, "DATA", "digits", raising=False)
    assert gallery.make("adam-eps", tmp_path, data="mnist", fast=True).setup == Setup(True, "mnist", 0)
    assert gallery.make("adam-eps", tmp_path).setup.data == "digits"
    assert told == [Setup(seed=3), Setup(True, "mnist"), Setup()]


def test_data_sets_of_the_command_are_those_of_the_library():
    assert set(DATA) == set(DATASETS)


@pytest.mark.parametrize(("name", "rows"), [("digits", (1077, 360, 360)), ("glyphs", (100, 30, 20))])
def test_parts_of_a_data_set_share_no_row(name, rows, monkeypatch):
    monkeypatch.setattr(_setup, "OTHERS", (100, 30, 20))  # of a drawn set
    three = parts(Setup(data=name, seed=1))
    assert tuple(map(len, three)) == rows
    assert len(np.unique(np.concatenate([part.rows for part in three]))) == sum(rows)


def test_a_data_set_that_cannot_be_had_stops_before_anything_is_made(tmp_path):
    done = optlab("gallery", "--data", "cifar-10", "--out", tmp_path / "g", OPTLAB_DATA=str(tmp_path), check=3)
    assert "optlab data fetch cifar-10" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "g").exists()


def test_the_list():
    rows = json.loads(optlab("gallery", "--list", "--json", check=0).stdout)
    assert [row["id"] for row in rows] == gallery.ids()
    assert {"id", "title", "source", "topic"} == set(rows[0])
    assert MORE not in {row["topic"] for row in rows}


# ---- figures that fail, die or lie ----------------------------------------------------------------------------------

EXTRA = '''"""{text}"""

import os

from optlab.verdict import equals

TITLE, SOURCE, TRY = {title!r}, "nowhere", "Change `it`."


def run(setup):
    {body}
    return {{"x": [1.0, 2.0]}}


def judge(data):
    return [equals("{name}", "water is wet", "wet", "{word}", "it was <b>measured</b>")]


def draw(data, out):
    return []
'''


@pytest.fixture(scope="module")
def extra(tmp_path_factory):
    """Five figures more, as if they stood in the package: for processes that are started with this environment."""
    folder = tmp_path_factory.mktemp("extra")
    bodies = {
        "zz_dies": ("os._exit(1)", "wet"),
        "zz_fails": ("raise ValueError('<no> such thing')", "wet"),
        "zz_fine": ("", "wet"),
        "zz_lies": ("", "dry"),
    }
    for name, (body, word) in bodies.items():
        text = EXTRA.format(
            text="A figure.", title=f"<script>{name}", body=body or "pass", name=name.replace("_", "-"), word=word
        )
        (folder / f"{name}.py").write_text(text)
    (folder / "zz_typo.py").write_text("def run(setup:\n")
    (folder / "sitecustomize.py").write_text(
        f"import optlab.gallery\noptlab.gallery.__path__.append({str(folder)!r})\n"
    )
    return {"PYTHONPATH": os.pathsep.join(map(str, (folder, ROOT, ROOT / "kernels")))}


def made_with(extra, out, *ids, jobs):
    command = [sys.executable, "-m", "optlab", "gallery", *ids, "--out", str(out), "--json", "--jobs", str(jobs)]
    return subprocess.run(command, env={**os.environ, **extra}, capture_output=True, text=True)


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_figure_that_fails_does_not_lose_the_others(extra, tmp_path, jobs):
    names = ["fails", "fine", "lies", "typo", *(["dies"] if jobs == 2 else [])]
    done = made_with(extra, tmp_path, *(f"zz-{name}" for name in names), jobs=jobs)
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    rows = {row["id"]: row for row in json.loads(done.stdout)}
    assert {id: row["passed"] for id, row in rows.items()} == {f"zz-{n}": n == "fine" for n in sorted(names)}
    assert rows["zz-fails"]["value"] == "ValueError: <no> such thing"
    assert rows["zz-typo"]["value"].startswith("SyntaxError")
    if jobs == 2:
        assert "its process died" in rows["zz-dies"]["value"]
    listed = subprocess.run(
        [sys.executable, "-m", "optlab", "gallery", "--list"],
        env={**os.environ, **extra},
        capture_output=True,
        text=True,
    )
    assert "zz-typo            can't be read: SyntaxError" in listed.stdout
    page = (tmp_path / "zz-fails.html").read_text()
    assert "could not be made: ValueError: &lt;no&gt; such thing" in page
    index = Outline((tmp_path / "index.html").read_text())
    assert index.links == ["#more-figures", *(f"zz-{name}.html" for name in sorted(names))]


def test_a_false_claim_is_explained_and_gives_exit_code_4(extra, tmp_path):
    done = made_with(extra, tmp_path, "zz-lies", "zz-fine", jobs=1)
    assert done.returncode == 4
    assert "FALSE zz-lies: water is wet" in done.stderr
    assert "it was <b>measured</b>" in done.stderr
    page = (tmp_path / "zz-lies.html").read_text()
    assert "✗ does not hold" in page
    assert "1 of 1 claim does not hold" in page
    assert html.escape("it was <b>measured</b>") in page
    assert "Change <code>it</code>." in page


def test_what_was_made_before_ctrl_c_is_shown(tmp_path, monkeypatch):
    from optlab.cli.gallery import gallery as command

    def interrupted(setup):
        raise KeyboardInterrupt

    monkeypatch.setattr(gallery.figure("adam-eps"), "run", interrupted)
    arguments = ["adam-eps", "momentum", "--fast", "--out", str(tmp_path)]
    done = CliRunner().invoke(command, arguments, standalone_mode=False, obj={})
    assert isinstance(done.exception, KeyboardInterrupt | __import__("click").Abort)
    assert Outline((tmp_path / "index.html").read_text()).links == ["#momentum", "momentum.html"]


def test_making_one_figure_again_keeps_the_others(extra, tmp_path):
    made_with(extra, tmp_path, "zz-fine", "zz-lies", jobs=1)
    before = remembered(tmp_path)
    done = made_with(extra, tmp_path, "zz-fine", "--fast", jobs=1)
    assert [row["id"] for row in json.loads(done.stdout)] == ["zz-fine"]
    assert [row["passed"] for row in json.loads((tmp_path / "verdicts.json").read_text())] == [None, False]
    assert 'href="zz-lies.html"' in (tmp_path / "index.html").read_text()
    made_with(extra, tmp_path, "zz-fine", jobs=1)
    assert remembered(tmp_path) == before
    for broken in ("[", "[1]", '[{"id": "zz-lies"}]'):
        (tmp_path / "figures.json").write_text(broken)
        assert remembered(tmp_path) == []


def test_a_figure_is_remembered_as_it_was(tmp_path):
    made = Made(
        "x", "X", verdicts=(Verdict("x", "c", {"a": [1.5, None]}, "d", True),), pictures=("x.png",), seconds=1.0
    )
    remember([made], tmp_path)
    assert remembered(tmp_path) == [dataclasses.replace(made, seconds=0.0)]


@pytest.mark.skipif(not JIT, reason="slow without the compiler")
def test_a_figure_runs_alone(tmp_path):
    env = {"PYTHONPATH": f"{ROOT}:{ROOT / 'kernels'}", "PATH": "", "HOME": str(tmp_path)}
    command = [sys.executable, "-m", "optlab.gallery.adam_eps"]
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "holds  adam-eps:" in done.stdout
    assert {p.name for p in (tmp_path / "gallery").iterdir()} == {f"adam-eps.{end}" for end in ("png", "svg", "npz")}


@pytest.mark.skipif(not JIT, reason="slow without the compiler")
@pytest.mark.parametrize("id", ["checkpoint", "lr-find"])
def test_on_a_terminal_no_training_shows_a_bar_of_its_own(id, tmp_path, monkeypatch):
    screen = io.StringIO()
    screen.isatty = lambda: True
    monkeypatch.setattr("sys.stderr", screen)
    gallery.make(id, tmp_path, fast=True)
    assert screen.getvalue() == ""


def test_no_figure_trains_with_a_bar():
    for path in Path(gallery.__path__[0]).glob("*.py"):
        calls = {ast.unparse(n.func) for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.Call)}
        assert "ol.fit" not in calls, path


def test_the_published_animation_keeps_its_frames():
    assert (_published.FRAMES, _published.MILLISECONDS) == (199, 40)
    assert len(_published.PERCENTILES) == 49


# ---- pages ----------------------------------------------------------------------------------------------------------


def hostile(text, folder):
    """Two figures called so, one of them not made, with the same picture."""
    from PIL import Image

    name = "".join(c if c.isprintable() and c not in "/\0" else " " for c in text)[:60]
    name = name.encode("utf-8", "replace").decode()
    picture = folder / f"{name}.png"
    Image.effect_noise((700, 400), 50).save(picture)
    false = Verdict(text, text, {text: [text, {text: 1.0}]}, text, False, text)
    made = Made(
        name,
        text,
        text,
        f"{text}\n\n- {text}\n- {text}",
        text,
        text,
        Setup(data=text),
        (picture.name,),
        f"{name}.npz",
        (false, false.unjudged()),
    )
    return [made, Made("other", text, text, error=text)]


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
@pytest.mark.fault(26)
def test_hostile_strings_are_text(text, tmp_path):
    figures = hostile(text, tmp_path)
    _page.write_pages(figures, tmp_path)
    pages = [Outline((tmp_path / f"{one.id}.html").read_text(encoding="utf-8")) for one in figures]
    index = Outline((tmp_path / "index.html").read_text(encoding="utf-8"))
    for page in (*pages, index):
        assert not {"script", "iframe", "svg", "form", "input", "object", "base", "link"} & set(page.tags)
        assert page.tags.count("h1") == page.tags.count("style") == 1
        assert not [link for link in page.links if ":" in link]
    shown = " ".join(text.encode("utf-8", "replace").decode().replace("`", "").split())
    assert " ".join(pages[0].text.split()).count(shown) >= 8
    assert " ".join(index.text.split()).count(shown) >= 2


def test_axe_finds_nothing_on_hostile_pages(axe, tmp_path):
    for i, text in enumerate((HOSTILE[2], HOSTILE[-1], "plain words")):
        (folder := tmp_path / str(i)).mkdir()
        _page.write_pages(hostile(text, folder), folder)
        for path in folder.glob("*.html"):
            assert axe(path) == [], path


def test_axe_finds_nothing_on_a_training_report(axe, tmp_path):
    rng = np.random.default_rng(0)
    run = trained(tmp_path, "blobs.npz", {"x": rng.random((150, 4, 4)), "y": np.arange(150) % 3}, schedule="cosine")
    assert axe(write_report(run)) == []


def test_axe_finds_nothing_on_a_studys_report(axe, tmp_path):
    study = studied(GP(seed=0, initial=8), 24)
    assert axe(write_study_report(study, tmp_path / "r.html", {"objective": "bowl"})) == []


def test_axe_finds_nothing_on_a_player(axe, tmp_path):
    here = race(adam=descend(ol.Adam(lr=0.1)), explode=descend(ol.SGD(lr=10.0)))
    assert axe(here.html(Path(tmp_path) / "race.html")) == []
