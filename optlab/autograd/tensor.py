"""A tensor: an array, its gradient, how it was made, and, once packed by an `Optimizer`, views of its arena."""

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal, NoReturn

import numpy as np

from optlab.autograd.graph import Edge, Node, flow
from optlab.autograd.modes import MODE
from optlab.containers import as_array, typed
from optlab.errors import ConfigError

Axis = int | tuple[int, ...] | None
FLOATS = (np.dtype(np.float32), np.dtype(np.float64))


class Tensor:
    """An array ``data`` and, if ``requires_grad``, the gradient ``grad`` of the same shape and dtype (None at first).

    Python numbers, lists and whole numbers of any container become float32 unless ``dtype`` says otherwise; float32
    and float64 arrays, and frames and tensors of other libraries, keep their dtype and are shared, not copied, unless
    their bytes are reversed (``">f4"``) or misaligned.

    Operations broadcast as NumPy's do. A Python number, a NumPy scalar, a list or an integer array takes the tensor's
    dtype; float32 and float64 arrays do not mix. Comparisons give arrays of bool.

    Raises:
        ConfigError: the data are not real numbers, or the dtype is neither float32 nor float64.

    >>> import optlab as ol
    >>> x = ol.Tensor([1.0, 2.0], requires_grad=True)
    >>> (x * x).sum().backward()
    >>> print(x.grad)
    [2. 4.]
    """

    __slots__ = ("__weakref__", "_data", "_grad", "_node", "_owner", "_retains", "_version", "name", "requires_grad")

    __array_ufunc__ = None  # array + tensor is this class's business

    def __init__(self, data: Any, requires_grad: bool = False, *, dtype: Any = None, name: str | None = None) -> None:
        source, data = data, raw(data)
        array = as_array(data, "a tensor's data")
        if array.dtype.kind not in "fiub":
            raise ConfigError(f"a tensor holds real numbers, got dtype {array.dtype}")
        keeps = typed(data) and array.dtype in FLOATS
        target = np.dtype(dtype) if dtype is not None else array.dtype if keeps else FLOATS[0]
        if target not in FLOATS:
            raise ConfigError(f"a tensor is float32 or float64, got dtype {target}")
        self._data: np.ndarray = array.astype(target, copy=False)
        self._grad: np.ndarray | None = None
        self._node: Node | None = None  # how it was made; None for a leaf
        self._owner: Any = None  # the Optimizer whose arena holds the data
        self._retains = False
        # Grows with every change in place; tensors on the same memory share it.
        self._version: list[int] = source._version if isinstance(source, Tensor) else [0]
        self.requires_grad = requires_grad
        self.name = name

    # --- the array ----------------------------------------------------------------------------------------------------

    @property
    def data(self) -> np.ndarray:
        """The numbers. Assigning to it writes into the same memory, so that an optimizer goes on seeing them."""
        return self._data

    @data.setter
    def data(self, value: Any) -> None:
        self._data[...] = self._fitting(value, "data")
        self._version[0] += 1

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
            # `backward` adds to it: what can't be written to, such as np.broadcast_to makes, is copied
            self._grad = None if value is None else np.require(self._fitting(value, "grad"), requirements=["A", "W"])

    def _fitting(self, value: Any, what: str) -> np.ndarray:
        array = np.asarray(raw(value), dtype=self._data.dtype)
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

    def numpy(self) -> np.ndarray:
        """The array itself, as `data`: outside the graph, not a copy."""
        return self._data

    def item(self) -> float:
        """The one number of a tensor of size 1.

        Raises:
            ConfigError: it has more numbers, or none.
        """
        if self._data.size != 1:
            raise ConfigError(f"only a tensor of one number is a number, this one has shape {self.shape}")
        return float(self._data.item())

    def detach(self) -> "Tensor":
        """The same memory, outside the graph."""
        return record("detach", self._data, (), view=self)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        if self.requires_grad:
            raise ConfigError(
                "NumPy would lose the gradient of this tensor; pass x.data, or use the tensor's own methods"
            )
        return np.array(self._data, dtype=dtype, copy=copy)

    def __float__(self) -> float:
        return self.item()

    def __bool__(self) -> bool:
        return bool(self.item())

    def __len__(self) -> int:
        if not self._data.ndim:
            raise TypeError("len() of a 0-d tensor")
        return len(self._data)

    def __iter__(self) -> "Iterator[Tensor]":
        return (self[i] for i in range(len(self)))

    def __repr__(self) -> str:
        grad = ", requires_grad=True" if self.requires_grad else ""
        return f"Tensor({np.array2string(self._data, threshold=20, prefix='Tensor(')}, dtype={self.dtype}{grad})"

    def __format__(self, spec: str) -> str:
        return format(self.item(), spec) if spec else str(self)

    def __reduce__(self) -> Any:  # deep copies and pickles are leaves of their own, outside any arena
        return _leaf, (self._data, self.requires_grad, self.name)

    def __copy__(self) -> "Tensor":  # on the same memory, so that changes of one are seen in the graphs of both
        return Tensor(self, self.requires_grad, name=self.name)

    # --- gradients ----------------------------------------------------------------------------------------------------

    def backward(self, gradient: Any = None, *, keep_graph: bool = False) -> None:
        """Add the gradient of this tensor into ``grad`` of every leaf it was made from.

        Args:
            gradient: ∂L/∂(this tensor), of its shape; 1 for a tensor of one number.
            keep_graph: keep what a second backward through the same graph needs.

        Raises:
            ConfigError: no gradient for a tensor of many numbers, or one of another shape; nothing here requires a
                gradient; the graph was freed; a tensor that is needed was changed in place. No ``grad`` was touched.
        """
        if not self.requires_grad:
            raise ConfigError(
                "backward() of a tensor that does not require a gradient: "
                "it was made under no_grad(), or from tensors without requires_grad=True"
            )
        if gradient is None:
            if self._data.size != 1:
                raise ConfigError(
                    f"backward() of a tensor of shape {self.shape} needs gradient=, an array of that shape; "
                    "or make it a scalar first: .sum() or .mean()"
                )
            start = np.ones_like(self._data)
        else:
            start = self._fitting(gradient, "gradient")
        for tensor, g in flow(self, start, keep_graph):
            if tensor._grad is None:
                tensor._grad = np.array(g, dtype=tensor._data.dtype)  # a copy: g may be a view of another's gradient
            else:
                tensor._grad += g  # in place: it may be a view of an arena

    def retain_grad(self) -> None:
        """Keep ``grad`` here too, although this tensor is no leaf."""
        self._retains = self._node is not None

    # --- changes in place ---------------------------------------------------------------------------------------------

    def __setitem__(self, key: Any, value: Any) -> None:
        if MODE.recording and (self.requires_grad or (isinstance(value, Tensor) and value.requires_grad)):
            raise ConfigError("assigning to elements is not recorded; do it under no_grad(), or use where() or stack()")
        self._data[key] = raw(value)
        self._version[0] += 1

    def _changed_by(self, op: "Callable[[Any, Any], Tensor]", other: Any) -> "Tensor":
        """``x += y`` is ``x = x + y`` while operations are recorded, and writes into x under `no_grad`."""
        if not MODE.recording:
            self.data = op(self, other)._data
            return self
        if self.requires_grad and self._node is None:
            raise ConfigError("a parameter is changed in place under no_grad() only: `with ol.no_grad(): w -= ...`")
        return op(self, other)

    def __iadd__(self, other: Any) -> "Tensor":
        return self._changed_by(elementwise.add, other)

    def __isub__(self, other: Any) -> "Tensor":
        return self._changed_by(elementwise.sub, other)

    def __imul__(self, other: Any) -> "Tensor":
        return self._changed_by(elementwise.mul, other)

    def __itruediv__(self, other: Any) -> "Tensor":
        return self._changed_by(elementwise.div, other)

    # --- operators ----------------------------------------------------------------------------------------------------

    def __add__(self, other: Any) -> "Tensor":
        return elementwise.add(self, other)

    def __radd__(self, other: Any) -> "Tensor":
        return elementwise.add(other, self)

    def __sub__(self, other: Any) -> "Tensor":
        return elementwise.sub(self, other)

    def __rsub__(self, other: Any) -> "Tensor":
        return elementwise.sub(other, self)

    def __mul__(self, other: Any) -> "Tensor":
        return elementwise.mul(self, other)

    def __rmul__(self, other: Any) -> "Tensor":
        return elementwise.mul(other, self)

    def __truediv__(self, other: Any) -> "Tensor":
        return elementwise.div(self, other)

    def __rtruediv__(self, other: Any) -> "Tensor":
        return elementwise.div(other, self)

    def __pow__(self, other: Any) -> "Tensor":
        return elementwise.pow(self, other)

    def __rpow__(self, other: Any) -> "Tensor":
        return elementwise.pow(other, self)

    def __matmul__(self, other: Any) -> "Tensor":
        return products.matmul(self, other)

    def __rmatmul__(self, other: Any) -> "Tensor":
        return products.matmul(other, self)

    def __neg__(self) -> "Tensor":
        return elementwise.neg(self)

    def __abs__(self) -> "Tensor":
        return elementwise.abs(self)

    def __getitem__(self, key: Any) -> "Tensor":
        return shapes.getitem(self, key)

    def __lt__(self, other: Any) -> Any:
        return self._data < raw(other)

    def __le__(self, other: Any) -> Any:
        return self._data <= raw(other)

    def __gt__(self, other: Any) -> Any:
        return self._data > raw(other)

    def __ge__(self, other: Any) -> Any:
        return self._data >= raw(other)

    def __eq__(self, other: Any) -> Any:
        return self._data == raw(other)

    def __ne__(self, other: Any) -> Any:
        return self._data != raw(other)

    __hash__ = object.__hash__  # by identity: tensors are keys of dictionaries and members of sets

    # --- methods: each is the function of that name -------------------------------------------------------------------

    def exp(self) -> "Tensor":
        """eˣ."""
        return elementwise.exp(self)

    def log(self) -> "Tensor":
        """The natural logarithm."""
        return elementwise.log(self)

    def sqrt(self) -> "Tensor":
        """√x."""
        return elementwise.sqrt(self)

    def abs(self) -> "Tensor":
        """|x|."""
        return elementwise.abs(self)

    def tanh(self) -> "Tensor":
        """tanh x."""
        return activations.tanh(self)

    def sigmoid(self) -> "Tensor":
        """1 / (1 + e⁻ˣ)."""
        return activations.sigmoid(self)

    def relu(self) -> "Tensor":
        """max(x, 0)."""
        return activations.relu(self)

    def leaky_relu(self, slope: float = 0.01) -> "Tensor":
        """x where x > 0, else slope x."""
        return activations.leaky_relu(self, slope)

    def gelu(self, approximate: Literal["none", "tanh"] = "none") -> "Tensor":
        """x Φ(x), or torch's tanh form."""
        return activations.gelu(self, approximate)

    def softmax(self, axis: int = -1) -> "Tensor":
        """exp xᵢ / Σ exp xⱼ along an axis."""
        return activations.softmax(self, axis)

    def log_softmax(self, axis: int = -1) -> "Tensor":
        """log softmax, without the detour."""
        return activations.log_softmax(self, axis)

    def sum(self, axis: Axis = None, keepdims: bool = False) -> "Tensor":
        """The sum over all axes or some."""
        return reductions.sum(self, axis, keepdims)

    def mean(self, axis: Axis = None, keepdims: bool = False) -> "Tensor":
        """The mean over all axes or some."""
        return reductions.mean(self, axis, keepdims)

    def max(self, axis: Axis = None, keepdims: bool = False) -> "Tensor":
        """The largest; equal ones share the gradient."""
        return reductions.max(self, axis, keepdims)

    def min(self, axis: Axis = None, keepdims: bool = False) -> "Tensor":
        """The smallest; equal ones share the gradient."""
        return reductions.min(self, axis, keepdims)

    def clip(self, low: float | None = None, high: float | None = None) -> "Tensor":
        """At least ``low`` and at most ``high``."""
        return elementwise.clip(self, low, high)

    def astype(self, dtype: Any) -> "Tensor":
        """The same numbers as float32 or float64."""
        return elementwise.astype(self, dtype)

    def reshape(self, *shape: Any) -> "Tensor":
        """The same numbers in another shape."""
        return shapes.reshape(self, *shape)

    def transpose(self, *axes: Any) -> "Tensor":
        """The axes in another order, in reverse by default."""
        return shapes.transpose(self, *axes)

    @property
    def T(self) -> "Tensor":
        """The axes in reverse order."""
        return shapes.transpose(self)


