"""What every schedule is: checked settings, a function of the step, a name to be found by."""

import ast
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from types import NoneType
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self, Union, get_args, get_origin, get_type_hints

import numpy as np

from optlab.checks import check_flag, real, within
from optlab.errors import ConfigError, unknown

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Count = Annotated[int, "[1, inf)"]
Factor = Annotated[float, "(0, 1]"]
Rate = Annotated[float, "[0, inf)"]

SCHEDULES: dict[str, type["Schedule"]] = {}


@dataclass(frozen=True, repr=False)
class Schedule:
    """A learning rate for every step: ``schedule(t, lr)`` is the rate of step t (from 0) for the base rate ``lr``.

    A schedule of one's own is a frozen dataclass that inherits from this class and has ``_rate``; a field annotated
    ``Annotated[float, "[0, 1)"]`` is checked against that interval. It is then known by name, like those of optlab;
    a second one of the same name replaces the first, but the names of optlab's own are taken.

    Args:
        per: what t counts, by name: ``"step"`` or ``"epoch"``. A training loop divides its steps accordingly.

    Raises:
        ConfigError: a value is of the wrong kind or outside its interval; a call before the length is known.
    """

    name: ClassVar[str] = "schedule"
    per: Literal["step", "epoch"] = field(default="step", kw_only=True)

    def __init_subclass__(cls) -> None:
        cls.name = _spelled(cls.__name__)
        home = getattr(SCHEDULES.get(cls.name), "__module__", "")
        if home.startswith("optlab.") and home != cls.__module__:
            raise ConfigError(f"{cls.name!r} is a schedule of optlab's own; choose another name")
        SCHEDULES[cls.name] = cls

    def __post_init__(self) -> None:
        for key, hint in _hints(type(self)).items():
            object.__setattr__(self, key, checked(f"{type(self).__name__}: {key}", hint, getattr(self, key)))

    def _rate(self, t: int, lr: float) -> float:
        raise NotImplementedError

    @property
    def open(self) -> bool:
        """Whether it has a length ``steps`` that is None, still to be filled in by `over`."""
        return getattr(self, "steps", 1) is None

    def over(self, total: int) -> Self:
        """The same schedule, as long as a training of ``total`` steps (epochs with ``per="epoch"``) if it is open."""
        total = checked("the length of a training", Count, total)
        return self._over(total) if self.open else self

    def _over(self, total: int) -> Self:
        return self.replace(steps=total)

    def __call__(self, t: int, lr: float = 1.0) -> float:
        """The rate of step ``t`` >= 0 for the base rate ``lr`` >= 0."""
        return float(self.rates(1, lr, t)[0])

    def rates(self, steps: int, lr: float = 1.0, start: int = 0) -> np.ndarray:
        """The rates of steps ``start`` to ``start + steps - 1``, (steps,) float64: what single calls return."""
        steps, start = (checked(n, Annotated[int, "[0, inf)"], v) for n, v in (("steps", steps), ("t", start)))
        lr = checked("lr", Rate, lr)
        if self.open:
            raise ConfigError(f"{self!r} is as long as the training: give steps=, or call .over(total_steps) first")
        return np.array([self._rate(t, lr) for t in range(start, start + steps)], np.float64)

    def plot(self, steps: int, lr: float = 1.0, ax: "Axes | None" = None) -> "Axes":
        """Draw the rate of each of ``steps`` steps; an open schedule is as long as the picture."""
        from optlab.viz.schedules import plot_schedules

        return plot_schedules({repr(self): self}, steps, lr, ax)

    def replace(self, **changes: Any) -> Self:
        """The same settings with some values changed."""
        return replace(self, **changes)

    def to_dict(self) -> dict[str, Any]:
        """Name and settings as data that JSON can hold; `from_dict` makes an equal schedule of it."""
        own = {f.name: getattr(self, f.name) for f in fields(self)}
        return {"schedule": self.name, **{k: v.to_dict() if isinstance(v, Schedule) else v for k, v in own.items()}}

    @staticmethod
    def from_dict(data: Mapping[str, Any]) -> "Schedule":
        """The schedule that `to_dict` described.

        Raises:
            ConfigError: no such schedule, or settings that it does not have or accept.
        """
        if not isinstance(data, Mapping) or "schedule" not in data:
            raise ConfigError(f"a schedule as data has its name under 'schedule', got {data!r}")
        return _made(data["schedule"], (), {k: v for k, v in data.items() if k != "schedule"})

    def __repr__(self) -> str:
        shown = (f"{f.name}={getattr(self, f.name)!r}" for f in fields(self) if getattr(self, f.name) != f.default)
        return f"{type(self).__name__}({', '.join(shown)})"


