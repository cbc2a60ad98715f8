"""Processes that are watched: one that dies or hangs costs its own trial and nothing else."""

import multiprocessing
import os
import pickle
import queue
import signal
import threading
import time
from concurrent.futures import Future
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from typing import Any

from optlab.search.executors import Objective, blas_threads, settle
from optlab.search.trial import Live, Outcome, TrialError, describe, evaluate, wants_trial

READY = 120.0  # seconds a new process may take to import the objective
GUARD = "a script that starts workers needs `if __name__ == '__main__':` around what runs the study"
LAST = 5.0  # seconds between the end of its pipe and the end of a process
STARTS = 3  # times a process is started that is killed before it is ready
Job = tuple[Live, "Future[Outcome]"]


def check_not_a_worker() -> None:
    """A worker imports the user's script; if that runs the study again, it would take trials from its own driver.

    Raises:
        TrialError: this is such an import.
    """
    if getattr(multiprocessing.current_process(), "_inheriting", False):
        raise TrialError(GUARD)


class Processes:
    """``size`` spawned processes, each with a thread here that gives it trials and sees when it dies."""

    exposed = False

    def __init__(self, payload: bytes, name: str, size: int, timeout: float | None) -> None:
        self.size = size
        self._payload, self._name, self._timeout = payload, name, timeout
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._workers: dict[int, _Worker | None] = {}
        self._closed = self._killed = False
        self._hands = [threading.Thread(target=self._supervise, args=(i,), daemon=True) for i in range(size)]
        for hand in self._hands:
            hand.start()

    def submit(self, live: Live) -> "Future[Outcome]":
        """Begin it in the next free process."""
        future: Future[Outcome] = Future()
        future.set_running_or_notify_cancel()
        self._jobs.put((live, future))
        return future

    def close(self, kill: bool) -> None:
        """Send the processes home; ``kill`` ends those that are at work."""
        self._closed, self._killed = True, kill
        for _ in self._hands:
            self._jobs.put(None)
        for worker in list(self._workers.values()):
            if worker is not None and kill:
                with suppress(ValueError):  # it has just been closed
                    worker.process.kill()
        for hand in self._hands:
            hand.join()

    def _supervise(self, hand: int) -> None:
        worker: _Worker | None = None
        try:
            while (job := self._jobs.get()) is not None and not self._closed:
                live, future = job
                try:
                    if worker is None:
                        worker = self._workers[hand] = self._hire()
                    if self._killed:
                        break
                    result: Outcome | BaseException = worker.run(live, self._timeout)
                except BaseException as error:
                    result = error
                    if worker is not None:
                        worker.process.kill()  # what it would say next is no answer to the next trial
                        worker.process.join()
                if worker is not None and not worker.process.is_alive():
                    worker.leave()
                    worker = self._workers[hand] = None
                settle(future, result)
        finally:
            if worker is not None:
                worker.leave()

    def _hire(self) -> "_Worker":
        for _ in range(STARTS - 1):
            with suppress(_Killed):
                return _Worker(self._payload, self._name, self.size)
        return _Worker(self._payload, self._name, self.size)


class _Killed(TrialError):
    """A process was killed before it was ready, from outside; another one may live."""


class _Worker:
    """One process, ready to run trials."""

    def __init__(self, payload: bytes, name: str, size: int) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self.process = context.Process(target=work, args=(theirs, payload, size), daemon=True)
        try:
            self.process.start()
        except (OSError, RuntimeError) as error:
            raise TrialError(f"no worker process can be started: {error}") from error
        finally:
            theirs.close()
        message = self._receive(time.monotonic() + READY)
        if message != ("ready",):
            self.process.join(LAST)
            why = message[1] if message else f"its process {self._death()}"
            killed = (self.process.exitcode or 0) < 0
            self.process.kill()
            self.leave()
            guard = "" if message or killed else f"; {GUARD}"
            raise (_Killed if killed else TrialError)(f"the worker processes can't run {name}: {why}{guard}")

    def run(self, live: Live, timeout: float | None) -> Outcome:
        """Run one trial there; if the process dies or takes too long, that is how the trial ended."""
        deadline = None if timeout is None else time.monotonic() + timeout
        try:
            self._pipe.send((live.number, live.params, live.seed))
            while message := self._receive(deadline):
                if message[0] == "done":
                    return Outcome(*message[1])
                if message[0] == "interrupted":
                    raise KeyboardInterrupt
                live.report(*message[1:])
                self._pipe.send(live.should_prune())
        except OSError:  # it died between two messages
            pass
        late = deadline is not None and time.monotonic() >= deadline and self.process.is_alive()
        if not late:
            self.process.join(LAST)  # an objective may have closed the pipe and live on
        if self.process.is_alive():
            self.process.kill()
        self.process.join()
        told = tuple(live.reports)
        if late:
            return Outcome("failed", None, f"timed out after {timeout:g} s; its process was killed", told)
        return Outcome("crashed", None, f"its process {self._death()}", told)

    def leave(self) -> None:
        """Close the pipe, at which the process ends."""
        self._pipe.close()
        self.process.join(5.0)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()
        self.process.close()

    def _receive(self, deadline: float | None) -> Any:
        """The next message; None if there is none before the deadline or the process's death."""
        left = None if deadline is None else max(0.0, deadline - time.monotonic())
        ready = wait([self._pipe, self.process.sentinel], left)
        if self._pipe not in ready and not self._pipe.poll():
            return None
        try:
            return self._pipe.recv()
        except (EOFError, OSError):
            return None

    def _death(self) -> str:
        code = self.process.exitcode
        if code is None:
            return "did not answer"
        if code < 0:
            return f"was killed by {signal.Signals(-code).name}"
        return f"ended with exit code {code}"


def work(pipe: Connection, payload: bytes, size: int) -> None:
    """What a process does: take trials from the pipe until it closes; end with the driver, however that ends."""
    for number in ("SIGINT", "SIGTERM", "SIGHUP"):  # a terminal sends them to all; the driver decides
        if hasattr(signal, number):
            signal.signal(getattr(signal, number), signal.SIG_IGN)
    threading.Thread(target=_end_with_driver, daemon=True).start()
    with suppress(EOFError, OSError):  # the driver is gone, or has closed the pipe
        _serve(pipe, payload, size)


def _serve(pipe: Connection, payload: bytes, size: int) -> None:
    try:
        objective: Objective = pickle.loads(payload)
    except BaseException as error:
        pipe.send(("broken", describe(error)))
        return
    both = wants_trial(objective)
    with blas_threads(size):
        pipe.send(("ready",))
        while True:
            number, params, seed = pipe.recv()
            live = Live(number, params, seed, lambda step, value: _ask(pipe, step, value))
            try:
                pipe.send(("done", tuple(evaluate(objective, live, both))))
            except KeyboardInterrupt:
                pipe.send(("interrupted",))


def _ask(pipe: Connection, step: int, value: float) -> bool:
    pipe.send(("report", value, step))
    return bool(pipe.recv())


def _end_with_driver() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
