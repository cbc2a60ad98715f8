"""Matrix products for training, C = A B and C = A^T B, by our own register tile or by the BLAS behind NumPy.

`OPTLAB_GEMM` chooses between them. Left alone, it is the tile where that is known to pay (AVX-512, AVX2) and where it
passes a check against `np.dot` at its first use. The tile makes results independent of the BLAS, of its threads and
of the number of rows: an entry's bits depend on its row of A, its column of B and k alone.

A is (m, k), for `tn` (k, m); B (k, n); C (m, n), which must not overlap the others. One dtype, float32 or float64;
rows contiguous, at any distance from each other: views of padded arrays are fine. As in slots.py the overloads carry
no annotations.
"""

import functools
import os
import warnings
from collections.abc import Callable
from contextlib import suppress
from typing import Any, NamedTuple

import numba
import numpy as np
from numba import types
from numba.core.errors import TypingError
from numba.core.registry import cpu_target
from numba.extending import overload

from optlab_kernels.digest import choices
from optlab_kernels.jit import jit, pointwise
from optlab_kernels.vectors import FORMS, SUMS, pack, size_of, tile

DTYPES = np.dtype(np.float32), np.dtype(np.float64)  # of this machine's byte order: ">f4" equals neither
VARIABLE, WAYS = "OPTLAB_GEMM", ("blas", "tile")
BLOCK = 800  # terms summed at a time, at most (256 and 400: up to 8% slower)
# Rows a page apart fall into the same few sets of the nearest cache, which cannot hold a tile's: those are copied first
# (512x1024x128: 194 against 145 GFLOP/s), if many enough. All others are read in place (512x784x128: 228 against 203).
PAGE, PACK_M, PACK_K = 4096, 24, 64

Product = Callable[..., None]


class Choice(NamedTuple):
    """``form``: "blas", or the form of the tile."""

    form: str
    reason: str

    @property
    def way(self) -> str:
        """As `OPTLAB_GEMM` names it."""
        return self.form if self.form == "blas" else "tile"


def nn(a: np.ndarray, b: np.ndarray, c: np.ndarray, accumulate: bool = False) -> None:
    """C = A B, or C += A B.

    Raises:
        ValueError: shapes do not fit, dtypes differ, bytes are reversed, rows are not contiguous or not aligned, C is
            read-only or shares memory with A, B or itself.
    """
    _from_python(a, b, c, accumulate, transposed=False)


def tn(a: np.ndarray, b: np.ndarray, c: np.ndarray, accumulate: bool = False) -> None:
    """C = A^T B, or C += A^T B; as `nn`."""
    _from_python(a, b, c, accumulate, transposed=True)


def _from_python(a: np.ndarray, b: np.ndarray, c: np.ndarray, accumulate: bool, transposed: bool) -> None:
    if not (a.dtype == b.dtype == c.dtype and c.dtype in DTYPES):
        raise ValueError(f"a product needs three arrays of float32 or of float64, got {a.dtype}, {b.dtype}, {c.dtype}")
    shape = a.shape[::-1] if transposed else a.shape
    if {a.ndim, b.ndim, c.ndim} != {2} or shape[1] != b.shape[0] or c.shape != (shape[0], b.shape[1]):
        raise ValueError(f"shapes do not fit: {shape} times {b.shape} into {c.shape}")
    if any(x.shape[1] > 1 and x.strides[1] != x.itemsize for x in (a, b, c)):
        raise ValueError(f"rows must be contiguous: the strides are {a.strides}, {b.strides}, {c.strides}")
    if not (a.flags.aligned and b.flags.aligned and c.flags.aligned):
        raise ValueError(
            f"numbers must be aligned to {c.itemsize} bytes; copy the array: np.require(x, requirements='A')"
        )
    if not c.flags.writeable:
        raise ValueError("the array of the result is read-only")
    if _overlaps(c, a) or _overlaps(c, b) or (len(c) > 1 and abs(c.strides[0]) < c.shape[1] * c.itemsize):
        raise ValueError("the array of the result shares memory with another, or its rows overlap; give it its own")
    dtype = "float32" if c.itemsize == 4 else "float64"  # `c.dtype.name` takes a fifth of a small product's time
    run(choice(dtype).form, a, b, c, accumulate, transposed)


