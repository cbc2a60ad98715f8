"""The disk cache of compiled functions: one checked file per function, named by what was compiled.

Numba's own cache numbers its files through an index that it reads, changes and writes back. Two processes that
compile at once can then give one number to two functions (the loser's name leads to the winner's code), a
damaged index ends the program, and code compiled into a closure from another file is not seen to change. Here
the name of a file is the digest of everything its code depends on, its first bytes are the digest of the rest,
and it appears by an atomic rename: nothing is shared, so nothing can be confused.
"""

import functools
import hashlib
import itertools
import os
import pickle
import secrets
import sys
import warnings
from contextlib import suppress
from pathlib import Path
from types import FunctionType
from typing import Any

import numba
import numpy as np
from numba.core.bytecode import FunctionIdentity
from numba.core.caching import FunctionCache
from numba.core.serialize import dumps

from optlab_kernels.digest import Unknown as Unknown
from optlab_kernels.digest import choices as choices
from optlab_kernels.digest import digest as digest

# Numba numbers compiled functions from 1 in every process, and the number is part of a function's name in machine code.
# Two rules' steps compiled in two processes would be namesakes; a third process that loads both runs one for the other.
FunctionIdentity._unique_ids = itertools.count(secrets.randbits(56))

HERE = Path(__file__).parent
llvmlite = sys.modules["llvmlite"]  # Numba is built on it and has loaded it
# Of numba.config, from the environment (NUMBA_OPT and so on) or set by a program: all that change machine code.
SETTINGS = (
    *("OPT", "LOOP_VECTORIZE", "SLP_VECTORIZE", "USING_SVML", "DISABLE_INTEL_SVML", "BOUNDSCHECK", "DEBUGINFO_DEFAULT"),
    *("EXTEND_VARIABLE_LIFETIMES", "ENABLE_PROFILING", "LLVM_REFPRUNE_PASS", "LLVM_REFPRUNE_FLAGS"),
    *("PARFOR_MAX_TUPLE_SIZE", "DEBUG_NRT"),
)
CHECK_BYTES = 32  # a sha256 in front of every file


class CacheWarning(UserWarning):
    """Compiled code could not be kept on disk, or what was kept is damaged; the results are not affected."""


_warned: set[str] = set()
counts = {"loaded": 0, "compiled": 0}  # functions of this process: from disk, and afresh


def warn_once(kind: str, message: str) -> None:
    """Warn about one kind of trouble once per process: a broken disk would otherwise warn for every function."""
    if kind not in _warned:
        _warned.add(kind)
        with suppress(ValueError):  # standard error is closed
            warnings.warn(message, CacheWarning, stacklevel=3)


@functools.cache
def machinery() -> str:
    """Digest of the files that every compiled loop calls into: overloads are not reachable from bytecode."""
    files = sorted(HERE.glob("*.py"))
    return hashlib.sha256(b"".join(f.name.encode() + f.read_bytes() for f in files)).hexdigest()


def compiler() -> tuple[object, ...]:
    """Return the versions and settings that the machine code of one function depends on, besides the processor.

    `NUMBA_CPU_NAME`, `NUMBA_CPU_FEATURES` and `NUMBA_ENABLE_AVX` are in Numba's description of the processor.
    """
    versions = numba.__version__, llvmlite.__version__, llvmlite.binding.llvm_version_info, np.__version__
    settings = tuple(repr(getattr(numba.config, name, None)) for name in SETTINGS)
    return *versions, sys.implementation.name, sys.version_info[:3], *settings


class CheckedFiles:
    """A folder of files, each `sha256(data) + data`, written whole or not at all."""

    def __init__(self, folder: str, prefix: str) -> None:
        self.folder = Path(folder)
        self.prefix = prefix

    def path(self, key: object) -> Path:
        """Where the entry of ``key`` is or would be."""
        name = hashlib.sha256(repr(key).encode()).hexdigest()[:24]
        return self.folder / f"{self.prefix}-{name}.nbc"

    def load(self, key: object) -> Any:
        """The entry of ``key``, or None; a damaged one is moved aside and reported once."""
        path = self.path(key)
        try:
            raw = path.read_bytes()
        except OSError:
            return None
        if hashlib.sha256(raw[CHECK_BYTES:]).digest() == raw[:CHECK_BYTES]:
            with suppress(Exception):  # intact, but of classes that are no more
                data = pickle.loads(raw[CHECK_BYTES:])
                counts["loaded"] += 1
                return data
        warn_once("damaged", f"the cache file {path} is damaged; it was moved aside and its function is compiled again")
        with suppress(OSError):  # the compiled function is then written over it
            os.replace(path, path.with_suffix(".damaged"))
        return None

    def save(self, key: object, data: object) -> None:
        """Write the entry of ``key`` under a temporary name, then rename it: a reader never sees half of it."""
        counts["compiled"] += 1
        raw = dumps(data)
        path = self.path(key)
        part = path.with_suffix(f".{os.getpid()}.part")
        try:
            part.write_bytes(hashlib.sha256(raw).digest() + raw)
            os.replace(part, path)
        except OSError as error:
            with suppress(OSError):
                part.unlink()
            warn_once(
                "save", f"compiled code could not be kept in {self.folder} ({error.strerror}); it works, uncached"
            )

    def flush(self) -> None:
        """Forget every entry of this function (`Dispatcher.recompile` asks for it)."""
        for path in self.folder.glob(f"{self.prefix}-*.nbc"):
            path.unlink(missing_ok=True)


class DigestCache(FunctionCache):  # type: ignore[misc]
    """Numba's cache with our key and our files; its choice of folder (`NUMBA_CACHE_DIR`, `__pycache__`) stays.

    Raises:
        Unknown: see `digest`.
        RuntimeError: Numba knows no folder that it may write to.
    """

    def __init__(self, py_func: FunctionType) -> None:
        super().__init__(py_func)
        seen: set[int] = set()
        self._digest = digest(py_func, seen)
        self._choices = [choice for fn, choice in choices.items() if id(fn) in seen]
        self._cache_file = CheckedFiles(self._cache_path, py_func.__qualname__.replace(".<locals>", ""))

    def _index_key(self, sig: object, codegen: Any) -> tuple[object, ...]:
        chosen = tuple(choice(str(sig)) for choice in self._choices)
        return self._digest, chosen, machinery(), str(sig), codegen.magic_tuple(), compiler()


def attach(dispatcher: Any) -> None:
    """Give a compiled function its place on disk; without one it works all the same and says so once."""
    try:
        dispatcher._cache = DigestCache(dispatcher.py_func)
    except Unknown as error:
        warn_once("unknown", f"compiled without the disk cache: it depends on {error}")
    except (RuntimeError, OSError) as error:
        warn_once("folder", f"compiled without the disk cache: {error}")
