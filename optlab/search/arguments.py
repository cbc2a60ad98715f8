"""What a parameter may be made of: the checks of its arguments, which note every mistake."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from optlab.checks import boolean, finite, real, whole
from optlab.search.mistakes import Found, encodable, shown

LARGEST_INT = 10**12  # up to which a cell of an Int is wider than the rounding of its place in [0, 1]
NOTHING = object()


def scalar(value: Any) -> Any:
    """A value of a choice as plain Python, or NOTHING."""
    if value is None or (flag := boolean(value)) is not None:
        return value if value is None else flag
    if isinstance(value, str):
        return str(value) if encodable(value) else NOTHING
    as_int, as_float = whole(value), finite(value)
    if as_int is not None:
        return as_int if abs(as_int) <= 2**63 - 1 else NOTHING  # what a store can keep
    return NOTHING if as_float is None else as_float


def ends(p: Any, read: Callable[[Any], Any], what: str, found: Found) -> tuple[Any, Any]:
    """low and high as ``read`` gives them, None where they can't be read."""
    pair = read(p.low), read(p.high)
    for key, given, end in zip(("low", "high"), (p.low, p.high), pair, strict=True):
        if end is None:
            found.append((key, f"must be {what}, got {shown(given)}"))
    return pair


def check_range(p: Any, low: Any, high: Any, found: Found) -> None:
    """What a Float and an Int have in common."""
    if low is not None and high is not None and low >= high:
        fixed = f"; a fixed value is Choice([{low!r}]), or in a sweep file one of [settings]" if low == high else ""
        found.append(("low", f"must be less than high, got low = {shown(low)} and high = {shown(high)}{fixed}"))
    if boolean(p.log) is None:
        found.append(("log", f"must be true or false, got {shown(p.log)}"))
    elif p.log:
        if low is not None and low <= 0:
            found.append(("low", f"must be greater than 0 on a log scale, got {shown(low)}"))
        if p.step is not None:
            found.append(("step", "can't be combined with log; list the values in a Choice instead"))
    check_limits(p.limits, low, high, found)
    check_when(p.when, found)


def check_limits(limits: Any, low: Any, high: Any, found: Found) -> None:
    """Two numbers, perhaps infinite, around the range."""
    if limits is None:
        return
    ends = tuple(limits) if isinstance(limits, list | tuple) else ()
    if len(ends) != 2 or any((end := real(given)) is None or math.isnan(end) for given in ends):
        found.append(("limits", f"must be two numbers such as [0, 1] or [0, inf], got {shown(limits)}"))
    elif (low is not None and low < ends[0]) or (high is not None and high > ends[1]):
        found.append(("limits", f"must contain low and high, got {shown(limits)}"))


def positive_step(step: Any, read: Callable[[Any], Any], found: Found) -> Any:
    """The step as ``read`` gives it, None if it can't be one."""
    value = read(step)
    if value is None or value <= 0:
        what = "whole number" if read is whole else "number"
        found.append(("step", f"must be a {what} greater than 0, got {shown(step)}"))
        return None
    return value


def check_fits(low: Any, high: Any, step: Any, found: Found) -> None:
    """Whether whole steps lead from low to high: of ints exactly, of floats up to rounding."""
    steps = (high - low) / step
    if steps > LARGEST_INT:
        found.append(("step", f"gives more than {LARGEST_INT:g} values, got {step!r}"))
        return
    count = round(steps)
    slack = 0 if isinstance(step, int) else min(1e-3, 1e-9 * max(1.0, steps)) * step
    if count < 1 or abs(high - low - count * step) > slack:
        last = low + math.floor(steps) * step
        found.append(
            ("step", f"must lead from {low!r} to {high!r} in whole steps, got {step!r}: the last is {last:.12g}")
        )


def check_when(when: Any, found: Found) -> None:
    """A condition: a dictionary of a value, or a list of them, by parameter."""
    if when is None:
        return
    if not isinstance(when, Mapping) or not when:
        found.append(("when", f'must name other parameters and their values, {{"rule": "sgd"}}, got {shown(when)}'))
        return
    for name, values in when.items():
        listed = values if isinstance(values, list | tuple) else [values]
        if not isinstance(name, str):
            found.append(("when", f"must name other parameters, got {shown(name)}"))
        elif not listed or any(scalar(v) is NOTHING for v in listed):
            found.append((f"when.{name}", f"must be a value or a list of values, got {shown(values)}"))


def python_values(given: Any) -> Any:
    """A value, or the list of them in any sequence, as plain Python; what is no scalar stays, for its check."""
    given = given.tolist() if isinstance(given, np.ndarray) else given
    if isinstance(given, list | tuple | range):
        return [python_values(value) for value in given]
    plain = scalar(given)
    return given if plain is NOTHING else plain


def python_entries(given: Mapping[str, Any] | None) -> dict[str, Any]:
    """`python_values` of each entry."""
    return {name: python_values(values) for name, values in (given or {}).items()}
