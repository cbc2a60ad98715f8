"""Searches side by side: how far the best so far is from the optimum, trial by trial, over several seeds."""

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from optlab.search import Sampler, Space, Study
from optlab.surfaces import Surface

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def bests(objective: Callable[..., float], space: Space, samplers: Iterable[Sampler], trials: int) -> np.ndarray:
    """The lowest value so far after each trial, one row per sampler: (samplers, trials)."""
    rows = []
    for sampler in samplers:
        study = Study(space, sampler)
        study.run(objective, trials=trials)
        rows.append(np.fmin.accumulate([study.loss(trial) for trial in study.trials]))
    return np.array(rows)


def exact_median(surface: Surface, trials: int) -> np.ndarray:
    """The median regret of the best of 1 .. trials uniform draws, from the values on a fine grid."""
    values = np.sort(surface.grid(1000)[2], axis=None)
    share = 1 - 0.5 ** (1 / np.arange(1, trials + 1))
    return np.quantile(values, share) - surface.f_min


def plot_bands(ax: "Axes", curves: Mapping[str, np.ndarray]) -> None:
    """The median of each (runs, trials) in the band between its quartiles."""
    from optlab.viz.style import looks

    for (label, rows), look in zip(curves.items(), looks(curves).values(), strict=True):
        low, middle, high = np.quantile(rows, (0.25, 0.5, 0.75), axis=0)
        n = np.arange(1, rows.shape[1] + 1)
        ax.fill_between(n, low, high, color=look.color, alpha=0.18, linewidth=0)
        ax.plot(n, middle, color=look.color, linestyle=look.dash, linewidth=2.0, label=label)
    ax.grid(alpha=0.3)
    ax.set_xlabel("evaluations")


def quartiles(rows: np.ndarray, trial: int) -> dict[str, Any]:
    """Of (runs, trials) after so many trials, rounded to be read."""
    low, middle, high = np.quantile(rows[:, trial - 1], (0.25, 0.5, 0.75))
    return {"median": float(f"{middle:.3g}"), "quartiles": (float(f"{low:.3g}"), float(f"{high:.3g}"))}
