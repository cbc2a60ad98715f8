"""Ctrl-C during long work: once finishes what has begun and saves it, twice stops now."""

import signal
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from types import FrameType, TracebackType
from typing import Any, NoReturn

SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))


def leave(number: int) -> NoReturn:
    """Do what the signal asks for.

    Raises:
        KeyboardInterrupt: for SIGINT.
        SystemExit: with 128 + the signal's number, as a shell reports it.
    """
    if number == signal.SIGINT:
        raise KeyboardInterrupt
    raise SystemExit(128 + number)


class Interrupts:
    """While it is entered, the first SIGINT, SIGTERM or SIGHUP is only noted; a second one acts at once.

    A compiled epoch can't be stopped half way, and must not be stopped between its end and the writing down of what it
    changed. Only the main thread may handle signals, and only where nobody else handles them already.

    Args:
        finishing: what the first signal waits for, to be told.
        again: what the second one does.
    """

    def __init__(self, finishing: str = "this epoch", again: Callable[[int], NoReturn] = leave) -> None:
        self.asked: int | None = None
        self._finishing, self._again = finishing, again
        self._before: dict[int, Any] = {}

    def __enter__(self) -> "Interrupts":
        if threading.current_thread() is threading.main_thread():
            for number in SIGNALS:
                if signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler):
                    self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.asked is not None:
            self._again(number)
        self.asked = number
        with suppress(OSError, RuntimeError):  # the terminal hung up, or is just being written to
            sys.stderr.write(f"optlab: finishing {self._finishing} and saving; once more to stop now\n")
