"""Functions of a user's by name, ``"module:function"``: imported where the user gave the name, and nowhere else."""

import functools
import importlib
from collections.abc import Callable
from typing import Any

from optlab.errors import ConfigError


def import_function(name: str) -> Any:
    """What ``"module:function"`` names.

    Only for names that the person who runs this program has just given, in a call, a sweep file or an option: an
    import runs the module. What a study's file names becomes a `NamedFunction`.

    Raises:
        ConfigError: it can't be imported, with the reason.
    """
    module, _, path = name.partition(":")
    try:
        return functools.reduce(getattr, path.split("."), importlib.import_module(module))
    except Exception as error:  # a module of the user's may do anything when it is imported
        raise ConfigError(f"{name!r} can't be imported: {type(error).__name__}: {error}") from None


class NamedFunction:
    """A function that a file names: shown and compared by its name, neither imported nor called.

    >>> NamedFunction("theory:loss")
    'theory:loss'
    """

    def __init__(self, name: str) -> None:
        self.name = name

    def __call__(self, params: dict[str, Any]) -> float:
        """Refuse.

        Raises:
            ConfigError: always.
        """
        text = (
            f"{self.name!r} is named by a file, which is no reason to import it; to use it, give the function yourself"
        )
        raise ConfigError(f"{text}: Study.open(..., sampler=GP(mean=function))")

    def __repr__(self) -> str:
        return repr(self.name)


def name_of(function: Callable[..., Any] | str) -> str:
    """How `import_function` would find it; of what has no name, that of its type."""
    if isinstance(function, str | NamedFunction):
        return str(getattr(function, "name", function))
    named = function if hasattr(function, "__qualname__") else type(function)
    return f"{named.__module__}:{named.__qualname__}"
