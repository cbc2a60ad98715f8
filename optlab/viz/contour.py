"""Paths over the contours of a surface."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from optlab.viz.style import axes, looks

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from optlab.descent.descent import Run
    from optlab.surfaces import Surface

Window = Sequence[Sequence[float]]
SHADE = "GnBu_r"  # light enough over most of its range for the paths to stand out
DARKEST = 0.25  # of the colour map: below this the paths of dark colours would drown


def levels(values: np.ndarray, count: int) -> np.ndarray:
    """Contour levels at equal shares of the window's area: flat floors and steep walls both get their lines."""
    finite = np.asarray(values[np.isfinite(values)])
    if not finite.size:
        return finite
    return np.asarray(np.unique(np.quantile(finite, np.linspace(0.0, 1.0, count + 2)[1:-1])))


def plot_surface(
    surface: "Surface",
    ax: "Axes | None" = None,
    *,
    window: Window | None = None,
    lines: int = 30,
    resolution: int = 300,
) -> "Axes":
    """Shaded contours, with a star on each minimum.

    Args:
        window: ((x low, x high), (y low, y high)); the surface's domain if None.
        lines: how many contours, at equal shares of the window's area.
        resolution: grid points per side.
    """
    from matplotlib import colormaps
    from matplotlib.colors import BoundaryNorm, ListedColormap

    ax = axes(ax)
    xs, ys, values = surface.grid(resolution, window)
    at = levels(values, lines)
    if len(at) > 1:
        shades = ListedColormap(colormaps[SHADE](np.linspace(DARKEST, 1.0, len(at) + 1)))
        norm = BoundaryNorm(at, len(at) + 1, extend="both")
        ax.contourf(xs, ys, values, levels=at, cmap=shades, norm=norm, extend="both", zorder=0)
        ax.contour(xs, ys, values, levels=at, colors="#1b4f5c", linewidths=0.4, alpha=0.45, zorder=1)
    for x, y in surface.minima:
        ax.plot(x, y, marker="*", markersize=14, color="white", markeredgecolor="black", linestyle="none", zorder=4)
    ax.set(xlim=(xs[0], xs[-1]), ylim=(ys[0], ys[-1]), xlabel="x", ylabel="y", title=surface.title)
    return ax


def plot_paths(
    runs: "Mapping[str, Run]",
    ax: "Axes | None" = None,
    *,
    window: Window | None = None,
    colors: Mapping[str, str] | None = None,
    background: bool = True,
    **options: Any,
) -> "Axes":
    """The paths of several runs, all of one surface, over its contours.

    Args:
        colors: label -> colour, in place of the usual ones.
        background: draw the surface; False to add paths to an existing picture.
        options: for `plot_surface`.
    """
    ax = axes(ax)
    first = next(iter(runs.values()))
    if background:
        plot_surface(first.surface, ax, window=window, **options)
    for label, (color, dash, marker) in looks(runs).items():
        run, color = runs[label], (colors or {}).get(label, color)
        x, y = run.points[: run.rows].T
        note = " (diverged)" if run.status == "diverged" else ""
        ax.plot(x, y, color="white", linewidth=3.0, alpha=0.7, zorder=2)  # a halo keeps crossing paths apart
        ax.plot(x, y, color=color, linestyle=dash, linewidth=1.6, zorder=3, label=label + note)
        ax.plot(x[-1:], y[-1:], color=color, marker=marker, markeredgecolor="white", linestyle="none", zorder=5)
    start = first.points[0]
    ax.plot(*start, marker="o", markersize=7, color="white", markeredgecolor="black", linestyle="none", zorder=5)
    ax.legend(loc="best", fontsize="small", framealpha=0.9)
    return ax


def plot_path(run: "Run", ax: "Axes | None" = None, **options: Any) -> "Axes":
    """The path of one run over the contours of its surface; options as for `plot_paths`."""
    return plot_paths({run.label: run}, ax, **options)
