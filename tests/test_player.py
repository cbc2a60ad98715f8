"""The HTML player: what is embedded, and how the page behaves in a real browser."""

import base64
import json
import re
import shutil
import time
from html import unescape
from types import SimpleNamespace

import numpy as np
import pytest

from optlab.viz.player import HOLE, player_html, relief, save_html

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)

HOSTILE = (
    "</script><script>window.pwned = 1</script>",
    "<img src=x onerror='window.pwned = 1'>",
    "<svg onload=window.pwned=1>",
    "\"><iframe srcdoc='<script>parent.pwned=1</script>'>",
    "' onmouseover='window.pwned=1' x='",
    "<!--<script>",
    "]]>&lt;b&gt;&amp;&#60;",
    "javascript:window.pwned=1",
    "line\u2028separator\u2029paragraph",
    "null\x00byte and \x1b[31mescape",
    "very long " * 400,
    "\u202eright to left \u05e9\u05dc\u05d5\u05dd \u0645\u0631\u062d\u0628\u0627",
    "emoji \U0001f600 and \U0001f468\u200d\U0001f469\u200d\U0001f467",
    "{{script}} {{record}} ${window.pwned = 1} \\u003c `",
    "__proto__ \\ \" ' \ud800 lone surrogate",
)


# ---- stand-ins ------------------------------------------------------------------------------------------------------


def bowl(x, y):
    return x * x + 10.0 * y * y


def bowl_gradient(x, y):
    return np.array([2.0 * x, 20.0 * y])


def surface(fn=bowl, *, minima=((0.0, 0.0),), f_min=0.0, **fields):
    def grid(resolution, window):
        xs, ys = (np.linspace(*side, resolution) for side in window)
        return xs, ys, fn(*np.meshgrid(xs, ys))

    texts = {"name": "bowl", "title": "A bowl", "formula": r"x^2 + 10\,y^2", "source": "by hand"} | fields
    return SimpleNamespace(domain=((-2.0, 2.0), (-1.5, 1.5)), minima=minima, f_min=f_min, grid=grid, **texts)


def momentum(v, g, t):
    (v,) = v
    v = 0.9 * v + g
    return 0.005 * v, (v,)


def adam(slots, g, t):
    m, v = slots
    m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
    return 0.1 * (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8), (m, v)


def explode(slots, g, t):
    return 10.0 * g, slots


def descend(rule, slots, *, steps=60, start=(-1.5, 1.0), fn=bowl, gradient=bowl_gradient, limit=1e6, settings="Rule()"):
    """The record of a hand-written loop, in the shape of a run."""
    point, state = np.array(start), tuple(np.zeros(2) for _ in slots)
    points, values, gradients, states, rates = [], [], [], [], []
    for t in range(steps + 1):
        g = gradient(*point)
        points.append(point)
        with np.errstate(over="ignore"):
            values.append(fn(*point))
        gradients.append(g)
        states.append(state)
        step, state = rule(state, g, t + 1)
        with np.errstate(divide="ignore", invalid="ignore"):
            rates.append(np.abs(step) / np.abs(g))
        point = point - step if np.abs(point - step).max() <= limit else np.full(2, np.nan)
    return SimpleNamespace(
        points=np.array(points),
        values=np.array(values),
        gradients=np.array(gradients),
        state={name: np.array([s[i] for s in states]) for i, name in enumerate(slots)},
        effective_lr=np.array(rates[:-1]).reshape(-1, 2),
        status="running" if np.isfinite(point).all() else "diverged",
        settings=settings,
    )


def race(on=None, **runs):
    default = {"momentum": descend(momentum, ("v",)), "adam": descend(adam, ("m", "v"), settings="Adam(lr=0.1)")}
    return SimpleNamespace(surface=on or surface(), runs=runs or default)


# ---- without a browser ----------------------------------------------------------------------------------------------


def record_of(page):
    return json.loads(re.search(r'<script type="application/json" id="record">(.*?)</script>', page, re.S)[1])


def decode(text, dtype="<f4"):
    return np.frombuffer(base64.b64decode(text), dtype)


def test_embedded_arrays_are_the_record():
    here = race(adam=descend(adam, ("m", "v")), explode=descend(explode, ()))
    for raw in record_of(player_html(here))["runs"]:
        run = here.runs[raw["label"]]
        series = dict(raw["series"])
        assert list(series) == ["gradient", *run.state]
        np.testing.assert_array_equal(decode(raw["values"], "<f8"), run.values)
        np.testing.assert_array_equal(decode(raw["points"]), run.points.astype("f4").ravel())
        np.testing.assert_array_equal(decode(series["gradient"]), run.gradients.astype("f4").ravel())
        np.testing.assert_array_equal(decode(raw["rates"]), run.effective_lr.astype("f4").ravel())
        for name, slot in run.state.items():
            np.testing.assert_array_equal(decode(series[name]), slot.astype("f4").ravel())


