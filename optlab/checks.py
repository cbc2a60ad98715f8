"""What counts as a number, and which numbers are allowed: one answer for all settings, however a mistake is worded."""

import math
import re
from contextlib import suppress
from functools import cache
from typing import Any

import numpy as np

from optlab.errors import ConfigError

INTERVAL = re.compile(r"\s*([\[(])\s*([^,]+),\s*([^\])]+)([\])])\s*")


def whole(value: Any) -> int | None:
    """A whole number of Python's or NumPy's as an int; None for anything else, 1.0 and True included.

    >>> whole(np.int8(2)), whole(2.0), whole(True)
    (2, None, None)
    """
    if isinstance(value, int | np.integer) and not isinstance(value, bool):
        return int(value)
    return None


def is_whole(value: Any, least: float = -math.inf) -> bool:
    """Whether it is a whole number, from ``least`` on."""
    number = whole(value)
    return number is not None and number >= least


def real(value: Any) -> float | None:
    """A real number of Python's or NumPy's as a float; None for booleans, text, complex numbers, and 10**400.

    >>> real(3), real("3"), real(10**400)
    (3.0, None, None)
    """
    if isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool):
        with suppress(OverflowError):
            return float(value)
    return None


def finite(value: Any) -> float | None:
    """`real`, but None for NaN and the infinities, too."""
    number = real(value)
    return number if number is not None and math.isfinite(number) else None


def boolean(value: Any) -> bool | None:
    """True or False, Python's or NumPy's, as a bool; None for anything else, 1 included."""
    return bool(value) if isinstance(value, bool | np.bool_) else None


def check_count(name: str, value: Any, least: int = 0, most: float = math.inf) -> int:
    """Return a whole number from ``least`` to ``most`` as an int.

    Raises:
        ConfigError: it is not one.
    """
    number = whole(value)
    if number is None or not least <= number <= most:
        above = "" if most == math.inf else f" and <= {most}"
        raise ConfigError(f"{name} is a whole number >= {least}{above}, got {value!r}")
    return number


def check_number(name: str, value: Any, bounds: str, *, what: str = "") -> float:
    """Return a number of the interval ``bounds`` as a float; ``what`` says what the number is.

    Raises:
        ConfigError: it is not one.
    """
    number = finite(value)
    if number is None or not within(number, bounds):
        raise ConfigError(f"{name} must be {what and what + ' '}in {bounds}, got {value!r}")
    return number


def check_amount(name: str, value: Any) -> float:
    """Return a finite number of at least 0 as a float.

    Raises:
        ConfigError: it is not one.
    """
    number = finite(value)
    if number is None or number < 0.0:
        raise ConfigError(f"{name} is a finite number >= 0, got {value!r}")
    return number


def check_flag(name: str, value: Any) -> bool:
    """Return True or False, Python's or NumPy's, as a bool.

    Raises:
        ConfigError: it is neither.
    """
    flag = boolean(value)
    if flag is None:
        raise ConfigError(f"{name} must be True or False, got {value!r}")
    return flag


def new_array(what: str, *shape: int) -> np.ndarray:
    """Return an uninitialized float64 array of the size that ``what``, such as ``"steps=10"``, asks for.

    Raises:
        ConfigError: it does not fit into the memory.
    """
    try:
        return np.empty(shape)
    except (MemoryError, ValueError, OverflowError):
        size = math.prod(shape) * 8 // 2**30
        raise ConfigError(f"{what} takes {size:,} GiB of memory, more than there is; take less") from None


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
