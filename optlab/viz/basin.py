"""The map of a basin: colour says which minimum, shade says how soon."""

from typing import TYPE_CHECKING

import numpy as np

from optlab.viz.style import COLORS, axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from optlab.descent.basin import Basin

NOWHERE = "#3b3b3b"  # starts from which no minimum was reached
SLOW = 0.25  # how much of its colour the slowest start keeps


def plot_basin(basin: "Basin", ax: "Axes | None" = None) -> "Axes":
    """Each start coloured by the minimum it leads to, paler the longer it takes; dark where none is reached."""
    from matplotlib.colors import to_rgb
    from matplotlib.patches import Patch

    ax = axes(ax, size=(6.6, 5.6))
    image = np.empty((*basin.minimum.shape, 3))
    image[:] = to_rgb(NOWHERE)
    reached = basin.minimum >= 0
    if reached.any():
        # by rank, since steps are spread over decades: half the starts are faster than the middle shade
        order = np.argsort(np.argsort(basin.steps[reached], kind="stable"), kind="stable")
        speed = SLOW + (1.0 - SLOW) * (1.0 - order / max(len(order) - 1, 1))
        colors = np.array([to_rgb(COLORS[k % len(COLORS)]) for k in range(len(basin.surface.minima))])
        image[reached] = 1.0 - speed[:, None] * (1.0 - colors[basin.minimum[reached]])
    (x0, x1), (y0, y1) = basin.window
    ax.imshow(image, origin="lower", extent=(x0, x1, y0, y1), aspect="auto", interpolation="nearest")
    patches = []
    for k, ((x, y), share) in enumerate(zip(basin.surface.minima, basin.share, strict=True)):
        ax.plot(x, y, marker="*", markersize=14, color="white", markeredgecolor="black", linestyle="none")
        patches.append(Patch(color=COLORS[k % len(COLORS)], label=f"({x:.3g}, {y:.3g}): {100 * share:.1f}%"))
    missed = 1.0 - sum(basin.share)
    if missed > 0:
        patches.append(Patch(color=NOWHERE, label=f"none within {basin.max_steps} steps: {100 * missed:.1f}%"))
    ax.legend(handles=patches, fontsize="small", loc="upper right", framealpha=0.9)
    ax.set(xlabel="x of the start", ylabel="y of the start", title=f"{basin.settings!r} on {basin.surface.title}")
    ax.set(xlim=(x0, x1), ylim=(y0, y1))
    return ax