def test_heights_keep_the_order_of_values_and_levels_are_values():
    grid = bowl(*np.meshgrid(np.linspace(-2, 2, 41), np.linspace(-1, 1, 31)))
    grid[3, 4] = np.inf
    heights, levels = relief(grid)
    assert heights[3, 4] == HOLE
    solid = np.isfinite(grid)
    order = np.argsort(grid[solid])
    assert (np.diff(heights[solid][order].astype(int)) >= 0).all()
    for share, value in levels:
        below = np.mean(grid[solid] < value)
        assert below == pytest.approx(share, abs=0.02)


@pytest.mark.parametrize("fill", [7.0, np.nan, np.inf, 1e308])
def test_a_surface_without_relief_has_no_levels(fill):
    heights, levels = relief(np.full((4, 5), fill))
    assert levels == []
    assert (heights == (HOLE if not np.isfinite(fill) else 32767)).all()


def test_a_plateau_is_flat_despite_rounding_noise():
    grid = bowl(*np.meshgrid(np.linspace(-2, 2, 30), np.linspace(-1, 1, 30)))
    grid[:15] = 25.0 + 1e-9 * np.random.default_rng(0).standard_normal((15, 30))
    heights, _ = relief(grid)
    assert np.ptp(heights[:15].astype(int)) == 0


def test_page_asks_for_nothing_outside_itself():
    page = player_html(race())
    code = page.replace("http://www.w3.org/2000/svg", "").replace("http://www.w3.org/1998/Math/MathML", "")
    assert not re.search(r"https?://|//cdn|@import|url\(", code)
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function", code)
    policy = unescape(re.search(r'Content-Security-Policy" content="([^"]*)"', page)[1])
    assert policy.startswith("default-src 'none';")
    assert "unsafe" not in policy


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_strings_survive_as_data(text):
    run = descend(adam, (text, "v"), steps=2, settings=text)
    page = player_html(race(surface(name=text, formula=text, source=text), run=run), title=text)
    record = record_of(page)
    assert record["title"] == record["surface"]["formula"] == record["runs"][0]["settings"] == text
    assert page.count("<script") == 2
    page.encode("utf-8")


def test_six_runs_of_500_steps_stay_small():
    page = player_html(race(**{f"adam {i}": descend(adam, ("m", "v"), steps=500) for i in range(6)}))
    assert len(page.encode()) < 350_000


def test_save_html_writes_the_page(tmp_path):
    path = save_html(race(), tmp_path / "race.html", title="Saved", resolution=8)
    assert path.read_bytes().decode() == player_html(race(), title="Saved", resolution=8)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda r: r.runs.clear(), "at least one run"),
        (lambda r: setattr(r.runs["adam"], "points", r.runs["adam"].points[:-1]), r"points of shape \(61, 2\)"),
        (lambda r: setattr(r.runs["adam"], "values", np.zeros(0)), "at least one row"),
        (lambda r: r.runs["adam"].state.update(m=np.zeros(61)), r"m of shape \(61, 2\)"),
    ],
)
def test_wrong_records_are_refused(change, message):
    here = race()
    change(here)
    with pytest.raises(ValueError, match=message):
        player_html(here)


@pytest.mark.parametrize("window", [((1, 1), (0, 1)), ((0, np.inf), (0, 1)), ((0, 1),), "ab", ((2, 1), (0, 1))])
def test_wrong_windows_are_refused(window):
    with pytest.raises(ValueError, match="window"):
        player_html(race(), window=window)


@pytest.mark.parametrize("resolution", [-1, 1, 1025])
def test_wrong_resolutions_are_refused(resolution):
    with pytest.raises(ValueError, match="from 2 to 1024"):
        player_html(race(), resolution=resolution)


# ---- in a browser ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def browser():
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if CHROMIUM is None:
        pytest.skip("no chromium executable on PATH")
    quiet = ["background-networking", "component-update", "sync", "quic", "gpu"]
    arguments = ["--no-sandbox", "--no-first-run", *(f"--disable-{name}" for name in quiet)]
    with api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield chromium
        chromium.close()


