"""Settings of a rule: immutable, validated, printable, comparable; they hold numbers and no parameters."""

import ast
import difflib
import inspect
import re
import sys
from collections.abc import Mapping
from functools import cached_property
from typing import Any, ClassVar, Self

import numpy as np

from optlab.checks import check_flag, real, within
from optlab.errors import ConfigError, unknown
from optlab_kernels.rule import Rule

CONVENTIONS = ("torch", "keras", "optax", "paper", "cs231n")
DECAY_BOUNDS = "[0, inf)"
EVERYTHING = "(-inf, inf)"


class Settings:
    """What one rule runs with: its hyperparameters, weight decay, and the convention that its defaults come from.

    ``Adam(lr=0.1)``: the learning rate may be given by position, the rest by name. ``weight_decay`` is L2 in the
    gradient except for the decoupled rules (AdamW, Lion) and under Keras's convention, where it acts beside it.
    ``convention`` chooses whose formula and whose defaults hold where the field disagrees; options given by name win.

    Raises:
        ConfigError: a value is outside its interval, not finite, or the convention is unknown.
        TypeError: an option that the rule does not have.
    """

    rule: ClassVar[Rule]
    title: ClassVar[str]

    hyper: Any
    weight_decay: float
    convention: str
    _given: dict[str, Any]

    def __init__(
        self, lr: float | None = None, *, weight_decay: float | None = None, convention: str = "torch", **options: Any
    ) -> None:
        if convention not in CONVENTIONS:
            raise unknown("convention", convention, CONVENTIONS)
        if lr is not None:
            options["lr"] = lr
        fields = self.rule.hyper._fields
        for key in options:
            if key not in fields:
                near = difflib.get_close_matches(key, [*fields, "weight_decay", "convention"], 1)
                hint = f"; did you mean {near[0]}?" if near else ""
                names = ", ".join([*fields, "weight_decay", "convention"])
                raise TypeError(f"{self.title} has no option {key!r}{hint} (it takes {names})")
        given = {**self._defaults(convention), **options}
        hyper = self.rule.hyper(**{k: _checked(self, k, given[k]) for k in fields})
        decay = given["weight_decay"] if weight_decay is None else weight_decay
        decay = number(self, "weight_decay", decay)
        _inside(self, "weight_decay", decay, DECAY_BOUNDS)
        if weight_decay is not None:
            options["weight_decay"] = decay
        options |= {key: getattr(hyper, key) for key in fields if key in options}
        self.__dict__.update(hyper=hyper, convention=convention, weight_decay=decay, _given=options)

    @classmethod
    def _defaults(cls, convention: str) -> dict[str, Any]:
        usual = {**cls.rule.hyper()._asdict(), "weight_decay": cls.rule.decay}
        return usual | dict(cls.rule.conventions.get(convention, {}))

    def __getattr__(self, name: str) -> Any:
        if name != "hyper" and name in self.rule.hyper._fields:
            return getattr(self.hyper, name)
        raise AttributeError(f"{self.title} has no {name!r}; it has {', '.join(self.rule.hyper._fields)}")

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"settings do not change; make new ones: settings.replace({name}={value!r})")

    @property
    def name(self) -> str:
        """The rule's spelling in registries and on the command line."""
        return self.rule.name

    @property
    def decoupled(self) -> bool:
        """Whether weight decay acts beside the gradient."""
        return self.rule.decoupled or self.convention == "keras"

    @cached_property
    def variant(self) -> Rule:
        """The rule with the slots that these options need."""
        return self.rule.variant(self.hyper)

    def control(self, low: int = 0, high: int = 0) -> np.ndarray:
        """The vector that drives a compiled step over columns ``low`` to ``high`` (`optlab_kernels.rule`)."""
        l2, beside = (0.0, self.weight_decay) if self.decoupled else (self.weight_decay, 0.0)
        return self.variant.control(self.hyper, low, high, l2=l2, decoupled=beside)

    def replace(self, **changes: Any) -> Self:
        """The same settings with some values changed; a new convention brings its own defaults."""
        return type(self)(**{"convention": self.convention, **self._given, **changes})

    def filled(self, **defaults: Any) -> Self:
        """The same settings with these values where none was given and the rule has such an option."""
        return self.replace(**{k: v for k, v in defaults.items() if k in self.to_dict() and k not in self._given})

    def to_dict(self) -> dict[str, Any]:
        """All values by name; ``type(settings)(**settings.to_dict())`` is equal to the settings."""
        return {**self.hyper._asdict(), "weight_decay": self.weight_decay, "convention": self.convention}

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: object) -> Self:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        if RULES.get(self.name) is not type(self):
            raise ConfigError(f"{self!r} can't be pickled: the rule {self.name!r} was registered anew since")
        return _remade, (self.name, {"convention": self.convention, **self._given})

    def _key(self) -> tuple[object, ...]:
        return type(self).rule, self.hyper, self.weight_decay, self.decoupled and self.weight_decay > 0

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Settings) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def __repr__(self) -> str:
        usual = {**self._defaults(self.convention), "convention": "torch"}
        shown = {k: v for k, v in self.to_dict().items() if k == "lr" or v != usual[k]}
        return f"{self.title}({', '.join(f'{k}={v!r}' for k, v in shown.items())})"


