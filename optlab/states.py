"""Saved states as they come from a file or a user: the right keys, and arrays of real numbers, or a ConfigError."""

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np

from optlab.containers import as_array
from optlab.errors import ConfigError, DataError


def check_state(what: str, state: Any, keys: Collection[str], optional: Collection[str] = ()) -> None:
    """Refuse what is not a mapping with these keys; an optional ``"model/"`` stands for all that begin like this.

    Raises:
        ConfigError: it is not; missing and unknown keys are named.
    """
    if not isinstance(state, Mapping):
        raise ConfigError(f"the state of {what} is a dictionary as state_dict() makes it, got {type(state).__name__}")
    missing = [key for key in keys if key not in state]
    kinds = tuple(key for key in optional if key.endswith("/"))
    unknown = [str(key) for key in state if key not in (*keys, *optional) and not str(key).startswith(kinds)]
    if missing or unknown:
        named = f"missing {', '.join(missing) or 'nothing'}, unknown {', '.join(unknown) or 'nothing'}"
        raise ConfigError(f"the state does not fit {what}: {named}")


def as_numbers(name: str, value: Any, shape: tuple[int, ...] | None = None, *, kinds: str = "fiu") -> np.ndarray:
    """``value`` as an array of real numbers, of this shape if one is given.

    Raises:
        ConfigError: it is not.
    """
    try:
        array = as_array(value, name)
    except DataError as error:
        raise ConfigError(str(error)) from None
    if array.dtype.kind not in kinds:
        raise ConfigError(f"{name} holds {'real' if 'f' in kinds else 'whole'} numbers, got the dtype {array.dtype}")
    if shape is not None and array.shape != shape:
        raise ConfigError(f"{name} has the shape {list(array.shape)}, not {list(shape)}")
    return array
