"""A race as one HTML file: play, pause, scrub and hover, without a network.

The page is `player.html` with `player.css`, `player.js` and the record inlined. Strings travel as JSON and arrays as
base64, little endian; the script puts every string into the page as text, and the content security policy names the
one script and the one style sheet by hash, so that a label can never become code.
"""

import base64
import hashlib
import html
import json
import math
import re
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[Any]
Window = tuple[tuple[float, float], tuple[float, float]]

HOLE = 65535  # the height of a cell where the surface is not finite
TOP = 65534
# Contour lines at these fractions of the height; denser at the bottom, where the minima are.
LEVELS = (0.004, 0.015, 0.04, 0.09, 0.17, 0.27, 0.38, 0.5, 0.62, 0.74, 0.85, 0.95)
# A plateau is a fifth of the window within this fraction of (median - minimum); ranked, its noise would be relief.
FLAT = 1e-3
PLATEAU = 0.2


class Surface(Protocol):
    """What the player reads from a surface."""

    @property
    def name(self) -> str:
        """Its key in the registry."""

    @property
    def title(self) -> str:
        """Its name in a heading."""

    @property
    def formula(self) -> str:
        """TeX, with or without ``f(x, y) =``."""

    @property
    def source(self) -> str:
        """Where it was published."""

    @property
    def domain(self) -> Window:
        """The part of the plane it is studied on."""

    @property
    def minima(self) -> Sequence[tuple[float, float]]:
        """The global minima; empty where there are none."""

    @property
    def f_min(self) -> float | None:
        """The value there; None or not finite where it is unknown or unbounded."""

    def grid(self, resolution: int, window: Window) -> tuple[Array, Array, Array]:
        """``xs``, ``ys`` and ``values[j, i] = f(xs[i], ys[j])``."""


class Run(Protocol):
    """What the player reads from a run of T steps; rows after a divergence are nan."""

    @property
    def points(self) -> Array:
        """(T + 1, 2)."""

    @property
    def values(self) -> Array:
        """(T + 1,)."""

    @property
    def gradients(self) -> Array:
        """(T + 1, 2)."""

    @property
    def state(self) -> Mapping[str, Array]:
        """(T + 1, 2) for each slot of the rule."""

    @property
    def effective_lr(self) -> Array:
        """(T, 2)."""

    @property
    def status(self) -> str:
        """How it ended."""

    @property
    def settings(self) -> object:
        """The rule; its ``str`` is shown."""


class Race(Protocol):
    """A surface and the runs on it, by label."""

    @property
    def surface(self) -> Surface:
        """Where they ran."""

    @property
    def runs(self) -> Mapping[str, Run]:
        """Label -> run, in the order of the legend."""


def player_html(race: Race, *, title: str | None = None, window: Window | None = None, resolution: int = 160) -> str:
    """The whole page for ``race``.

    Args:
        race: A surface and its runs; see the protocols above.
        title: The heading; the surface's title by default.
        window: The part of the plane shown, ``((x0, x1), (y0, y1))``; the surface's domain by default.
        resolution: Points per side of the height map, 2 to 1024; the file grows by ``2.7 * resolution**2`` bytes.

    Raises:
        ValueError: The race has no runs, a record has the wrong shape, or an option is out of its range.
    """
    if not race.runs:
        raise ValueError("expected a race with at least one run, got none")
    if not 2 <= resolution <= 1024:
        raise ValueError(f"expected a resolution from 2 to 1024, got {resolution}")
    heading = title if title is not None else race.surface.title or race.surface.name
    record = {
        "title": heading,
        "surface": _surface(race.surface, _checked_window(window or race.surface.domain), resolution),
        "runs": [_run(str(label), run) for label, run in race.runs.items()],
    }
    return _assemble(heading, json.dumps(record, allow_nan=False))


def save_html(
    race: Race,
    path: str | Path,
    *,
    title: str | None = None,
    window: Window | None = None,
    resolution: int = 160,
) -> Path:
    """Write `player_html` to ``path``; the folder must exist."""
    target = Path(path)
    page = player_html(race, title=title, window=window, resolution=resolution)
    # Bytes, not text: a newline translated on the way to the disk would change the hashes in the policy.
    target.write_bytes(page.encode())
    return target


def _checked_window(window: Window) -> Window:
    try:
        (x0, x1), (y0, y1) = ((float(low), float(high)) for low, high in window)
    except (TypeError, ValueError):
        raise ValueError(f"expected a window ((x0, x1), (y0, y1)), got {window!r}") from None
    if not all(map(math.isfinite, (x0, x1, y0, y1))) or x0 >= x1 or y0 >= y1:
        raise ValueError(f"expected a window of finite, increasing bounds, got {window!r}")
    return (x0, x1), (y0, y1)


def _surface(surface: Surface, window: Window, resolution: int) -> dict[str, Any]:
    _, _, values = surface.grid(resolution, window)
    grid = np.asarray(values, dtype=np.float64)
    if grid.ndim != 2:
        raise ValueError(f"expected a grid of 2 dimensions, got shape {grid.shape}")
    heights, levels = relief(grid)
    f_min = surface.f_min
    return {
        "name": surface.name,
        "formula": surface.formula,
        "source": surface.source,
        "fMin": float(f_min) if f_min is not None and math.isfinite(f_min) else None,
        "minima": [[float(x), float(y)] for x, y in surface.minima if math.isfinite(x) and math.isfinite(y)],
        "window": window,
        "columns": grid.shape[1],
        "rows": grid.shape[0],
        "heights": _base64(heights, "<u2"),
        "levels": levels,
    }


