"""The matrix product: Y = A B, and beside it G Bᵀ and Aᵀ G, G being ∂L/∂Y."""

from typing import Any

import numpy as np

from optlab.autograd.tensor import Tensor, mismatch, pair, record


def matmul(a: Any, b: Any) -> Tensor:
    """A B as NumPy's ``@``: vectors, matrices (n, k) (k, m), and stacks of them that broadcast;  G Bᵀ, Aᵀ G."""
    a, b = pair("matmul", a, b)
    u, v = a._data, b._data
    try:
        y = u @ v
    except ValueError:
        mismatch("matmul", a, b)
    if u.ndim == v.ndim == 2:
        return record("matmul", y, ((a, lambda g: g @ v.T), (b, lambda g: u.T @ g)), (a, b))
    if u.ndim == v.ndim == 1:
        return record("matmul", y, ((a, lambda g: g * v), (b, lambda g: g * u)), (a, b))
    row, column = u.ndim == 1, v.ndim == 1  # a vector on the left is a row, on the right a column
    left, right = u[None] if row else u, v[:, None] if column else v

    def as_matrices(g: Any) -> Any:
        return g[..., None, :] if row else g[..., None] if column else g

    def to_a(g: Any) -> Any:
        part = as_matrices(g) @ np.swapaxes(right, -1, -2)
        return part[..., 0, :] if row else part

    def to_b(g: Any) -> Any:
        if v.ndim == 2 < u.ndim:  # one matrix for all of a stack: one product instead of many and their sum
            return u.reshape(-1, u.shape[-1]).T @ g.reshape(-1, v.shape[1])
        part = np.swapaxes(left, -1, -2) @ as_matrices(g)
        return part[..., 0] if column else part

    return record("matmul", y, ((a, to_a), (b, to_b)), (a, b))