# --- what operations are built from -----------------------------------------------------------------------------------

_numbers = itertools.count()
_blank = object.__new__


def record(
    op: str,
    data: Any,
    edges: Sequence[Edge],
    saves: Sequence[Tensor] = (),
    *,
    output: bool = False,
    view: Tensor | None = None,
) -> Tensor:
    """The result of an operation, with its node if a gradient is to flow through it.

    Args:
        op: the name, for messages.
        data: the numbers; the caller's for good.
        edges: (operand, vjp) pairs; those whose operand requires no gradient are dropped.
        saves: the operands whose numbers some vjp reads.
        output: whether some vjp reads the result's numbers.
        view: the operand whose memory the result shares.
    """
    result = _blank(Tensor)
    result._data = data if type(data) is np.ndarray else np.asarray(data)  # NumPy makes scalars of 0-d arrays
    result._grad = result._node = result._owner = result.name = None
    result._retains = result.requires_grad = False
    version = result._version = [0] if view is None else view._version
    if MODE.recording:
        flowing = []
        for edge in edges:  # a comprehension costs a call
            if edge[0].requires_grad:
                flowing.append(edge)  # noqa: PERF401
        if flowing:
            node = result._node = Node()
            node.op, node.number, node.edges = op, next(_numbers), flowing
            node.output = version[0] if output else None
            saved = node.saved = []
            for tensor in saves:
                saved.append((tensor, tensor._version[0]))  # noqa: PERF401
            result.requires_grad = True
    return result


