"""Tensors and their gradients: an eager tape over NumPy.

In the order to read: `tensor` (the class, and `record`, by which every operation joins the graph), `graph` (how
gradients flow back), `elementwise`, `activations`, `reductions`, `shapes`, `products` (the operations, each with its
vector-Jacobian products beside it), `modes` (`no_grad`), `check` (gradients against differences).
"""

from optlab.autograd.activations import gelu, leaky_relu, log_softmax, relu, sigmoid, softmax, tanh
from optlab.autograd.check import check
from optlab.autograd.elementwise import (
    abs,
    add,
    astype,
    clip,
    div,
    exp,
    log,
    maximum,
    minimum,
    mul,
    neg,
    pow,
    sqrt,
    sub,
    where,
)
from optlab.autograd.modes import no_grad
from optlab.autograd.products import matmul
from optlab.autograd.reductions import max, mean, min, sum
from optlab.autograd.shapes import concatenate, getitem, reshape, stack, transpose
from optlab.autograd.tensor import Tensor

__all__ = [
    "Tensor",
    "abs",
    "add",
    "astype",
    "check",
    "clip",
    "concatenate",
    "div",
    "exp",
    "gelu",
    "getitem",
    "leaky_relu",
    "log",
    "log_softmax",
    "matmul",
    "max",
    "maximum",
    "mean",
    "min",
    "minimum",
    "mul",
    "neg",
    "no_grad",
    "pow",
    "relu",
    "reshape",
    "sigmoid",
    "softmax",
    "sqrt",
    "stack",
    "sub",
    "sum",
    "tanh",
    "transpose",
    "where",
]
