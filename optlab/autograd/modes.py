"""Whether operations are recorded: always, but under `no_grad`."""

import threading
from collections.abc import Callable
from contextlib import ContextDecorator
from typing import Any, TypeVar, overload

F = TypeVar("F", bound=Callable[..., Any])


class _Mode(threading.local):
    recording = True
    before: tuple[bool, ...] = ()  # the modes to return to, innermost last


MODE = _Mode()


class NoGrad(ContextDecorator):
    """The context of `no_grad`. One object may be entered again and again, nested too."""

    def __enter__(self) -> None:
        MODE.before = (*MODE.before, MODE.recording)
        MODE.recording = False

    def __exit__(self, *error: object) -> None:
        *before, MODE.recording = MODE.before
        MODE.before = tuple(before)


@overload
def no_grad() -> NoGrad: ...
@overload
def no_grad(function: F) -> F: ...
def no_grad(function: Any = None) -> Any:
    """Record nothing in this thread: ``with no_grad():``, ``@no_grad()`` or ``@no_grad``.

    Results do not require gradients; parameters may be changed in place.

    >>> import optlab as ol
    >>> w = ol.Tensor([1.0], requires_grad=True)
    >>> with ol.no_grad():
    ...     w -= 0.5
    ...     print((2 * w).requires_grad, w.requires_grad)
    False True
    """
    return NoGrad() if function is None else NoGrad()(function)
