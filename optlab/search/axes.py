"""The axes of a grid: their values, how far they may grow, and places on a parameter's scale."""

import math
from typing import Any

from optlab.checks import finite, whole
from optlab.search.mistakes import Found, shown
from optlab.search.parameters import Choice, Float, Int, Parameter

MAX_POINTS = 100_000


def axis_values(given: Any, parameter: Parameter, path: str, found: Found) -> list[Any]:
    """The values of an axis given as a list, or as a number of them evenly spaced over the range."""
    if isinstance(given, list | tuple):
        before = len(found)
        values = [parameter.normalised(v, f"{path}[{i}]", found) for i, v in enumerate(given)]
        if not values:
            found.append((path, "is empty; an axis needs at least one value"))
        elif len(found) == before:
            first: dict[Any, int] = {}
            for i, value in enumerate(values):
                if first.setdefault(value, i) != i:
                    found.append((f"{path}[{i}]", f"is {shown(value)} as [{first[value]}] is; each value comes once"))
        return values
    count = whole(given)
    if count is None or not 1 <= count <= MAX_POINTS:
        found.append((path, f"must be a list of values or a number of them, 1 to {MAX_POINTS}, got {shown(given)}"))
        return []
    if isinstance(parameter, Choice) or (parameter.levels is not None and parameter.levels <= count):
        return _levels(parameter)
    places = [i / (count - 1) for i in range(count)] if count > 1 else [0.5]
    return list(dict.fromkeys(value_at(parameter, place) for place in places))


def axis_bounds(given: Any, parameter: Parameter, path: str, found: Found) -> tuple[float, float]:
    """How far an axis may grow: the ends of the parameter, or those given within them."""
    if isinstance(parameter, Choice):
        if given is not None:
            found.append((path, "a Choice has no ends"))
        return 0.0, 0.0
    low, high = parameter.low, parameter.high
    if given is None:
        return low, high
    ends = [finite(end) for end in given] if isinstance(given, list | tuple) else []
    if len(ends) != 2 or ends[0] is None or ends[1] is None or not low <= ends[0] < ends[1] <= high:
        found.append((path, f"must be (low, high) within [{low!r}, {high!r}], got {shown(given)}"))
        return low, high
    return ends[0], ends[1]


def _levels(parameter: Parameter) -> list[Any]:
    if isinstance(parameter, Choice):
        return list(parameter.values)
    if isinstance(parameter, Int):
        return list(range(parameter.low, parameter.high + 1, parameter.step or 1))
    count = parameter.levels or 1
    return [parameter.value((i + 0.5) / count) for i in range(count)]


def value_at(parameter: Float | Int, place: float) -> Any:
    """The value at a place from 0 (low) to 1 (high) of a numeric range."""
    if place in (0.0, 1.0):
        return parameter.high if place else parameter.low
    if parameter.log:
        start = math.log(parameter.low)
        value = math.exp(start + place * (math.log(parameter.high) - start))
    else:
        value = parameter.low + place * (parameter.high - parameter.low)
    return tidy(parameter, value)


def tidy(parameter: Float | Int, value: float) -> Any:
    """A numeric value to 12 digits where they tell it, or the level nearest to it, within the range."""
    if parameter.levels is None:
        short = float(f"{value:.12g}")
        fine = abs(short - value) <= 1e-9 * (parameter.high - parameter.low)
        return min(max(short if fine else value, parameter.low), parameter.high)
    step = parameter.step or 1
    level = parameter.low + round((value - parameter.low) / step) * step
    return parameter.normalised(min(max(level, parameter.low), parameter.high), "", [])
