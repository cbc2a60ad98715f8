"""The fingerprint of a function: of everything that its machine code depends on and that can differ between files.

Bytecode, constants, defaults, closures, every global that it reads, and of a function that Numba was told about also
the options that it is compiled with. Whatever has no stable content is refused, and then nothing is kept on disk.
"""

import hashlib
from collections.abc import Callable, Iterator
from enum import EnumMeta
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any

import numpy as np
from numba.core import types
from numba.core.dispatcher import Dispatcher
from numba.core.typing.templates import builtin_registry

HERE, OURS = Path(__file__).parent, __name__.partition(".")[0]
LIBRARIES = {"numpy", "math", "cmath", "numba", "operator", "_operator", "builtins"}
# Functions that are compiled differently from one process to the next, each with what tells how from a
# caller's signature: asked at the caller's first use.
choices: dict[Callable[..., Any], Callable[[str], str]] = {}


class Unknown(Exception):
    """A compiled function depends on something whose content has no digest."""


def digest(value: object, seen: set[int] | None = None) -> str:
    """Fingerprint a function or what a function reads.

    Raises:
        Unknown: it was typed into a session (no source file), or reads an object that has no stable content.
    """
    seen = set() if seen is None else seen
    if isinstance(value, Dispatcher):  # a user's own njit function: the Python behind it, and how it is compiled
        return f"{digest(value.py_func, seen)}:{_compiled_with(value, seen)}"
    if value is None or isinstance(value, bool | int | float | complex | str | bytes):
        return repr(value)
    if isinstance(value, np.generic):
        return f"{value.dtype}:{value!r}"
    if isinstance(value, tuple):
        kind = "tuple" if type(value) is tuple else digest(type(value), seen)
        return f"{kind}({','.join(digest(v, seen) for v in value)})"
    if isinstance(value, set | frozenset):
        return f"{type(value).__name__}({','.join(sorted(digest(v, seen) for v in value))})"
    if isinstance(value, ModuleType):
        if value.__name__.partition(".")[0] not in LIBRARIES:
            raise Unknown(f"the module {value.__name__}")
        return value.__name__
    if isinstance(value, type):
        return _digest_class(value, seen)
    if _is_a_librarys(value):
        return f"{value.__module__}.{value.__qualname__}"  # type: ignore[attr-defined]
    if isinstance(value, FunctionType):
        return _digest_function(value, seen)
    raise Unknown(f"{value!r}, whose content cannot be named")


def _is_a_librarys(value: object) -> bool:
    """Whether its name says what a function does: the library's version is in the key, and it is bound to no object."""
    if _package(value) not in LIBRARIES or not (callable(value) and hasattr(value, "__qualname__")):
        return False
    if _package(value) == "numba":  # what it makes of a user's functions bears its name, too
        return isinstance(value, FunctionType)
    return isinstance(getattr(value, "__self__", None), ModuleType | None)


def _package(value: object) -> str:
    return str(getattr(value, "__module__", "")).partition(".")[0]


def _digest_class(kind: type, seen: set[int]) -> str:
    """A class by its name if the key has its content; named tuples and enumerations by what code can read of them."""
    name = f"{kind.__module__}.{kind.__qualname__}"
    if isinstance(kind, EnumMeta):
        members: dict[str, Any] = dict(kind.__members__)
        return f"{name}({','.join(f'{key}={digest(member.value, seen)}' for key, member in members.items())})"
    if issubclass(kind, tuple) and hasattr(kind, "_fields"):
        return f"{name}{kind._fields}{digest(tuple(getattr(kind, '_field_defaults', {}).items()), seen)}"
    if _package(kind) in LIBRARIES | {OURS} or issubclass(kind, BaseException):
        return name
    raise Unknown(f"the class {name}, whose content cannot be named")


def _compiled_with(dispatcher: Any, seen: set[int]) -> str:
    """The options of `numba.njit`, its types of local variables, and its signatures if it is limited to some."""
    limited = [] if dispatcher._can_compile else sorted(map(str, dispatcher.overloads))
    local = sorted(f"{name}={kind}" for name, kind in dispatcher.locals.items())
    return f"{_options(dispatcher.targetoptions, seen)}{local}{limited}"


def _options(options: dict[str, Any], seen: set[int]) -> str:
    parts = []
    for key, value in sorted(options.items()):
        known = _options(value, seen) if isinstance(value, dict) else digest(value, seen)
        parts.append(f"{key}={known}")
    return f"{{{','.join(parts)}}}"


def _digest_function(fn: FunctionType, seen: set[int]) -> str:
    if id(fn) in seen:  # recursion
        return fn.__qualname__
    seen.add(id(fn))
    if fn in choices:  # compiled from its overload, which is one of our files
        return fn.__qualname__
    if not Path(fn.__code__.co_filename).is_file():
        raise Unknown(f"{fn.__name__}, which has no source file")
    parts = [fn.__module__, fn.__qualname__, digest(fn.__defaults__, seen), _options(fn.__kwdefaults__ or {}, seen)]
    pending = [fn.__code__]
    while pending:
        code = pending.pop()
        parts += [code.co_code.hex(), repr(code.co_names), repr(code.co_varnames)]
        parts += [repr((code.co_argcount, code.co_kwonlyargcount, code.co_flags))]
        pending += [c for c in code.co_consts if isinstance(c, CodeType)]
        parts += [digest(c, seen) for c in code.co_consts if not isinstance(c, CodeType)]
        parts += [digest(fn.__globals__[n], seen) for n in code.co_names if n in fn.__globals__]
    parts += [digest(cell.cell_contents, seen) for cell in fn.__closure__ or ()]
    parts += [_digest_overload(template, seen) for template in _overloads(fn)]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def _overloads(fn: FunctionType) -> Iterator[Any]:
    """What `numba.extending` was told to compile in place of a function, by `register_jitable` or `overload`."""
    for value, kind in builtin_registry.globals:
        if value is fn and isinstance(kind, types.Function):
            yield from (template for template in kind.templates if hasattr(template, "_overload_func"))


def _digest_overload(template: Any, seen: set[int]) -> str:
    options = {
        "inline": template._inline.value,
        "strict": template._strict,
        "literal": template.prefer_literal,
        "jit": template._jit_options,
    }
    fn = template._overload_func
    # Ours are in the digest of our files; Numba's own is `register_jitable`'s, which compiles the function itself.
    foreign = Path(fn.__code__.co_filename).parent != HERE and _package(fn) != "numba"
    return _options(options, seen) + (digest(fn, seen) if foreign else "")
