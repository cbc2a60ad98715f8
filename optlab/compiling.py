"""What a user reads when Numba can't compile a function of theirs: one line in place of a hundred."""

import re

from numba.core.errors import NumbaError, UnsupportedBytecodeError

from optlab.errors import ConfigError

COMPILE_ERRORS = (NumbaError, UnsupportedBytecodeError)
A_SURFACE = (
    "a function of two floats that returns a float, made of arithmetic, branches, loops and functions of NumPy or math"
)
A_RULE = "coefficients and update made of arithmetic and functions of NumPy, on numbers and tuples of numbers"


def compile_error(name: str, error: Exception, expected: str) -> ConfigError:
    """The innermost thing that Numba could not understand in ``name``, and what was ``expected``."""
    text = str(error)
    calls = re.findall(r">>> ([^\s(]+)\(", text)
    strange = re.search(r"(?:global name|NameError: name) '(\w+)'", text)
    unsupported = re.search(r"unsupported NumPy function '([\w.]+)'", text)
    if strange:
        reason = f"{strange[1]} means nothing there; a function that it calls needs @numba.njit"
    elif unsupported:
        reason = f"{unsupported[1]} is not known there"
    elif calls and calls[-1] != "setitem":
        reason = f"{calls[-1]} is not known there" + ("; pass gradient=" if "Dual(" in text else "")
    else:
        reason = "it returns no number" if calls else text.splitlines()[0]
    what = "with its derivative " if "Dual(" in text else ""
    return ConfigError(f"{name} cannot be compiled {what}({reason}): expected {expected}")
