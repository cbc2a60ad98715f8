"""Gradients against central differences."""

from collections.abc import Callable
from typing import Any

import numpy as np

from optlab.autograd.graph import flow
from optlab.autograd.modes import no_grad
from optlab.autograd.tensor import Tensor
from optlab.errors import ConfigError

STEP = float(np.finfo(np.float64).eps ** (1 / 3))  # balances the error of the formula, h², and of rounding, 1e-16 / h
FLOOR = 1e-4  # rounding gives the differences an error of about 4e-11 |f|: 4e-7 of this


def check(f: Callable[..., Any], *tensors: Tensor, eps: float | None = None) -> float:
    """The largest relative error of the gradients of ``f(*tensors)``, a scalar, in float64.

    Each element is moved by h = eps max(1, |x|) both ways. The error is, for each tensor, max |a - n| / s over its
    elements, a being the gradient of the tape and n = (f(x + h) - f(x - h)) / 2h; s is the largest of all |a|, |n| of
    that tensor and of 1e-4 |f|, below which the differences see rounding only. A right gradient of a smooth f gives
    below 1e-6; at a kink (relu at 0, ties of max) the differences mean nothing.

    float64 tensors are themselves moved, then put back, so that f may reach them by another way, as a model reaches its
    parameters; float32 and read-only ones are handed to f as float64 copies. No ``grad`` is touched.

    Args:
        f: deterministic; gives a tensor of one number.
        tensors: where; each counts as requiring a gradient.
        eps: the relative step, by default 6e-6.

    Raises:
        ConfigError: no tensors, or f gives no tensor of one number.

    >>> import optlab as ol
    >>> ol.autograd.check(lambda x: (x.tanh() ** 2).sum(), ol.Tensor([0.5, -1.0])) < 1e-6
    True
    """
    if not tensors or not all(isinstance(t, Tensor) for t in tensors):
        raise ConfigError("check needs the tensors to differentiate by: check(f, x, ...)")
    points = [_movable(t) for t in tensors]
    flags = [t.requires_grad for t in points]
    try:
        for t in points:
            t.requires_grad = True
        value = _scalar(f(*points))
        start = np.ones(value.shape, value.dtype)
        tape = {id(t): g for t, g in flow(value, start, False)} if value.requires_grad else {}
        errors = [_error(f, points, t, tape.get(id(t), 0.0), eps or STEP) for t in points]
    finally:
        for t, flag in zip(points, flags, strict=True):
            t.requires_grad = flag
    return float(np.max(errors))  # NaN where there is one


def _movable(t: Tensor) -> Tensor:
    if t._node is None and t.dtype == np.float64 and t.data.flags.writeable:
        return t
    return Tensor(t.data.astype(np.float64), name=t.name)


def _scalar(value: Any) -> Tensor:
    if not isinstance(value, Tensor) or value.size != 1:
        got = f"a tensor of shape {value.shape}" if isinstance(value, Tensor) else type(value).__name__
        raise ConfigError(f"check needs a function that gives a tensor of one number, got {got}")
    return value


@no_grad
def _error(f: Callable[..., Any], points: list[Tensor], t: Tensor, tape: Any, eps: float) -> float:
    tape = np.broadcast_to(np.asarray(tape, np.float64), t.shape)
    numeric, size = np.zeros(t.shape), 0.0
    for i in np.ndindex(t.shape):
        x = float(t.data[i])
        h = eps * max(1.0, abs(x))
        try:
            t.data[i] = high = x + h
            above = _scalar(f(*points)).item()
            t.data[i] = low = x - h
            below = _scalar(f(*points)).item()
        finally:
            t.data[i] = x
        numeric[i] = (above - below) / (high - low)  # high - low is what 2h became by rounding
        size = max(size, abs(above), abs(below))
    if not t.size:
        return 0.0
    difference = float(np.abs(tape - numeric).max())
    scale = max(float(np.abs(tape).max()), float(np.abs(numeric).max()), FLOOR * size)
    return difference / scale if difference else 0.0
