"""What a figure says in words, as HTML: values, paragraphs, lists, names in backticks."""

import re
from html import escape
from typing import Any

LIST = re.compile(r"^(?:[-*]|\d+\.) ")


def shown(value: Any) -> str:
    """A value as people read it."""
    if value is None:
        return "–"
    if isinstance(value, dict):
        return ", ".join(f"{k}: {shown(v)}" for k, v in value.items())
    if isinstance(value, list | tuple):
        return f"({', '.join(map(shown, value))})"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def paragraph(text: str) -> str:
    """A paragraph, or a list."""
    lines = text.split("\n")
    if not LIST.match(lines[0]):
        return f"<p>{inline(text)}</p>"
    items: list[str] = []
    for line in lines:
        if LIST.match(line) or not items:
            items.append(LIST.sub("", line))
        else:
            items[-1] += f" {line.strip()}"
    return f"<ul>{''.join(f'<li>{inline(item)}</li>' for item in items)}</ul>"


def inline(text: str) -> str:
    """Names in backticks as code."""
    return re.sub(r"``?([^`\n]+)``?", r"<code>\1</code>", escape(text))


def plain(text: str) -> str:
    """On one line, without backticks."""
    return " ".join(text.replace("`", "").split())
