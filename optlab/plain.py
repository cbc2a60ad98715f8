"""What JSON can hold of a value."""

from collections.abc import Mapping
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
