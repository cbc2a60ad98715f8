"""The pages of the gallery: an index of cards by topic and a page per figure, offline and without scripts."""

from collections import Counter
from collections.abc import Iterable, Sequence
from html import escape
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from optlab.files import write_whole
from optlab.gallery._topics import topic_of
from optlab.gallery._words import inline, paragraph, plain, shown
from optlab.viz.page import number, page, section

if TYPE_CHECKING:
    from optlab.gallery._made import Made
    from optlab.verdict import Verdict

INDEX = "index.html"
BESIDE = "'self' file:"  # pictures are files beside the page, on a disk or on a server


def write_pages(made: "Sequence[Made]", out: Path) -> Path:
    """Write a page per figure and ``index.html`` beside the pictures; returns the path of the index."""
    out.mkdir(parents=True, exist_ok=True)
    around = [None, *made, None]
    for before, one, after in zip(around, made, around[2:], strict=False):
        write_whole(out / f"{one.id}.html", figure_page(one, before, after))
    return write_whole(out / INDEX, index_page(made))


# ---- the index ------------------------------------------------------------------------------------------------------


def index_page(made: "Sequence[Made]") -> str:
    """Cards by topic, and how the claims came out."""
    lost = sum(bool(one.error) for one in made)
    came = Counter(v.word for one in made for v in one.verdicts)
    numbers = [
        number("figures", len(made), f"{lost} could not be made" if lost else "all made"),
        number("claims", came.total(), "measured on their figure's data"),
    ]
    if came.total() > came["not judged"]:
        numbers.append(number("hold", came["holds"], "on this data"))
        numbers.append(number("do not hold", came["does not hold"], "shown and explained"))
    if came["not judged"]:
        numbers.append(number("not judged", came["not judged"], "a first look (--fast)"))
    topics = {topic: list(group) for topic, group in groupby(made, lambda one: topic_of(one.id))}
    links = "".join(f'<a href="#{_anchor(topic)}">{escape(topic)}</a>' for topic in topics)
    lead = (
        "<p>Every figure of the two documents, made by optlab's own engine, with the claims that it makes measured on "
        f'its own data. A claim that does not hold here is shown as such and explained.</p><nav aria-label="Topics">'
        f"{links}</nav>"
    )
    sections = [
        f'<section id="{_anchor(topic)}"><h2>{escape(topic)}</h2><ul class="cards">{"".join(map(_card, group))}</ul>'
        "</section>"
        for topic, group in topics.items()
    ]
    return page("optlab gallery", lead, numbers, sections, BESIDE)


def _anchor(topic: str) -> str:
    return topic.lower().replace(" ", "-")


def _card(made: "Made") -> str:
    still = next((name for name in made.pictures if name.endswith(".png")), "")
    picture = f'<img src="{quote(still)}" alt="{escape(_claim(made))}" loading="lazy">' if still else ""
    kind = "alarm" if made.false or made.error else "" if made.setup.fast else "status"
    text = made.error or plain(made.text.split("\n\n")[0])
    return (
        f'<li><h3><a href="{quote(made.id)}.html">{escape(made.title)}</a></h3>{picture}'
        f'<p>{escape(text)}</p><p class="{kind}">{escape(made.summary())}</p></li>'
    )


# ---- a figure -------------------------------------------------------------------------------------------------------


def figure_page(made: "Made", before: "Made | None", after: "Made | None") -> str:
    """The figure: what is seen, what it is about, its claims, what to try, and how to make it."""
    first, *rest = made.text.split("\n\n")
    links = _links(before, after)
    source = f"<p>Source: {escape(made.source)}</p>" if made.source else ""
    lead = f'<nav aria-label="Gallery">{links}</nav>{paragraph(first)}{source}{_alarm(made)}'
    sections = [
        section("Pictures", _pictures(made), "pictures full") if made.pictures else "",
        section("What to look for", "".join(map(paragraph, rest))) if rest else "",
        section("Claims", _claims(made.verdicts)) if made.verdicts else "",
        section("What to try next", paragraph(made.advice)) if made.advice else "",
        section("Make it yourself", _recipe(made)),
        f'<nav aria-label="Other figures">{links}</nav>',
    ]
    return page(made.title, lead, (), sections, BESIDE)