RULES: dict[str, type[Settings]] = {}  # filled by rules.py


def _remade(name: str, options: dict[str, Any]) -> Settings:
    """Settings from a pickle, by the name of their rule: a user's own class is no attribute of a module."""
    if name not in RULES:
        raise unknown("rule", name, RULES)
    return RULES[name](**options)


def _checked(settings: Settings, name: str, value: Any) -> float | bool:
    if settings.rule.hyper.__annotations__.get(name) is bool:
        # 0 and 1 too: these options stand among numbers, in tables and in products of them
        return check_flag(f"{settings.title}: {name}", bool(value) if real(value) in (0.0, 1.0) else value)
    checked = number(settings, name, value)
    _inside(settings, name, checked, settings.rule.bounds.get(name, EVERYTHING))
    return checked


def number(settings: Settings, name: str, value: Any) -> float:
    """``value`` as a float; booleans, strings and complex numbers are mistakes."""
    result = real(value)
    if result is None:
        raise ConfigError(f"{settings.title}: {name} must be a number, got {value!r}")
    return result


def _inside(settings: Settings, name: str, value: float, bounds: str) -> None:
    if not within(value, bounds):
        raise ConfigError(f"{settings.title}: {name} must be in {bounds}, got {value!r}")


def settings_class(rule: Rule, title: str) -> type[Settings]:
    """The class of settings of ``rule``, with its hyperparameters in the signature and its source in the docstring."""
    keyword = inspect.Parameter.KEYWORD_ONLY
    defaults = {**rule.hyper()._asdict(), "weight_decay": rule.decay, "convention": "torch"}
    parameters = [
        inspect.Parameter(n, inspect.Parameter.POSITIONAL_OR_KEYWORD if n == "lr" else keyword, default=d)
        for n, d in defaults.items()
    ]
    bounds = "\n".join(f"    {k} in {v}" for k, v in rule.bounds.items())
    module = sys.modules.get(rule.update.__module__)
    text = rule.text or (module.__doc__ if module else "") or title
    doc = f"{text}\n\nIntervals:\n{bounds}\n    weight_decay in {DECAY_BOUNDS}\n"
    body = {
        "rule": rule,
        "title": title,
        "__doc__": doc,
        "__signature__": inspect.Signature(parameters),
        "__module__": "optlab",
    }
    return type(title, (Settings,), body)


CALL = re.compile(r"\s*([\w.-]+)\s*(?:\((.*)\))?\s*", re.DOTALL)


def parse(text: str, rules: Mapping[str, type[Settings]]) -> Settings:
    """Read ``"adam"`` or ``"adam(lr=0.1, convention=keras)"``.

    Raises:
        ConfigError: no such rule (the nearest one is suggested), or the options do not read like ``name=value``.
    """
    match = CALL.fullmatch(text)
    if match is None:
        raise ConfigError(f"a rule reads like adam or 'adam(lr=0.1)', got {text!r}")
    name = match[1].lower()
    if name not in rules:
        raise unknown("rule", match[1], rules)
    options: dict[str, Any] = {}
    for part in filter(None, (p.strip() for p in (match[2] or "").split(","))):
        key, equals, value = (s.strip() for s in part.partition("="))
        if not equals:
            raise ConfigError(f"an option of {name} reads like lr=0.1, got {part!r}")
        try:
            options[key] = ast.literal_eval({"true": "True", "false": "False"}.get(value, value))
        except (ValueError, SyntaxError):
            options[key] = value
    try:
        return rules[name](**options)
    except TypeError as error:
        raise ConfigError(str(error)) from None
