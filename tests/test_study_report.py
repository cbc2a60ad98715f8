"""The report of a study: what it says, hostile strings, every kind of study, and how it looks in a real browser."""

import html
import re
from functools import partial

import numpy as np
import pytest
from players import context as context  # the fixture that starts a browser
from test_report import ATTRIBUTES, HOSTILE, TAGS, Reader

from optlab.cli import _code
from optlab.search import GP, Choice, Float, Grid, Int, Random, Sampler, Sobol, Space, Study
from optlab.viz import study_pictures as pictured
from optlab.viz.study_pictures import Shown, study_pictures
from optlab.viz.study_report import counted, failures, ranged, write_study_report

ENCODABLE = [text for text in HOSTILE if "\ud800" not in text]  # a space takes no other names
SPACE = Space(
    rule=Choice(["sgd", "momentum", "adam"]),
    lr=Float(1e-4, 1, log=True),
    width=Int(8, 64, step=8),
    beta=Float(0.5, 0.9, when={"rule": "momentum"}),
)


def bowl(params):
    if params["lr"] > 0.7:
        raise FloatingPointError(f"diverged in epoch {int(100 * params['lr'])}")
    return abs(np.log10(params["lr"]) + 2) + params["width"] / 64 + params.get("beta", 0.7)


def made(sampler, trials=20, space=SPACE, objective=bowl, **options):
    study = Study(space, sampler, **options)
    study.run(objective, trials=trials)
    return study


@pytest.fixture(scope="module")
def study():
    return made(GP(seed=0, initial=8), 24)


@pytest.fixture(scope="module")
def path(study, tmp_path_factory):
    return write_study_report(study, tmp_path_factory.mktemp("new") / "folder" / "r.html", {"objective": "bowl"})


def test_what_a_page_says(study, path):
    text = Reader(path.read_text(encoding="utf-8")).text
    assert f"{study.best.value:.4g}" in text
    assert counted(study) in text
    assert all(name in text for name in study.space)
    assert all(verdict.explanation in text for verdict in study.verdict())
    for heading in (
        "The search",
        "All parameters at once",
        "Each parameter",
        "What the model expects",
        "Two parameters",
    ):
        assert heading in text
    assert "bowl" in text
    assert (
        path.read_text(encoding="utf-8").count("<img ")
        == 2 + 1 + 4 + sum(name != "rule" for name in study.best.params) + 1
    )


def test_failures_with_the_same_reason_are_one(study):
    extra = made(Random(seed=3), 60)
    [group] = failures(extra)
    assert len({trial.error for trial in group}) > 1
    assert len(group) == sum(trial.state == "failed" for trial in extra.trials) > 1
    assert f"{len(group)} failed" in counted(extra)


@pytest.mark.parametrize("nth", range(3))
@pytest.mark.fault(26)
def test_hostile_names_values_and_errors_are_text(nth, tmp_path):
    evils = ENCODABLE[nth::3]
    values = {evil: Choice([evil, ENCODABLE[i], "plain"]) for i, evil in enumerate(evils, -3)}
    space = Space({**values, "x": Float(0, 1), f"{evils[0]}!": Float(0, 1)})

    def objective(params):
        if params["x"] > 0.5:
            raise ValueError(" ".join(evils))
        return params["x"] + params[f"{evils[0]}!"]

    study = made(Random(seed=0), 12, space, objective, name=evils[0])
    page = write_study_report(study, tmp_path / "r.html", {evils[1]: evils[-1]}).read_text(encoding="utf-8")
    reader = Reader(page)
    assert reader.tags <= TAGS
    assert reader.attributes <= ATTRIBUTES
    assert not re.search(r"(src|href)=[\"'](?!data:image/)", page)
    text = "".join(reader.text.split())
    assert all("".join(evil.split())[:40] in text for evil in evils)


def test_short_names_stay_apart():
    names = [*(f"a_very_long_name_of_a_parameter_{i}" for i in range(3)), "\x00", "\x01"]
    study = made(Random(seed=0), 3, Space({n: Float(0, 1) for n in names}), lambda params: params[names[0]])
    seen = Shown(study)
    assert len(set(seen.names.values())) == 5
    assert seen.best.params[seen.names[names[1]]] == study.best.params[names[1]]
    alike = Space(c=Choice(["1", 1, 2]))
    study = made(Random(seed=0), 6, alike, lambda params: float(params["c"]))
    assert len(study_pictures(study).single) == 1


