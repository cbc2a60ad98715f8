"""A study as pictures: how it came down, what each parameter did, two of them together."""

import math
import re
from collections.abc import Sized
from typing import TYPE_CHECKING, Any

import numpy as np

from optlab.errors import ConfigError, unknown
from optlab.search.parameters import Choice, Float, Int, Parameter
from optlab.search.study import Study
from optlab.search.trial import Trial
from optlab.viz.style import COLORS, MANY_MARKS, axes, figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ENOUGH = 8  # points below which no surface is drawn between them
DECADES = 1e3  # losses that span more get a logarithmic axis
SPREAD = 0.08  # of a step, by which trials with the same choice stand apart


def plot_history(study: Study, ax: "Axes | None" = None) -> "Axes":
    """Every complete trial's value by number, the best so far as a line, the other trials as ticks at the bottom.

    More than 500 marks are pixels in a file of vectors, here and in the plots below.
    """
    ax, complete = axes(ax), _complete(study)
    numbers = np.array([trial.number for trial in complete])
    values = np.array([trial.value for trial in complete])
    best = np.minimum.accumulate(values) if study.direction == "minimize" else np.maximum.accumulate(values)
    ax.plot(numbers, values, "o", color=COLORS[0], markersize=4, alpha=0.6, label="trial", rasterized=_many(numbers))
    ax.step(numbers, best, where="post", color=COLORS[1], linewidth=2.0, label="best so far")
    i = int(np.flatnonzero(numbers == study.best.number)[0])
    ax.plot(numbers[i], values[i], "*", color="black", markersize=11, zorder=3, label=f"best: {values[i]:.4g}")
    lost = [trial.number for trial in study.trials if trial.state not in ("complete", "running")]
    if lost:
        bottom = ax.get_xaxis_transform()
        ticks = ax.plot(
            lost, np.full(len(lost), 0.02), "|", color=COLORS[3], transform=bottom, label="failed or pruned"
        )
        ticks[0].set_rasterized(_many(lost))
    _scale_values(ax, values)
    ax.set(xlabel="trial", ylabel="value")
    ax.grid(alpha=0.3)
    ax.legend(fontsize="small")
    return ax


