"""Processes that are watched: one that dies or hangs costs its own trial and nothing else."""

import atexit
import itertools
import multiprocessing
import queue
import signal
import threading
import time
from concurrent.futures import Future
from contextlib import suppress
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from typing import Any

from optlab.search.executors import settle
from optlab.search.groups import Watcher, kill_group
from optlab.search.trial import Live, Outcome, TrialError
from optlab.search.worker import work

READY = 120.0  # seconds a new process may take to import the objective
GUARD = "a script that starts workers needs `if __name__ == '__main__':` around what runs the study"
LAST = 5.0  # seconds between the end of its pipe and the end of a process
POLL_SECONDS = 1.0  # between looks at a process whose end its pipe may not show: a fork of it keeps that open
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
        self._watcher = Watcher()
        atexit.register(self._abandon)  # before the handler of multiprocessing, which would wait for the workers
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
        self._closed = True
        if kill:
            self._abandon()
        for _ in self._hands:
            self._jobs.put(None)
        for hand in self._hands:
            hand.join()
        atexit.unregister(self._abandon)
        self._watcher.close()

    def _abandon(self) -> None:
        """Kill what is at work; nothing more is recorded or begun."""
        self._closed = self._killed = True
        for worker in list(self._workers.values()):
            if worker is not None:
                with suppress(ValueError):  # it has just been closed
                    kill_group(worker.process)

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
                        worker.usable = False
                if worker is not None and not worker.usable:
                    worker.leave()
                    worker = self._workers[hand] = None
                if self._killed:
                    break
                settle(future, result)
        finally:
            if worker is not None:
                worker.leave()

    def _hire(self) -> "_Worker":
        for _ in range(STARTS - 1):
            with suppress(_Killed):
                return _Worker(self._payload, self._name, self.size, self._watcher)
        return _Worker(self._payload, self._name, self.size, self._watcher)


def reap(process: BaseProcess) -> None:
    """Wait for the end of a killed process, and for its exit code.

    `join` alone gives up at once where another thread is about to take the code: each start of a process looks at all.
    """
    process.join()
    deadline = time.monotonic() + LAST
    while process.exitcode is None and time.monotonic() < deadline:
        time.sleep(0.001)


class _Killed(TrialError):
    """A process was killed before it was ready, from outside; another one may live."""


class _Worker:
    """One process, ready to run trials; once it is not ``usable``, `leave` kills it."""

    def __init__(self, payload: bytes, name: str, size: int, watcher: Watcher) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._watcher, self._attempts, self.usable = watcher, itertools.count(), True
        # Daemonic only here, for `multiprocessing` not to wait for it; the process itself may have children.
        self.process = context.Process(target=work, args=(theirs, payload, size), daemon=True)
        try:
            self.process.start()
        except (OSError, RuntimeError) as error:
            raise TrialError(f"no worker process can be started: {error}") from error
        finally:
            theirs.close()
        message = self._receive(time.monotonic() + READY)
        if not message or message[0] != "ready":
            self.process.join(LAST)
            why = message[2] if message else f"its process {self._death()}"
            killed = (self.process.exitcode or 0) < 0
            self.usable = False
            self.leave()
            guard = "" if message or killed else f"; {GUARD}"
            raise (_Killed if killed else TrialError)(f"the worker processes can't run {name}: {why}{guard}")
        watcher.add(self.process)

    def run(self, live: Live, timeout: float | None) -> Outcome:
        """Run one trial there; if the process dies or takes too long, that is how the trial ended."""
        deadline = None if timeout is None else time.monotonic() + timeout
        ticket = (live.number, next(self._attempts))
        with suppress(OSError):  # it died between two messages
            self._pipe.send(("trial", ticket, live.params, live.seed))
            while message := self._receive(deadline):
                kind, owner, *content = message
                if owner != ticket:  # whatever it is, it is not about this trial
                    self.usable = False
                elif kind == "done":
                    return Outcome(*content)
                elif kind == "interrupted":
                    raise KeyboardInterrupt
                else:
                    question, value, step = content
                    live.report(value, step)
                    self._pipe.send(("answer", question, live.should_prune()))
        self.usable = False
        told = tuple(live.reports)
        if deadline is not None and time.monotonic() >= deadline and self.process.is_alive():
            return Outcome("failed", None, f"timed out after {timeout:g} s; its process was killed", told)
        self.process.join(LAST)  # an objective may have closed the pipe and live on
        kill_group(self.process)
        reap(self.process)
        return Outcome("crashed", None, f"its process {self._death()}", told)

    def leave(self) -> None:
        """Close the pipe, at which a usable process ends; then nothing of its group is left."""
        self._pipe.close()
        if self.usable:
            self.process.join(LAST)
        kill_group(self.process)
        reap(self.process)
        self._watcher.remove(self.process)
        with suppress(ValueError):  # somebody else took its exit code, with `os.wait` for instance
            self.process.close()

    def _receive(self, deadline: float | None) -> Any:
        """The next message; None if there is none before the deadline or the process's death."""
        while True:
            left = POLL_SECONDS if deadline is None else min(POLL_SECONDS, max(0.0, deadline - time.monotonic()))
            ready = wait([self._pipe, self.process.sentinel], left)
            try:
                if self._pipe in ready or self._pipe.poll():
                    return self._pipe.recv()
            except (EOFError, OSError):
                return None
            if ready or not self.process.is_alive() or (deadline is not None and time.monotonic() >= deadline):
                return None

    def _death(self) -> str:
        code = self.process.exitcode
        if code is None:
            return "did not answer"
        if code < 0:
            return f"was killed by {signal.Signals(-code).name}"
        return f"ended with exit code {code}"
