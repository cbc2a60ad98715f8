"""Networks: layers, losses, initialisation; every one on the tape, with the loops of the compiled machine."""

from optlab.nn.functional import cross_entropy, l1_penalty, l2_penalty, mse
from optlab.nn.init import INITIALISERS
from optlab.nn.layers import MLP, Activation, BatchNorm1d, Dropout, Linear, Sequential
from optlab.nn.module import Module

__all__ = [
    "INITIALISERS",
    "MLP",
    "Activation",
    "BatchNorm1d",
    "Dropout",
    "Linear",
    "Module",
    "Sequential",
    "cross_entropy",
    "l1_penalty",
    "l2_penalty",
    "mse",
]
