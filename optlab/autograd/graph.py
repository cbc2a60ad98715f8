"""The graph behind a tensor, and how gradients flow through it.

A tensor y made by an operation has a `Node`: for each operand x that requires a gradient an edge (x, vjp), where
vjp(g) = gᵀ ∂y/∂x is the vector-Jacobian product. Backward starts with g = ∂L/∂L = 1 and visits the tensors so that each
has the whole of its gradient before it is passed on: x gets the sum over all y made from it of gᵧᵀ ∂y/∂x.

Nodes refer to operands, never to results, so a graph has no reference cycle and is freed when its result is.
"""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from optlab.errors import ConfigError

if TYPE_CHECKING:
    from optlab.autograd.tensor import Tensor

Vjp = Callable[[Any], Any]  # arrays; of 0-d arrays NumPy makes scalars
Edge = tuple["Tensor", Vjp]


class Node:
    """How a tensor was made.

    Attributes:
        op: the name of the operation.
        number: grows with every node; an operand is made before its result, so numbers are a topological order.
        edges: (operand, vjp) pairs; None once freed.
        saved: the operands whose numbers a vjp reads, with their versions when it was made.
        output: the version of the result if a vjp reads it, else None.
    """

    __slots__ = ("edges", "number", "op", "output", "saved")

    # Filled in by `record`: a constructor would cost a sixth of an operation on scalars.
    op: str
    number: int
    edges: list[Edge] | None
    saved: "list[tuple[Tensor, int]]"
    output: int | None

    def free(self) -> None:
        """Let go of the operands and of what the vjps hold."""
        self.edges = None
        self.saved = []


def flow(root: "Tensor", gradient: np.ndarray, keep: bool) -> "Iterator[tuple[Tensor, Any]]":
    """Pairs (tensor, gradient) of every leaf under ``root`` and every tensor that retains its gradient.

    Everything that can be refused is refused before the first pair. Nodes are freed on the way unless ``keep``.
    """
    order, leaves = below(root)
    gradients: dict[int, Any] = {id(root): gradient}
    while order:
        _, tensor, node = order.pop()
        g, edges = gradients.pop(id(tensor)), node.edges
        assert edges is not None
        if tensor._retains:
            yield tensor, g
        for operand, vjp in edges:
            part, shape = vjp(g), operand._data.shape
            if part.shape != shape:
                part = unbroadcast(part, shape)
            key = id(operand)
            gradients[key] = gradients[key] + part if key in gradients else part
        if not keep:
            node.free()
    for leaf in leaves:
        yield leaf, gradients[id(leaf)]


def below(root: "Tensor") -> "tuple[list[tuple[int, Tensor, Node]], list[Tensor]]":
    """The results under ``root`` in the order they were made, with numbers and nodes, and the leaves.

    Raises:
        ConfigError: a part of the graph is freed, or a saved tensor has been changed.
    """
    results: list[tuple[int, Tensor, Node]] = []
    leaves: list[Tensor] = []
    stack, seen = [root], {id(root)}
    while stack:
        tensor = stack.pop()
        node = tensor._node
        if node is None:
            leaves.append(tensor)
            continue
        if node.edges is None:
            raise ConfigError(
                f"the graph of {described(tensor)} was freed by an earlier backward(); "
                "call that one with keep_graph=True, or compute the tensor again"
            )
        for saved, version in node.saved:
            if saved._version[0] != version:
                raise changed(saved, node.op)
        if node.output is not None and tensor._version[0] != node.output:
            raise changed(tensor, node.op)
        results.append((node.number, tensor, node))
        for operand, _ in node.edges:
            if id(operand) not in seen:
                seen.add(id(operand))
                stack.append(operand)
    results.sort()  # numbers differ, so tensors are never compared
    return results, leaves


def unbroadcast(g: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """The sum of ``g`` over the axes that broadcasting added to ``shape`` or stretched: its transpose."""
    extra = g.ndim - len(shape)
    axes = (*range(extra), *(extra + i for i, n in enumerate(shape) if n == 1 != g.shape[extra + i]))
    total: np.ndarray = np.add.reduce(g, axes)
    return total.reshape(shape)


def described(tensor: "Tensor") -> str:
    """A tensor in an error message: by its name, else by how it was made, and by its shape."""
    made = f" made by {tensor._node.op}" if tensor._node is not None else ""
    return (
        f"tensor {tensor.name!r}{made} of shape {tensor.shape}"
        if tensor.name
        else f"a tensor{made} of shape {tensor.shape}"
    )


def changed(tensor: "Tensor", op: str) -> ConfigError:
    """The error for a tensor whose numbers are needed and no longer there."""
    return ConfigError(
        f"{described(tensor)} was changed in place after {op} had saved it, so the gradient would be wrong; "
        "change it after backward(), or compute with a copy"
    )