@pytest.fixture
def visit(browser, tmp_path):
    """Open a race; at the end, the page must have been silent and have asked for nothing but itself."""
    contexts, noise, requests, opened = [], [], [], []

    def open_page(here, *, hash="", width=1280, height=720, motion="reduce", scheme="light", **options):
        path = save_html(here, tmp_path / f"race{len(opened)}.html", **({"resolution": 24} | options))
        context = browser.new_context(
            viewport={"width": width, "height": height}, reduced_motion=motion, color_scheme=scheme
        )
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: noise.append(message.text))
        page.on("pageerror", lambda error: noise.append(str(error)))
        page.on("dialog", lambda dialog: noise.append(dialog.message))
        page.on("request", lambda request: requests.append(request.url))
        opened.append(path.as_uri())
        page.goto(path.as_uri() + hash)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert noise == []
    assert [url for url in requests if not url.startswith("data:")] == opened


def until(page, condition):
    """Playwright's own wait_for_function evaluates strings in the page, which the policy forbids."""
    deadline = time.monotonic() + 10
    while not page.evaluate(condition):
        assert time.monotonic() < deadline, f"never: {condition}"
        page.wait_for_timeout(15)


def step_of(page):
    return page.evaluate("optlab.step")


def test_play_advances_and_pause_stops(visit):
    page = visit(race())
    assert page.evaluate("[optlab.step, optlab.playing, optlab.steps]") == [0, False, 60]
    page.click("#play")
    until(page, "optlab.step > 3")
    page.click("#play")
    rest = step_of(page)
    page.wait_for_timeout(150)
    assert step_of(page) == rest < 60
    assert page.get_attribute("#play", "aria-label") == "Play"
    page.select_option("#speed", "16")
    page.click("#play")
    until(page, "!optlab.playing")
    assert step_of(page) == 60
    page.click("#play")  # at the end, play starts again
    until(page, "optlab.step < 60")


def test_starts_by_itself_unless_motion_is_unwelcome_or_an_instant_is_linked(visit):
    page = visit(race(), motion="no-preference")
    until(page, "optlab.step > 0")
    page = visit(race(), motion="no-preference", hash="#step=12")
    page.wait_for_timeout(100)
    assert page.evaluate("[optlab.step, optlab.playing]") == [12, False]
    page.evaluate("location.hash = '#step=31'")
    until(page, "optlab.step === 31")
    page.evaluate("location.hash = '#step=99999'")
    until(page, "optlab.step === 60")


def test_loop_starts_again(visit):
    page = visit(race())
    page.select_option("#speed", "16")
    page.check("#loop")
    page.click("#play")
    until(page, "optlab.step === 60")
    until(page, "optlab.step < 60")
    assert page.evaluate("optlab.playing")


def test_controls_move_the_step(visit):
    page = visit(race())
    page.fill("#scrub", "33")
    assert step_of(page) == 33
    page.click("#back")
    assert step_of(page) == 32
    page.click("#forward")
    page.click("#forward")
    assert step_of(page) == 34
    until(page, "location.hash === '#step=34'")
    assert "Step 34 of 60" in page.text_content("#announcer")
    page.click("#restart")
    assert step_of(page) == 0
    page.select_option("#trail", "10")
    assert page.evaluate("optlab.trail") == 10


def test_keyboard(visit):
    page = visit(race())
    keys = [
        ("ArrowRight", 1),
        ("Shift+ArrowRight", 11),
        ("ArrowLeft", 10),
        ("End", 60),
        ("Shift+ArrowLeft", 50),
        ("Home", 0),
    ]
    for key, step in keys:
        page.keyboard.press(key)
        assert step_of(page) == step, key
    page.keyboard.press("2")
    assert page.evaluate("optlab.shown") == ["momentum"]
    page.keyboard.press("2")
    page.keyboard.press("9")  # no such rule
    assert page.evaluate("optlab.shown") == ["momentum", "adam"]
    page.keyboard.press("+")
    assert page.evaluate("optlab.speed") == 2
    for _ in range(9):
        page.keyboard.press("-")
    assert page.evaluate("optlab.speed") == 0.25
    page.keyboard.press("?")
    assert page.is_visible("#help")
    page.keyboard.press("ArrowRight")
    assert step_of(page) == 0
    page.keyboard.press("?")
    assert page.is_hidden("#help")
    page.keyboard.press(" ")
    until(page, "optlab.playing && optlab.step > 0")
    page.keyboard.press(" ")
    assert not page.evaluate("optlab.playing")


def test_space_plays_after_a_mouse_and_presses_a_button_after_tab(visit):
    page = visit(race())
    page.click("#legend label >> nth=0")
    page.keyboard.press(" ")
    assert page.evaluate("[optlab.playing, optlab.shown.length]") == [True, 1]
    page.keyboard.press(" ")
    page.keyboard.press("Home")
    page.focus("#forward")
    page.keyboard.press(" ")
    assert page.evaluate("[optlab.playing, optlab.step]") == [False, 1]


