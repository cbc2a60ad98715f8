"""The arena: parameters, gradients and slots of many tensors as rows of one aligned array."""

from collections.abc import Sequence
from itertools import accumulate
from typing import Any

import numpy as np

from optlab.autograd.tensor import Tensor
from optlab.errors import ConfigError

ALIGNMENT = 64  # bytes: one cache line, one AVX-512 register


def aligned(rows: int, columns: int, dtype: np.dtype) -> np.ndarray:
    """Zeros of shape (rows, columns) whose rows all start on a cache line; columns are rounded up to whole lines."""
    per_line = ALIGNMENT // dtype.itemsize
    width = -(-columns // per_line) * per_line
    raw = np.zeros(rows * width * dtype.itemsize + ALIGNMENT, np.uint8)
    offset = -raw.ctypes.data % ALIGNMENT
    return raw[offset : offset + rows * width * dtype.itemsize].view(dtype).reshape(rows, width)


class Arena:
    """One array (2 + slots, n): rows are parameters, gradients and slots; each tensor is a range of columns.

    Packing copies each tensor's data in and makes ``tensor.data`` and ``tensor.grad`` views of rows 0 and 1.

    Raises:
        ConfigError: no tensors, not tensors, the same one twice, or mixed dtypes.
    """

    def __init__(self, tensors: Sequence[Tensor], slots: Sequence[str]) -> None:
        check(tensors)
        self.tensors = list(tensors)
        self.slots = tuple(slots)
        self.size = sum(t.size for t in tensors)
        self.low = [0, *accumulate(t.size for t in tensors[:-1])]  # first column of each tensor
        self.array = aligned(2 + len(slots), self.size, tensors[0].dtype)
        for tensor, data, grad in zip(self.tensors, self._views(0), self._views(1), strict=True):
            data[...] = tensor.data
            if tensor.grad is not None:
                grad[...] = tensor.grad
        self.bind()

    def bind(self) -> None:
        """Make ``data`` and ``grad`` of every tensor its views of rows 0 and 1."""
        for tensor, data, grad in zip(self.tensors, self._views(0), self._views(1), strict=True):
            tensor._data, tensor._grad = data, grad

    def _views(self, row: int) -> list[np.ndarray]:
        """One row, in the shapes of the tensors."""
        numbers = self.array[row]
        return [numbers[a : a + t.size].reshape(t.shape) for a, t in zip(self.low, self.tensors, strict=True)]

    def __getstate__(self) -> dict[str, Any]:
        """The numbers without their place in memory; copies and pickles are not bound to the tensors yet."""
        return {**vars(self), "array": self.array[:, : self.size]}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        numbers = state["array"]
        self.array = aligned(len(numbers), self.size, numbers.dtype)
        self.array[:, : self.size] = numbers

    def slot(self, name: str) -> list[np.ndarray]:
        """Views of one slot, in the shapes of the tensors."""
        return self._views(2 + self.slots.index(name))

    def owner(self, column: int) -> int:
        """Which tensor a column belongs to."""
        return int(np.searchsorted(self.low, column, side="right")) - 1


def check(tensors: Sequence[Tensor]) -> None:
    """Refuse what can't be packed.

    Raises:
        ConfigError: no tensors, not tensors, the same one twice, an empty one, or mixed dtypes.
    """
    if not tensors:
        raise ConfigError("an optimizer needs at least one tensor, got none")
    for tensor in tensors:
        if not isinstance(tensor, Tensor):
            raise ConfigError(
                f"parameters are ol.Tensor objects, got {type(tensor).__name__}; wrap arrays: ol.Tensor(w)"
            )
        if tensor.size == 0:
            raise ConfigError(f"a parameter has no elements: shape {tensor.shape}")
    if len({id(t) for t in tensors}) < len(tensors):
        raise ConfigError("the same tensor was given twice; it would be updated twice per step")
    kinds = {t.dtype for t in tensors}
    if len(kinds) > 1:
        raise ConfigError(f"parameters must share one dtype, got {' and '.join(sorted(map(str, kinds)))}")
