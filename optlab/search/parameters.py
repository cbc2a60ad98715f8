"""The parameters of a space: a range of reals, a range of integers, a choice; and their place in the unit interval.

Each has a map from u in [0, 1] to a value. Under a uniform u, with n equally spaced values (Int, a step, Choice) each
has probability 1/n; a continuous range has a uniform density, with ``log`` one uniform in log(value). An Int with
``log`` gives the value v the cell (v - 1/2, v + 1/2), on the log scale and the same at both ends as inside:

    P(v) = log((v + 1/2) / (v - 1/2)) / log((high + 1/2) / (low - 1/2)),    close to proportional to 1 / v.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from decimal import Decimal
from typing import Any, ClassVar

from optlab.checks import finite, whole
from optlab.search.arguments import (
    LARGEST_INT,
    NOTHING,
    check_fits,
    check_range,
    check_when,
    ends,
    positive_step,
    python_entries,
    scalar,
)
from optlab.search.mistakes import Found, raise_if, shown

When = Mapping[str, Any]


@dataclass(frozen=True)
class Float:
    """A range of real numbers, both ends included.

    Args:
        low, high: the ends, low < high.
        log: sample the logarithm evenly; low > 0.
        step: only low, low + step, ..., high; not with log.
        when: ``{"rule": "momentum"}`` or ``{"rule": ["momentum", "sgd"]}``: active only where those other parameters
            have these values.
        limits: what the quantity itself allows, ``(0, 1)`` or ``(0, inf)``: a best value there is no reason to search
            further. A linear range that starts at 0 has its limit there.

    Raises:
        ConfigError: with every mistake at once.

    >>> Float(0.5, 0.99).value(0.5)
    0.745
    """

    low: float
    high: float
    _: KW_ONLY
    log: bool = False
    step: float | None = None
    when: When | None = field(default=None, hash=False)
    limits: tuple[float, float] | None = None

    kind: ClassVar[str] = "float"

    def __post_init__(self) -> None:
        found: Found = []
        low, high, step = _range(self, finite, "a finite number", found)
        if low is not None and high is not None and low < high:
            if not math.isfinite(high - low):
                found.append(("high", f"- low must be a finite number, got {shown(self.high)} - {shown(self.low)}"))
            elif step is not None:
                check_fits(low, high, step, found)
        raise_if(found, "Float")
        _set(self, low=low, high=high, log=bool(self.log), step=step, when=_conditions(self.when))
        _set(self, limits=_pair(self.limits))

    @property
    def levels(self) -> int | None:
        """How many values there are; None for a continuous range."""
        return None if self.step is None else round((self.high - self.low) / self.step) + 1

    def value(self, u: float) -> float:
        """The value at u in [0, 1]."""
        if self.levels is not None:
            return self._level(_cell(u, self.levels))
        if u <= 0.0 or u >= 1.0:
            return self.high if u >= 1.0 else self.low
        if self.log:
            start = math.log(self.low)
            value = math.exp(start + u * (math.log(self.high) - start))
        else:
            value = self.low + u * (self.high - self.low)
        return min(max(value, self.low), self.high)

    def unit(self, value: float) -> float:
        """The u of a value, such that ``self.value(u)`` is that value again if any u has it."""
        if self.levels is not None:
            return (self._index(value) + 0.5) / self.levels
        return _inverse(self.value, value, self.position(value))

    def position(self, value: float) -> float:
        """Where between low (0) and high (1) a value stands, on the scale of the range."""
        return _position(self, value)

    def normalised(self, value: Any, path: str, found: Found) -> Any:
        """``value`` as this parameter stores it; what is wrong with it goes to ``found``."""
        x = finite(value)
        if x is None:
            found.append((path, f"must be a number, got {shown(value)}"))
        elif not self.low <= x <= self.high:
            found.append((path, f"must be in [{self.low!r}, {self.high!r}], got {x!r}"))
        elif self.levels is not None:
            level = self._level(self._index(x))
            if abs(level - x) > 1e-9 * float(self.step or 1.0):
                found.append((path, f"must be {self.low!r} plus a whole number of steps {self.step!r}, got {x!r}"))
            return level
        return x

    def _index(self, value: float) -> int:
        return round((value - self.low) / float(self.step or 1.0))

    def _level(self, index: int) -> float:
        # In decimals, so that 0.1 + 2 * 0.1 is 0.3
        if index == 0 or index + 1 == self.levels:
            return self.high if index else self.low
        return float(Decimal(repr(self.low)) + index * Decimal(repr(self.step)))

    def to_dict(self) -> dict[str, Any]:
        """As in a sweep file."""
        return _as_dict(self)


@dataclass(frozen=True)
class Int:
    """A range of whole numbers, both ends included; arguments and errors as for `Float`.

    >>> Int(8, 64, step=8).levels
    8
    """

    low: int
    high: int
    _: KW_ONLY
    log: bool = False
    step: int | None = None
    when: When | None = field(default=None, hash=False)
    limits: tuple[float, float] | None = None

    kind: ClassVar[str] = "int"

    def __post_init__(self) -> None:
        found: Found = []
        low, high, step = _range(self, whole, "a whole number", found)
        for key, end in (("low", low), ("high", high)):
            if end is not None and abs(end) > LARGEST_INT:
                found.append((key, f"must be within +-{LARGEST_INT:g}, got {shown(end)}; use Float for larger numbers"))
        if step is not None and step > LARGEST_INT:
            found.append(("step", f"must be at most {LARGEST_INT:g}, got {shown(step)}"))
        elif not found and step is not None:
            check_fits(low, high, step, found)
        raise_if(found, "Int")
        _set(self, low=low, high=high, log=bool(self.log), step=step, when=_conditions(self.when))
        _set(self, limits=_pair(self.limits))

    @property
    def levels(self) -> int:
        """How many values there are."""
        return (self.high - self.low) // (self.step or 1) + 1

    def value(self, u: float) -> int:
        """The value at u in [0, 1]."""
        if not self.log:
            return self.low + (self.step or 1) * _cell(u, self.levels)
        start = math.log(self.low - 0.5)
        value = math.floor(math.exp(start + u * (math.log(self.high + 0.5) - start)) + 0.5)
        return min(max(value, self.low), self.high)

    def unit(self, value: int) -> float:
        """The u of a value: the middle of its cell, with ``log`` the place of its logarithm."""
        if not self.log:
            return ((value - self.low) // (self.step or 1) + 0.5) / self.levels
        start = math.log(self.low - 0.5)
        return (math.log(value) - start) / (math.log(self.high + 0.5) - start)

    def position(self, value: float) -> float:
        """Where between low (0) and high (1) a value stands, on the scale of the range."""
        return _position(self, value)

    def normalised(self, value: Any, path: str, found: Found) -> Any:
        """``value`` as this parameter stores it; what is wrong with it goes to ``found``."""
        x = whole(value)
        if x is None:
            found.append((path, f"must be a whole number, got {shown(value)}"))
        elif not self.low <= x <= self.high:
            found.append((path, f"must be in [{self.low}, {self.high}], got {shown(x)}"))
        elif (x - self.low) % (self.step or 1):
            found.append((path, f"must be {self.low} plus a whole number of steps {self.step}, got {x}"))
        return x

    def to_dict(self) -> dict[str, Any]:
        """As in a sweep file."""
        return {**_as_dict(self), "int": True}


@dataclass(frozen=True)
class Choice:
    """One of several values without an order: texts, numbers, True, False or None.

    Raises:
        ConfigError: with every mistake at once.

    >>> Choice(["sgd", "adam"]).value(0.7)
    'adam'
    """

    values: Sequence[Any]
    _: KW_ONLY
    when: When | None = field(default=None, hash=False)

    kind: ClassVar[str] = "choice"
    log: ClassVar[bool] = False

    def __post_init__(self) -> None:
        found: Found = []
        values: tuple[Any, ...] = ()
        if not isinstance(self.values, list | tuple):
            found.append(("", f"must be a list of values, got {shown(self.values)}"))
        elif not self.values:
            found.append(("", "is empty; it needs at least one value"))
        else:
            values = tuple(scalar(v) for v in self.values)
            first: dict[Any, int] = {}
            for i, value in enumerate(values):
                if value is NOTHING:
                    text = f"must be a text, a finite number, True, False or None, got {shown(self.values[i])}"
                    found.append((f"[{i}]", text + "; name larger things and look them up in the objective"))
                elif first.setdefault(value, i) != i:
                    found.append((f"[{i}]", f"is {shown(value)} as [{first[value]}] is; each value comes once"))
        check_when(self.when, found)
        raise_if(found, "Choice")
        _set(self, values=values, when=_conditions(self.when))

    @property
    def levels(self) -> int:
        """How many values there are."""
        return len(self.values)

    def value(self, u: float) -> Any:
        """The value at u in [0, 1]."""
        return self.values[_cell(u, self.levels)]

    def unit(self, value: Any) -> float:
        """The middle of the value's cell."""
        return (self.values.index(value) + 0.5) / self.levels

    def normalised(self, value: Any, path: str, found: Found) -> Any:
        """``value`` as this parameter stores it; what is wrong with it goes to ``found``."""
        x = scalar(value)
        if x is NOTHING or x not in self.values:
            found.append((path, f"must be one of {', '.join(map(shown, self.values))}, got {shown(value)}"))
            return value
        return self.values[self.values.index(x)]

    def to_dict(self) -> Any:
        """As in a sweep file."""
        return list(self.values) if self.when is None else {"values": list(self.values), "when": _when_dict(self.when)}