def as_schedule(schedule: Any) -> Schedule:
    """A schedule from what a user may name it by: itself, its class, its `to_dict`, or text.

    Text reads like ``"cosine"``, ``"one-cycle(max_lr=0.1)"`` or ``"warmup(5, then=cosine(min_lr=1e-5))"``.

    Raises:
        ConfigError: no such schedule (the nearest one is suggested), or text or settings that do not fit.

    >>> import optlab as ol
    >>> ol.schedules.as_schedule("warmup(5, then=step-decay(every=10))")
    Warmup(steps=5, then=StepDecay(every=10))
    """
    if isinstance(schedule, Schedule):
        return schedule
    if isinstance(schedule, type) and issubclass(schedule, Schedule):
        return _made(schedule.name, (), {})
    if isinstance(schedule, Mapping):
        return Schedule.from_dict(schedule)
    if isinstance(schedule, str):
        return _parsed(schedule)
    raise ConfigError(f"a schedule is one such as ol.schedules.Cosine() or a name such as 'cosine', got {schedule!r}")


def _parsed(text: str) -> Schedule:
    try:
        # a name with a hyphen becomes one of Python's; in 1e-3 a digit follows
        tree = ast.parse(re.sub(r"(?<=[A-Za-z])-(?=[A-Za-z])", "_", text.strip()), mode="eval").body
        if isinstance(tree, ast.Name | ast.Call):
            return as_schedule(_made(tree.id, (), {}) if isinstance(tree, ast.Name) else _value(tree))
    except ConfigError:
        raise
    except (SyntaxError, ValueError, RecursionError):
        pass
    raise ConfigError(f"a schedule reads like cosine or 'one-cycle(max_lr=0.1)', got {text!r}")


def _value(node: ast.expr) -> Any:
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        return _made(node.func.id, map(_value, node.args), {str(k.arg): _value(k.value) for k in node.keywords})
    if isinstance(node, ast.Name):
        return {"true": True, "false": False, "none": None}.get(node.id, node.id)
    return ast.literal_eval(node)


def _made(name: Any, values: Iterable[Any], options: Mapping[str, Any]) -> Schedule:
    key = _spelled(str(name))
    if key not in SCHEDULES:
        raise unknown("schedule", name, SCHEDULES)
    known = [f.name for f in fields(SCHEDULES[key])]
    for option in options:
        if option not in known:
            raise unknown(f"option of {key}", option, known)
    try:
        return SCHEDULES[key](*values, **options)
    except TypeError as error:
        raise ConfigError(f"{key} takes {', '.join(known)}: {error}") from None


def _spelled(name: str) -> str:
    """``OneCycle`` or ``one_cycle`` -> one-cycle."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", name).lower().replace("_", "-")


def _hints(kind: type[Schedule]) -> dict[str, Any]:
    hints = get_type_hints(kind, include_extras=True)
    return {f.name: hints[f.name] for f in fields(kind)}


def checked(what: str, hint: Any, value: Any) -> Any:
    """``value`` as its annotation says: a number in an interval, one of some words, a schedule."""
    if get_origin(hint) is Union:
        if value is None:
            return None
        hint = next(h for h in get_args(hint) if h is not NoneType)
    if get_origin(hint) is Annotated:
        kind, interval = get_args(hint)
        return _number(what, kind, interval, value)
    if hint is bool:
        return check_flag(what, value)
    words = get_args(hint) if get_origin(hint) is Literal else ()
    if words and not any(value is w or (isinstance(value, str) and value == w) for w in words):
        raise ConfigError(f"{what} must be {' or '.join(map(repr, words))}, got {value!r}")
    return as_schedule(value) if hint is Schedule else value


def _number(what: str, kind: type[int] | type[float], interval: str, value: Any) -> float:
    number = real(value)
    if number is None or not within(number, interval) or (kind is int and not number.is_integer()):
        raise ConfigError(f"{what} must be a {'whole ' * (kind is int)}number in {interval}, got {value!r}")
    return kind(value)
