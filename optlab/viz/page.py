"""What the offline pages share: the frame with its policy, sections, pictures, numbers and tables."""

import base64
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from importlib.resources import files
from string import Template
from textwrap import shorten
from typing import Any, NamedTuple

from optlab.descent.table import show

PAGE = Template("""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src '$hash'; img-src $images; \
base-uri 'none'; form-action 'none'">
<title>$title</title><style>$style</style></head><body>
<header><h1>$title</h1>
$lead</header>
<main>
$numbers
$sections
</main>
</body></html>
""")


class Picture(NamedTuple):
    """What a page embeds."""

    caption: str
    content: bytes
    type: str


def page(title: str, lead: str, numbers: Iterable[str], sections: Iterable[str], images: str = "data:") -> str:
    """The whole file: nothing is loaded from elsewhere, and no script runs.

    Args:
        title: plain text.
        lead: HTML below the title.
        numbers: a `number` each.
        sections: a `section` or `pictures` each.
        images: where the policy lets pictures come from.
    """
    style = files("optlab.viz").joinpath("report.css").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    text = PAGE.substitute(
        hash=f"sha256-{digest}",
        style=style,
        images=images,
        title=escape(title),
        lead=lead,
        numbers=f'<dl class="numbers">{shown}</dl>' if (shown := "".join(numbers)) else "",
        sections="\n".join(sections),
    )
    return text.encode("utf-8", "replace").decode()  # a name may hold what is no character


def section(heading: str, content: str, kind: str = "text") -> str:
    """A card with a heading; ``content`` is HTML."""
    inside = scrolled(heading, content) if kind == "wide" else f'<div class="{kind}">{content}</div>'
    return f"<section><h2>{escape(heading)}</h2>{inside}</section>"


def scrolled(name: str, content: str) -> str:
    """What may be wider than a phone: it scrolls, by keyboard too."""
    return f'<div class="wide" tabindex="0" role="region" aria-label="{escape(name)}">{content}</div>'


def pictures(heading: str, shown: Sequence[Picture], kind: str = "pictures") -> str:
    """A card of pictures; nothing if there are none."""
    return section(heading, "".join(map(figure, shown)), kind) if shown else ""


def figure(picture: Picture) -> str:
    """A picture with its caption."""
    source = f"data:{picture.type};base64,{base64.b64encode(picture.content).decode()}"
    look = "lines" if picture.type == "image/svg+xml" else "paper"
    caption = escape(picture.caption)
    return f'<figure><figcaption>{caption}</figcaption><img class="{look}" src="{source}" alt="{caption}"></figure>'


def number(name: str, value: Any, note: str) -> str:
    """One large number with its name and a note."""
    value, note = (shorten(text, 60, placeholder="…") for text in (show(value), note))
    return f"<div><dt>{escape(name)}</dt><dd>{escape(value)}<small>{escape(note)}</small></dd></div>"


def pairs(rows: Mapping[str, Any]) -> str:
    """A table of names and values."""
    cells = "".join(f"<tr><th>{escape(words(k))}</th><td>{escape(_text(v))}</td></tr>" for k, v in rows.items())
    return f"<table><tbody>{cells}</tbody></table>"


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{words(k)} {_text(v)}" for k, v in value.items() if not unused(v))
    if isinstance(value, list):
        return " ".join(map(_text, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def unused(value: Any) -> bool:
    """An option that was not used; a seed of 0 was."""
    return value is None or value is False or (isinstance(value, float) and value == 0.0)


def words(name: str) -> str:
    """A name as people write it."""
    return str(name).replace("_", " ")
