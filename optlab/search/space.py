"""A search space: named parameters, which of them are active, and their place in the unit cube."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from optlab.checks import boolean
from optlab.errors import ConfigError
from optlab.search.mistakes import Found, encodable, raise_if, shown, under, unknown_key
from optlab.search.parameters import Choice, Float, Int, Parameter

__all__ = ["Choice", "Column", "Float", "Int", "Parameter", "Space"]
KEYS = ("low", "high", "log", "int", "step", "limits", "when", "values")


@dataclass(frozen=True)
class Column:
    """One coordinate of the unit cube.

    Attributes:
        name: of the parameter.
        kind: "float", "int" or "choice".
        levels: how many values it takes; None if continuous.
        log: whether the scale is logarithmic.
    """

    name: str
    kind: str
    levels: int | None
    log: bool


class Space(Mapping[str, Parameter]):
    """Parameters by name, in the order given.

    ``Space(lr=Float(1e-5, 1, log=True), rule=Choice(["sgd", "adam"]))``; names that are no Python names go in a
    dictionary, ``Space({"weight-decay": Float(0, 1)})``.

    Raises:
        ConfigError: no parameters, a value that is no parameter, or a condition on something that is not there, has
            no such value, or depends on the parameter itself; all mistakes at once.

    >>> space = Space(rule=Choice(["sgd", "momentum"]), beta=Float(0.5, 1, when={"rule": "momentum"}))
    >>> space.decode([0.2, 0.5]), space.decode([0.9, 0.5])
    ({'rule': 'sgd'}, {'rule': 'momentum', 'beta': 0.75})
    """

    def __init__(self, parameters: Mapping[str, Parameter] | None = None, /, **named: Parameter) -> None:
        given: dict[Any, Any] = {**(parameters or {}), **named}
        found: Found = []
        if not given:
            found.append(("", "needs at least one parameter"))
        for name, parameter in given.items():
            _check_name(name, str(name), found)
            if not isinstance(parameter, Parameter):
                found.append((str(name), f"must be Float, Int or Choice, got {shown(parameter)}"))
        if not found:
            found += _conditions(given)
        raise_if(found, "the space")
        self._parameters: dict[str, Parameter] = given
        self.parents_first = _parents_first(given)
        self._conditional = any(parameter.when for parameter in given.values())

    def __getitem__(self, name: str) -> Parameter:
        return self._parameters[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._parameters)

    def __len__(self) -> int:
        return len(self._parameters)

    @cached_property
    def columns(self) -> list[Column]:
        """A column of the unit cube for each parameter."""
        return [Column(name, p.kind, p.levels, p.log) for name, p in self.items()]

    def active(self, params: Mapping[str, Any]) -> set[str]:
        """The names of the parameters whose conditions ``params`` meets."""
        names: set[str] = set()
        kept: dict[str, Any] = {}
        for name in self.parents_first:
            if self.holds(name, kept):
                names.add(name)
                if name in params:
                    kept[name] = params[name]
        return names

    def holds(self, name: str, params: Mapping[str, Any]) -> bool:
        """Whether the condition of one parameter is met by ``params``, in which an inactive parent is not."""
        when = self[name].when
        return when is None or all(parent in params and _meets(params[parent], v) for parent, v in when.items())

    def encode(self, params: Mapping[str, Any]) -> np.ndarray:
        """Where checked parameters stand in the unit cube, shape (columns,); an inactive one at 0.5.

        ``decode(encode(p)) == p`` for every p that decode gives.
        """
        return np.array([p.unit(params[name]) if name in params else 0.5 for name, p in self.items()])

    def decode(self, u: Any) -> dict[str, Any]:
        """The active parameters at a point u of the unit cube, shape (columns,), in the order of the space.

        Raises:
            ConfigError: another shape, NaN, or a coordinate outside [0, 1].
        """
        cube = np.asarray(u, dtype=np.float64)
        if cube.shape != (len(self),) or not all(0.0 <= x <= 1.0 for x in cube.tolist()):
            raise ConfigError(f"a point of this space is {len(self)} numbers in [0, 1], got {shown(u)}")
        pairs = zip(self._parameters.items(), cube.tolist(), strict=True)
        params = {name: p.value(x) for (name, p), x in pairs}
        if not self._conditional:
            return params
        active = self.active(params)
        return {name: value for name, value in params.items() if name in active}

    def check(self, params: Any) -> dict[str, Any]:
        """``params`` as a trial stores them: plain types, in range, exactly the active ones, in the space's order.

        Raises:
            ConfigError: with every mistake at once.
        """
        if not isinstance(params, Mapping):
            raise ConfigError(f"parameters are a dictionary of names and values, got {shown(params)}")
        found: Found = []
        for name in params:
            if name not in self:
                unknown_key(found, "", name, self)
        values = {name: p.normalised(params[name], name, found) for name, p in self.items() if name in params}
        if not found:
            active = self.active(values)
            found += [(name, "is missing") for name in self if name in active and name not in values]
            found += [(name, f"is not active: it needs {_told(self[name])}") for name in values if name not in active]
        raise_if(found, "parameters")
        return values

    def recorded(self, params: Any) -> dict[str, Any]:
        """``params`` as a file gives them back: names and values of this space, whichever are active.

        Raises:
            ConfigError: with every mistake at once.
        """
        if not isinstance(params, dict):
            raise ConfigError(f"parameters are a dictionary of names and values, got {shown(params)}")
        found: Found = []
        for name, value in params.items():
            if name in self._parameters:
                self._parameters[name].normalised(value, name, found)
            else:
                unknown_key(found, "", name, self)
        raise_if(found, "its parameters")
        return params

    def to_dict(self) -> dict[str, Any]:
        """The ``[space]`` of a sweep file; `from_dict` reads it."""
        return {name: p.to_dict() for name, p in self.items()}

    @classmethod
    def from_dict(cls, data: Any, path: str = "space", where: str = "the space") -> "Space":
        """The space of a sweep file's ``[space]``.

        Raises:
            ConfigError: with every mistake at once, each under its key path.
        """
        found: Found = []
        parameters: dict[str, Parameter] = {}
        if not isinstance(data, Mapping):
            found.append((path, f"must be a table of parameters, got {shown(data)}"))
        elif not data:
            found.append((path, "is empty; it needs at least one parameter"))
        for name, entry in data.items() if isinstance(data, Mapping) else ():
            place = f"{path}.{name}"
            before = len(found)
            _check_name(name, place, found)
            try:
                parameter = _parameter(entry, place, found)
            except ConfigError as error:
                found += [(key.replace(".[", "["), text) for key, text in under(place, error)]
            else:
                if parameter is not None and len(found) == before:
                    parameters[name] = parameter
        if not found:
            found += [(f"{path}.{key}", text) for key, text in _conditions(parameters)]
        raise_if(found, where)
        return cls(parameters)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the canonical form: equal for equal spaces."""
        return hashlib.sha256(json.dumps(self.to_dict()).encode()).hexdigest()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Space) and self.digest == other.digest

    def __hash__(self) -> int:
        return hash(self.digest)

    def __repr__(self) -> str:
        return f"Space({', '.join(f'{name}={p!r}' for name, p in self.items())})"


