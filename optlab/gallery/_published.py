"""The looks of the two published animations: 620 x 480, 199 frames of 40 ms, their colours, no axes."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from optlab.viz.animate import trails, write_gif
from optlab.viz.style import off_screen

if TYPE_CHECKING:
    from optlab.descent.descent import Run

FRAMES, MILLISECONDS, SIZE = 199, 40, (620, 480)
COLORS = {
    "SGD": "red",
    "Momentum": "green",
    "NAG": "magenta",
    "Adagrad": "blue",
    "Adadelta": "gold",  # the published yellow, a little darker: it vanished on white
    "Rmsprop": "black",
}
WINDOW = ((-5.0, 5.0), (-5.0, 5.0))
PERCENTILES = np.arange(2, 99, 2)
ELEVATION, AZIMUTH = 45, -135
X_RANGE, Y_RANGE, Z_RANGE, PITCH = (-1.0, 0.95), (-2.0, 0.95), (-5.0, 5.0), 0.05


def contours(runs: "Mapping[str, Run]", path: Path, frames: int = FRAMES) -> Path:
    """`opt2.gif`: jet contour lines at percentiles of f, a grey star on the minimum."""
    fig = off_screen(*SIZE)
    fig.set_layout_engine("none")
    ax = fig.add_axes((0.0, 0.0, 1.0, 1.0))
    surface = next(iter(runs.values())).surface
    xs, ys, values = surface.grid(400, WINDOW)
    at = np.percentile(values, PERCENTILES)
    ax.contour(xs, ys, values, levels=at, colors=_jet(len(at)), linewidths=1.0)
    ax.plot(*surface.minima[0], marker="*", markersize=16, color="grey", linestyle="none")
    ax.set(xlim=WINDOW[0], ylim=WINDOW[1])
    ax.axis("off")
    artists, update = trails(ax, runs, COLORS)
    ax.legend(loc="upper right", fontsize="small", framealpha=1.0)
    return write_gif(fig, artists, update, frames, path, MILLISECONDS)


def saddle(runs: "Mapping[str, Run]", path: Path, frames: int = FRAMES) -> Path:
    """`opt1.gif`: the saddle in 3-D, coolwarm with black wires, trails leaving through the front of the box."""
    fig = off_screen(*SIZE)
    fig.set_layout_engine("none")
    ax = fig.add_axes((0.0, 0.0, 1.0, 1.0), projection="3d", computed_zorder=False)
    surface = next(iter(runs.values())).surface
    xs, ys = (np.arange(low, high + PITCH / 2, PITCH) for low, high in (X_RANGE, Y_RANGE))
    grid_x, grid_y = np.meshgrid(xs, ys)
    height = surface.value(grid_x, grid_y)
    ax.plot_surface(
        grid_x, grid_y, height, cmap="coolwarm", rstride=1, cstride=1, edgecolor="black", linewidth=0.15, zorder=1
    )
    ax.view_init(ELEVATION, AZIMUTH)
    ax.set_box_aspect(None, zoom=0.9)
    ax.set(xlim=(-1.0, 1.0), ylim=(-2.0, 1.0), zlim=Z_RANGE)
    ax.tick_params(labelsize="x-small")
    boxed = {label: _inside(run) for label, run in runs.items()}
    artists, update = trails(ax, boxed, COLORS, height=surface.value)
    # by name: a trail that ends where it leaves the box would be called diverged
    ax.legend(artists[: len(boxed)], list(boxed), loc="upper right", fontsize="small", framealpha=1.0)
    return write_gif(fig, artists, update, frames, path, MILLISECONDS)


def _inside(run: "Run") -> "Run":
    """The run up to where it leaves the box; 3-D axes do not clip."""
    outside = np.abs(run.points[:, 1]) > 2.0
    rows = int(np.argmax(outside)) if outside.any() else run.rows
    return replace(run, rows=max(rows, 1))


def _jet(count: int) -> np.ndarray:
    from matplotlib import colormaps

    return np.asarray(colormaps["jet"](np.linspace(0.0, 1.0, count)))
