"""A race as one HTML file: play, pause, scrub and hover, without a network.

The page is `page.html` with `page.css`, the script and the record inlined. Strings travel as JSON and arrays as
base64, little endian; the script puts every string into the page as text, and the content security policy names the
one script and the one style sheet by hash, so that a label can never become code.
"""

import base64
import hashlib
import html
import json
import re
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from optlab.errors import ConfigError
from optlab.files import write_whole
from optlab.surfaces.surface import as_window
from optlab.viz.player.record import as_record

if TYPE_CHECKING:
    from optlab.descent.race import Race

__all__ = ["player_html", "save_html"]

# In this order and in one function: later files use what earlier ones define, and nothing leaks but `optlab`.
SCRIPT = ("data", "scale", "draw", "map", "trails", "charts", "panels", "time", "controls", "main")


def player_html(
    race: "Race",
    *,
    title: str | None = None,
    window: Sequence[Sequence[float]] | None = None,
    resolution: int = 160,
) -> str:
    """The whole page for ``race``.

    Args:
        race: a surface and its runs.
        title: the heading; the surface's title by default.
        window: the part of the plane shown, ``((x0, x1), (y0, y1))``; the surface's domain by default.
        resolution: points per side of the height map, 2 to 1024; the file grows by ``2.7 * resolution**2`` bytes.

    Raises:
        ConfigError: the race has no runs, a record has the wrong shape, or an option is out of its range.
    """
    if not race.runs:
        raise ConfigError("expected a race with at least one run, got none")
    if not 2 <= resolution <= 1024:
        raise ConfigError(f"expected a resolution from 2 to 1024, got {resolution}")
    heading = race.surface.title or race.surface.name if title is None else title
    shown = as_window("window", race.surface.domain if window is None else window)
    return _assemble(heading, json.dumps(as_record(race, heading, shown, resolution), allow_nan=False))


def save_html(
    race: "Race",
    path: str | Path,
    *,
    title: str | None = None,
    window: Sequence[Sequence[float]] | None = None,
    resolution: int = 160,
) -> Path:
    """Write `player_html` to ``path``; the folder must exist."""
    page = player_html(race, title=title, window=window, resolution=resolution)
    # Bytes, not text: a newline translated on the way to the disk would change the hashes in the policy.
    return write_whole(path, page)


def _assemble(title: str, record: str) -> str:
    style = _read("page.css")
    script = '"use strict";\n(() => {\n' + "\n".join(_read(f"{name}.js") for name in SCRIPT) + "})();\n"
    policy = (
        f"default-src 'none'; script-src {_hash(script)}; style-src {_hash(style)}; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )
    parts = {
        "policy": policy,
        "title": html.escape(_printable(title)),
        "style": style,
        # Everything a string could use to leave its element, escaped inside JSON (json.dumps leaves only ASCII).
        "record": re.sub("[<>&]", lambda found: f"\\u{ord(found[0]):04x}", record),
        "script": script,
    }
    # One pass, so that a "{{...}}" inside a part stays what it is.
    return re.sub(r"\{\{(\w+)\}\}", lambda found: parts[found[1]], _read("page.html"))


def _read(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")


def _printable(text: str) -> str:
    """``text`` without the control characters and lone surrogates that an HTML file may not hold."""
    return "".join(c if c.isprintable() else " " for c in text)


def _hash(source: str) -> str:
    digest = base64.b64encode(hashlib.sha256(source.encode()).digest()).decode("ascii")
    return f"'sha256-{digest}'"
