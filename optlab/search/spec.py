"""A sweep file: what to search, with what, and for how long, read from TOML with all mistakes told at once."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from optlab.checks import finite, whole
from optlab.errors import ConfigError, StorageError
from optlab.search.arguments import NOTHING, scalar
from optlab.search.location import storage_path
from optlab.search.mistakes import Found, Mistakes, raise_if, shown, under, unknown_key
from optlab.search.sampler import SAMPLERS, Sampler, sampler_from_dict
from optlab.search.space import Space
from optlab.search.toml import parse_toml, read_toml

OBJECTIVES = ("training", "descent", "surface", "svm")
PRUNERS = ("median", "halving")
MOST_TRIALS = 1_000_000
FUNCTION = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*(\.[^\W\d]\w*)*")


@dataclass(frozen=True)
class SweepSpec:
    """A sweep, ready to run.

    Attributes:
        objective: "training", "descent", "surface", "svm", or "package.module:function".
        space: what is searched.
        sampler: bound to the space.
        trials: how many.
        seed: of the sampler.
        settings: fixed arguments of the objective.
        direction: "minimize" or "maximize".
        storage: the store's file, as `Study` takes it; None for what the caller chooses.
        name: of the study.
        retries, timeout, max_failures, pruner: as for `Study.run`.
    """

    objective: str
    space: Space
    sampler: Sampler
    trials: int = 50
    seed: int = 0
    settings: dict[str, Any] = field(default_factory=dict)
    direction: str = "minimize"
    storage: str | None = None
    name: str | None = None
    retries: int = 1
    timeout: float | None = None
    max_failures: int | None = None
    pruner: str | None = None

    @classmethod
    def from_dict(cls, data: Any, where: str = "the sweep") -> "SweepSpec":
        """The sweep of a dictionary in the form of a sweep file.

        Raises:
            ConfigError: with every mistake at once, each under its key path.
        """
        if not isinstance(data, Mapping):
            raise Mistakes(where, [("", f"must be a dictionary in the form of a sweep file, got {shown(data)}")])
        found: Found = []
        known = list(cls.__dataclass_fields__)
        for key in data:
            if key not in known:
                unknown_key(found, "", key, known)
        values = {key: read(data[key], key, found) for key, read in READERS.items() if key in data}
        found += [(key, "is missing") for key in ("objective", "space") if key not in data]
        space = _part(found, lambda: Space.from_dict(data["space"])) if "space" in data else None
        sampler = _part(found, lambda: _sampler(data.get("sampler", "gp"), values.get("seed") or 0))
        if space is not None and sampler is not None:
            try:
                sampler.bind(space)
            except ConfigError as error:
                found += under("sampler", error)
        raise_if(found, where)
        return cls(**{**values, "space": space, "sampler": sampler})

    def to_dict(self) -> dict[str, Any]:
        """As `from_dict` reads it; what is None is left out."""
        plain = {key: getattr(self, key) for key in READERS}
        sampler = {key: value for key, value in self.sampler.to_dict().items() if key != "seed"}
        result = {**plain, "sampler": sampler, "space": self.space.to_dict()}
        return {key: value for key, value in result.items() if value is not None}


def load_sweep(source: str | bytes | Path | Mapping[str, Any]) -> SweepSpec:
    """Read a sweep file.

    Args:
        source: a path; TOML as bytes, or as text (a text with a line break or an equals sign is no path); or the
            same as a dictionary.

    Raises:
        ConfigError: with every mistake at once, each under its key path.

    >>> sweep = load_sweep('''
    ... objective = "surface"
    ... sampler = "random"
    ... settings = { name = "beale" }
    ... [space]
    ... x = { low = -4.5, high = 4.5 }
    ... ''')
    >>> sweep.trials, sweep.space["x"]
    (50, Float(low=-4.5, high=4.5, log=False, step=None, when=None, limits=None))
    """
    if isinstance(source, Mapping):
        return SweepSpec.from_dict(source)
    if isinstance(source, str) and ("\n" in source or "=" in source):
        source = source.encode("utf-8", "surrogatepass")
    if isinstance(source, bytes):
        return SweepSpec.from_dict(parse_toml(source, "the sweep"), "the sweep")
    return SweepSpec.from_dict(read_toml(Path(source)), str(source))


def _part(found: Found, make: Callable[[], Any]) -> Any:
    try:
        return make()
    except Mistakes as error:
        found += error.found
        return None


def _sampler(data: Any, seed: int) -> Sampler:
    if isinstance(data, str):
        if data not in SAMPLERS:
            found: Found = []
            unknown_key(found, "", data, SAMPLERS)
            raise Mistakes("", [("sampler", f"{shown(data)} {found[0][1]}")])
        data = {"name": data}
    if not isinstance(data, Mapping):
        form = 'a name or a table such as { name = "grid", points = 3 }'
        raise Mistakes("", [("sampler", f"must be {form}, got {shown(data)}")])
    if "seed" in data:
        raise Mistakes("", [("sampler.seed", "belongs to the top of the file, as seed = ...")])
    return sampler_from_dict({**data, "seed": seed}, imports=True)


def _text(value: Any, key: str, found: Found) -> Any:
    if not isinstance(value, str) or not value.strip() or "\0" in value:
        found.append((key, f"must be a text, got {shown(value)}"))
    return value


def _storage(value: Any, key: str, found: Found) -> Any:
    try:
        if not isinstance(value, str):
            raise ConfigError(f"must be a text, got {shown(value)}")
        storage_path(value)
    except (ConfigError, StorageError) as error:
        found.append((key, str(error)))
    return value


def _objective(value: Any, key: str, found: Found) -> Any:
    if not isinstance(value, str) or (value not in OBJECTIVES and not FUNCTION.fullmatch(value)):
        one = f'{", ".join(OBJECTIVES)}, or a function as "package.module:function"'
        found.append((key, f"must be one of {one}, got {shown(value)}"))
    return value


def _one_of(*names: str) -> Any:
    def read(value: Any, key: str, found: Found) -> Any:
        if not isinstance(value, str) or value not in names:
            found.append((key, f"must be one of {', '.join(names)}, got {shown(value)}"))
        return value

    return read


def _count(least: int, most: int) -> Any:
    def read(value: Any, key: str, found: Found) -> int | None:
        count = whole(value)
        if count is None or not least <= count <= most:
            found.append((key, f"must be a whole number from {least} to {most}, got {shown(value)}"))
            return None
        return count

    return read


def _seconds(value: Any, key: str, found: Found) -> float | None:
    seconds = finite(value)
    if seconds is None or seconds <= 0.0:
        found.append((key, f"must be a number of seconds greater than 0, got {shown(value)}"))
    return seconds


def _settings(value: Any, key: str, found: Found) -> Any:
    if not isinstance(value, Mapping):
        found.append((key, f"must be a table of the objective's fixed arguments, got {shown(value)}"))
        return {}
    return {name: _plain(item, f"{key}.{name}", found) for name, item in value.items()}


def _plain(value: Any, path: str, found: Found) -> Any:
    """What JSON can keep, which is how a study stores its settings."""
    if isinstance(value, Mapping):
        return {name: _plain(item, f"{path}.{name}", found) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item, f"{path}[{i}]", found) for i, item in enumerate(value)]
    plain = NOTHING if value is None else scalar(value)
    if plain is NOTHING:
        found.append((path, f"must be a text, a finite number, true or false, got {shown(value)}"))
        return value
    return plain


READERS: dict[str, Any] = {
    "objective": _objective,
    "trials": _count(0, MOST_TRIALS),
    "seed": _count(0, 2**63 - 1),
    "settings": _settings,
    "direction": _one_of("minimize", "maximize"),
    "storage": _storage,
    "name": _text,
    "retries": _count(0, 1000),
    "timeout": _seconds,
    "max_failures": _count(0, MOST_TRIALS),
    "pruner": _one_of(*PRUNERS),
}
