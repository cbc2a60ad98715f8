"""A trial: the record that stays, the handle an objective gets while it runs, and what its answer is worth."""

import inspect
import math
import os
import threading
import traceback
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, NamedTuple, NoReturn

from optlab.checks import boolean, check_count
from optlab.errors import ConfigError, OptlabError

STATES = ("running", "complete", "failed", "pruned", "quarantined", "crashed")
LONGEST = 2000  # characters of an error that are kept
Reports = tuple[tuple[int, float], ...]


class TrialError(OptlabError):
    """A sweep that ended early: too many failed trials, or workers that can't be had."""


class Pruned(Exception):
    """Raised by an objective that stops because `trial.should_prune()` said so; returning does as well."""


@dataclass(frozen=True)
class Trial:
    """What is known of one trial.

    Attributes:
        number: 0, 1, ... in the order of the claims.
        params: name -> value, the active parameters only.
        value: what the objective returned; None unless complete.
        state: "running", "complete", "failed", "pruned", "crashed" (it killed its worker) or "quarantined" (several
            drivers died while it ran inside them, so that it isn't run again).
        error: why it is neither running nor complete.
        reports: (step, value) in the order reported.
        seed: 32 bits for the objective's own randomness; a function of the sampler's seed and the number.
        started, finished: seconds since 1970 by the driver's clock; trials are ordered by number, never by these.
        starts: how often it was begun.
    """

    number: int
    params: dict[str, Any]
    value: float | None = None
    state: str = "running"
    error: str | None = None
    reports: Reports = ()
    seed: int = 0
    started: float = math.nan
    finished: float | None = None
    starts: int = 1


class Outcome(NamedTuple):
    """How a trial ended."""

    state: str
    value: float | None = None
    error: str | None = None
    reports: Reports = ()


def unheard(step: int, value: float) -> bool:
    """Take a report that nobody compares with others: it is no reason to stop."""
    return False


@dataclass
class Live:
    """A running trial: what `Study.ask` returns and an objective with a second argument gets."""

    number: int
    params: dict[str, Any]
    seed: int
    channel: Callable[[int, float], bool] = field(default=unheard, repr=False)
    reports: list[tuple[int, float]] = field(default_factory=list)
    pruned: bool = field(default=False, init=False)
    _poor: bool = field(default=False, init=False, repr=False)
    _process: int = field(default_factory=os.getpid, init=False, repr=False, compare=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False, repr=False, compare=False)

    def report(self, value: Any, step: int) -> None:
        """Record an intermediate value, to be compared with other trials' at the same step; NaN is worse than any.

        Any thread of the process that runs the trial may report.

        Raises:
            ConfigError: the value is no number, the step no whole number from 0 on, or this is a fork of the process.
        """
        number, reason = as_number(value)
        if number is None:
            raise ConfigError(f"a report is one number, got {reason}")
        step = check_count("a report's step", step)
        if os.getpid() != self._process:
            raise ConfigError("a report comes from the process that runs the trial; this is a fork of it")
        with self._lock:  # the same order here and there
            self.reports.append((step, number))
            self._poor = self.channel(step, number)

    def should_prune(self) -> bool:
        """Whether the last report was poor enough to stop here; True makes this a pruned trial."""
        self.pruned = self.pruned or self._poor
        return self._poor


def as_number(value: Any) -> tuple[float | None, str]:
    """``value`` as a float, or None and what it is instead. Texts, booleans and arrays of one element are refused."""
    if type(value) is float:
        return value, ""
    shape = getattr(value, "shape", ())
    kind = type(value).__name__
    if value is None:
        return None, "None"
    if isinstance(value, str | bytes | bytearray | complex) or boolean(value) is not None:
        return None, f"{value!r:.60} ({kind})"
    if shape != ():
        return None, f"an array of shape {tuple(shape)} (return one number, as float(x[0]) or x.mean() is)"
    if getattr(value, "mask", False):
        return None, "a masked value"
    try:
        if isinstance(getattr(value, "item", lambda: None)(), bool | complex | str):
            return None, f"{value!r:.60} ({kind})"
        return float(value), ""
    except OverflowError:
        return None, "a whole number beyond float64"
    except Exception:
        return None, f"{kind}"