@pytest.mark.parametrize(
    "study",
    [
        lambda: made(Random(seed=0), 0),
        lambda: made(Random(seed=0), 1),
        lambda: made(GP(seed=0), 4),
        lambda: made(GP(seed=0, initial=2), 6, Space(x=Float(0, 1)), lambda params: 1.0),
        lambda: made(Random(seed=0), 5, objective=lambda params: float("nan")),
        lambda: made(Grid(x=[1, 2]), 5, Space(x=Int(1, 2)), lambda params: params["x"]),
        lambda: made(Random(seed=0), 9, Space(c=Choice(["a", "b"])), lambda params: len(params)),
        lambda: made(Random(seed=0), 12, direction="maximize"),
        lambda: made(Random(seed=0), 6, objective=lambda params: 1e300 * params["lr"]),
        lambda: made(Random(seed=0), 6, objective=lambda params: -params["lr"]),
    ],
)
def test_every_study_has_a_page(study, tmp_path):
    study = study()
    text = Reader(write_study_report(study, tmp_path / "r.html").read_text(encoding="utf-8")).text
    assert study.name in text
    assert ("No trial is complete" in text) == (not study.complete)


def test_ranges_read_like_ranges():
    assert [ranged(p) for p in SPACE.values()] == [
        "sgd, momentum, adam",
        "0.0001 .. 1, log",
        "8 .. 64, whole, step 8",
        "0.5 .. 0.9 when rule = momentum",
    ]


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.fault(26)
def test_in_a_browser(path, context, width, scheme):
    page, requests, problems = context.new_page(), [], []
    page.on("request", lambda request: requests.append(request.url))
    page.on("console", lambda message: problems.append(message.text))
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": width, "height": 900})
    page.goto(path.as_uri())
    assert problems == []
    assert [url for url in requests if not url.startswith("data:")] == [path.as_uri()]
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate("[...document.images].every(i => i.complete && i.naturalWidth > 0)")
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, re.findall(r"\d+", background)[:3])) < 200) == (scheme == "dark")
    page.close()


X = Space(x=Float(0, 1))
BY = {  # how a file's trials came about, and what its report says of that
    "in Python": (lambda path: made(GP(seed=3), 3, X, square, storage=path), "GP(initial=10, seed=3)"),
    "by two drivers": (
        lambda path: [made(sampler, 2, X, square, storage=path).close() for sampler in (Random(seed=1), Sobol(seed=2))],
        "Random(seed=1), Sobol(seed=2) from trial 2 on",
    ),
    "resumed by the same": (
        lambda path: [made(Random(seed=1), 2, X, square, storage=path).close() for _ in range(2)],
        "Random(seed=1)",
    ),
    "by hand": (lambda path: by_hand(Study(X, Random(seed=0), storage=path)), ""),
    "by hand, then by a sampler": (
        lambda path: by_hand(Study(X, Random(seed=5), storage=path)).run(square, trials=1),
        "Random(seed=5) from trial 1 on",
    ),
    "with a function": (
        lambda path: made(GP(seed=1, mean=partial(square)), 2, X, square, storage=path),
        "functools:partial",
    ),
    "with a sampler of one's own": (lambda path: made(Mine(seed=4), 2, X, square, storage=path), "Mine(seed=4)"),
}


def square(params):
    return params["x"] ** 2


def by_hand(study):
    study.tell(study.ask(params={"x": 0.5}), 0.25)
    return study


class Mine(Sampler):
    def propose(self, numbers, seen):
        return [{"x": 0.5} for _ in numbers]


@pytest.mark.parametrize("how", BY)
def test_a_report_names_the_samplers_that_the_file_tells(how, tmp_path, capsys):
    make, says = BY[how]
    path = tmp_path / "a.db"
    kept = make(path)
    page = write_study_report(Study.open(path), tmp_path / "a.html").read_text()
    assert _code(["report", str(path)]) == 0
    told = capsys.readouterr().out
    lead = re.search(r"<p>[^<]*complete; minimize([^<]*)</p>", page)[1]
    if says:
        assert says in html.unescape(lead)
        assert says in told
    else:
        assert lead == ""
        assert "sampler" not in told
    assert says == "Random(seed=0)" or "Random(seed=0)" not in page + told
    del kept


@pytest.mark.parametrize("direction", ["minimize", "maximize"])
@pytest.mark.parametrize("scale", [1.0, 1e6])
def test_the_model_is_shown_in_the_units_of_the_value(direction, scale, monkeypatch):
    """Without noise the median goes through the best value, which the axis is named after."""
    sign = {"minimize": 1.0, "maximize": -1.0}[direction]
    space = Space(x=Float(0, 1), y=Float(1e-3, 1, log=True))
    study = Study(space, GP(seed=0, initial=5, noise=0.0), direction)
    study.run(lambda p: sign * scale * (3.0 + (p["x"] - 0.4) ** 2 + (np.log10(p["y"]) + 1) ** 2), trials=9)
    drawn = {}
    monkeypatch.setattr(pictured, "apart", lambda fig, panels: drawn.update(panels) or [])
    pictured._model(Shown(study))
    assert list(drawn) == ["x", "y"]  # a panel each
    for name, ax in drawn.items():
        assert ax.get_ylabel() == "value"
        x, y = ax.get_lines()[0].get_data()
        at = np.interp(study.best.params[name], x, y)
        assert abs(at - study.best.value) < 1e-3 * abs(study.best.value)