def raw(value: Any) -> Any:
    """The array of a tensor; anything else as it is."""
    return value._data if isinstance(value, Tensor) else value


def as_tensor(value: Any) -> Tensor:
    """A tensor as it is; anything else as a constant."""
    return value if isinstance(value, Tensor) else Tensor(value)


def operands(op: str, *values: Any) -> list[Tensor]:
    """Tensors of one dtype; what is no tensor takes the dtype of the first that is one.

    Raises:
        ConfigError: float32 and float64 arrays or tensors in one operation; something that is no number.
    """
    first = next((v for kind in (Tensor, np.ndarray) for v in values if isinstance(v, kind)), values[0])
    dtype = as_tensor(first)._data.dtype
    return [v if isinstance(v, Tensor) and v._data.dtype == dtype else _constant(op, v, dtype) for v in values]


def pair(op: str, a: Any, b: Any) -> Sequence[Tensor]:
    """`operands`, fast where there is nothing to do."""
    if isinstance(a, Tensor) and isinstance(b, Tensor) and a._data.dtype is b._data.dtype:
        return a, b
    return operands(op, a, b)


def _constant(op: str, value: Any, dtype: np.dtype[Any]) -> Tensor:
    array = as_array(raw(value), op)
    if array.dtype.kind not in "fiub":
        raise ConfigError(f"{op} needs real numbers, got {type(value).__name__} of dtype {array.dtype}")
    rigid = isinstance(value, Tensor) or (typed(value) and array.ndim > 0)
    if rigid and array.dtype.kind == "f" and array.dtype != dtype:
        raise ConfigError(f"{op} of {dtype} and {array.dtype}: give both one dtype, by x.astype({str(dtype)!r})")
    return record("constant", array.astype(dtype, copy=False), ())


def mismatch(op: str, *tensors: Tensor) -> NoReturn:
    """Raise the error for shapes that do not fit."""
    raise ConfigError(f"{op}: shapes {' and '.join(str(t.shape) for t in tensors)} do not fit") from None


def _leaf(data: np.ndarray, requires_grad: bool, name: str | None) -> Tensor:
    return Tensor(data, requires_grad, name=name)


# Last, because operations need the class and its methods need them.
from optlab.autograd import activations, elementwise, products, reductions, shapes  # noqa: E402