def _links(before: "Made | None", after: "Made | None") -> str:
    links = [f'<a href="{INDEX}">All figures</a>']
    for one, arrow in ((before, "← {}"), (after, "{} →")):
        if one is not None:
            links.append(f'<a href="{quote(one.id)}.html">{arrow.format(escape(one.title))}</a>')
    return "".join(links)


def _alarm(made: "Made") -> str:
    if made.error:
        return f'<p class="alarm">This figure could not be made: {escape(made.error)}</p>'
    if made.setup.fast:
        return "<p>A first look (--fast): smaller sizes and fewer seeds, so no claim is judged.</p>"
    return f'<p class="alarm">{escape(made.summary())}: see the explanation below.</p>' if made.false else ""


def _pictures(made: "Made") -> str:
    """The still and moving pictures with links to every form of each; a player is a link of its own, above."""
    images = [name for name in made.pictures if name.endswith((".png", ".gif"))]
    parts = [
        f'<p><a class="button" href="{quote(name)}">▶ Play it step by step in the interactive player</a></p>'
        for name in made.pictures
        if name.endswith(".html")
    ]
    for i, name in enumerate(images, 1):
        which = f" (picture {i} of {len(images)})" if len(images) > 1 else ""
        vector = name.removesuffix("png") + "svg"
        links = " · ".join(f'<a href="{quote(n)}">{escape(n)}</a>' for n in (name, vector) if n in made.pictures)
        parts.append(
            f'<figure><img class="paper" src="{quote(name)}" alt="{escape(made.title + which)}: '
            f'{escape(_claim(made))}"><figcaption>{links}</figcaption></figure>'
        )
    return "".join(parts)


def _claims(verdicts: "Iterable[Verdict]") -> str:
    head = "".join(f'<th scope="col">{name}</th>' for name in ("verdict", "claim", "measured", "held against"))
    return f'<table class="claims"><thead><tr>{head}</tr></thead><tbody>{"".join(map(_row, verdicts))}</tbody></table>'


def _row(verdict: "Verdict") -> str:
    kind, mark = {None: ("", "–"), True: ("status", "✓"), False: ("alarm", "✗")}[verdict.passed]
    why = f"<p>{inline(verdict.explanation)}</p>" if verdict.explanation else ""
    return (
        f'<tr class="{kind if kind == "alarm" else ""}"><td class="{kind}">{mark} {verdict.word}</td>'
        f"<td>{inline(verdict.claim)}{why}</td>"
        f'<td data-name="measured">{_measured(verdict.value)}</td>'
        f'<td data-name="held against">{_measured(verdict.threshold)}</td></tr>'
    )


def _recipe(made: "Made") -> str:
    options = [f"--data {made.setup.data}"] if made.setup.data not in ("", "digits") else []
    options += [f"--seed {made.setup.seed}"] * bool(made.setup.seed) + ["--fast"] * made.setup.fast
    command = " ".join(["optlab gallery", made.id, *options])
    module = f"optlab.gallery.{made.id.replace('-', '_')}"
    data = "" if made.setup.data == "" else f"<p>Data set: {escape(made.setup.data)}.</p>"
    file = ""
    if made.data:
        link = f'<a href="{quote(made.data)}">{escape(made.data)}</a>'
        file = f"<p>What was measured: {link}, arrays for <code>numpy.load</code>.</p>"
    code = (
        '<details><summary>The code</summary><pre tabindex="0" role="region" aria-label="The code of this figure">'
        f"<code>{escape(made.code)}</code></pre></details>"
    )
    return (
        f"<p>Here, beside the other figures: <code>{escape(command)}</code>. On its own, into <code>./gallery</code>: "
        f"<code>python -m {escape(module)}</code>.</p>{data}{file}{code if made.code else ''}"
    )


def _measured(value: Any) -> str:
    """A line per entry."""
    if isinstance(value, dict):
        return "<br>".join(escape(f"{k}: {shown(v)}") for k, v in value.items())
    return escape(shown(value))


def _claim(made: "Made") -> str:
    return plain(made.verdicts[0].claim) if made.verdicts else made.summary()
