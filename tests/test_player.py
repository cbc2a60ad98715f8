"""The HTML player in a real browser: how the page behaves."""

import re
import time
from dataclasses import replace

import numpy as np
import pytest
from players import ADAM, HOSTILE, MOMENTUM, descend, named, patient, race, surface
from players import context as context  # the fixture that starts a browser

import optlab as ol
from optlab.gallery import contours
from optlab.viz.player import save_html
from optlab.viz.style import COLORS, DARK_COLORS, looks


@pytest.fixture
def visit(context, tmp_path):
    """Open a race; at the end, the page must have been silent and have asked for nothing but itself."""
    noise, requests, opened, pages = [], [], [], []

    def open_page(here, *, hash="", width=1280, motion="reduce", timed=False, **options):
        """Where it is ``timed``, time and frames pass with `page.clock.run_for` alone."""
        path = save_html(here, tmp_path / f"race{len(opened)}.html", **({"resolution": 24} | options))
        page = (patient(context.browser) if timed else context).new_page()  # a clock is of a whole context
        pages.append(page)
        if timed:
            page.clock.install(time=0)
            page.clock.pause_at(10**7)  # far beyond what has passed until here
        page.set_viewport_size({"width": width, "height": 720})
        page.emulate_media(reduced_motion=motion, color_scheme="light")
        for kind in ("console", "pageerror", "dialog"):
            page.on(kind, lambda event: noise.append(str(event)))
        page.on("request", lambda request: requests.append(request.url))
        opened.append(path.as_uri())
        page.goto(path.as_uri() + hash)
        return page

    yield open_page
    for page in pages:
        page.close()
        if page.context is not context:
            page.context.close()
    assert noise == []
    assert [url for url in requests if not url.startswith("data:")] == opened


def until(page, condition):
    """Playwright's own wait_for_function evaluates strings in the page, which the policy forbids."""
    deadline = time.monotonic() + 200
    while not page.evaluate(condition):
        assert time.monotonic() < deadline, f"never: {condition}"
        page.wait_for_timeout(15)


def settle(page):
    page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")


def point_at(page, index, row):
    spot = page.evaluate(f"optlab.locate({index}, {row})")
    page.mouse.move(spot["x"], spot["y"])
    page.locator("#tooltip").wait_for()


def test_play_advances_pause_stops_and_loop_starts_again(visit):
    page = visit(race(), timed=True)

    def after(milliseconds):
        page.clock.run_for(milliseconds)
        return page.evaluate("[optlab.step, optlab.playing]")

    assert page.evaluate("[optlab.step, optlab.playing, optlab.steps]") == [0, False, 60]
    page.click("#play")
    step, playing = after(416)
    assert playing
    assert 9 <= step <= 10  # 25 a second, from the first frame on
    page.click("#play")
    assert after(5000) == [step, False]
    page.select_option("#speed", "16")
    page.click("#play")
    assert after(1000) == [60, False]
    page.click("#play")  # at the end, play starts again
    assert 0 < after(100)[0] < 60
    page.check("#loop")
    assert after(1000) == [60, True]  # at rest for a second
    assert 0 < after(100)[0] < 60


def test_starts_by_itself_unless_motion_is_unwelcome_or_an_instant_is_linked(visit):
    until(visit(race(), motion="no-preference"), "optlab.step > 0")
    page = visit(race(), motion="no-preference", hash="#step=12", timed=True)
    page.clock.run_for(100)
    assert page.evaluate("[optlab.step, optlab.playing]") == [12, False]
    for linked, step in [(31, 31), (99999, 60)]:
        page.evaluate(f"location.hash = '#step={linked}'")
        until(page, f"optlab.step === {step}")
    page.clock.run_for(1000)
    assert page.evaluate("location.hash") == "#step=60"
    assert "Step 60 of 60" in page.text_content("#announcer")


BOTH = ["momentum", "adam"]
SCENES = {
    "controls": [
        ("fill #scrub 33", "step", 33), ("click #back", "step", 32), ("click #forward", "step", 33),
        ("select_option #trail 10", "trail", 10), ("select_option #speed 4", "speed", 4), ("check #loop", "loop", True),
        ("select_option #selected 1", "selected", "adam"), ("click #restart", "step", 0),
    ],
    "keyboard": [
        ("press ArrowRight", "step", 1), ("press Shift+ArrowRight", "step", 11), ("press ArrowLeft", "step", 10),
        ("press End", "step", 60), ("press Shift+ArrowLeft", "step", 50), ("press Home", "step", 0),
        ("press 2", "shown", ["momentum"]), ("press 2", "shown", BOTH), ("press 9", "shown", BOTH),
        ("press +", "speed", 2), ("press =", "speed", 4), ("press -", "speed", 2),
        ("press ?", "help", True), ("press ArrowRight", "step", 0), ("press ?", "help", False),
        ("press Space", "playing", True), ("press Space", "playing", False),
    ],
    "space plays after a mouse and presses a button after tab": [
        ("click label:has-text('momentum')", "shown", ["adam"]), ("press Space", "playing", True),
        ("press Home", "step", 0), ("focus #forward", "playing", False), ("press Space", "step", 1),
    ],
}  # fmt: skip