def _overlaps(c: np.ndarray, x: np.ndarray) -> bool:
    """Whether two arrays have a number in common; columns of one array that lie side by side have none."""
    return np.may_share_memory(c, x) and np.shares_memory(c, x)


def run(form: str, a: np.ndarray, b: np.ndarray, c: np.ndarray, accumulate: bool, transposed: bool) -> None:
    """`nn` or `tn` of arrays that fit, by one form of the tile or by "blas"."""
    (m, n), k = c.shape, b.shape[0]
    if form == "blas":
        result = np.dot(a.T if transposed else a, b)
        np.add(c, result, out=c) if accumulate else np.copyto(c, result)
    elif k == 0 and not accumulate:
        c.fill(0)
    elif c.size and k:
        places = a.ctypes.data, a.strides[0], b.ctypes.data, b.strides[0], c.ctypes.data, c.strides[0]
        product(form)(c.dtype.type(0), int(transposed), places, (m, n, k), int(accumulate))


@overload(nn)
def _nn(a, b, c, accumulate=False):
    return _overloaded(a, b, c, False)


@overload(tn)
def _tn(a, b, c, accumulate=False):
    return _overloaded(a, b, c, True)


def _overloaded(a, b, c, transposed):
    good = all(isinstance(x, types.Array) and x.ndim == 2 and x.aligned for x in (a, b, c))
    if not good or len({x.dtype for x in (a, b, c)}) > 1 or c.dtype not in (types.float32, types.float64):
        raise TypingError(f"a product needs three matrices of float32 or of float64, got {a}, {b}, {c}")
    if not c.mutable:
        raise TypingError("the array of the result is read-only")
    form = choice(str(c.dtype)).form
    return _by_blas(c.layout == "C", transposed) if form == "blas" else _by_tile(form, transposed)


def _by_tile(form, transposed):
    multiply = product(form)

    def impl(a, b, c, accumulate=False):
        m, n, k = fit(a, b, c, transposed)
        if k == 0 and not accumulate:
            c.fill(0)
        if m > 0 and n > 0 and k > 0:
            # Signed and no literals, as from Python: one compiled `multiply` serves both.
            at_a, at_b, at_c = np.intp(a.ctypes.data), np.intp(b.ctypes.data), np.intp(c.ctypes.data)
            places = at_a, a.strides[0], at_b, b.strides[0], at_c, c.strides[0]
            multiply(c.dtype.type(0), np.intp(transposed), places, (m, n, k), np.intp(accumulate))

    return impl


def _by_blas(direct, transposed):
    @pointwise
    def add(a, b, c, accumulate):
        result = np.dot(a, b)
        for i in range(c.shape[0]):
            for j in range(c.shape[1]):
                c[i, j] = c[i, j] + result[i, j] if accumulate else result[i, j]

    @pointwise
    def write(a, b, c, accumulate):
        if accumulate:
            add(a, b, c, accumulate)
        else:
            np.dot(a, b, c)

    dot = write if direct else add  # np.dot's own third argument must be contiguous

    def impl(a, b, c, accumulate=False):
        m, n, k = fit(a, b, c, transposed)
        if k == 0 and not accumulate:
            c.fill(0)
        if m > 0 and n > 0 and k > 0:
            left, right = np.ascontiguousarray(a), np.ascontiguousarray(b)
            dot(left.T if transposed else left, right, c, accumulate)

    def impl_transposed(a, b, c, accumulate=False):
        m, n, k = fit(a, b, c, transposed)
        if k == 0 and not accumulate:
            c.fill(0)
        if m > 0 and n > 0 and k > 0:
            dot(np.ascontiguousarray(a).T, np.ascontiguousarray(b), c, accumulate)

    return impl_transposed if transposed else impl


