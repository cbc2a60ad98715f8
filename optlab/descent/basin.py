"""Basins of attraction: where a rule ends from every start of a window, and how long it takes."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from optlab.checks import check_amount, check_count, new_array
from optlab.compiling import COMPILE_ERRORS
from optlab.descent.descent import inside, uncompilable
from optlab.errors import ConfigError
from optlab.files import replacing
from optlab.interrupt import Pace
from optlab.optim.rules import as_settings
from optlab.optim.settings import Settings
from optlab.surfaces import Surface, as_surface
from optlab.surfaces.surface import Window, as_window
from optlab_kernels.basin import LANES, STATE
from optlab_kernels.basin import basin as kernel

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FIRST_UNITS = 512  # steps of a block of starts in the first compiled call


@dataclass(frozen=True, eq=False)
class Basin:
    """A map of starts, ``resolution`` x ``resolution``; row j, column i is the start (xs[i], ys[j]).

    Attributes:
        minimum: (n, n) index into ``surface.minima`` of the one nearest to where the run ends, -1 if the run never came
            within ``target`` of the minimal value, or diverged afterwards.
        steps: (n, n) the first step with f - f_min <= target, -1 if none.
        ends: (n, n, 2) the points after ``max_steps`` steps.
    """

    surface: Surface
    settings: Settings
    xs: np.ndarray
    ys: np.ndarray
    minimum: np.ndarray
    steps: np.ndarray
    ends: np.ndarray
    max_steps: int
    target: float

    @property
    def share(self) -> list[float]:
        """Share of the window that reaches each minimum."""
        return [float((self.minimum == k).mean()) for k in range(len(self.surface.minima))]

    @property
    def window(self) -> Window:
        """((x low, x high), (y low, y high))."""
        return (float(self.xs[0]), float(self.xs[-1])), (float(self.ys[0]), float(self.ys[-1]))

    def to_dict(self) -> dict[str, Any]:
        """The summary; the maps themselves go to ``.npz`` by `save`."""
        reached = self.steps[self.steps >= 0]
        return {
            "surface": self.surface.name,
            "rule": self.settings.name,
            "settings": self.settings.to_dict(),
            "window": [list(side) for side in self.window],
            "resolution": len(self.xs),
            "steps": self.max_steps,
            "target": self.target,
            "minima": [list(m) for m in self.surface.minima],
            "share": self.share,
            "reached": float((self.minimum >= 0).mean()),
            "median_steps": float(np.median(reached)) if reached.size else None,
        }

    def save(self, path: str | Path) -> Path:
        """Write the maps as ``.npz``."""
        path = Path(path)
        if path.suffix != ".npz":
            raise ConfigError(f"a basin is saved as .npz, got {path.name!r}")
        with replacing(path) as draft:
            np.savez_compressed(draft, xs=self.xs, ys=self.ys, minimum=self.minimum, steps=self.steps, ends=self.ends)
        return path

    def plot(self, ax: "Axes | None" = None, **options: Any) -> "Axes":
        """Colour by minimum, shade by steps."""
        from optlab.viz.basin import plot_basin

        return plot_basin(self, ax=ax, **options)

    def __repr__(self) -> str:
        shares = ", ".join(f"{100 * s:.1f}%" for s in self.share)
        return f"Basin({self.settings!r} on {self.surface.name}: {shares or 'no minima'})"


def basin(
    surface: Any,
    rule: Settings | type[Settings] | str,
    resolution: int = 200,
    steps: int = 500,
    *,
    window: Window | None = None,
    target: float = 1e-3,
) -> Basin:
    """Run ``rule`` from a grid of starts over the window (the surface's domain if None).

    Raises:
        ConfigError: an unknown name, a resolution below 2, a window that is not two increasing pairs.

    >>> import optlab as ol
    >>> ol.basin("sphere", ol.SGD(lr=0.1), resolution=50, steps=100).share
    [1.0]
    """
    surface, settings = as_surface(surface), as_settings(rule)
    resolution, steps = check_count("resolution", resolution, least=2), check_count("steps", steps)
    target = check_amount("target", target)
    (x0, x1), (y0, y1) = surface.domain if window is None else as_window("window", window)
    points = new_array(f"resolution={resolution}", 2, resolution, resolution)
    xs, ys = np.linspace(x0, x1, resolution), np.linspace(y0, y1, resolution)
    points[0], points[1] = xs, ys[:, None]
    points = points.reshape(2, -1)
    hits = np.empty(points.shape[1])
    run = kernel(settings.variant, surface.value, surface.gradient)
    control, carried = settings.control(), settings.control()
    saved = np.empty((STATE + 2 * len(settings.variant.slots), LANES))
    try:
        with np.errstate(all="ignore"):  # with the JIT off, a divergence would warn
            for first, end in Pace(FIRST_UNITS).pieces(-(-points.shape[1] // LANES) * (steps + 1)):
                run(points, hits, saved, control, carried, steps, surface.f_min + target, first, end)
    except COMPILE_ERRORS as error:
        raise uncompilable(settings, surface, error) from error
    ends = points.T
    reached = np.isfinite(hits) & inside(surface, *points)
    nearest = np.full(len(hits), -1)
    if surface.minima:
        away = np.linalg.norm(ends[reached, None, :] - np.array(surface.minima)[None], axis=2)
        nearest[reached] = np.argmin(away, axis=1)
    shape = (resolution, resolution)
    arrival = np.where(np.isfinite(hits), hits, -1).astype(np.int64)
    return Basin(
        surface,
        settings,
        xs,
        ys,
        nearest.reshape(shape),
        arrival.reshape(shape),
        ends.reshape(*shape, 2),
        steps,
        target,
    )
