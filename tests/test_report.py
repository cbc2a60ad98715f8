"""The report of a training run: what it says, hostile strings, and how it looks in a real browser."""

import base64
import json
import re
import shutil
from html import unescape
from html.parser import HTMLParser

import numpy as np
import pytest
from players import context as context  # the fixture that starts a browser

import optlab as ol
from optlab.data.ledger import Ledger
from optlab.train.recipe import Recipe
from optlab.train.rundir import HISTORY, LOG, RunDirectory
from optlab.viz import report
from optlab.viz.report import write_report

HOSTILE = (
    "</script><script>window.pwned = 1</script>",
    "</style><style>body { display: none }</style>",
    "<img src=x onerror='window.pwned = 1'>",
    "<svg onload=window.pwned=1><iframe srcdoc='<script>parent.pwned=1</script>'></iframe>",
    '" onmouseover="window.pwned=1" x="\' autofocus onfocus=\'window.pwned=1',
    "<!-- --> <script> ]]> &lt;b&gt; &amp; &#60; <![CDATA[",
    "javascript:window.pwned=1 data:text/html,<script>window.pwned=1</script>",
    "<meta http-equiv=refresh content='0;url=http://127.0.0.1:9/'><base href=http://127.0.0.1:9/>",
    "<link rel=stylesheet href=http://127.0.0.1:9/x.css><style>@import 'http://127.0.0.1:9/'</style>",
    "$title ${style} $$ {0} {title} %s %(title)s \\u003c \\",
    "$x_1^{ \\frac{$ and $\\nonsense",
    "\u202eright to left \u05e9\u05dc\u05d5\u05dd \u0645\u0631\u062d\u0628\u0627 \U0001f468\u200d\U0001f469 \u4f60",
    "line\u2028separator\r\nnew line\ttab \x1b[31mescape \x07",
    "\ud800 lone \udfff surrogates \ufffe\uffff",
    "unbroken" * 300,
)
TAGS = {
    *("html", "head", "meta", "title", "style", "body", "header", "main", "h1", "h2", "h3", "p", "span", "dl", "div"),
    *("dt", "dd", "small", "section", "figure", "figcaption", "img", "table", "thead", "tbody", "tr", "th", "td"),
}
ATTRIBUTES = {
    *("lang", "charset", "name", "content", "http-equiv", "class", "src", "alt"),
    *("tabindex", "role", "aria-label"),
}


class Reader(HTMLParser):
    """The tags, attributes and text of a page."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.attributes, self.text = set(), set(), ""
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_data(self, data):
        self.text += data


def trained(folder, name, data, **options):
    """A run of two epochs on a data set of one's own."""
    np.savez(folder / "data.npz", **data)
    (folder / "data.npz").rename(folder / name)
    recipe = Recipe(
        source={"name": str(folder / name), "data_dir": None},
        split={"val": 30, "test": 30, "seed": 0},
        model={"hidden": [4], "dtype": "float32", "seed": 0},
        config=ol.train.config.Config("adam", epochs=2, norms=True, **options),
    )
    run = RunDirectory.new(recipe, folder / "run")
    run.train({"command": "optlab train"}, verbose=False)
    return run


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    """Pictures of fifteen classes that are called so."""
    folder = tmp_path_factory.mktemp("hostile")
    rng = np.random.default_rng(0)
    names = [text.encode("utf-8", "replace").decode() for text in HOSTILE]  # `read` refuses what is not Unicode
    labels = np.array(names)[np.arange(150) % len(names)]
    run = trained(folder, f"{HOSTILE[2]}.npz", {"x": rng.random((150, 4, 4)), "y": labels})
    plain = json.loads((run.path / HISTORY).read_text())
    (run.path / HISTORY).write_text(json.dumps(plain | {"reason": HOSTILE[0], "why": HOSTILE[3]}))
    for text in HOSTILE:
        run.note(text, **{text: text})
        ledger = Ledger(run.path)
        ledger.open("a digest", text, force=True)
        ledger.record_result({"accuracy": 0.5, text: text})
    write_report(run.path)
    return RunDirectory(run.path)


def page_of(run):
    return write_report(run).read_text(encoding="utf-8")


def numbers_of(page):
    return dict(re.findall(r"<dt>(.*?)</dt><dd>(.*?)<small>|$", page))


