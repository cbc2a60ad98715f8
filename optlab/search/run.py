"""The driver's loop: claim, run, record, until enough trials have ended."""

import threading
import time
from collections import Counter, deque
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, CancelledError, Future, wait
from typing import TYPE_CHECKING, Any, NoReturn

from optlab.checks import check_number, whole
from optlab.errors import ConfigError
from optlab.interrupt import Interrupts, leave
from optlab.search.executors import Crew, Objective, crew_for
from optlab.search.processes import check_not_a_worker
from optlab.search.pruners import as_pruner
from optlab.search.trial import Live, Outcome, TrialError, summary

if TYPE_CHECKING:
    from optlab.search.study import Study

SECONDS = f"(0, {threading.TIMEOUT_MAX:.0f}]"  # what Python can wait for
LOOK = 1.0  # seconds between looks at what other drivers left, when there is nothing to do


def run(
    study: "Study",
    objective: Objective,
    trials: int,
    executor: Any,
    retries: int,
    timeout: float | None,
    max_failures: int | None,
    pruner: Any,
    batch: int | None,
    total: int | None,
) -> None:
    """`Study.run`."""
    check_not_a_worker()
    if not callable(objective):
        raise ConfigError(f"an objective is a function of the parameters, got {objective!r}")
    trials, retries = _count("trials", trials), _count("retries", retries)
    max_failures = None if max_failures is None else _count("max_failures", max_failures)
    batch = None if batch is None else _count("batch", batch, 1)
    total = None if total is None else _count("total", total)
    timeout = None if timeout is None else check_number("timeout=", timeout, SECONDS, what="a number of seconds")
    check = getattr(objective, "check", None)  # a ready objective tells all that it can't use before the first trial
    if check is not None:
        check(study.space)
    study.use_pruner(as_pruner(pruner))
    crew = crew_for(executor, objective, timeout)
    sweep = Sweep(study, crew, trials, retries, max_failures, batch, total)
    try:
        with Interrupts("the running trials and saving", _stop) as interrupts:
            sweep.work(interrupts)
    finally:
        try:
            crew.close(kill=bool(sweep.running))
        finally:
            study.drop(sweep.unfinished())
    if interrupts.asked is not None:
        leave(interrupts.asked)
    if sweep.interrupted:
        raise KeyboardInterrupt
    if sweep.broken:
        raise TrialError(sweep.broken)
    if sweep.too_many():
        raise TrialError(f"{sweep.failures} trials failed, more than max_failures={max_failures}; {sweep.last_failure}")


def _stop(number: int) -> NoReturn:
    """A second signal, whichever: an objective's own SystemExit is a failed trial, so it must not be one."""
    raise KeyboardInterrupt


class Sweep:
    """What one call of `Study.run` keeps track of."""

    def __init__(
        self,
        study: "Study",
        crew: Crew,
        trials: int,
        retries: int,
        max_failures: int | None,
        batch: int | None,
        total: int | None,
    ) -> None:
        self.study, self.crew, self.left, self.retries = study, crew, trials, retries
        self.max_failures, self.batch, self.total = max_failures, batch, total
        self.waiting: deque[Live] = deque()  # the rest of a batch
        self.running: dict[Future[Outcome], Live] = {}
        self.starting: Live | None = None
        self.solo: deque[Live] = deque()  # trials that killed their worker run again when nothing else does
        self.alone = False
        self.crashes: Counter[int] = Counter()
        self.failures, self.last_failure, self.broken = 0, "", ""
        self.interrupted = False

    def work(self, interrupts: Interrupts) -> None:
        """Until nothing runs and nothing may begin."""
        while True:
            stopping = interrupts.asked is not None or self.interrupted or bool(self.broken) or self.too_many()
            if not stopping:
                self.begin()
            if self.running:
                self.collect()
            elif stopping or not self.waits_for_others():
                return

    def begin(self) -> None:
        """Fill the free places."""
        while not self.alone and (room := self.crew.size - len(self.running)) > 0:
            if not self.waiting and self.left and not (self.batch and self.running):
                count = min(self.left, self.batch or room)
                self.waiting.extend(self.study.take(count, self.batch, self.crew.exposed, self.total))
                self.left -= len(self.waiting)
            if not self.waiting:
                break
            self.start(self.waiting.popleft())
            if self.crew.size == 1:
                break
        if self.solo and not self.running:
            self.alone = True
            self.start(self.solo.popleft())

    def start(self, live: Live) -> None:
        """Hand one trial to the crew."""
        self.starting = live  # if an interrupt ends it right here, it is given back
        try:
            future = self.crew.submit(live)
        except (BrokenExecutor, RuntimeError) as error:  # RuntimeError: it was shut down
            future = Future()
            future.set_exception(BrokenExecutor(str(error)))
        self.running[future] = live
        self.starting = None

    def collect(self) -> None:
        """Record what has ended, after waiting for something to end."""
        done = {future for future in self.running if future.done()}
        if not done:
            done = wait(self.running, LOOK, FIRST_COMPLETED).done
        for future in sorted(done, key=lambda f: self.running[f].number):
            self.end(self.running[future], future)
            del self.running[future]
            self.alone = False

    def end(self, live: Live, future: "Future[Outcome]") -> None:
        """Record one trial, or have it run again."""
        error = future.exception()
        if error is None:
            outcome = future.result()
        elif isinstance(error, KeyboardInterrupt):
            self.interrupted = True
            self.study.drop([live.number])
            return
        elif isinstance(error, BrokenExecutor | CancelledError | InterruptedError | TrialError):
            text = f"the executor broke ({error}); what it ran is unfinished and runs first next time."
            advice = " optlab's own workers, executor=2, survive a process that dies"
            self.broken = str(error) if isinstance(error, TrialError) else text + advice
            self.study.drop([live.number])
            return
        else:
            outcome = Outcome("crashed", None, f"its worker was lost: {type(error).__name__}: {error}")
        if outcome.state == "crashed" and self.crashes[live.number] < self.retries:
            self.crashes[live.number] += 1
            self.study.note(live.number, f"{outcome.error}; once more, alone")
            self.solo.append(self.study.again(live))
            return
        self.study.finish(live, outcome)
        if outcome.state in ("failed", "crashed"):
            self.failures += 1
            self.last_failure = f"the last: trial {live.number} ({summary(live.params)}): {outcome.error}"

    def unfinished(self) -> list[int]:
        """Numbers of the trials that have not been recorded."""
        lives = [*self.running.values(), *self.solo, *self.waiting, *([self.starting] if self.starting else [])]
        return sorted({live.number for live in lives})

    def too_many(self) -> bool:
        """Whether more trials failed than may."""
        return self.max_failures is not None and self.failures > self.max_failures

    def waits_for_others(self) -> bool:
        """Whether to look again later: the sampler has nothing now, but trials of other drivers still run."""
        full = self.total is not None and len(self.study.trials) >= self.total
        if not self.left or full or not self.study.others_running():
            return False
        time.sleep(LOOK / 10)
        return True


def _count(name: str, value: Any, least: int = 0) -> int:
    count = whole(value)
    if count is None or count < least:
        raise ConfigError(f"{name}= is a whole number from {least} on, got {value!r}")
    return count