def plot_slice(study: Study, fig: "Figure | None" = None) -> "Figure":
    """Value against each parameter, a panel each, coloured by number: dark is late."""
    complete, best = _complete(study), study.best
    names = list(study.space)
    many = _many(complete, len(names))
    across = min(4, len(names))
    fig = figure(fig, size=(3.2 * across, 2.9 * -(-len(names) // across)))
    for i, name in enumerate(names):
        ax = fig.add_subplot(-(-len(names) // across), across, i + 1)
        there = [trial for trial in complete if name in trial.params]
        values = np.array([trial.value for trial in there])
        numbers = [trial.number for trial in there]
        x = _places(study.space[name], [trial.params[name] for trial in there])
        dots = ax.scatter(_apart(study.space[name], x), values, c=numbers, cmap="viridis_r", s=16, alpha=0.8)
        dots.set_rasterized(many)
        if best in there:
            j = there.index(best)
            ax.plot(x[j], values[j], "*", color="black", markersize=11, zorder=3)
        _scale_parameter(ax, "x", name, study.space[name])
        _scale_values(ax, values)
        if i % across == 0:
            ax.set_ylabel("value")
        ax.grid(alpha=0.3)
    fig.colorbar(dots, ax=fig.axes, label="trial")
    return fig


def plot_contour(study: Study, a: str, b: str, ax: "Axes | None" = None) -> "Axes":
    """Value over parameters ``a`` and ``b``, linear between the trials in a triangulation; the trials are dots.

    Raises:
        ConfigError: no such parameter, or one name twice.
    """
    for name in (a, b):
        if name not in study.space:
            raise unknown("parameter", name, study.space)
    if a == b:
        raise ConfigError(f"a contour plot needs two parameters, got {a!r} twice")
    ax = axes(ax)
    there = [trial for trial in _complete(study) if a in trial.params and b in trial.params]
    values = np.array([trial.value for trial in there], dtype=np.float64)
    x, y = (_places(study.space[name], [trial.params[name] for trial in there]) for name in (a, b))
    for axis, name in (("x", a), ("y", b)):
        _scale_parameter(ax, axis, name, study.space[name])
    color = values
    if len(values) and values.min() > 0.0 and values.max() > DECADES * values.min():
        color = np.log10(values)
    u, v = (np.array([position(study.space[name], t.params[name]) for t in there], np.float64) for name in (a, b))
    if len(there) >= ENOUGH and _plane(u, v):
        from matplotlib.tri import Triangulation

        limits = ax.dataLim.frozen()
        colors: Any = ax.tricontourf(Triangulation(u, v), color, levels=14, cmap="viridis_r", alpha=0.85)
        for path in colors.get_paths():  # linear on the scale of each axis, not in the raw values
            path.vertices = np.column_stack([_at(study.space[n], path.vertices[:, i]) for i, n in enumerate((a, b))])
        ax.dataLim.set(limits)
        ax.plot(x, y, "o", color="black", markersize=2.5, rasterized=_many(there))
    else:
        colors = ax.scatter(x, y, c=color, cmap="viridis_r", s=30)
    colors.set_rasterized(_many(there))
    best = study.best
    if best in there:
        i = there.index(best)
        ax.plot(x[i], y[i], "*", color=COLORS[1], markersize=14, markeredgecolor="white", zorder=3)
    label = "value" if color is values else "log10 of the value"
    if ax.figure is not None and len(there):
        ax.figure.colorbar(colors, ax=ax, label=label)
    return ax


def _many(trials: Sized, panels: int = 1) -> bool:
    return len(trials) * panels > MANY_MARKS


def _complete(study: Study) -> list[Trial]:
    complete = study.complete
    if not complete:
        raise ConfigError(f"study {study.name!r} has no complete trial to show")
    return complete


def _places(parameter: Parameter, values: list[Any]) -> np.ndarray:
    if isinstance(parameter, Choice):
        return np.array([parameter.values.index(value) for value in values], dtype=np.float64)
    return np.array(values, dtype=np.float64)


def position(parameter: Parameter, value: Any) -> float:
    """Where a value stands on its axis, from 0 to 1, on the scale of the axis."""
    if isinstance(parameter, Choice):
        return parameter.values.index(value) / max(1, len(parameter.values) - 1)
    return float(parameter.position(value))


def _at(parameter: Parameter, places: np.ndarray) -> np.ndarray:
    """What stands at these places of an axis: the inverse of `position`, as Matplotlib counts."""
    if isinstance(parameter, Choice):
        return places * (len(parameter.values) - 1)
    if parameter.log:
        return np.asarray(parameter.low * (parameter.high / parameter.low) ** places)
    return np.asarray(parameter.low + (parameter.high - parameter.low) * places)


def _apart(parameter: Parameter, x: np.ndarray) -> np.ndarray:
    """Choices side by side, so that one dot does not hide another."""
    return x + SPREAD * np.sin(1e3 * np.arange(len(x))) if isinstance(parameter, Choice) else x


def _scale_parameter(ax: "Axes", axis: str, name: str, parameter: Float | Int | Choice) -> None:
    getattr(ax, f"set_{axis}label")(_plain(name))
    if isinstance(parameter, Choice):
        labels = [_plain(str(value)) for value in parameter.values]
        getattr(ax, f"set_{axis}ticks")(range(len(labels)), labels, fontsize="small")
        getattr(ax, f"set_{axis}lim")(-0.5, len(labels) - 0.5)
    elif parameter.log:
        getattr(ax, f"set_{axis}scale")("log")


def _plain(text: str) -> str:
    """A name as it is: a pair of dollars is no mathematics."""
    return re.sub(r"(?<!\\)\$", r"\$", text)


def _scale_values(ax: "Axes", values: np.ndarray) -> None:
    if len(values) and values.min() > 0.0 and values.max() > DECADES * values.min():
        ax.set_yscale("log")


def _plane(u: np.ndarray, v: np.ndarray) -> bool:
    """Whether the points are not all on one line."""
    spread = np.linalg.svd(np.column_stack([u - u.mean(), v - v.mean()]), compute_uv=False)
    return math.isfinite(spread[0]) and bool(spread[1] > 1e-9 * max(1.0, spread[0]))
