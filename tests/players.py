"""What the tests of the HTML player share: hostile texts, a bowl and its races, a browser."""

import shutil
from dataclasses import replace

import pytest

import optlab as ol
from optlab.descent.race import Race

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)

HOSTILE = (
    "</script><script>window.pwned = 1</script>",
    "<img src=x onerror='window.pwned = 1'><svg onload=window.pwned=1>",
    "\"><iframe srcdoc='<script>parent.pwned=1</script>'>' onmouseover='window.pwned=1' x='",
    "<!--<script> ]]>&lt;b&gt;&amp;&#60; javascript:window.pwned=1",
    "line\u2028separator\u2029paragraph, null\x00byte and \x1b[31mescape",
    "very long " * 400,
    "\u202eright to left \u05e9\u05dc\u05d5\u05dd \u0645\u0631\u062d\u0628\u0627 \U0001f468\u200d\U0001f469",
    "{{script}} {{record}} ${window.pwned = 1} \\u003c `",
    "__proto__ \\ \" ' \ud800 lone surrogate",
)
ADAM, MOMENTUM = ol.Adam(lr=0.1), ol.Momentum(lr=0.005)


def bowl(x, y):
    return x * x + 10.0 * y * y


def surface(fn=bowl, *, minima=((0.0, 0.0),), **texts):
    texts = {"name": "bowl", "title": "A bowl", "formula": r"x^2 + 10\,y^2", "source": "by hand"} | texts
    return ol.Surface(fn, minima=minima, domain=((-2.0, 2.0), (-1.5, 1.5)), start=(-1.5, 1.0), **texts)


BOWL = surface()


def descend(rule, steps=60, start=None):
    return ol.descend(BOWL, rule, start, steps)


def race(on=BOWL, **runs):
    """Runs on the bowl, shown on the bowl or on any other surface."""
    return Race(on, runs or {"momentum": descend(MOMENTUM), "adam": descend(ADAM)})


def named(text, steps=3):
    """A run whose settings and first slot are called ``text``."""
    run = descend(ADAM, steps)
    hostile = replace(run, settings=text)
    vars(hostile)["state"] = {text: run.state["m"], "v": run.state["v"]}
    return hostile


@pytest.fixture(scope="module")
def context():
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if CHROMIUM is None:
        pytest.skip("no chromium executable on PATH")
    quiet = ["background-networking", "component-update", "sync", "quic", "gpu"]
    arguments = ["--no-sandbox", "--no-first-run", *(f"--disable-{name}" for name in quiet)]
    with api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments, timeout=0)
        yield patient(chromium)
        chromium.close()


def patient(browser):
    """A context that leaves it to pytest to end what hangs: a busy machine is only slow."""
    context = browser.new_context()
    context.set_default_timeout(0)
    return context
