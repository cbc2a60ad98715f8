"""What happened inside, against the step: losses, slots, effective learning rates."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from optlab.viz.contour import plot_path, plot_paths
from optlab.viz.style import COLORS, axes, figure, looks

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from optlab.descent.descent import Run

FLOOR = 1e-16  # below this f - f_min is rounding
HEADROOM = 1e3  # a diverged run leaves the picture this many times above the start, and does not flatten the others
COORDINATES = ("x", "y")


def plot_loss(
    runs: "Mapping[str, Run]", ax: "Axes | None" = None, *, colors: Mapping[str, str] | None = None
) -> "Axes":
    """f - f_min on a logarithmic axis; f itself, linear in the middle, on a surface without a minimum."""
    ax = axes(ax)
    low = next(iter(runs.values())).surface.f_min
    lines = []
    for label, (color, dash, _) in looks(runs).items():
        gap = runs[label].values - low if np.isfinite(low) else runs[label].values
        shown = np.where(np.isfinite(gap), np.maximum(gap, FLOOR) if np.isfinite(low) else gap, np.nan)
        note = " (diverged)" if runs[label].status == "diverged" else ""
        ax.plot(shown, color=(colors or {}).get(label, color), linestyle=dash, label=label + note)
        lines.append(shown)
    if np.isfinite(low):
        ax.set_ylabel("f − f$_{min}$")
        _logarithmic(ax, np.concatenate(lines))
        top = HEADROOM * np.nanmax([shown[0] for shown in lines], initial=0.0)
        if ax.get_ylim()[1] > top > 0:
            ax.set_ylim(np.nanmin(np.concatenate(lines)) / 2.0, top)
    else:
        ax.set_yscale("symlog", linthresh=1e-3)
        ax.set_ylabel("f")
    ax.set_xlabel("step")
    ax.grid(alpha=0.3)
    ax.legend(fontsize="small")
    return ax


def _logarithmic(ax: "Axes", values: np.ndarray) -> None:
    positive = values[values > 0]
    if positive.size:
        low, high = positive.min(), positive.max()
        if high < 1.1 * low:  # differences that are rounding must not fill the picture
            ax.set_ylim(low / 2.0, high * 2.0)
        ax.set_yscale("log")


def _coordinates(values: np.ndarray, ax: "Axes", first_step: int) -> None:
    steps = np.arange(first_step, first_step + len(values))
    for i, (name, dash) in enumerate(zip(COORDINATES, ("-", "--"), strict=True)):
        ax.plot(steps, values[:, i], color=COLORS[i], linestyle=dash, label=name)
    ax.set_xlabel("step")
    ax.grid(alpha=0.3)
    ax.legend(fontsize="small")


def plot_state(run: "Run", slot: str, ax: "Axes | None" = None, *, corrected: bool = False) -> "Axes":
    """One slot of the rule, a line per coordinate; ``corrected`` divides by its bias 1 - b^t.

    Raises:
        ConfigError: the rule has no such slot, or it is not corrected.
    """
    from optlab.errors import unknown

    state = run.corrected if corrected else run.state
    if slot not in state:
        raise unknown("corrected slot" if corrected else "slot", slot, state)
    ax = axes(ax)
    _coordinates(state[slot], ax, 0)
    ax.set(ylabel=slot, title=f"{'corrected ' if corrected else ''}{slot} of {run.label}")
    if not (state[slot] < 0).any():
        _logarithmic(ax, state[slot])
    return ax


def plot_effective_lr(run: "Run", ax: "Axes | None" = None) -> "Axes":
    """|step| / |gradient| per coordinate, logarithmic, with the nominal rate as a line."""
    ax = axes(ax)
    _coordinates(run.effective_lr, ax, 0)
    if run.settings.lr > 0:
        ax.axhline(run.settings.lr, color="grey", linewidth=0.8, linestyle=":")
    _logarithmic(ax, run.effective_lr)
    ax.set(ylabel="|step| / |gradient|", title=f"effective learning rate of {run.label}")
    return ax


def plot_panels(run: "Run", fig: "Figure | None" = None) -> "Figure":
    """Everything of one run: path, loss, effective learning rate, every slot."""
    slots = run.settings.variant.slots
    rows = 1 + (1 + len(slots) + 1) // 2
    fig = figure(fig, size=(11.0, 3.6 * rows))
    plot_path(run, fig.add_subplot(rows, 2, 1))
    plot_loss({run.label: run}, fig.add_subplot(rows, 2, 2))
    plot_effective_lr(run, fig.add_subplot(rows, 2, 3))
    for i, slot in enumerate(slots):
        plot_state(run, slot, fig.add_subplot(rows, 2, 4 + i))
    return fig


def plot_race(runs: "Mapping[str, Run]", fig: "Figure | None" = None) -> "Figure":
    """Paths and losses of several runs."""
    fig = figure(fig, size=(12.0, 5.0))
    left, right = fig.subplots(1, 2)
    plot_paths(runs, left)
    plot_loss(runs, right)
    return fig