def relief(grid: Array) -> tuple[Array, list[list[float]]]:
    """Heights (rows, columns) of uint16, and the contour levels as [height in 0..1, value].

    A cell's height is its value's rank, so equal steps of colour cover equal areas: a flat valley and a steep wall
    are both readable, which no fixed scale does. Two bytes a cell are exact enough, because heights are only drawn.
    """
    heights = np.full(grid.shape, HOLE, dtype=np.uint16)
    solid = np.isfinite(grid)
    if not solid.any():
        return heights, []
    rank, sorted_values, inverse = _ranks(_flattened(grid[solid]))
    heights[solid] = np.round(TOP * rank[inverse])
    if len(rank) == 1:
        return heights, []
    # Of the levels that fall on one cliff the first is enough: they would be drawn on top of each other.
    steps = np.searchsorted(rank, LEVELS)
    kept = [share for i, share in enumerate(LEVELS) if i == 0 or steps[i] != steps[i - 1]]
    levels = np.interp(kept, rank, sorted_values)
    levels[np.abs(levels) < 1e-12 * np.abs(sorted_values).max()] = 0.0  # 0 on paper, 1e-18 after rounding
    return heights, [[share, float(level)] for share, level in zip(kept, levels, strict=True)]


def _flattened(values: Array) -> Array:
    """``values`` with each plateau at its median."""
    with np.errstate(over="ignore", invalid="ignore"):
        above = values - values.min()
        grain = FLAT * (float(np.median(above)) or float(above.max()))
        # A grain of 0 is a constant surface; an infinite one means values near the largest float.
        if not 0 < grain < math.inf:
            return values
        terrace, counts = np.unique(np.round(above / grain), return_inverse=True, return_counts=True)[1:]
    flat = values.copy()
    for index in np.flatnonzero(counts > PLATEAU * values.size):
        flat[terrace == index] = np.median(values[terrace == index])
    return flat


def _ranks(values: Array) -> tuple[Array, Array, Array]:
    """Ranks in 0..1 of the distinct values, these values in order, and which of them each value is."""
    distinct, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    if len(distinct) == 1:
        return np.array([0.5]), distinct, inverse
    middle = np.cumsum(counts) - counts / 2
    return (middle - middle[0]) / (middle[-1] - middle[0]), distinct, inverse


def _run(label: str, run: Run) -> dict[str, Any]:
    rows = len(run.values)
    if rows == 0:
        raise ValueError(f"expected at least one row in run {label!r}, got none")
    series = [("gradient", run.gradients, rows), *((str(slot), data, rows) for slot, data in run.state.items())]
    return {
        "label": label,
        "settings": str(run.settings),
        "status": str(run.status),
        # The values are float64: near the minimum f - f_min is a difference of almost equal numbers.
        "values": _base64(_shaped(label, "values", run.values, (rows,)), "<f8"),
        "points": _base64(_shaped(label, "points", run.points, (rows, 2)), "<f4"),
        "series": [[name, _base64(_shaped(label, name, data, (n, 2)), "<f4")] for name, data, n in series],
        "rates": _base64(_shaped(label, "effective_lr", run.effective_lr, (rows - 1, 2)), "<f4"),
    }


def _shaped(label: str, name: str, data: ArrayLike, shape: tuple[int, ...]) -> Array:
    array = np.asarray(data)
    if array.shape != shape:
        raise ValueError(f"expected {name} of shape {shape} in run {label!r}, got {array.shape}")
    return array


def _base64(array: Array, dtype: str) -> str:
    with np.errstate(over="ignore"):  # beyond float32 a diverging run is infinite, which is what the page shows
        return base64.b64encode(np.ascontiguousarray(array, dtype=dtype).tobytes()).decode("ascii")


def _assemble(title: str, record: str) -> str:
    folder = files(__package__)
    template, style, script = (
        folder.joinpath(f"player.{kind}").read_text(encoding="utf-8") for kind in ("html", "css", "js")
    )
    policy = (
        f"default-src 'none'; script-src {_hash(script)}; style-src {_hash(style)}; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )
    # Everything a string could use to leave its element, escaped inside JSON (json.dumps leaves only ASCII).
    safe = re.sub("[<>&]", lambda found: f"\\u{ord(found[0]):04x}", record)
    parts = {
        "policy": policy,
        "title": html.escape(_printable(title)),
        "style": style,
        "record": safe,
        "script": script,
    }
    # One pass, so that a "{{...}}" inside a part stays what it is.
    return re.sub(r"\{\{(\w+)\}\}", lambda found: parts[found[1]], template)


def _printable(text: str) -> str:
    """``text`` without the control characters and lone surrogates that an HTML file may not hold."""
    return "".join(c if c.isprintable() else " " for c in text)


def _hash(source: str) -> str:
    digest = base64.b64encode(hashlib.sha256(source.encode()).digest()).decode("ascii")
    return f"'sha256-{digest}'"
