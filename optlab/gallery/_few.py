"""Many weights for a hundred pictures: what the figures on overfitting train."""

from typing import Any

import optlab as ol
from optlab.data.dataset import Part
from optlab.gallery._network import BATCH, fit, mlp

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
    return model, few, fit(model, few, val, rule, seed=seed, **options)
