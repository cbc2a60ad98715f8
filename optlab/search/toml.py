"""TOML from a stranger: bounded in size and depth before it is parsed, and never an error of another kind."""

import re
import tomllib
from pathlib import Path
from typing import Any

from optlab.search.mistakes import Mistakes

MOST_BYTES = 64 * 1024
DEEPEST = 32
# tomllib takes the square of a dotted key's length, and more: such a key is looked for before it is asked.
LONG_KEY = re.compile(r"""(?<![\w"'.-])(?:[\w"'-]++[ \t]*+\.[ \t]*+){32}""")


def read_toml(path: Path) -> dict[str, Any]:
    """The tables of a file.

    Raises:
        ConfigError: it can't be read, or see `parse_toml`.
    """
    try:
        with path.open("rb") as file:
            contents = file.read(MOST_BYTES + 1)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        reason = getattr(error, "strerror", None) or str(error)
        raise Mistakes(str(path), [("", f"can't be read ({reason}); expected a file in TOML")]) from None
    return parse_toml(contents, str(path))


def parse_toml(contents: bytes, where: str) -> dict[str, Any]:
    """The tables of a text.

    Raises:
        ConfigError: larger than 64 kB, not UTF-8, no valid TOML, or deeper than 32 levels.
    """
    wrong = ""
    if len(contents) > MOST_BYTES:
        wrong = f"is larger than {MOST_BYTES // 1024} kB, which no sweep file is"
    elif contents.startswith((b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")):
        wrong = "starts with a byte order mark; save it as UTF-8 without one"
    if wrong:
        raise Mistakes(where, [("", wrong)])
    try:
        text = contents.decode()
    except UnicodeDecodeError as error:
        line = contents[: error.start].count(b"\n") + 1
        raise Mistakes(where, [("", f"is not UTF-8 at byte {error.start} (line {line}); save it as UTF-8")]) from None
    if LONG_KEY.search(text):
        raise Mistakes(where, [("", f"has a dotted key of more than {DEEPEST} parts")])
    try:
        data = tomllib.loads(text)
    except RecursionError:
        raise Mistakes(where, [("", f"is nested deeper than {DEEPEST} levels")]) from None
    except ValueError as error:  # TOMLDecodeError, or an integer of more than 4,300 digits
        raise Mistakes(where, [("", f"is no valid TOML: {error}")]) from None
    if _depth(data) > DEEPEST:
        raise Mistakes(where, [("", f"is nested deeper than {DEEPEST} levels")])
    return data


def _depth(data: Any) -> int:
    """Levels of tables and arrays, counted no further than DEEPEST + 1."""
    layer, depth = [data], 0
    while layer and depth <= DEEPEST:
        held = [item.values() if isinstance(item, dict) else item for item in layer]
        layer = [item for items in held for item in items if isinstance(item, dict | list)]
        depth += 1
    return depth