def judge(returned: Any, reports: Reports = ()) -> Outcome:
    """Complete with a finite number, failed with the reason otherwise."""
    number, reason = as_number(returned)
    if number is None:
        return Outcome("failed", None, f"returned {reason}; expected a finite number", reports)
    if not math.isfinite(number):
        return Outcome("failed", None, f"returned {number}; expected a finite number", reports)
    return Outcome("complete", number, None, reports)


def describe(error: BaseException) -> str:
    """``ValueError: why``, also where the error can't be printed."""
    try:
        text = str(error)
    except Exception:
        text = "(its text can't be had)"
    return printable(f"{type(error).__name__}: {text}")


def printable(text: str) -> str:
    """``text``, not too long, with what no file can hold (half a surrogate pair) replaced."""
    return text[:LONGEST].encode("utf-8", "replace").decode()


def wants_trial(objective: Callable[..., Any]) -> bool:
    """Whether it takes a second positional argument, which is required or is called ``trial``."""
    try:
        parameters = inspect.signature(objective).parameters.values()
    except (TypeError, ValueError):
        return False
    positional = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    return len(positional) > 1 and (positional[1].name == "trial" or positional[1].default is inspect.Parameter.empty)


def evaluate(objective: Callable[..., Any], live: Live, both: bool) -> Outcome:
    """Run the objective; whatever it does becomes an outcome.

    An objective that forks may return twice: what comes back in another process ends here, unheard.

    Raises:
        KeyboardInterrupt: the one thing that is not the trial's own affair.
    """
    process, returned = os.getpid(), None
    params = dict(live.params)  # the objective may change its own
    try:
        returned = objective(params, live) if both else objective(params)
    except BaseException as error:  # SystemExit too: a sweep goes on
        if os.getpid() != process:
            _end_fork(error)
        if isinstance(error, KeyboardInterrupt):
            raise
        if not isinstance(error, Pruned):
            return Outcome("failed", None, describe(error), tuple(live.reports))
        live.pruned = True
    if os.getpid() != process:
        _end_fork()
    if live.pruned:
        step, value = live.reports[-1] if live.reports else (0, math.nan)
        return Outcome("pruned", None, f"stopped at step {step} with {value:.6g}", tuple(live.reports))
    return judge(returned, tuple(live.reports))


def _end_fork(error: BaseException | None = None) -> NoReturn:
    """End a process that an objective forked and that came back from it: what follows is its parent's to do.

    No handler of `atexit` runs and nothing is flushed, since both were the parent's before the fork.
    """
    code: Any = 0
    if isinstance(error, SystemExit):
        code = error.code or 0
    elif error is not None:
        code = 1
        with suppress(Exception):  # a standard error that is closed
            traceback.print_exception(error)
    os._exit(code if isinstance(code, int) else 1)


def beside(params: Mapping[str, Any], taken: Iterable[str]) -> dict[str, Any]:
    """Return parameters to stand beside other columns: one with a name that is ``taken`` is called ``params.NAME``.

    >>> beside({"lr": 0.1, "value": 3}, ["value"])
    {'lr': 0.1, 'params.value': 3}
    """
    found, taken = dict[str, Any](), set(taken)
    for name, value in params.items():
        label = name
        while label in taken or label in found or (label != name and label in params):
            label = f"params.{label}"
        found[label] = value
    return found


def summary(params: Mapping[str, Any]) -> str:
    """``lr=0.01, rule=adam``, numbers to four digits."""
    shown = (f"{k}={v:.4g}" if isinstance(v, float) else f"{k}={v}" for k, v in params.items())
    return ", ".join(shown)
