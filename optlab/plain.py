"""What JSON can hold of a value, and values of JSON that somebody else wrote."""

import json
from collections.abc import Iterable, Mapping
from typing import Any


def plain(value: Any, digits: int | None = None) -> Any:
    """Dictionaries, lists, numbers and texts; NaN and inf, which JSON has not, are None.

    Args:
        value: also with tuples, and NumPy's numbers and arrays.
        digits: to which fractions are rounded; None keeps them as they are.

    >>> plain({"x": (1, float("nan"))})
    {'x': [1, None]}
    >>> plain([1234567.0, 1234567], digits=4)
    [1235000.0, 1234567]
    """
    if isinstance(value, Mapping):
        return {str(key): plain(one, digits) for key, one in value.items()}
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, list | tuple):
        return [plain(one, digits) for one in value]
    if isinstance(value, float):
        if value - value != 0.0:
            return None
        return value if digits is None else float(f"{value:.{digits}g}")
    return value


DEEPEST = 50  # levels of lists and dictionaries; what is printed or compared level by level ends before Python's stack


def parsed(text: Any) -> Any:
    """The value of a JSON text.

    Raises:
        ValueError: it is none, is nested more than `DEEPEST` levels deep, or has a number of thousands of digits.

    >>> parsed('{"lr": [0.1]}')
    {'lr': [0.1]}
    """
    if not isinstance(text, str):
        raise ValueError(f"expected a JSON text, got {type(text).__name__}")
    try:
        value = json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    depth, level = 0, [value]
    while level := [one for part in level for one in _parts(part)]:
        if (depth := depth + 1) > DEEPEST:
            raise ValueError(f"it is nested more than {DEEPEST} levels deep")
    return value


def _parts(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()
