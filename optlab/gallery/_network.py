"""The small network that the figures on learning rates train, and how large its first weights are."""

from typing import Any

import optlab as ol
from optlab.data.dataset import Part

BATCH = 64


def mlp(train: Part, seed: int, hidden: tuple[int, ...] = (32,), scale: float = 1.0, **options: Any) -> ol.nn.MLP:
    """64-32-10 on the digits, with ``scale`` times He's weights."""
    model = ol.nn.MLP([train.data.x.shape[1], *hidden, train.data.outputs], seed=seed, **options)
    for layer in model.layers:
        if isinstance(layer, ol.nn.Linear):
            layer.weight.data = layer.weight.data * layer.weight.dtype.type(scale)
    return model