@pointwise
def fit(a: np.ndarray, b: np.ndarray, c: np.ndarray, transposed: bool) -> tuple[int, int, int]:
    """m, n and k. Addresses are computed from them, so compiled code refuses all else."""
    m, k = (a.shape[1], a.shape[0]) if transposed else (a.shape[0], a.shape[1])
    n, size = b.shape[1], c.itemsize
    if b.shape[0] != k or c.shape[0] != m or c.shape[1] != n:
        raise ValueError("the shapes of a matrix product do not fit")
    if (a.shape[1] > 1 and a.strides[1] != size) or (n > 1 and (b.strides[1] != size or c.strides[1] != size)):
        raise ValueError("the rows of a matrix product's arrays must be contiguous")
    return m, n, k


@functools.cache
def choice(dtype: str) -> Choice:
    """Which product this process uses for a dtype, and why; decided at the first use.

    Raises:
        ValueError: `OPTLAB_GEMM` is neither of its two values.
    """
    asked = os.environ.get(VARIABLE, "")
    if asked and asked not in WAYS:
        raise ValueError(f"{VARIABLE} must be blas or tile, got {asked!r}")
    if asked == "blas":
        return Choice("blas", f"{VARIABLE}=blas")
    if numba.config.DISABLE_JIT:
        return Choice("blas", "the tile is compiled code and the JIT is off")
    form = host_form()
    if form == "generic" and not asked:
        return Choice("blas", f"no tile is tuned for this processor ({VARIABLE}=tile takes the generic one)")
    trouble = check(form, dtype)
    if trouble:
        with suppress(ValueError):  # standard error is closed
            warnings.warn(f"matrix products fall back to BLAS: {trouble}", RuntimeWarning, stacklevel=2)
        return Choice("blas", trouble)
    return Choice(form, f"{VARIABLE}=tile" if asked else f"this processor has {form}, and the tile agrees with np.dot")


def _key(signature: str) -> str:
    """What a caller's place in the disk cache depends on: float32 work is not made to wait for float64 tiles."""
    return choice("float32" if "float32" in signature else "float64").form


choices[nn] = choices[tn] = _key


def host_form() -> str:
    """The widest form whose instructions Numba compiles for here (`NUMBA_CPU_FEATURES`, `NUMBA_ENABLE_AVX`)."""
    features = set(cpu_target.target_context.codegen().magic_tuple()[2].split(","))
    if "+fma" not in features:
        return "generic"
    return "avx512" if "+avx512f" in features else "avx2" if "+avx2" in features else "generic"


