"""All that is wrong with a search's settings, told at once, each mistake under its key path."""

import difflib
from collections.abc import Iterable, Sequence
from typing import Any

from optlab.errors import ConfigError

Found = list[tuple[str, str]]  # (key path, what is wrong there)
SHOWN = 100


class Mistakes(ConfigError):
    """One or more mistakes in one object.

    Attributes:
        where: the object: ``"Float"``, ``"sweep.toml"``.
        found: (key path, text) of each, in the order of the object.
    """

    def __init__(self, where: str, found: Sequence[tuple[str, str]]) -> None:
        super().__init__(where, tuple(found))
        self.where, self.found = where, tuple(found)

    def __str__(self) -> str:
        lines = [f"{path} {text}".strip() for path, text in self.found[:SHOWN]]
        if len(lines) == 1:
            return f"{self.where}: {lines[0]}"
        if len(self.found) > SHOWN:
            lines.append(f"and {len(self.found) - SHOWN} more")
        return "\n  - ".join([f"{self.where}: {len(self.found)} mistakes", *lines])


def raise_if(found: Found, where: str) -> None:
    """Raise `Mistakes` if there are any."""
    if found:
        raise Mistakes(where, found)


def under(path: str, error: ConfigError) -> Found:
    """The mistakes of a part, moved to the place of that part in the whole."""
    if isinstance(error, Mistakes):
        return [(f"{path}.{key}" if key else path, text) for key, text in error.found]
    return [(path, f"is wrong: {error}")]


def unknown_key(found: Found, path: str, key: Any, known: Iterable[str]) -> None:
    """Note a key that nothing reads, with the nearest known one."""
    names = list(known)
    # A file of thousands of wrong keys is told quickly: only the mistakes that are shown get a suggestion.
    near = difflib.get_close_matches(key, names, 1, cutoff=0.5) if len(found) < SHOWN and isinstance(key, str) else []
    hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(names)}"
    label = key if isinstance(key, str) and len(key) <= 60 else shown(key)
    found.append((f"{path}.{label}" if path else label, f"is unknown; {hint}"))


def shown(value: Any) -> str:
    """``repr``, cut to 60 characters."""
    try:
        text = repr(value)
    except ValueError:  # an integer of more than 4,300 digits
        text = "a number of thousands of digits"
    except RecursionError:
        text = "something nested too deeply"
    return text if len(text) <= 60 else text[:57] + "..."


def encodable(text: str) -> bool:
    """Whether a text can be written as UTF-8; lone surrogates can't."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
