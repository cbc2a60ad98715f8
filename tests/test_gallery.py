"""Every figure of the gallery, made by the command line: twice the same bytes, and pages that show all of it."""

import importlib
import json
import os
import re
import subprocess
import sys
from urllib.parse import unquote

import numpy as np
import pytest
from conftest import JIT
from pages import Outline
from pages import axe as axe
from players import context as context  # the fixture that starts a browser
from test_cli import ROOT

from optlab import gallery
from optlab.gallery._topics import LONG, TOPICS

pytestmark = [
    pytest.mark.skipif(not JIT, reason="the figures train: hours without the compiler"),
    pytest.mark.timeout(3600),
]
TIMED = {"bayes-cost"}  # what these measure are seconds
EVERY_FIGURE = pytest.mark.parametrize("id", gallery.ids())


def run(out, *arguments, hash_seed):
    command = [sys.executable, "-m", "optlab", "gallery", "--fast", "--json", "--out", str(out), *arguments]
    env = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'kernels'}", "PYTHONHASHSEED": hash_seed}
    done = subprocess.run(command, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-4000:]
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The whole gallery at a first look, two figures at once."""
    out = tmp_path_factory.mktemp("gallery")
    rows = run(out, "--jobs", "2", hash_seed="1")
    assert json.loads((out / "verdicts.json").read_text()) == rows
    return out


@pytest.fixture(scope="module")
def verdicts(folder):
    """Figure -> its rows."""
    rows = json.loads((folder / "verdicts.json").read_text())
    return {id: [r for r in rows if r["id"].split(":")[0] == id] for id in gallery.ids()}


@pytest.fixture(scope="module")
def again(tmp_path_factory):
    """The same, one figure after the other."""
    out = tmp_path_factory.mktemp("again")
    run(out, hash_seed="2")
    return out


def test_every_figure_has_its_place_and_every_place_its_figure():
    listed = [id for ids in TOPICS.values() for id in ids]
    assert sorted(listed) == sorted(gallery.ids())
    assert gallery.ids() == listed
    assert set(LONG) <= set(listed)


def test_every_figure_and_every_topic_is_in_the_documentation():
    docs = ROOT / "docs"
    text = (docs / "gallery.md").read_text(encoding="utf-8")
    assert re.findall(r"^\| `([a-z][a-z0-9-]*)` \|", text, re.M) == gallery.ids()
    assert {*re.findall(r"\]\(slides/([a-z-]+\.md)\)", text)} == {path.name for path in (docs / "slides").glob("*.md")}


@EVERY_FIGURE
def test_a_second_run_writes_the_same_bytes(folder, again, id):
    assert (folder / f"{id}.npz").read_bytes() == (again / f"{id}.npz").read_bytes()


def test_a_second_run_has_equal_verdicts(folder, again):
    first, second = (json.loads((out / "verdicts.json").read_text()) for out in (folder, again))
    for row in (*first, *second):
        if row["id"].split(":")[0] in TIMED:
            row["value"] = row["explanation"] = None
    assert first == second


@EVERY_FIGURE
def test_its_claims_are_its_own_and_not_judged_at_a_first_look(verdicts, id):
    ids = [row["id"] for row in verdicts[id]]
    assert ids[0] == id
    assert len(set(ids)) == len(ids)
    for row in verdicts[id]:
        assert set(row) == {"id", "source", "claim", "value", "threshold", "passed", "explanation"}
        assert row["passed"] is None
        assert row["claim"]
        assert row["value"] is not None or "nan" in str(row["explanation"]), row["id"]


@EVERY_FIGURE
def test_its_data_are_arrays(folder, id):
    with np.load(folder / f"{id}.npz", allow_pickle=False) as data:
        assert len(data.files) > 0
        assert sum(data[name].size for name in data.files) > 1
        assert not [name for name in data.files if "/seconds" in f"/{name}"]


@EVERY_FIGURE
def test_its_pictures_are_there_and_not_blank(folder, id):
    from PIL import Image

    page = Outline((folder / f"{id}.html").read_text(encoding="utf-8"))
    assert page.images
    for image in page.images:
        with Image.open(folder / unquote(image["src"])) as picture:
            assert picture.width >= 600
            colours = picture.convert("RGB").getcolors(maxcolors=1 << 24)
        assert len(colours) > 50, image["src"]


@EVERY_FIGURE
def test_its_page_has_everything(folder, verdicts, id):
    page = Outline((folder / f"{id}.html").read_text(encoding="utf-8"))
    module = importlib.import_module(f"optlab.gallery.{id.replace('-', '_')}")
    text = " ".join(page.text.split())
    assert page.tags.count("h1") == 1
    assert module.TITLE in text
    assert module.SOURCE in text
    assert " ".join(module.TRY.replace("`", "").split()) in text
    assert all(" ".join(row["claim"].replace("`", "").split()) in text for row in verdicts[id])
    assert f"optlab gallery {id}" in text
    assert f"python -m {module.__name__}" in text
    alts = [image["alt"] for image in page.images]
    assert len(set(alts)) == len(alts)
    assert all(len(alt) > 20 for alt in alts)
    assert {f"{id}.npz", "index.html", f"{id}.png", f"{id}.svg"} <= set(page.links)
    assert all((folder / unquote(link)).is_file() for link in page.links)


def test_the_index_shows_every_figure(folder):
    page = Outline((folder / "index.html").read_text(encoding="utf-8"))
    assert [link for link in page.links if link[0] != "#"] == [f"{id}.html" for id in gallery.ids()]
    assert sum(link[0] == "#" for link in page.links) == len(TOPICS)
    assert len(page.images) == len(gallery.ids())
    assert page.tags.count("h1") == 1
    assert page.tags.count("h2") == len(TOPICS)


@pytest.mark.parametrize("id", ["index", "contours-player", "saddle-player", *gallery.ids()])
def test_axe_finds_nothing_and_nothing_is_fetched(axe, folder, id):
    assert axe(folder / f"{id}.html") == []


@pytest.mark.parametrize("id", ["contours", "saddle"])
def test_what_moves_has_a_player(folder, id):
    page = (folder / f"{id}.html").read_text(encoding="utf-8")
    assert f'<a class="button" href="{id}-player.html">' in page
    assert f'src="{id}.gif"' in page
