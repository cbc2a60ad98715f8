"""A plan: one training step of a model as a table of operations for the compiled machine.

The step is traced through the model's layers once, at the full batch size. Every intermediate of the batch gets a place
in one work array; weights and gradients are columns of the optimizer's arena. A smaller last batch uses the front of
each place.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from optlab.autograd.tensor import Tensor
from optlab.nn.layers import Activation, BatchNorm1d, Dropout, Linear, Sequential
from optlab.nn.module import Module
from optlab.optim.optimizer import Optimizer
from optlab_kernels import machine as m
from optlab_kernels.layers import ACTIVATIONS

LINE = 64  # bytes: places begin on cache lines


class Unplannable(Exception):
    """The machine does not know this layer or loss; the tape does. The message says which."""


@dataclass
class Plan:
    """The table, and where things are in the work array.

    Attributes:
        rows: (operations, 9), see `optlab_kernels.machine`.
        constants: (operations, 2).
        size: numbers in the work array.
        norms: (layer, place of its running statistics) of each batch normalisation.
        fixed: (place, numbers) that stand in the work array from the start: a scaler's, the weights of classes.
        drops: the dropout layers.
        inputs, outputs: widths.
    """

    rows: np.ndarray
    constants: np.ndarray
    size: int
    norms: list[tuple[BatchNorm1d, int]]
    drops: list[Dropout]
    fixed: list[tuple[int, np.ndarray]]
    inputs: int
    outputs: int


def flatten(model: Module) -> list[Module]:
    """The layers of nested sequences, in order."""
    if isinstance(model, Sequential):
        return [layer for part in model.layers for layer in flatten(part)]
    return [model]


@dataclass
class _Tracer:
    optimizer: Optimizer
    batch: int
    itemsize: int
    rows: list[list[int]] = field(default_factory=list)
    constants: list[list[float]] = field(default_factory=list)
    fixed: list[tuple[int, np.ndarray]] = field(default_factory=list)
    size: int = 0

    def place(self, count: int) -> int:
        """Room for ``count`` numbers."""
        at, line = self.size, LINE // self.itemsize
        self.size += -(-count // line) * line
        return at

    def keep(self, numbers: np.ndarray) -> int:
        """Room for numbers that no step changes."""
        at = self.place(numbers.size)
        self.fixed.append((at, numbers))
        return at

    def emit(self, op: int, *columns: int, constants: tuple[float, ...] = ()) -> None:
        self.rows.append([op, *columns] + [0] * (m.COLUMNS - 1 - len(columns)))
        self.constants.append([*constants] + [0.0] * (m.CONSTANTS - len(constants)))

    def column(self, tensor: Tensor | None) -> int:
        """Where a parameter begins in the arena."""
        if tensor is None:
            return m.NONE
        for low, packed in zip(self.optimizer.arena.low, self.optimizer.params, strict=True):
            if packed is tensor:
                return low
        raise Unplannable(f"the optimizer does not hold the parameter {tensor.name!r} of shape {tensor.shape}")


def trace(
    model: Module,
    optimizer: Optimizer,
    batch: int,
    loss: str,
    *,
    label_smoothing: float = 0.0,
    l1: float = 0.0,
    l2: float = 0.0,
    class_weights: np.ndarray | None = None,
    scaling: Sequence[tuple[np.ndarray, np.ndarray]] = (),
) -> Plan:
    """The plan of one step: the batch standardised by each (shift, scale), forward, loss, backward, penalties.

    Raises:
        Unplannable: a layer, a loss, or an arrangement that the machine does not know.
    """
    layers = flatten(model)
    if not layers or not isinstance(layers[0], Linear):
        raise Unplannable(f"the first layer must be Linear, got {layers[0] if layers else 'no layer'!r}")
    if any(layer.frozen for layer in layers):  # in eval mode, even where its parameters are trained
        raise Unplannable("the machine does not know frozen layers")
    t = _Tracer(optimizer, batch, optimizer.arena.array.itemsize)
    width = layers[0].weight.shape[0]
    inputs, at = width, t.place(batch * width)
    for shift, scale in scaling:
        t.emit(m.STANDARDISE, at, t.keep(shift), t.keep(scale), width)
    back: list[Any] = []
    norms, drops = [], []
    for layer in layers:
        if isinstance(layer, Linear):
            _fits(layer, layer.weight.shape[0], width)
            weight, bias, width = t.column(layer.weight), t.column(layer.bias), layer.weight.shape[1]
            z = t.place(batch * width)
            t.emit(m.LINEAR, at, weight, bias, z, layer.weight.shape[0], width)
            back.append((layer, at, weight, bias, width))
        elif isinstance(layer, Activation):
            z, kind = t.place(batch * width), ACTIVATIONS[layer.name]
            t.emit(m.ACTIVATE, at, z, width, kind, constants=(layer.slope,))
            back.append((layer, at, z, kind, width))
        elif isinstance(layer, BatchNorm1d):
            _fits(layer, layer.gamma.size, width)
            z, statistics = t.place(batch * width), t.place(m.STATISTICS * width)
            gamma, beta = t.column(layer.gamma), t.column(layer.beta)
            t.emit(m.NORMALISE, at, gamma, beta, statistics, z, width, constants=(layer.eps, layer.momentum))
            back.append((layer, at, gamma, beta, statistics, width))
            norms.append((layer, statistics + 3 * width))
        elif isinstance(layer, Dropout):
            if layer.p == 0.0:
                continue
            mask, z = t.place(batch * width), t.place(batch * width)
            t.emit(m.DROP, at, mask, z, width, int(layer.seed), constants=(layer.p,))
            back.append((layer, mask, width))
            drops.append(layer)
        else:
            raise Unplannable(f"the machine does not know the layer {layer!r}")
        at = z
    gradient = t.place(batch * width)
    if loss == "cross_entropy" and class_weights is not None:
        weights = t.keep(class_weights)
        t.emit(m.WEIGHTED_CROSS_ENTROPY, at, gradient, width, weights, constants=(label_smoothing,))
    elif loss == "cross_entropy":
        t.emit(m.CROSS_ENTROPY, at, gradient, width, constants=(label_smoothing,))
    elif loss == "mse":
        t.emit(m.SQUARED_ERROR, at, gradient, width)
    else:
        raise Unplannable(f"the machine does not know the loss {loss!r}")
    for layer, *places in reversed(back):
        gradient = _backward(t, layer, places, gradient)
    if l1 or l2:
        t.emit(m.PENALISE, 0, optimizer.arena.size, constants=(l1, l2))
    rows, constants = np.array(t.rows, np.int64), np.array(t.constants, np.float64)
    return Plan(rows, constants, t.size, norms, drops, t.fixed, inputs, width)


def _backward(t: _Tracer, layer: Module, places: list[int], g: int) -> int:
    """Emit what brings the gradient at ``g`` through ``layer``; returns where it is then."""
    if isinstance(layer, Linear):
        x, weight, bias, width = places
        inputs = layer.weight.shape[0]
        t.emit(m.TO_WEIGHT, x, g, weight, bias, inputs, width)
        if x == 0:  # the batch itself needs no gradient
            return g
        turned, dx = t.place(inputs * width), t.place(t.batch * inputs)
        t.emit(m.TO_INPUT, g, weight, turned, dx, inputs, width)
        return dx
    if isinstance(layer, Activation):
        z, h, kind, width = places
        dz = t.place(t.batch * width)
        t.emit(m.ACTIVATE_BACK, z, h, g, dz, width, kind, constants=(layer.slope,))
        return dz
    if isinstance(layer, BatchNorm1d):
        x, gamma, beta, statistics, width = places
        dx = t.place(t.batch * width)
        t.emit(m.NORMALISE_BACK, x, gamma, beta, statistics, g, dx, width)
        return dx
    mask, width = places
    dx = t.place(t.batch * width)
    t.emit(m.DROP_BACK, mask, g, dx, width)
    return dx


def _fits(layer: Module, wanted: int, width: int) -> None:
    if wanted != width:
        raise Unplannable(f"{layer!r} takes {wanted} features and gets {width}")
