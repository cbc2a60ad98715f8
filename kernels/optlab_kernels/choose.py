"""One of two numbers by a condition, for rules: `np.where`, whose compiled form makes an array per element.

As in slots.py the overload carries no annotations.
"""

from typing import Any

import numpy as np
from numba import types
from numba.extending import overload


def choose(condition: Any, a: Any, b: Any) -> Any:
    """Return ``a`` where the condition holds, else ``b``: of floats or of arrays."""
    return np.where(condition, a, b)[()]


@overload(choose)
def _choose(condition, a, b):
    if isinstance(condition, types.Boolean) and isinstance(a, types.Float) and a == b:
        return lambda condition, a, b: a if condition else b
    return None
