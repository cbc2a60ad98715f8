"""How anything here is compiled: the one place with Numba's options, and why each is there."""

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba
from numba.extending import register_jitable

from optlab_kernels.cache import attach

F = TypeVar("F", bound=Callable[..., Any])


def jit(fn: F) -> F:
    """Compile ``fn`` on its first call and keep the machine code on disk.

    `error_model="numpy"`: Python's check of every division for zero prevents vectorisation (12x to 27x).
    `nogil`: trials run in threads. No fast-math: compiled loops then equal the same function on NumPy arrays
    bit for bit; `reductions.py` is the one exception.
    """
    compiled = numba.njit(error_model="numpy", nogil=True)(fn)
    if not numba.config.DISABLE_JIT:
        attach(compiled)
    return cast(F, compiled)


def pointwise(fn: F) -> F:
    """Let compiled code call ``fn``, which stays a plain Python function: on arrays it is the NumPy reference."""
    return cast(F, register_jitable(fn))
