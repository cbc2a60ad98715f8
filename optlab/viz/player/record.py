"""A race as the data that its page reads: strings, numbers, and arrays as base64."""

import base64
import math
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from optlab.errors import ConfigError
from optlab.viz.player.formula import mathml
from optlab.viz.player.relief import Array, relief
from optlab.viz.style import COLORS, DARK_COLORS

if TYPE_CHECKING:
    from optlab.descent.descent import Run
    from optlab.descent.race import Race
    from optlab.surfaces.surface import Surface, Window


def as_record(race: "Race", title: str, window: "Window", resolution: int) -> dict[str, Any]:
    """Everything on the page that depends on the race.

    Raises:
        ConfigError: a run has no rows, or an array of another shape than the others.
    """
    return {
        "title": title,
        "colours": {"light": COLORS, "dark": DARK_COLORS},
        "surface": _surface(race.surface, window, resolution),
        "runs": [_run(str(label), run) for label, run in race.runs.items()],
    }


def _surface(surface: "Surface", window: "Window", resolution: int) -> dict[str, Any]:
    heights, levels = relief(surface.grid(resolution, window)[2])
    (x0, x1), (y0, y1) = window
    return {
        "name": surface.name,
        "formula": surface.formula,
        "mathml": mathml(surface.formula),
        "source": surface.source,
        "fMin": surface.f_min if math.isfinite(surface.f_min) else None,
        "minima": [(x, y) for x, y in surface.minima if x0 <= x <= x1 and y0 <= y <= y1],
        "window": window,
        "resolution": resolution,
        "heights": _base64(heights, "<u2"),
        "levels": levels,
    }


def _run(label: str, run: "Run") -> dict[str, Any]:
    rows = len(run.values)
    if rows == 0:
        raise ConfigError(f"expected at least one row in run {label!r}, got none")

    def encoded(name: str, data: ArrayLike, dtype: str, *shape: int) -> str:
        array = np.asarray(data)
        if array.shape != shape:
            raise ConfigError(f"expected {name} of shape {shape} in run {label!r}, got {array.shape}")
        return _base64(array, dtype)

    series = {"gradient": run.gradients, **run.state}
    return {
        "label": label,
        "settings": str(run.settings),
        "status": run.status,
        # The values are float64: near the minimum f - f_min is a difference of almost equal numbers.
        "values": encoded("values", run.values, "<f8", rows),
        "points": encoded("points", run.points, "<f4", rows, 2),
        "series": [[name, encoded(name, data, "<f4", rows, 2)] for name, data in series.items()],
        "rates": encoded("effective_lr", run.effective_lr, "<f4", rows - 1, 2),
    }


def _base64(array: Array, dtype: str) -> str:
    with np.errstate(over="ignore"):  # beyond float32 a diverging run is infinite, which is what the page shows
        return base64.b64encode(np.ascontiguousarray(array, dtype=dtype).tobytes()).decode("ascii")
