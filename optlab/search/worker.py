"""What a worker process does: take trials from its pipe, evaluate them, answer."""

import multiprocessing
import os
import pickle
import threading
from contextlib import suppress
from functools import partial
from multiprocessing.connection import Connection
from typing import Any

from optlab.search.executors import Objective, blas_threads
from optlab.search.groups import lead_group
from optlab.search.trial import Live, describe, evaluate, wants_trial

Ticket = tuple[int, int]  # a trial's number, and which of the worker's trials it is


def work(pipe: Connection, payload: bytes, size: int) -> None:
    """Take trials from the pipe until it closes; end with the driver, however that ends."""
    multiprocessing.current_process().daemon = False  # only here: a daemonic process may have no children
    parent = multiprocessing.parent_process()
    if parent is not None:
        lead_group(parent.pid or 0)
        threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    with suppress(EOFError, OSError):  # the driver is gone, or has closed the pipe
        _serve(Channel(pipe), payload, size)


def _serve(channel: "Channel", payload: bytes, size: int) -> None:
    try:
        objective: Objective = pickle.loads(payload)
    except BaseException as error:
        channel.send("broken", describe(error))
        return
    both = wants_trial(objective)
    with blas_threads(size):
        channel.send("ready")
        while True:
            live = channel.receive_trial()
            try:
                channel.finish("done", *evaluate(objective, live, both))
            except KeyboardInterrupt:
                channel.finish("interrupted")


class Channel:
    """The worker's end of the pipe: messages of one trial at a time, from any thread of this process.

    Every message carries the trial's ticket. A thread that an earlier trial left behind is not heard.
    """

    def __init__(self, pipe: Connection) -> None:
        self._pipe, self._pid, self._lock = pipe, os.getpid(), threading.Lock()
        self._ticket: Ticket | None = None
        self._questions = 0

    def send(self, kind: str, *content: Any) -> None:
        """Send a message about the current trial, if there is one."""
        if os.getpid() != self._pid:  # a fork of this process, from the import of the objective
            os._exit(1)
        self._pipe.send((kind, self._ticket, *content))

    def receive_trial(self) -> Live:
        """Wait for the next trial."""
        ticket, params, seed = self._receive("trial")
        with self._lock:
            self._ticket = ticket
        return Live(ticket[0], params, seed, partial(self._report, ticket))

    def finish(self, kind: str, *content: Any) -> None:
        """Send how the current trial ended."""
        with self._lock:
            self.send(kind, *content)
            self._ticket = None

    def _report(self, ticket: Ticket, step: int, value: float) -> bool:
        with self._lock:
            if ticket != self._ticket:
                return False
            self._questions += 1
            question = self._questions
            self.send("report", question, value, step)
            while True:
                asked, poor = self._receive("answer")
                if asked == question:  # else to a report that an exception of a signal's handler interrupted
                    return bool(poor)

    def _receive(self, kind: str) -> Any:
        """Wait for a message of this kind; others are answers that nobody waits for any more."""
        while (message := self._pipe.recv())[0] != kind:
            pass
        return message[1:]


def _end_with(parent: Any) -> None:
    parent.join()
    os._exit(1)
