"""What the figures on Adam train: the small network, several seeds, and what is left after some of the epochs."""

from collections.abc import Iterable

import numpy as np

import optlab as ol
from optlab.data.dataset import Part
from optlab.gallery._network import BATCH, mlp
from optlab.gallery._setup import Setup


def seeds(setup: Setup, n: int) -> range:
    """n seeds on the digits, two on larger data sets, where a run takes forty times as long and differs less."""
    return setup.seeds(n if setup.data == "digits" else 2)


def losses_and_accuracy(
    rows: tuple[Part, Part], rule: ol.Settings, epochs: int, numbers: Iterable[int]
) -> tuple[np.ndarray, np.ndarray]:
    """Train 64-32-10 (as wide as the pictures) with each seed: training loss after each epoch, (seeds, epochs), and the
    validation accuracy at the end, (seeds,).

    A run that diverges has a loss of infinity from there on, and gets nothing right.
    """
    train, val = rows
    losses, accuracies = [], []
    for seed in numbers:
        model = mlp(train, seed)
        history = ol.fit(model, train, train, rule, epochs=epochs, batch_size=BATCH, seed=seed, verbose=False)
        finished = history.status == "finished"
        curve = np.full(epochs, np.inf)
        curve[: history.epochs] = history["val_loss"]  # of the training rows: that is what it is given to look at
        losses.append(np.where(np.isnan(curve), np.inf, curve))
        accuracies.append(model.evaluate(val).accuracy if finished else 0.0)
    return np.array(losses), np.array(accuracies, float)
