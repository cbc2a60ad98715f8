"""A tensor: an array, its gradient, and, once packed by an `Optimizer`, views of the optimizer's arena."""

from typing import Any

import numpy as np

from optlab.errors import ConfigError

FLOATS = (np.dtype(np.float32), np.dtype(np.float64))


class Tensor:
    """An array ``data`` and, if ``requires_grad``, the gradient ``grad`` of the same shape and dtype (None at first).

    Python numbers, lists and integer arrays become float32 unless ``dtype`` says otherwise; float32 and float64
    arrays keep their dtype and are shared, not copied.

    Raises:
        ConfigError: the data are not real numbers, or the dtype is neither float32 nor float64.
    """

    __slots__ = ("__weakref__", "_data", "_grad", "_owner", "name", "requires_grad")

    def __init__(self, data: Any, requires_grad: bool = False, *, dtype: Any = None, name: str | None = None) -> None:
        array = np.asarray(data)
        if array.dtype.kind not in "fiub":
            raise ConfigError(f"a tensor holds real numbers, got dtype {array.dtype}")
        keeps = hasattr(data, "dtype") and array.dtype in FLOATS  # NumPy makes float64 of Python numbers and lists
        target = np.dtype(dtype) if dtype is not None else array.dtype if keeps else FLOATS[0]
        if target not in FLOATS:
            raise ConfigError(f"a tensor is float32 or float64, got dtype {target}")
        self._data = array.astype(target, copy=False)
        self._grad: np.ndarray | None = None
        self._owner: Any = None  # the Optimizer whose arena holds the data
        self.requires_grad = requires_grad
        self.name = name

    @property
    def data(self) -> np.ndarray:
        """The numbers. Assigning to it writes into the same memory, so that an optimizer goes on seeing them."""
        return self._data

    @data.setter
    def data(self, value: Any) -> None:
        self._data[...] = self._fitting(value, "data")

    @property
    def grad(self) -> np.ndarray | None:
        """The gradient, or None before the first; of a packed tensor always an array."""
        return self._grad

    @grad.setter
    def grad(self, value: Any) -> None:
        if self._owner is not None:
            if value is None:
                raise ConfigError("the gradient of a packed tensor is never None; use optimizer.zero_grad()")
            assert self._grad is not None
            self._grad[...] = self._fitting(value, "grad")
        else:
            self._grad = None if value is None else self._fitting(value, "grad")

    def _fitting(self, value: Any, what: str) -> np.ndarray:
        array = np.asarray(value, dtype=self._data.dtype)
        if array.shape != self.shape:
            raise ConfigError(f"{what} must have the tensor's shape {self.shape}, got {array.shape}")
        return array

    @property
    def shape(self) -> tuple[int, ...]:
        """Lengths of the axes."""
        return self._data.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """float32 or float64."""
        return self._data.dtype

    @property
    def size(self) -> int:
        """How many numbers."""
        return self._data.size

    @property
    def ndim(self) -> int:
        """How many axes."""
        return self._data.ndim

    def __repr__(self) -> str:
        grad = ", requires_grad=True" if self.requires_grad else ""
        return f"Tensor({np.array2string(self._data, threshold=20, prefix='Tensor(')}, dtype={self.dtype}{grad})"
