"""A parameter and a setting as they are written on a command line."""

import re
import tomllib
from typing import Any

from optlab.search.mistakes import Found

FORM = 'reads like "lr=1e-5..1 log", "hidden=8..64 step 8 int", "rule=sgd,adam" or "beta=0.5..0.99 when rule=momentum"'


def parameter(text: str, found: Found) -> tuple[str, Any]:
    """Name and entry of ``[space]`` of a ``--param``; what is wrong with it goes to ``found``.

    >>> parameter("lr=1e-5..1 log", [])
    ('lr', {'low': 1e-05, 'high': 1, 'log': True})
    >>> parameter("beta=0.5,0.9 when rule=sgd|momentum", [])
    ('beta', {'values': [0.5, 0.9], 'when': {'rule': ['sgd', 'momentum']}})
    """
    name, equals, rest = (part.strip() for part in text.partition("="))
    words = rest.split()
    if not (name and equals and words):
        found.append(("--param", f"{FORM}, got {text!r}"))
        return name, []
    head, *words = words
    low, dots, high = head.partition("..")
    entry: dict[str, Any] = {"low": value(low), "high": value(high)} if dots else {"values": list_of(head, ",")}
    while words:
        word = words.pop(0)
        if word in ("log", "int") and dots:
            entry[word] = True
        elif word == "step" and dots and words:
            entry["step"] = value(words.pop(0))
        elif word == "when" and words and all("=" in condition for condition in words):
            entry["when"] = {key: _one_or_more(of) for key, _, of in (c.partition("=") for c in words)}
            words = []
        else:
            found.append((f"--param {name}", f"means nothing from {word!r} on; it {FORM}"))
            return name, entry
    return name, entry if dots or "when" in entry else entry["values"]


def setting(text: str, found: Found) -> tuple[str, Any]:
    """Name and value of a ``--set``.

    >>> setting("dataset=digits", []), setting("hidden=[64, 32]", [])
    (('dataset', 'digits'), ('hidden', [64, 32]))
    """
    name, equals, rest = (part.strip() for part in text.partition("="))
    if not (name and equals):
        found.append(("--set", f"reads like dataset=digits, got {text!r}"))
    return name, value(rest)


def value(text: str) -> Any:
    """A number, true, false or a list as in TOML; anything else is a text."""
    try:
        parsed = tomllib.loads(f"value = {text}") if re.match(r"[\w+\-\[\"'.]", text) and len(text) < 1000 else {}
    except (ValueError, RecursionError):
        parsed = {}
    if list(parsed) == ["value"] and isinstance(parsed["value"], bool | int | float | str | list):
        return parsed["value"]
    try:
        return float(text)  # .5, which is none in TOML
    except ValueError:
        return text


def list_of(text: str, separator: str) -> list[Any]:
    """The values between the separators."""
    return [value(part.strip()) for part in text.split(separator)]


def _one_or_more(text: str) -> Any:
    values = list_of(text, "|")
    return values if len(values) > 1 else values[0]
