"""What proposes parameters: a sampler is a pure function of its seed, the space, and the trials before."""

import importlib
import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from optlab.checks import whole
from optlab.errors import ConfigError, unknown
from optlab.search.functions import NamedFunction
from optlab.search.mistakes import Found, Mistakes, shown, under, unknown_key
from optlab.search.space import Space

STREAMS = {"trial": 0, "random": 1, "sobol": 2, "gp": 3, "refine": 4, "optuna": 5}
_HOME = {
    "grid": ("optlab.search.samplers.grid", "Grid"),
    "random": ("optlab.search.samplers.random", "Random"),
    "sobol": ("optlab.search.samplers.sobol", "Sobol"),
    "refine": ("optlab.search.samplers.refine", "Refine"),
    "gp": ("optlab.search.samplers.gp", "GP"),
}
SAMPLERS = tuple(_HOME)


@dataclass(frozen=True)
class Observation:
    """What a sampler sees of an earlier trial.

    Attributes:
        number: of the trial.
        params: its parameters, the active ones.
        loss: to be minimised (a study that maximises flips signs); None while it runs, NaN without a value.
        state: "complete", "failed", "pruned", "running", "quarantined" or "crashed".
    """

    number: int
    params: dict[str, Any]
    loss: float | None
    state: str


class Sampler:
    """Proposes parameters; subclasses fill in `propose` and, if they have options, `options`.

    Nothing may depend on anything but the seed, the space, the numbers and the trials seen, so that a sweep that is
    resumed proposes what it would have proposed. What is kept between calls is a cache.
    """

    name: ClassVar[str]
    functions: ClassVar[tuple[str, ...]] = ()  # options that may be a function by its name, "module:function"

    def __init__(self, seed: int = 0) -> None:
        self.seed = checked_seed(seed)

    def bind(self, space: Space) -> None:
        """Take the space to propose from; called once by a study.

        Raises:
            ConfigError: this sampler can't sample that space.
        """
        self.space = space

    def propose(self, numbers: Sequence[int], seen: Sequence[Observation]) -> list[dict[str, Any]]:
        """Parameters for the trials with these numbers, proposed together.

        Args:
            numbers: of the new trials, ascending.
            seen: all earlier trials in the order of their numbers.

        Returns:
            One dictionary per number; fewer where nothing is left to propose now. If none comes and no trial is
            running, the search is done; if some are running, ask again when they have ended.
        """
        raise NotImplementedError

    def state(self) -> str | None:
        """Return what was computed since the last call and is worth keeping, as text; None if nothing was."""
        return None

    def restore(self, states: Sequence[bytes]) -> None:
        """Take the texts of `state` that earlier processes kept: a cache, checked before it is used."""

    def ranges(self, seen: Sequence[Observation]) -> dict[str, tuple[float, float]]:
        """Between what ends each numeric parameter has been searched; the space's own where it is not told."""
        return {}

    def options(self) -> dict[str, Any]:
        """The options besides the seed, as plain data."""
        return {}

    def to_dict(self) -> dict[str, Any]:
        """Name, seed and options; `sampler_from_dict` reads it."""
        return {"name": getattr(self, "name", type(self).__name__), "seed": self.seed, **self.options()}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sampler) and self.to_dict() == other.to_dict()

    def __repr__(self) -> str:
        shown_options = ", ".join(f"{k}={v!r}" for k, v in {**self.options(), "seed": self.seed}.items())
        return f"{type(self).__name__}({shown_options})"


def generator(seed: int, stream: str, number: int) -> np.random.Generator:
    """The random numbers of one trial in one stream of `STREAMS`, the same in whatever order trials are made."""
    return np.random.Generator(np.random.Philox(sequence(seed, stream, number)))


def sequence(seed: int, stream: str, number: int) -> np.random.SeedSequence:
    """``SeedSequence(seed, spawn_key=(STREAMS[stream], number))``; NumPy takes twice as long to find the words.

    >>> theirs = np.random.SeedSequence(2**40 + 5, spawn_key=(STREAMS["gp"], 7))
    >>> sequence(2**40 + 5, "gp", 7).generate_state(8).tolist() == theirs.generate_state(8).tolist()
    True
    """
    words = [seed & 0xFFFFFFFF, seed >> 32, 0, 0, STREAMS[stream], number]  # the seed's are filled up to four
    return np.random.SeedSequence(np.array(words, dtype=np.uint32))


def checked_seed(seed: Any) -> int:
    """``seed`` as a whole number from 0.

    Raises:
        ConfigError: it is none.
    """
    value = whole(seed)
    if value is None or not 0 <= value < 2**63:
        raise Mistakes("a sampler", [("seed", f"must be a whole number from 0 to 2**63 - 1, got {shown(seed)}")])
    return value


def sampler_class(name: str) -> type[Sampler]:
    """The class behind a name of `SAMPLERS`.

    Raises:
        ConfigError: no such sampler; the nearest one is suggested.
    """
    if not isinstance(name, str) or name not in _HOME:
        raise unknown("sampler", name if isinstance(name, str) else shown(name), SAMPLERS)
    module, title = _HOME[name]
    found: type[Sampler] = getattr(importlib.import_module(module), title)
    return found


def sampler_from_dict(
    data: Mapping[str, Any], path: str = "sampler", where: str = "a sampler", imports: bool = False
) -> Sampler:
    """The sampler of a dictionary with its ``name``, perhaps a ``seed``, and options: `Sampler.to_dict` gives one.

    A function in it stays a `NamedFunction` unless ``imports``, which is for a sweep file that somebody runs.

    Raises:
        ConfigError: with every mistake at once, each under its key path.

    >>> sampler_from_dict({"name": "refine", "shrink": 0.5})
    Refine(coarse=20, shrink=0.5, seed=0)
    """
    found: Found = []
    name = data.get("name")
    if not isinstance(name, str) or name not in _HOME:
        what = f"must be one of {', '.join(SAMPLERS)}, got {shown(name)}" if "name" in data else "is missing"
        raise Mistakes(where, [(f"{path}.name", what)])
    kind = sampler_class(name)
    keyword = inspect.Parameter.VAR_KEYWORD
    known = [key for key, p in inspect.signature(kind).parameters.items() if p.kind is not keyword]
    for key in data:
        if key != "name" and key not in known:
            unknown_key(found, path, key, known)
    sampler = None
    options = {key: value for key, value in data.items() if key in known}
    if not imports:
        texts = [key for key in kind.functions if isinstance(options.get(key), str)]
        options |= {key: NamedFunction(options[key]) for key in texts}
    try:
        sampler = kind(**options)
    except ConfigError as error:
        found += under(path, error)
    if sampler is None or found:
        raise Mistakes(where, found)
    return sampler


def as_sampler(sampler: Any, seed: int = 0) -> Sampler:
    """A sampler as it is; a name becomes that sampler with ``seed``.

    Raises:
        ConfigError: neither, or no such name.
    """
    if isinstance(sampler, Sampler):
        return sampler
    if isinstance(sampler, str):
        return sampler_class(sampler)(seed=seed)
    raise Mistakes("a sampler", [("", f"is a Sampler or one of {', '.join(SAMPLERS)}, got {shown(sampler)}")])
