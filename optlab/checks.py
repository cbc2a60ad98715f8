"""What counts as a number, and which numbers are allowed: one answer for all settings, however a mistake is worded."""

import math
import re
from contextlib import suppress
from functools import cache
from typing import Any

import numpy as np

from optlab.errors import ConfigError

INTERVAL = re.compile(r"\s*([\[(])\s*([^,]+),\s*([^\])]+)([\])])\s*")


def is_whole(value: Any, least: float = -math.inf) -> bool:
    """Whether it is a whole number of Python's or NumPy's, from ``least`` on; 1.0 and True are none.

    >>> is_whole(2, least=2), is_whole(2.0), is_whole(True)
    (True, False, False)
    """
    return isinstance(value, int | np.integer) and not isinstance(value, bool) and bool(value >= least)


def real(value: Any) -> float | None:
    """A real number of Python's or NumPy's as a float; None for booleans, text, complex numbers, and 10**400.

    >>> real(3), real("3"), real(10**400)
    (3.0, None, None)
    """
    if isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool):
        with suppress(OverflowError):
            return float(value)
    return None


def check_count(name: str, value: Any, least: int = 0) -> None:
    """Refuse what is not a whole number of at least ``least``.

    Raises:
        ConfigError: it is not.
    """
    if not is_whole(value, least):
        raise ConfigError(f"{name} is a whole number >= {least}, got {value!r}")


def check_amount(name: str, value: Any) -> None:
    """Refuse what is not a finite number of at least 0.

    Raises:
        ConfigError: it is not.
    """
    number = real(value)
    if number is None or not 0.0 <= number < math.inf:
        raise ConfigError(f"{name} is a finite number >= 0, got {value!r}")


@cache
def interval(text: str) -> tuple[float, float]:
    """The ends of ``"[0, 1)"``.

    Raises:
        ConfigError: it does not read like an interval.
    """
    match = INTERVAL.fullmatch(text)
    with suppress(ValueError):
        if match is not None:
            return float(match[2]), float(match[3])
    raise ConfigError(f"an interval reads like '[0, 1)', got {text!r}")


def within(value: float, text: str) -> bool:
    """Whether a number is finite and in the interval ``text``.

    >>> within(0.0, "[0, 1)"), within(1.0, "[0, 1)"), within(float("inf"), "[0, inf)")
    (True, False, False)
    """
    low, high = interval(text)
    above = value > low or (value == low and "[" in text)
    below = value < high or (value == high and "]" in text)
    return math.isfinite(value) and above and below
