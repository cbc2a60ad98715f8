"""What most figures train: a small network, with several seeds, and without a bar on the terminal for each training."""

from collections.abc import Iterable
from functools import partial
from typing import Any

import numpy as np

import optlab as ol
from optlab.data.dataset import Part

BATCH = 64
fit = partial(ol.fit, verbose=False)  # a figure trains hundreds of networks


def mlp(train: Part, seed: int, hidden: tuple[int, ...] = (32,), scale: float = 1.0, **options: Any) -> ol.nn.MLP:
    """64-32-10 on the digits, with ``scale`` times He's weights."""
    model = ol.nn.MLP([train.data.x.shape[1], *hidden, train.data.outputs], seed=seed, **options)
    for layer in model.layers:
        if isinstance(layer, ol.nn.Linear):
            layer.weight.data = layer.weight.data * layer.weight.dtype.type(scale)
    return model


def losses_and_accuracies(
    rows: tuple[Part, Part], rule: ol.Settings, epochs: int, seeds: Iterable[int]
) -> tuple[np.ndarray, np.ndarray]:
    """Train `mlp` with each seed: training loss after each epoch, (seeds, epochs), and the validation accuracy at the
    end, (seeds,).

    A run that diverges has a loss of infinity from there on, and gets nothing right.
    """
    train, val = rows
    losses, accuracies = [], []
    for seed in seeds:
        model = mlp(train, seed)
        history = fit(model, train, train, rule, epochs=epochs, batch_size=BATCH, seed=seed)
        curve = np.full(epochs, np.inf)
        curve[: history.epochs] = history["val_loss"]  # of the training rows: that is what it is given to look at
        losses.append(np.where(np.isnan(curve), np.inf, curve))
        accuracies.append(model.evaluate(val).accuracy if history.status == "finished" else 0.0)
    return np.array(losses), np.array(accuracies, float)
