"""The standard streams, as they may be: None under pythonw, closed, without a reader, or an editor's own object."""

import io
import os
import sys
import warnings
from contextlib import suppress
from typing import Any

NUMBERS = {"stdin": 0, "stdout": 1, "stderr": 2}


def is_terminal(stream: Any) -> bool:
    """Whether somebody looks at the stream on a terminal."""
    try:
        return bool(stream.isatty())
    except (AttributeError, OSError, ValueError):
        return False


def write(stream: Any, text: str) -> None:
    """Write text to a stream that people watch, if it can be: what it tells of must not fail because of it."""
    # ValueError: closed, or an encoding without a character. RuntimeError: a signal came while it was written to.
    with suppress(AttributeError, OSError, ValueError, RuntimeError):
        stream.write(text)
        stream.flush()


def warn(message: str, category: type[Warning] = UserWarning, stacklevel: int = 1) -> None:
    """Give a warning as `warnings.warn` does, which fails itself where standard error is closed."""
    try:
        warnings.warn(message, category, stacklevel=stacklevel + 1)
    except (AttributeError, ValueError):
        return


class _Writer(io.TextIOBase):
    """A whole text stream around an object that can only write, or around nothing."""

    def __init__(self, stream: Any = None) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        if self._stream is not None:
            self._stream.write(text)
        return len(text)


def attach() -> None:
    """Give the process a standard stream for each that is missing, and a whole one for each that only writes.

    The next file that is opened would take the place of a closed one, and what a library prints would go into it.
    """
    for name, number in NUMBERS.items():
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # the lowest number that is free: this one
        stream = getattr(sys, name)
        if stream is None or getattr(stream, "closed", False):
            setattr(sys, name, io.StringIO() if name == "stdin" else _Writer())
        elif not hasattr(stream, "flush"):
            setattr(sys, name, _Writer(stream))
