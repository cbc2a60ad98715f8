"""Learning rates against the step."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from optlab.viz.style import axes, looks

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from optlab.schedules import Schedule


def plot_schedules(
    schedules: "Mapping[str, Schedule]", steps: int, lr: float = 1.0, ax: "Axes | None" = None
) -> "Axes":
    """The rate of each step, a line per schedule; open ones are ``steps`` long."""
    ax = axes(ax)
    units = {schedule.per for schedule in schedules.values()}
    for label, (color, dash, _) in looks(schedules).items():
        rates = schedules[label].over(steps).rates(steps, lr)
        ax.plot(np.arange(steps), rates, color=color, linestyle=dash, label=label, drawstyle="steps-post")
    ax.set(xlabel=" or ".join(sorted(units)), ylabel="learning rate")
    ax.set_ylim(bottom=0.0)
    ax.grid(alpha=0.3)
    ax.legend(fontsize="small")
    return ax
