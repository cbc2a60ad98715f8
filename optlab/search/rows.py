"""A trial as a row of a study's file gives it: SQLite has no checksums, so that anything may have become of it."""

import json
from math import isfinite
from typing import Any

from optlab.errors import StorageError
from optlab.search.space import Space
from optlab.search.trial import STATES, Trial

COLUMNS = ("number", "params", "value", "state", "error", "reports", "seed", "started", "finished", "starts")
LARGEST = 1 << 31  # no study has so many trials
LAST_SECOND = 253_402_300_799.0  # of the year 9999
SENSELESS = (TypeError, ValueError, OverflowError, RecursionError)  # what `read_trial` raises of a damaged row


class DamagedRow(StorageError):
    """A trial that makes no sense."""


def read_trial(
    number: int, text: str, value: Any, state: str, error: str | None, reports: str | None, *rest: Any,
    space: Space, known: Trial | None,
) -> Trial:  # fmt: skip
    """Return the trial of a row, in the order of `COLUMNS`.

    Raises:
        One of `SENSELESS`: it makes no sense.
    """
    seed, started, finished, starts = rest
    if not isinstance(number, int) or not 0 <= number < LARGEST or not isinstance(seed, int):
        raise ValueError(f"its number is {number!r}, its seed {seed!r}")
    if not _is_moment(started) or not (finished is None or _is_moment(finished)):
        raise ValueError(f"it began at {started!r} and ended at {finished!r}")
    if not (error is None or isinstance(error, str)):
        raise ValueError(f"its error is {error!r}")
    if state not in STATES:
        raise ValueError(f"its state is {state!r}")
    known_value = value is None or (isinstance(value, float) and isfinite(value))
    if (value is None) == (state == "complete") or not known_value:
        raise ValueError(f"it is {state} with the value {value!r}")
    if not isinstance(starts, int) or not 0 <= starts < 1 << 31:
        raise ValueError(f"it was begun {starts!r} times")
    told = tuple((int(step), float(at)) for step, at in json.loads(reports)) if reports else ()
    params = known.params if known else space.recorded(json.loads(text))
    return Trial(number, params, value, state, error, told, seed, started, finished, starts)


def _is_moment(at: Any) -> bool:
    return isinstance(at, float) and 0.0 <= at <= LAST_SECOND
