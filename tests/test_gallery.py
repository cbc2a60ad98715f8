"""Every figure of the gallery: its claims hold, its pictures are there, the page shows them."""

import html
import json
import re
import subprocess
import sys

import pytest
from test_cli import optlab

from optlab import gallery
from optlab.gallery import _page, _published
from optlab.verdict import Verdict, at_least, at_most, equals

EVERY_FIGURE = pytest.mark.parametrize("id", gallery.ids())


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Each figure, made once."""
    out = tmp_path_factory.mktemp("gallery")
    return {id: gallery.make(id, out, fast=True) for id in gallery.ids()}


def test_the_figures_of_the_first_issue_are_there():
    assert {"contours", "saddle", "ravine", "momentum", "adam-bias", "adam-eps"} <= set(gallery.ids())


@EVERY_FIGURE
def test_every_claim_holds(made, id):
    failed = [f"{v.id}: {v.value} against {v.threshold}" for v in made[id].verdicts if not v.passed]
    assert not failed


@EVERY_FIGURE
def test_ids_are_the_figures_own_and_unlike(made, id):
    ids = [v.id for v in made[id].verdicts]
    assert ids[0] == id
    assert all(i.startswith(f"{id}:") for i in ids[1:])
    assert len(set(ids)) == len(ids)


@EVERY_FIGURE
def test_pictures_exist_and_are_not_blank(made, id):
    from PIL import Image

    assert made[id].pictures
    for path in made[id].pictures:
        with Image.open(path) as image:
            colours = image.convert("RGB").getcolors(maxcolors=1 << 24)
        assert len(colours) > 50, path.name


def test_the_page_escapes_and_shows_everything(made, tmp_path):
    hostile = Verdict("x:y", "<script>alert(1)</script>", {"a": "<b>"}, "&", False, "'\"")
    first = next(iter(made.values()))
    broken = gallery.Made("x", "<i>", "s", "t", "if 1 < 2: pass", [], [hostile], 0.0)
    text = _page.write_page([first, broken], tmp_path).read_text()
    assert "<script" not in text
    assert "1 fail." in text
    assert html.escape("<script>alert(1)</script>") in text
    assert re.findall(r'img src="([^"]+)"', text) == [p.name for p in first.pictures]
    assert "http" not in text.replace(html.escape(first.code), "")


def test_a_failed_claim_gives_exit_code_4(tmp_path, monkeypatch):
    from click.testing import CliRunner

    from optlab.cli.gallery import gallery as command

    module = gallery.figure("adam-eps")
    monkeypatch.setattr(module, "judge", lambda data: [Verdict("adam-eps", "water is dry", 1, 2, False, "it is not")])
    done = CliRunner().invoke(command, ["adam-eps", "--out", str(tmp_path)], standalone_mode=False)
    assert done.return_value == 4
    assert "water is dry" in done.output
    assert "it is not" in done.output


def test_json_is_a_list_of_verdicts(tmp_path):
    done = optlab("gallery", "momentum", "adam-eps", "--out", tmp_path, "--fast", "--json", "--jobs", 2, check=0)
    rows = json.loads(done.stdout)
    assert {"id", "source", "claim", "value", "threshold", "passed", "explanation"} == set(rows[0])
    assert [r["id"] for r in rows][:2] == ["momentum", "momentum:forms"]
    assert (tmp_path / "index.html").is_file()


def test_a_figure_runs_alone(tmp_path):
    from test_cli import ROOT

    env = {"PYTHONPATH": f"{ROOT}:{ROOT / 'kernels'}", "PATH": "", "HOME": str(tmp_path)}
    command = [sys.executable, "-m", "optlab.gallery.adam_eps"]
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "gallery" / "adam-eps.png").is_file()


def test_the_list():
    assert "contours" in optlab("gallery", "--list", check=0).stdout


def test_the_published_animation_keeps_its_frames(made):
    assert (_published.FRAMES, _published.MILLISECONDS) == (199, 40)
    assert len(_published.PERCENTILES) == 49


def test_verdicts_fail_on_nan():
    assert not at_most("a", "b", float("nan"), 1.0).passed
    assert not at_least("a", "b", float("nan"), 1.0).passed
    assert at_most("a", "b", 1.0, 1.0).passed
    assert equals("a", "b", [1], [1]).passed
    assert not equals("a", "b", [1], [2]).passed
