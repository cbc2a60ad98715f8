"""Who runs the objective: this thread, other threads, supervised processes, or any `concurrent.futures.Executor`.

Each is a crew: `size` trials at once, `submit(live)` gives a future of the trial's `Outcome`, `close` sends it home.
"""

import os
import pickle
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future, InvalidStateError, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import AbstractContextManager, suppress
from typing import Any, Protocol

from optlab import streams
from optlab.checks import is_whole
from optlab.errors import ConfigError
from optlab.search.trial import Live, Outcome, evaluate, wants_trial

Objective = Callable[..., Any]


class Crew(Protocol):
    """Runs trials; ``exposed`` says that they run inside the driver, which they may take down."""

    exposed: bool

    @property
    def size(self) -> int:
        """How many trials may run at once, now."""

    def submit(self, live: Live) -> "Future[Outcome]":
        """Begin a trial."""

    def close(self, kill: bool) -> None:
        """End; running trials are waited for, or dropped."""


class Serial:
    """One trial after the other, in the calling thread."""

    size = 1
    exposed = True

    def __init__(self, objective: Objective) -> None:
        self._objective, self._both = objective, wants_trial(objective)

    def submit(self, live: Live) -> "Future[Outcome]":
        """Run it now."""
        future: Future[Outcome] = Future()
        future.set_result(evaluate(self._objective, live, self._both))
        return future

    def close(self, kill: bool) -> None:
        """Nothing to end."""


class Threads:
    """A thread per trial; the linear algebra below shares the cores among them.

    A thread can't be stopped: after ``timeout`` seconds its trial is given up, and it goes on by itself.
    """

    exposed = True

    def __init__(self, objective: Objective, size: int, timeout: float | None) -> None:
        self.size = size
        self._objective, self._both, self._timeout = objective, wants_trial(objective), timeout
        self._limits = blas_threads(size)
        self._limits.__enter__()

    def submit(self, live: Live) -> "Future[Outcome]":
        """Begin it in a thread of its own."""
        future: Future[Outcome] = Future()
        future.set_running_or_notify_cancel()
        threading.Thread(target=self._run, args=(live, future), daemon=True).start()
        give_up(future, self._timeout, "its thread can't be stopped and goes on")
        return future

    def _run(self, live: Live, future: "Future[Outcome]") -> None:
        try:
            settle(future, evaluate(self._objective, live, self._both))
        except KeyboardInterrupt as error:
            settle(future, error)

    def close(self, kill: bool) -> None:
        """Give the cores back."""
        self._limits.__exit__(None, None, None)


class Foreign:
    """Somebody else's executor; it is not shut down here.

    A trial that was given up keeps its place until it ends: another one would wait for it while its own time runs.
    """

    def __init__(self, objective: Objective, executor: Executor, timeout: float | None) -> None:
        self.places = int(getattr(executor, "_max_workers", 0) or os.cpu_count() or 1)
        self._running: list[tuple[Future[Any], Future[Outcome]]] = []
        self._executor, self._timeout = executor, timeout
        self._objective, self._both = objective, wants_trial(objective)
        self.exposed = isinstance(executor, ThreadPoolExecutor)
        if isinstance(executor, ProcessPoolExecutor) and pickled(objective) is None:
            raise ConfigError(f"{named(objective)} can't be sent to another process; define it in a module")

    @property
    def size(self) -> int:
        """The places that are not kept, one at least."""
        self._running = [(theirs, ours) for theirs, ours in self._running if not theirs.done()]
        return max(1, self.places - sum(ours.done() for _, ours in self._running))

    def submit(self, live: Live) -> "Future[Outcome]":
        """Hand it over; reports reach the study at once from threads, from elsewhere with the result."""
        if self.exposed:
            theirs = self._executor.submit(evaluate, self._objective, live, self._both)
        else:
            theirs = self._executor.submit(evaluate_far, self._objective, live.number, live.params, live.seed)
        ours: Future[Outcome] = Future()
        ours.set_running_or_notify_cancel()
        theirs.add_done_callback(lambda done: _pass_on(done, ours))
        give_up(ours, self._timeout, "its executor was not told")
        self._running.append((theirs, ours))
        return ours

    def close(self, kill: bool) -> None:
        """It belongs to somebody else."""


def crew_for(executor: Any, objective: Objective, timeout: float | None) -> Crew:
    """The crew for `Study.run`'s ``executor``.

    Raises:
        ConfigError: it is no executor, or this objective can't go there.
    """
    from optlab.search.processes import Processes

    if executor is None and timeout is None:
        return Serial(objective)
    if isinstance(executor, str):
        from optlab.integrations.dask import Dask

        return Dask(objective, executor, timeout)
    if executor is None or is_whole(executor):
        size = 1 if executor is None else int(executor)
        if size < 1:
            raise ConfigError(f"executor= as a number of workers is at least 1, got {size}")
        if getattr(objective, "releases_gil", False):
            return Threads(objective, size, timeout)
        payload = pickled(objective)
        if payload is not None:
            return Processes(payload, named(objective), size, timeout)
        notice = f"{named(objective)} can't be imported by name, so it runs in threads, not in processes of its own"
        streams.warn(notice, stacklevel=5)
        return Threads(objective, size, timeout)
    if callable(getattr(executor, "submit", None)):
        return Foreign(objective, executor, timeout)
    expected = "None, a number of workers, a concurrent.futures.Executor, 'dask' or 'tcp://host:port'"
    raise ConfigError(f"executor= takes {expected}; got {executor!r}")


def pickled(objective: Objective) -> bytes | None:
    """What another process needs to have it, if it can: functions travel by name."""
    if getattr(objective, "__module__", "") == "__main__" and not hasattr(sys.modules["__main__"], "__file__"):
        return None  # a notebook or a shell: there is no file to import it from
    try:
        return pickle.dumps(objective)
    except Exception:
        return None


def named(objective: Objective) -> str:
    """What to call it in a message."""
    return str(getattr(objective, "__qualname__", None) or type(objective).__qualname__)


def blas_threads(workers: int) -> AbstractContextManager[Any]:
    """Within it, each of so many workers has its share of the cores for linear algebra."""
    from threadpoolctl import threadpool_limits

    limits: AbstractContextManager[Any] = threadpool_limits(max(1, (os.cpu_count() or 1) // workers))
    return limits


def evaluate_far(objective: Objective, number: int, params: dict[str, Any], seed: int) -> Outcome:
    """`evaluate` where nobody can be asked whether to prune."""
    return evaluate(objective, Live(number, params, seed), wants_trial(objective))


def settle(future: "Future[Outcome]", result: Outcome | BaseException) -> None:
    """Set the result, if none is set yet."""
    with suppress(InvalidStateError):
        if isinstance(result, BaseException):
            future.set_exception(result)
        else:
            future.set_result(result)


def give_up(future: "Future[Outcome]", timeout: float | None, rest: str) -> None:
    """Call a trial failed that hasn't ended after ``timeout`` seconds."""
    if timeout is None:
        return
    text = f"timed out after {timeout:g} s; {rest}"
    timer = threading.Timer(timeout, settle, (future, Outcome("failed", None, text)))
    timer.daemon = True
    timer.start()
    future.add_done_callback(lambda done: timer.cancel())


def _pass_on(done: "Future[Outcome]", ours: "Future[Outcome]") -> None:
    if done.cancelled():
        settle(ours, InterruptedError("the executor cancelled it"))
    else:
        settle(ours, done.exception() or done.result())