def pixels(page, selector):
    return page.eval_on_selector(selector, "canvas => canvas.toDataURL()")


def settle(page):
    page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")


def test_hiding_a_rule_takes_it_off_the_canvas(visit):
    page = visit(race(), hash="#step=20")
    both = pixels(page, "#surface")
    page.click("#legend label >> nth=1")
    settle(page)
    assert page.evaluate("optlab.shown") == ["momentum"]
    assert pixels(page, "#surface") != both
    page.click("#legend label >> nth=1")
    page.mouse.move(2, 2)
    settle(page)
    assert pixels(page, "#surface") == both


def test_hover_tells_everything_recorded_at_the_point(visit):
    here = race()
    page = visit(here, hash="#step=60")
    run, row = here.runs["adam"], 4
    spot = page.evaluate(f"optlab.locate(1, {row})")
    page.mouse.move(spot["x"], spot["y"])
    assert page.text_content("#tooltip strong") == "adam"
    head = page.text_content("#tooltip div")
    assert f"step {row} " in head
    assert float(re.search(r"f = (\S+)", head)[1]) == pytest.approx(run.values[row], rel=1e-4)
    rows = page.eval_on_selector_all(
        "#tooltip tr", "rows => rows.slice(1).map(r => [...r.cells].map(c => c.textContent))"
    )
    want = {"point": run.points, "gradient": run.gradients, **run.state, "effective lr": run.effective_lr}
    assert [name for name, *_ in rows] == list(want)
    for name, *texts in rows:
        np.testing.assert_allclose([float(text) for text in texts], want[name][row], rtol=1e-3)
    page.mouse.move(2, 2)
    assert page.is_hidden("#tooltip")


def test_click_goes_to_the_point_and_looks_inside_its_rule(visit):
    page = visit(race(), hash="#step=60")
    spot = page.evaluate("optlab.locate(1, 4)")
    page.mouse.click(spot["x"], spot["y"])
    assert page.evaluate("[optlab.step, optlab.selected]") == [4, "adam"]
    assert page.text_content("#settings") == "Adam(lr=0.1)"
    assert page.locator("#small-charts b").all_text_contents() == ["gradient", "m", "v", "effective lr"]


def test_charts_scrub_and_tell(visit):
    page = visit(race())
    box = page.locator("#values-chart").bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 30)
    assert page.is_visible("#tooltip")
    page.mouse.down()
    assert 20 < step_of(page) < 40
    page.mouse.move(box["x"] + box["width"] - 2, box["y"] + 30)
    page.mouse.up()
    assert step_of(page) == 60


def test_hostile_strings_are_shown_and_do_nothing(visit):
    runs = {text: descend(adam, (text, "v"), steps=3, settings=text) for text in HOSTILE}
    page = visit(race(surface(formula=HOSTILE[0], source=HOSTILE[1], name=HOSTILE[4]), **runs), title=HOSTILE[1])
    shown = page.locator("#legend .name").all_text_contents()
    assert shown == list(HOSTILE)
    assert page.text_content("#title") == HOSTILE[1] == page.title()
    # What reads as mathematics loses its spaces.
    assert page.text_content("#formula") == "f(x,y)=" + HOSTILE[0].replace(" ", "")
    for index, text in enumerate(HOSTILE):
        page.select_option("#selected", str(index))
        assert page.text_content("#settings") == text
        assert page.locator("#small-charts b").nth(1).text_content() == text
    spot = page.evaluate("optlab.locate(0, 0)")
    page.mouse.move(spot["x"], spot["y"])
    assert page.is_visible("#tooltip")
    assert page.locator("img, iframe, body > :not(header, main, div, p, dialog, script, noscript)").count() == 0
    assert page.locator("script").count() == 2
    assert page.evaluate("window.pwned === undefined")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_formula_and_title(visit, text):
    page = visit(race(surface(formula=text, source=text)), title=text, resolution=2)
    assert page.text_content("#title") == text
    assert page.text_content("#source") == text
    assert page.get_attribute("#formula", "title") == text
    assert page.evaluate("window.pwned === undefined")


def test_policy_stops_foreign_code(browser, tmp_path):
    page = browser.new_page()
    page.goto(save_html(race(), tmp_path / "race.html", resolution=8).as_uri())
    page.evaluate(
        """() => {
            const add = (tag, fields) => document.body.append(Object.assign(document.createElement(tag), fields));
            add("script", { textContent: "window.pwned = 1" });
            add("img", { src: "https://example.invalid/a.png" });
            document.body.setAttribute("onclick", "window.pwned = 1");
            document.body.click();
        }"""
    )
    assert page.evaluate("window.pwned === undefined")
    page.close()


