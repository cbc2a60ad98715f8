"""The HTML player without a browser: what is embedded, and what is refused."""

import base64
import json
import re
from dataclasses import replace
from html import unescape
from pathlib import Path

import numpy as np
import pytest
from players import ADAM, HOSTILE, bowl, descend, named, race, surface

import optlab as ol
from optlab.viz import player
from optlab.viz.player import player_html, save_html
from optlab.viz.player.formula import mathml
from optlab.viz.player.relief import HOLE, relief


def record_of(page):
    return json.loads(re.search(r'<script type="application/json" id="record">(.*?)</script>', page, re.S)[1])


def test_embedded_arrays_are_the_record():
    here = race(adam=descend(ADAM), explode=descend(ol.SGD(lr=10.0)))
    for raw in record_of(player_html(here))["runs"]:
        run, series = here.runs[raw["label"]], dict(raw["series"])
        assert list(series) == ["gradient", *run.state]
        pairs = [(raw["points"], run.points), (series["gradient"], run.gradients), (raw["rates"], run.effective_lr)]
        pairs += [(series[name], slot) for name, slot in run.state.items()]
        for text, want, dtype in [(raw["values"], run.values, "<f8"), *((*pair, "<f4") for pair in pairs)]:
            np.testing.assert_array_equal(np.frombuffer(base64.b64decode(text), dtype), want.astype(dtype).ravel())


SQUARES = bowl(*np.meshgrid(np.linspace(-2, 2, 41), np.linspace(-1, 1, 31)))


def test_heights_keep_the_order_of_values_and_levels_are_values():
    grid = np.where(np.arange(SQUARES.size).reshape(SQUARES.shape) == 127, np.inf, SQUARES)
    heights, levels = relief(grid)
    solid = np.isfinite(grid)
    assert (heights == HOLE).sum() == (~solid).sum() == (heights[~solid] == HOLE).sum() == 1
    assert (np.diff(heights[solid][np.argsort(grid[solid])].astype(int)) >= 0).all()
    for share, value in levels:
        assert np.mean(grid[solid] < value) == pytest.approx(share, abs=0.02)


@pytest.mark.parametrize("fill", [7.0, np.nan, np.inf, 1e308])
def test_a_surface_without_relief_has_no_levels(fill):
    heights, levels = relief(np.full((4, 5), fill))
    assert levels == []
    assert (heights == (HOLE if not np.isfinite(fill) else 32767)).all()


def test_a_plateau_is_flat_despite_rounding_noise():
    noise = 1e-9 * np.random.default_rng(0).standard_normal((15, 41))
    assert np.ptp(relief(np.concatenate([25.0 + noise, SQUARES]))[0][:15].astype(int)) == 0


def parts_of(node):
    """Its tags and its text."""
    tags, texts = zip(*(({}, c) if isinstance(c, str) else parts_of(c) for c in node[2:]), strict=True)
    return {node[0]}.union(*tags), "".join(texts)


FORMULAS = [
    (r"\left(1-x\right)^2 + \frac{1}{2}\cos y", {"msup", "mfrac"}, "f(x,y)=(1−x)2+12cosy"),
    (r"f(x) = \sqrt{2\pi x}_1^{3}", {"msqrt", "msubsup"}, "f(x)=2πx13"),
    (r"$x_1 \leq \text{a b}$", {"msub", "mtext"}, "f(x,y)=x1≤ab"),
    (r"\|x\| \cdot \infty", set(), "f(x,y)=‖x‖·∞"),
]


@pytest.mark.parametrize(("tex", "tags", "text"), FORMULAS)
def test_formula_becomes_mathematics(tex, tags, text):
    found, shown = parts_of(mathml(tex))
    assert (found - {"math", "mrow", "mi", "mo", "mn"}, shown) == (tags, text)


@pytest.mark.parametrize("tex", [r"\begin{cases} x", "x^a^b", "x^", "}", "{x", "[x)", r"\text{a", "{" * 3000, "\ud800"])
def test_what_is_not_understood_stays_source(tex):
    assert mathml(tex) is None


def test_page_has_the_whole_script_and_asks_for_nothing_outside_itself():
    assert {path.stem for path in Path(player.__file__).parent.glob("*.js")} == set(player.SCRIPT)
    page = player_html(race())
    code = page.replace("http://www.w3.org/2000/svg", "").replace("http://www.w3.org/1998/Math/MathML", "")
    assert not re.search(r"https?://|//cdn|@import|url\(", code)
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function", code)
    policy = unescape(re.search(r'Content-Security-Policy" content="([^"]*)"', page)[1])
    assert policy.startswith("default-src 'none';")
    assert "unsafe" not in policy


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.fault(26)
def test_hostile_strings_survive_as_data(text):
    page = player_html(race(surface(name=text, formula=text, source=text), run=named(text)), title=text)
    record = record_of(page)
    assert record["title"] == record["surface"]["formula"] == record["runs"][0]["settings"] == text
    assert page.count("<script") == 2
    page.encode("utf-8")


def test_save_html_writes_the_page_which_stays_small(tmp_path):
    path = save_html(race(), tmp_path / "race.html", title="Saved", resolution=8)
    assert path.read_bytes().decode() == player_html(race(), title="Saved", resolution=8)
    page = player_html(race(**{f"adam {i}": descend(ADAM, 500) for i in range(6)}))
    assert len(page.encode()) < 350_000


WRONG = [
    (lambda runs: runs.clear(), "at least one run"),
    (lambda runs: vars(runs["adam"]).update(effective_lr=np.zeros((61, 2))), r"effective_lr of shape \(60, 2\)"),
    (lambda runs: runs.update(adam=replace(runs["adam"], record=np.zeros((0, 9)))), "at least one row"),
    (lambda runs: vars(runs["adam"]).update(state={"m": np.zeros(61)}), r"m of shape \(61, 2\)"),
]
WINDOWS = [((1, 1), (0, 1)), ((0, np.inf), (0, 1)), ((0, 1),), "ab", ((2, 1), (0, 1))]


@pytest.mark.parametrize(("change", "message"), WRONG)
def test_wrong_records_are_refused(change, message):
    here = race()
    change(here.runs)
    with pytest.raises(ol.ConfigError, match=message):
        player_html(here)


@pytest.mark.parametrize("option", [*({"window": w} for w in WINDOWS), *({"resolution": n} for n in (-1, 1, 1025))])
def test_wrong_options_are_refused(option):
    with pytest.raises(ol.ConfigError, match="|".join(option)):
        player_html(race(), **option)