def check(form: str, dtype: str) -> str:
    """What is wrong with the tile on this machine: "" if nothing. Every kind runs once, inside frames of NaN."""
    rng, kind, rows = np.random.default_rng(0), np.dtype(dtype), FORMS[form].rows
    lanes = FORMS[form].bytes // kind.itemsize
    # All below 2^18 terms: more would start OpenBLAS's threads, which cost 15 ms a product on a busy machine.
    sizes = (PACK_M + 5, 3 * lanes + 3, PACK_K + 6), (5, 2 * lanes + 1, BLOCK + 3), (rows + 3, 3 * lanes + 1, 5)
    try:
        for m, n, k in sizes:
            for transposed in (False, True):
                # Rows whole pages apart are packed, if there are many.
                a = _framed(rng, (k, m), kind, 1) if transposed else _framed(rng, (m, k), kind, PAGE // kind.itemsize)
                b, c = _framed(rng, (k, n), kind, 1), _framed(rng, (m, n), kind, 1)
                want, frame = c + np.dot(a.T if transposed else a, b), c.base
                run(form, a, b, c, True, transposed)
                # Sums of |x y| are of order k: this is far above any rounding and far below any mistake.
                wrong = float(np.abs(c - want).max())
                c[...] = np.nan
                if not wrong <= np.finfo(kind).eps * k**1.5 or frame is None or not np.isnan(frame).all():
                    where = f"{'tn' if transposed else 'nn'} of {m}x{k}x{n} {dtype}"
                    return f"the {form} tile differs from np.dot by {wrong:.2g} in the {where}"
    except Exception as error:  # of whatever kind: the BLAS is always there
        return f"the {form} tile cannot be compiled or run here ({type(error).__name__}: {error})"
    return ""


def _framed(rng: np.random.Generator, shape: tuple[int, int], dtype: np.dtype, multiple: int) -> np.ndarray:
    """A random matrix inside NaN, its rows a ``multiple`` of some length apart."""
    frame = np.full((shape[0] + 2, -(-(shape[1] + 8) // multiple) * multiple), np.nan, dtype)
    view = frame[1:-1, 4 : 4 + shape[1]]
    view[...] = rng.random(shape) - 0.5
    return view


@functools.cache
def product(form: str) -> Product:
    """Compile ``multiply(like, transposed, (a, da, b, db, c, dc), (m, n, k), add)``: addresses, and strides in bytes.

    ``like`` is a number of the arrays' type, ``transposed`` 0 or 1; ``add`` is 1 to add to C, 0 to write over it.
    """
    rows, across = FORMS[form].rows, 2 * FORMS[form].bytes
    along, down = _sweep(form, "along"), _sweep(form, "down")

    @jit
    def multiply(like: Any, transposed: int, places: Any, sizes: Any, add: int) -> None:
        a, da, b, db, c, dc = places
        m, n, k = sizes
        size = size_of(like)
        block = k
        if k > BLOCK:  # parts of about one size, in whole vectors; no division for a small product
            parts = (k + BLOCK - 1) // BLOCK
            block = ((k + parts - 1) // parts + 15) // 16 * 16
        packing = not transposed and da % PAGE == 0 and k >= PACK_K and m >= PACK_M and n * size > across
        packed: Any = np.intp(0)
        if packing:
            room = np.empty(rows * block, np.float64)
            packed = np.intp(room.ctypes.data)  # unsigned with signed makes float64 in Numba
        for start in range(0, k, block):
            terms, line, more = min(block, k - start), b + start * db, add if start == 0 else 1
            at, i = a + start * (da if transposed else size), 0
            while i < m:
                to = c + i * dc
                # One call of each sweep: a second one would be compiled a second time.
                if transposed or (packing and i + rows <= m):
                    source, apart, height = at, da, m
                    if packing:
                        pack(form, like, at + i * da, da, packed, terms)
                        source, apart, height = packed, rows * size, rows
                    down(like, source, apart, line, db, to, dc, height, n, terms, more)
                    i += height
                else:
                    along(like, at + i * da, da, line, db, to, dc, m - i, n, terms, more)
                    i = m
        if packing:
            room[0] = 0.0  # the last use of `room`: Numba frees an array after it

    return multiply


def _sweep(form: str, direction: str) -> Product:
    """All tiles of C, for rows of A (`along`) or columns of A (`down`)."""
    rows, width, down = FORMS[form].rows, FORMS[form].bytes, direction == "down"
    wide_tall, wide_short = f"wide tall {direction}", f"wide short {direction}"
    narrow_tall, narrow_short = f"narrow tall {direction}", f"narrow short {direction}"

    @pointwise
    def sweep(like: Any, a: int, da: int, b: int, db: int, c: int, dc: int, m: int, n: int, k: int, add: int) -> None:
        size = size_of(like)
        lanes = width // size
        j = 0
        while j < n:
            i, wide, left = 0, j + 2 * lanes <= n, min(lanes, n - j)
            while i < m:
                at, to = a + i * (size if down else da), c + i * dc
                tall = i + rows <= m
                short = SUMS // 2 if wide else SUMS
                edge = min(short, m - i), left, add
                if wide and tall:
                    tile(form, like, wide_tall, at, da, b, db, to, dc, k, edge)
                elif wide:
                    tile(form, like, wide_short, at, da, b, db, to, dc, k, edge)
                elif tall:
                    tile(form, like, narrow_tall, at, da, b, db, to, dc, k, edge)
                else:
                    tile(form, like, narrow_short, at, da, b, db, to, dc, k, edge)
                i += rows if tall else short
            step = 2 * lanes if wide else lanes
            j, b, c = j + step, b + step * size, c + step * size

    return sweep