def test_state_is_read_only(visit):
    page = visit(race())
    page.evaluate("() => { optlab.step = 7; optlab.labels[0] = 'x'; window.optlab = 0; }")
    assert page.evaluate("[optlab.step, optlab.labels[0]]") == [0, "momentum"]


def test_one_name_is_added_to_the_window(visit, tmp_path):
    page = visit(race())
    (tmp_path / "bare.html").write_text("<!doctype html>")
    bare = page.context.new_page()
    bare.goto((tmp_path / "bare.html").as_uri())
    names = "Object.getOwnPropertyNames(window)"
    assert set(page.evaluate(names)) - set(bare.evaluate(names)) == {"optlab"}
    bare.close()


def test_formula_becomes_mathematics_or_stays_source(visit):
    page = visit(race(surface(formula=r"\left(1-x\right)^2 + \frac{1}{2}\cos(2\pi y)_1^{3} - \sqrt{x}")), resolution=2)
    assert page.locator("#formula msup, #formula mfrac, #formula msqrt, #formula msubsup").count() == 4
    assert page.text_content("#formula").startswith("f(x,y)=(1−x)2")
    page = visit(race(surface(formula=r"\begin{cases} x \end{cases}")), resolution=2)
    assert page.text_content("#formula") == r"\begin{cases} x \end{cases}"


def cliff(x, y):
    return x * x - y * y


CASES = {
    "divergence": lambda: race(explode=descend(explode, ()), adam=descend(adam, ("m", "v"))),
    "nan from the start": lambda: race(
        lost=descend(explode, (), start=(np.nan, np.nan)), adam=descend(adam, ("m", "v"))
    ),
    "overflow": lambda: race(explode=descend(explode, (), limit=1e200, steps=120)),
    "one step": lambda: race(adam=descend(adam, ("m", "v"), steps=1)),
    "no step": lambda: race(adam=descend(adam, ("m", "v"), steps=0)),
    "outside": lambda: race(adam=descend(adam, ("m", "v"), start=(-6.0, 9.0), steps=200)),
    "different lengths": lambda: race(a=descend(adam, ("m", "v"), steps=5), b=descend(momentum, ("v",), steps=40)),
    "unbounded": lambda: race(
        surface(cliff, minima=(), f_min=-np.inf),
        sgd=descend(momentum, ("v",), fn=cliff, gradient=lambda x, y: np.array([2 * x, -2 * y]), steps=200),
    ),
    "unknown minimum": lambda: race(surface(minima=(), f_min=None)),
    "wrong minimum": lambda: race(surface(f_min=5.0)),
    "constant": lambda: race(surface(lambda x, y: 0 * x + 3.0, f_min=3.0)),
    "holes": lambda: race(surface(lambda x, y: np.where(x > 0, x + y, np.nan))),
    "twenty rules": lambda: race(**{f"rule {i}": descend(momentum, ("v",), steps=10) for i in range(20)}),
}


@pytest.mark.parametrize("case", CASES)
def test_renders(visit, case):
    page = visit(CASES[case](), width=1920, height=1080)
    assert page.evaluate("['log', 'linear', 'symlog'].includes(optlab.scale)")
    for width, scheme in [(1920, "light"), (360, "dark")]:
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
        "explode": descend(explode, ()),
        "far": descend(momentum, ("v",), start=(-30.0, 0.0)),
        "adam": descend(adam, ("m", "v")),
    }
    runs["adam"].status = "converged"
    lost = int(np.isnan(runs["explode"].values).argmax())
    page = visit(race(**runs))

    def told():
        settle(page)
        return page.locator("#legend .status").all_text_contents()

    assert told() == ["running", "outside", "running"]
    page.keyboard.press("End")
    assert told()[0] == f"diverged at step {lost}"
    assert told()[2] == "converged"
    assert page.get_attribute("#legend label >> nth=0", "title") == "explode\nRule()"


@pytest.mark.parametrize(
    ("case", "scales"),
    [("divergence", {"log"}), ("different lengths", {"log"}), ("unbounded", {"linear", "symlog"})],
)
def test_scale_of_the_value_chart(visit, case, scales):
    page = visit(CASES[case]())
    assert page.evaluate("optlab.scale") in scales
    title = page.text_content("#values-title")
    assert title.startswith("f − f*") == (scales == {"log"})
