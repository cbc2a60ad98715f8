"""What differs between two spaces, in words: why a study that was begun with one can't go on with the other."""

from collections.abc import Mapping
from typing import Any

from optlab.plain import parsed
from optlab.search.mistakes import shown
from optlab.search.space import Space

SHOWN = 10  # differences that are listed


def changes(before: str, after: Space) -> str:
    """Name what differs from a space as a store holds it, JSON of `Space.to_dict`.

    >>> from optlab.search import Float
    >>> changes('{"lr": {"low": 0.1, "high": 1.0}}', Space(lr=Float(0.01, 1), beta=Float(0, 0.9)))
    'lr: low was 0.1, is 0.01; beta is new'
    """
    try:
        old = {name: _table(entry) for name, entry in parsed(before).items()}
    except (AttributeError, TypeError, ValueError, RecursionError):
        return "the stored one can't be read"
    new = {name: _table(entry) for name, entry in after.to_dict().items()}
    found = [line for name in old if name in new for line in _parameter(name, old[name], new[name])]
    found += [f"{name} is gone" for name in old if name not in new]
    found += [f"{name} is new" for name in new if name not in old]
    if not found:
        found = [f"the parameters were in the order {', '.join(old)}, are in the order {', '.join(new)}"]
    more = [f"and {len(found) - SHOWN} more"] if len(found) > SHOWN else []
    return "; ".join(found[:SHOWN] + more)


def _table(entry: Any) -> dict[str, Any]:
    """The entry of a parameter; a list is short for a choice of its values."""
    return {"values": entry} if isinstance(entry, list) else dict(entry)


def _parameter(name: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    if (kinds := (_kind(old), _kind(new)))[0] != kinds[1]:
        return [f"{name} was {kinds[0]}, is {kinds[1]}"]
    keys = [key for key in {**old, **new} if old.get(key) != new.get(key)]
    return [f"{name}: {key} was {_value(old.get(key))}, is {_value(new.get(key))}" for key in keys]


def _kind(entry: Mapping[str, Any]) -> str:
    return "a Choice" if "values" in entry else "an Int" if entry.get("int") else "a Float"


def _value(value: Any) -> str:
    return "none" if value is None else shown(value)