def _check_name(name: Any, path: str, found: Found) -> None:
    if not isinstance(name, str) or not name.strip() or not encodable(name):
        found.append((path if isinstance(name, str) and encodable(name) else "", f"is no name: {shown(name)}"))


def _parameter(entry: Any, path: str, found: Found) -> Parameter | None:
    if isinstance(entry, list | tuple):
        return Choice(entry)
    if not isinstance(entry, Mapping):
        form = "a list of values or a table such as { low = 0.1, high = 1.0 }"
        found.append((path, f"must be {form}, got {shown(entry)}; a fixed value belongs to [settings]"))
        return None
    before = len(found)
    is_choice = "values" in entry
    known = ("values", "when") if is_choice else KEYS[:-1]
    for key in entry:
        if key not in known:
            unknown_key(found, path, key, known if is_choice else KEYS)
    if is_choice:
        return Choice(entry["values"], when=entry.get("when")) if len(found) == before else None
    if boolean(entry.get("int", False)) is None:
        found.append((f"{path}.int", f"must be true or false, got {shown(entry['int'])}"))
    found += [(f"{path}.{key}", "is missing") for key in ("low", "high") if key not in entry]
    options = {key: entry[key] for key in KEYS[:-1] if key in entry and key != "int"}
    if "low" not in entry or "high" not in entry:
        return None
    return (Int if boolean(entry.get("int")) else Float)(options.pop("low"), options.pop("high"), **options)


def _meets(value: Any, wanted: Any) -> bool:
    return value in wanted if isinstance(wanted, list | tuple) else bool(value == wanted)


def _told(parameter: Parameter) -> str:
    return " and ".join(f"{name} = {shown(value)}" for name, value in (parameter.when or {}).items())


def _conditions(parameters: Mapping[str, Parameter]) -> Found:
    """What is wrong with the conditions: parents that are not there, values that they don't take, circles."""
    found: Found = []
    for name, parameter in parameters.items():
        for parent, wanted in (parameter.when or {}).items():
            path = f"{name}.when"
            if parent not in parameters:
                unknown_key(found, path, parent, [p for p in parameters if p != name])
            elif parameters[parent].levels is None:
                found.append((f"{path}.{parent}", "is a continuous range; a condition needs a Choice or an Int"))
            else:
                for value in wanted if isinstance(wanted, list | tuple) else [wanted]:
                    parameters[parent].normalised(value, f"{path}.{parent}", found)
    if not found:
        order = _parents_first(parameters)
        found += [(f"{name}.when", "depends on itself") for name in parameters if name not in order]
    return found


def _parents_first(parameters: Mapping[str, Parameter]) -> list[str]:
    """The names such that parents come before children, otherwise in order; those on a circle are left out."""
    waiting = {name: set(p.when or ()) for name, p in parameters.items()}
    order: list[str] = []
    done: set[str] = set()
    while ready := [name for name, parents in waiting.items() if parents <= done]:
        order += ready
        done.update(ready)
        for name in ready:
            del waiting[name]
    return order