Parameter = Float | Int | Choice


def _range(p: Any, read: Callable[[Any], Any], what: str, found: Found) -> tuple[Any, Any, Any]:
    """low, high and step as ``read`` gives them, None where they can't be read."""
    low, high = ends(p, read, what, found)
    step = None if p.step is None else positive_step(p.step, read, found)
    check_range(p, low, high, found)
    return low, high, step


def _set(parameter: Parameter, **values: Any) -> None:
    for name, value in values.items():
        object.__setattr__(parameter, name, value)


def _pair(limits: Any) -> tuple[float, float] | None:
    return None if limits is None else (float(limits[0]), float(limits[1]))


def _conditions(when: When | None) -> When | None:
    return None if when is None else python_entries(when)


def _when_dict(when: When) -> dict[str, Any]:
    return {name: list(v) if isinstance(v, list | tuple) else v for name, v in sorted(when.items())}


def _as_dict(p: Any) -> dict[str, Any]:
    result: dict[str, Any] = {"low": p.low, "high": p.high}
    if p.log:
        result["log"] = True
    if p.step is not None:
        result["step"] = p.step
    if p.limits is not None:
        result["limits"] = list(p.limits)
    if p.when is not None:
        result["when"] = _when_dict(p.when)
    return result


def _cell(u: float, levels: int) -> int:
    return min(int(u * levels), levels - 1)


def _position(p: Any, value: float) -> float:
    if value == p.low or value == p.high:
        return float(value == p.high)
    if p.log:
        start = math.log(p.low)
        return (math.log(value) - start) / (math.log(p.high) - start)
    return float((value - p.low) / (p.high - p.low))


def _inverse(rising: Callable[[float], float], value: float, guess: float) -> float:
    """The least u near ``guess``, or anywhere, with ``rising(u) >= value``: rounding put the guess beside it."""
    if rising(guess) == value:
        return guess
    low, high = max(guess - 1e-12, 0.0), min(guess + 1e-12, 1.0)
    if not rising(low) < value <= rising(high):
        low, high = 0.0, 1.0
    while low < (middle := (low + high) / 2) < high:
        if rising(middle) < value:
            low = middle
        else:
            high = middle
    return high