@pytest.mark.parametrize("scene", SCENES)
def test_buttons_and_keys(visit, scene):
    page = visit(race(), timed=True)
    for action, what, value in SCENES[scene]:
        verb, *arguments = action.split()
        getattr(page.keyboard if verb == "press" else page, verb)(*arguments)
        found = page.is_visible("#help") if what == "help" else page.evaluate(f"optlab.{what}")
        assert found == value, action


def test_hiding_a_rule_takes_it_off_the_canvas(visit):
    page = visit(race(), hash="#step=20")
    drawn = []
    for shown in (["momentum"], ["momentum", "adam"], ["momentum"], ["momentum", "adam"]):
        page.click("label:has-text('adam')")
        page.mouse.move(2, 2)
        settle(page)
        assert page.evaluate("optlab.shown") == shown
        drawn.append(page.eval_on_selector("#surface", "canvas => canvas.toDataURL()"))
    assert drawn[0] == drawn[2] != drawn[1] == drawn[3]


def test_a_point_tells_everything_recorded_and_a_click_goes_there(visit):
    here = race()
    page = visit(here, hash="#step=60")
    run, row = here.runs["adam"], 4
    point_at(page, 1, row)
    assert page.text_content("#tooltip strong") == "adam"
    head = page.text_content("#tooltip div")
    assert f"step {row} " in head
    assert float(re.search(r"f = (\S+)", head)[1]) == pytest.approx(run.values[row], rel=1e-4)
    cells = "rows => rows.slice(1).map(r => [...r.cells].map(c => c.textContent))"
    rows = page.eval_on_selector_all("#tooltip tr", cells)
    want = {"point": run.points, "gradient": run.gradients, **run.state, "effective lr": run.effective_lr}
    assert [name for name, *_ in rows] == list(want)
    for name, *texts in rows:
        np.testing.assert_allclose([float(text) for text in texts], want[name][row], rtol=1e-3)
    page.mouse.down()
    page.mouse.up()
    assert page.evaluate("[optlab.step, optlab.selected]") == [row, "adam"]
    assert page.text_content("#settings") == str(ADAM)
    assert page.locator("#small-charts b").all_text_contents() == ["gradient", "m", "v", "effective lr"]
    page.mouse.move(2, 2)
    page.locator("#tooltip").wait_for(state="hidden")


def test_charts_scrub_and_tell(visit):
    page = visit(race())
    box = page.locator("#values-chart").bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 30)
    page.locator("#tooltip").wait_for()
    page.mouse.down()
    until(page, "20 < optlab.step && optlab.step < 40")
    page.mouse.move(box["x"] + box["width"] - 2, box["y"] + 30)
    page.mouse.up()
    until(page, "optlab.step === 60")


@pytest.mark.fault(26)
def test_hostile_strings_are_shown_and_do_nothing(visit):
    everything = " ".join(HOSTILE)
    here = race(surface(formula=HOSTILE[0], source=everything, name=HOSTILE[2]), **{s: named(s) for s in HOSTILE})
    page = visit(here, title=everything)
    assert page.locator("#legend .name").all_text_contents() == list(HOSTILE)
    assert page.text_content("#title") == page.text_content("#source") == everything
    # What reads as mathematics loses its spaces.
    assert page.text_content("#formula") == "f(x,y)=" + HOSTILE[0].replace(" ", "")
    for index, text in enumerate(HOSTILE):
        page.select_option("#selected", str(index))
        assert page.text_content("#settings") == text
        assert page.locator("#small-charts b").nth(1).text_content() == text
    point_at(page, 0, 0)
    assert page.locator("img, iframe, body > :not(header, main, div, p, dialog, script, noscript)").count() == 0
    assert page.locator("script").count() == 2
    assert page.evaluate("window.pwned === undefined && document.documentElement.scrollWidth <= innerWidth")


def test_what_is_no_formula_is_shown_as_it_is(visit):
    page = visit(race(surface(formula=" ".join(HOSTILE))), resolution=2)
    assert page.text_content("#formula") == page.get_attribute("#formula", "title") == " ".join(HOSTILE)
    assert page.evaluate("window.pwned === undefined")


@pytest.mark.fault(26, cases=3)
def test_policy_stops_foreign_code(context, tmp_path):
    page = context.new_page()
    page.goto(save_html(race(), tmp_path / "race.html", resolution=8).as_uri())
    page.evaluate(
        """() => {
            window.refused = [];
            addEventListener("securitypolicyviolation", (event) => refused.push(event.effectiveDirective));
            const add = (tag, fields) => document.body.append(Object.assign(document.createElement(tag), fields));
            add("script", { textContent: "window.pwned = 1" });
            add("img", { src: "https://example.invalid/a.png" });
            document.body.setAttribute("onclick", "window.pwned = 1");
            document.body.click();
        }"""
    )
    until(page, "refused.sort().join() === 'img-src,script-src-attr,script-src-elem'")
    assert page.evaluate("window.pwned === undefined")
    page.close()


