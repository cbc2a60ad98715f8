"""Ctrl-C during long work: once finishes what has begun and saves it, twice stops now."""

import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType, TracebackType
from typing import Any, NoReturn

from optlab import streams

SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
CALL_SECONDS = 0.05  # about how long one compiled call may last: Python handles signals between calls
GROWTH = 16  # how many times as much work the next call may get, as long as calls are short


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

    What has begun must not be stopped between its end and the writing down of what it changed. Only the main thread may
    handle signals, and only where nobody else handles them already.

    Args:
        finishing: what the first signal waits for, for the message.
        again: what the second one does.
    """

    def __init__(self, finishing: str = "what has begun", again: Callable[[int], NoReturn] = leave) -> None:
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
        streams.write(sys.stderr, f"optlab: finishing {self._finishing}; once more to stop now\n")


class Pace:
    """How much work goes into one compiled call: as much as lasts about `CALL_SECONDS` by the clock.

    A compiled call can't be interrupted, so one whose length grows with the user's data is made in pieces. Results
    must not depend on where the pieces end.

    Args:
        first: units of work of the first call, when nothing has been measured.
    """

    def __init__(self, first: int = 1) -> None:
        self._amount = first

    def pieces(self, total: int) -> Iterator[tuple[int, int]]:
        """Yield (begin, end) of consecutive pieces of ``range(total)``, and time what is done with each.

        >>> list(Pace(first=4).pieces(6))[0]
        (0, 4)
        """
        start = 0
        while start < total:
            end = min(start + self._amount, total)
            began = time.perf_counter()
            yield start, end
            if end - start == self._amount:  # a shorter last piece says little
                fits = self._amount * CALL_SECONDS / max(time.perf_counter() - began, 1e-9)
                self._amount = max(1, int(min(fits, self._amount * GROWTH)))
            start = end
