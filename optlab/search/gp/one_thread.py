"""BLAS on one thread for as long as a proposal is worked out, in any number of Python threads."""

import threading
from typing import Any


class OneThread:
    """A context in which products are summed in one order, however many threads the process has: bits don't vary.

    The number of BLAS threads belongs to the process: the first proposal that comes in sets it, the last one to leave
    sets it back. Were each to set it back, one would change it under another.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._controller: Any = None
        self._limit: Any = None

    def __enter__(self) -> None:
        with self._lock:
            if self._inside == 0:
                if self._controller is None:
                    import scipy.linalg  # noqa: F401  # a library that is loaded later would not be limited
                    from threadpoolctl import ThreadpoolController

                    self._controller = ThreadpoolController()
                self._limit = self._controller.limit(limits=1, user_api="blas")
            self._inside += 1

    def __exit__(self, *error: object) -> None:
        with self._lock:
            self._inside -= 1
            if self._inside == 0:
                self._limit.restore_original_limits()


one_thread = OneThread()