def test_the_window_gains_one_name_that_is_read_only(visit, tmp_path):
    page = visit(race())
    page.evaluate("() => { optlab.step = 7; optlab.labels[0] = 'x'; window.optlab = 0; }")
    assert page.evaluate("[optlab.step, optlab.labels[0]]") == [0, "momentum"]
    (tmp_path / "bare.html").write_text("<!doctype html>")
    bare = page.context.new_page()
    bare.goto((tmp_path / "bare.html").as_uri())
    names = "Object.getOwnPropertyNames(window)"
    assert set(page.evaluate(names)) - set(bare.evaluate(names)) == {"optlab"}
    bare.close()


def test_a_rule_has_the_same_colour_in_figures_and_on_the_page(visit):
    here = race(**{f"rule {i}": descend(MOMENTUM, 2) for i in range(10)})
    page = visit(here)
    drawn = "paths => paths.map((path) => path.getAttribute('stroke'))"
    assert page.eval_on_selector_all("#legend path", drawn) == [look.color for look in looks(here.runs).values()]
    page.emulate_media(color_scheme="dark")
    until(page, f"document.querySelector('#legend path').getAttribute('stroke') === '{DARK_COLORS[0]}'")
    assert page.eval_on_selector_all("#legend path", drawn) == [*DARK_COLORS, *DARK_COLORS[:2]]
    assert len(COLORS) == len(set(DARK_COLORS)) == 8


def rewritten(change):
    run = descend(ADAM)
    return replace(run, record=change(run.record))


CASES = {
    "contours": lambda: ol.race("beale", contours.RULES, start=contours.START, steps=200),
    "divergence": lambda: race(explode=descend(ol.SGD(lr=10.0)), adam=descend(ADAM)),
    "nan from the start": lambda: race(lost=rewritten(lambda record: record * np.nan), adam=descend(ADAM)),
    # To 1e120; float32 ends at 3e38.
    "overflow": lambda: race(overflow=rewritten(lambda record: record * 10.0 ** np.arange(0, 122, 2)[:, None])),
    "one step": lambda: race(adam=descend(ADAM, 1)),
    "no step": lambda: race(adam=descend(ADAM, 0)),
    "outside": lambda: race(adam=descend(ADAM, 200, (-6.0, 9.0))),
    "different lengths": lambda: race(a=descend(ADAM, 5), b=descend(MOMENTUM, 40)),
    "unbounded": lambda: ol.race("saddle", [MOMENTUM], start=(-1.0, 0.5), steps=200),
    "unknown minimum": lambda: race(surface(minima=())),
    "wrong minimum": lambda: race(surface(minima=[(1.0, 1.0)])),
    "constant": lambda: race(surface(lambda x, y: 0.0 * x + 3.0)),
    "holes": lambda: race(surface(lambda x, y: np.sqrt(x) + y)),
    "twenty rules": lambda: race(**{f"rule {i}": descend(MOMENTUM, 10) for i in range(20)}),
}
SCALES = {"divergence": {"log"}, "different lengths": {"log"}, "unbounded": {"linear", "symlog"}}


@pytest.mark.parametrize("case", CASES)
def test_renders(visit, case):
    page = visit(CASES[case]())
    assert page.evaluate("optlab.scale") in SCALES.get(case, {"log", "linear", "symlog"})
    if case in SCALES:
        assert page.text_content("#values-title").startswith("f − f*") == (SCALES[case] == {"log"})
    for width, scheme in [(1280, "light"), (360, "dark")]:
        page.set_viewport_size({"width": width, "height": 800})
        page.emulate_media(color_scheme=scheme)
        for key in ("End", "Home", "Shift+ArrowRight"):
            page.keyboard.press(key)
            settle(page)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert min(page.eval_on_selector("#surface", "canvas => [canvas.width, canvas.height]")) > 180
    for index in range(page.evaluate("optlab.labels.length")):
        page.select_option("#selected", str(index))
    settle(page)


def test_legend_tells_what_happened(visit):
    runs = {
        "explode": descend(ol.SGD(lr=10.0)),
        "far": descend(MOMENTUM, start=(-30.0, 0.0)),
        "adam": descend(ADAM, 999),
    }
    assert runs["adam"].status == "converged"
    page = visit(race(**runs))

    status = page.locator("#legend .status")
    assert status.all_text_contents() == ["running", "outside", "running"]
    page.keyboard.press("End")
    settle(page)
    assert status.all_text_contents()[::2] == [f"diverged at step {runs['explode'].rows}", "converged"]
    assert page.get_attribute("#legend label >> nth=0", "title") == f"explode\n{runs['explode'].settings}"
