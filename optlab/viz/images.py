"""Pictures of a data set side by side, as a teacher shows them."""

from typing import TYPE_CHECKING

import numpy as np

from optlab.checks import check_count
from optlab.data.dataset import Dataset
from optlab.errors import DataError
from optlab.viz.style import axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

GAP = 1  # pixels between pictures
LABELLED = 12  # classes: with more, a row each would be a tower


def plot_images(data: Dataset, n: int = 40, ax: "Axes | None" = None) -> "Axes":
    """A contact sheet of about n pictures: a row per class with its first ones, or the first n if classes are many.

    Raises:
        DataError: the rows are not pictures.
        ConfigError: n is not a whole number >= 1.
    """
    if data.image is None:
        raise DataError(f"{data.name} is a table; only pictures can be shown")
    n = check_count("n", n, 1)
    by_class = 0 < len(data.classes) <= LABELLED
    if by_class:
        across = max(1, round(n / len(data.classes)))
        rows = [np.flatnonzero(data.y == label)[:across] for label in range(len(data.classes))]
    else:
        shown = np.arange(min(n, len(data)))
        across = int(np.ceil(np.sqrt(len(shown))))
        rows = [shown[start : start + across] for start in range(0, len(shown), across)]
    height, width = data.image[:2]
    sheet = np.ones((len(rows) * (height + GAP) - GAP, across * (width + GAP) - GAP, data.channels or 1), np.float32)
    for i, chosen in enumerate(rows):
        for j, row in enumerate(chosen):
            top, left = i * (height + GAP), j * (width + GAP)
            sheet[top : top + height, left : left + width] = data.x[row].reshape(height, width, -1)
    inches = 0.45
    ax = axes(ax, (inches * across + 1.0, inches * len(rows) * height / width + 0.4))
    ax.imshow(sheet if data.channels == 3 else sheet[:, :, 0], cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    ax.set_xticks([])
    middles = [i * (height + GAP) + height / 2 for i in range(len(rows))]
    ax.set_yticks(middles if by_class else [], data.classes if by_class else (), fontsize="small")
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    ax.set_title(f"{data.name}, {len(data)} pictures", fontsize="medium")
    return ax
