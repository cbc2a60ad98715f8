"""Many weights for a hundred pictures: what the figures on overfitting train, and how far a mean can be trusted."""

from typing import TYPE_CHECKING, Any

import numpy as np

import optlab as ol
from optlab.data.dataset import Part
from optlab.gallery._network import BATCH, mlp

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ROWS, WIDTH, EPOCHS = 100, 256, 300
FAST_EPOCHS = 60  # of a first look
ADAM = ol.Adam(lr=0.01)


def train_few(
    train: Part, val: Part | None, seed: int, width: int = WIDTH, rule: ol.Settings = ADAM, **options: Any
) -> tuple[ol.nn.MLP, Part, ol.History]:
    """An MLP with one hidden layer on the hundred pictures of this seed: the model, the pictures, the curves."""
    few = train.take(ROWS, seed=seed)
    model = mlp(train, seed, (width,))
    options = {"epochs": EPOCHS, "batch_size": BATCH, **options}
    return model, few, ol.fit(model, few, val, rule, seed=seed, verbose=False, **options)


def error(values: np.ndarray) -> float:
    """Standard error of the mean over seeds, the first axis; NaN for a single seed."""
    n = len(values)
    return float(np.std(values, ddof=1) / np.sqrt(n)) if n > 1 else np.nan


def shown(values: np.ndarray, digits: int = 3) -> str:
    """Mean and standard error."""
    return f"{np.mean(values):.{digits}f} ± {error(values):.{digits}f}"


def above(values: np.ndarray, limit: float = 0.0) -> bool:
    """Whether the mean over seeds is above ``limit`` by more than two standard errors."""
    return bool(np.mean(values) - 2 * error(values) > limit)


def plain_numbers(ax: "Axes") -> None:
    """0.3 and not 3 x 10^-1 along a logarithmic axis of about one decade."""
    from matplotlib.ticker import StrMethodFormatter

    for set_formatter in (ax.yaxis.set_major_formatter, ax.yaxis.set_minor_formatter):
        set_formatter(StrMethodFormatter("{x:g}"))