# --- without a browser ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
@pytest.mark.fault(26)
def test_a_hostile_string_is_shown_as_text(hostile, tmp_path, monkeypatch, text):
    monkeypatch.setattr(report, "evidence", lambda model, part: [])
    path = shutil.copytree(hostile.path, tmp_path / "run")
    (path / LOG).write_text("")
    plain = json.loads((path / HISTORY).read_text())
    (path / HISTORY).write_text(json.dumps(plain | {"status": text, "reason": text, "engine": text, "why": text}))
    run = RunDirectory(path)
    run.note(text, **{text: text})
    page = page_of(run)
    seen = Reader(page)
    assert seen.tags <= TAGS
    assert seen.attributes <= ATTRIBUTES
    assert page.count("<style>") == page.count("</style>") == 1
    shown = " ".join(text.encode("utf-8", "replace").decode().replace("\r\n", "\n").split())
    assert " ".join(seen.text.split()).count(shown) >= 6  # status, reason, engine, the log, the ledger


@pytest.mark.fault(26)
def test_the_page_asks_for_nothing_outside_itself(hostile):
    page = (hostile.path / "report.html").read_text(encoding="utf-8")
    policy = unescape(re.search(r'Content-Security-Policy" content="([^"]*)"', page)[1])
    assert policy.startswith("default-src 'none';")
    assert "unsafe" not in policy
    assert "script-src" not in policy
    sources = re.findall(r'<img class="\w+" src="([^"]*)"', page)
    assert len(sources) == page.count("<img ") == 7  # loss, accuracy, rate, norms; confusions, mistakes, weights
    assert all(re.match(r"data:image/(png|svg\+xml);base64,", source) for source in sources)
    alts = re.findall(r'<img [^>]*alt="([^"]*)"', page)
    assert len(set(alts)) == 7
    assert "" not in alts
    vectors = [base64.b64decode(s.split(",")[1]).decode() for s in sources if "svg" in s]
    assert len(vectors) == 5
    assert not any(re.search(r"<script|<foreignObject|(href|src)=\"(?!#|data:)", vector) for vector in vectors)


def test_the_numbers_are_the_runs(tmp_path):
    rng = np.random.default_rng(1)
    run = trained(tmp_path, "blobs.npz", {"x": rng.random((120, 3)), "y": np.arange(120) % 2}, schedule="cosine")
    page = page_of(run)
    epoch, loss = run.history.best()
    numbers = numbers_of(page)
    assert numbers["val loss"] == f"{loss:.4g}"
    assert numbers["val accuracy"] == f"{100 * run.history['val_accuracy'][epoch - 1]:.2f} %"
    assert numbers["test"] == "sealed"
    assert "Not opened." in page
    assert "schedule cosine" in page
    score = run.best().evaluate(run.parts[2], unseal="final table")
    page = page_of(run.path)
    assert numbers_of(page)["test accuracy"] == f"{100 * score.accuracy:.2f} %"
    assert numbers_of(page)["gap in accuracy"][0] in "+-"
    assert "final table" in page
    assert "alarm" not in page.split("</style>")[1].replace('<td class="alarm"></td>', "")
    assert page.count("<img ") == 5  # a table has no pictures of rows and weights


@pytest.mark.parametrize("damage", ["data", "checkpoints"])
def test_a_report_shows_what_is_left(tmp_path, damage):
    rng = np.random.default_rng(1)
    run = trained(tmp_path, "blobs.npz", {"x": rng.random((120, 3)), "y": rng.random(120)})
    if damage == "data":
        (tmp_path / "blobs.npz").unlink()
    else:
        shutil.rmtree(run.path / "checkpoints")
    page = page_of(run.path)
    assert ("No pictures of the data" in page) == (damage == "data")
    assert "Loss by epoch" in page


def test_no_run_directory_no_report(tmp_path):
    with pytest.raises(ol.StorageError, match=r"config\.json is missing"):
        write_report(tmp_path)
    assert list(tmp_path.iterdir()) == []


# --- in a browser -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.fault(26)
def test_it_fits_loads_everything_and_runs_nothing(context, hostile, width, scheme):
    path = hostile.path / "report.html"
    page, noise, requests = context.new_page(), [], []
    for kind in ("console", "pageerror", "dialog"):
        page.on(kind, lambda event: noise.append(str(event)))
    page.on("request", lambda request: requests.append(request.url))
    page.set_viewport_size({"width": width, "height": 800})
    page.emulate_media(color_scheme=scheme)
    page.goto(path.as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    outside = "[...document.querySelectorAll('body *')].filter((e) => e.getBoundingClientRect().right > innerWidth + 1)"
    assert page.evaluate(f"{outside}.length") == 0
    assert page.evaluate("[...document.images].every((i) => i.complete && i.naturalWidth > 100)")
    assert page.evaluate("window.pwned === undefined")
    assert page.evaluate("document.title").startswith("<img src=x")
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(20, 24, 27)"
    assert dark == (scheme == "dark")
    page.close()
    assert noise == []
    assert [url for url in requests if not url.startswith("data:")] == [path.as_uri()]
