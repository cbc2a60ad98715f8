"""What optlab raises: a user's mistake says what was expected, what came, and what to do."""

import difflib
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np


class OptlabError(Exception):
    """Anything that optlab raises on purpose."""


class ConfigError(OptlabError, ValueError):
    """A value that can't be: a setting outside its interval, an unknown name, a wrong shape."""


class NonFiniteError(OptlabError, ArithmeticError):
    """A gradient was NaN or infinite under the policy ``raise``; nothing was changed.

    Attributes:
        record: what an engine logged in the epoch, up to and with that step's loss.
    """

    record: "dict[str, np.ndarray]"


class DataError(OptlabError, ValueError):
    """A data set or one of its files that can't be used: the message says what and where."""


class StorageError(OptlabError, OSError):
    """Something that was written and can't be read again, or can't be written."""


class SealError(OptlabError, PermissionError):
    """A second look at a sealed test set."""


def unknown(kind: str, name: str, known: Iterable[str]) -> ConfigError:
    """The error for a name that is not in a registry, with the nearest one suggested."""
    names = list(known)
    near = difflib.get_close_matches(str(name).lower(), names, 1, cutoff=0.5)
    hint = f"; did you mean {near[0]!r}?" if near else "."
    return ConfigError(f"unknown {kind} {name!r}{hint} Known: {', '.join(names)}")
