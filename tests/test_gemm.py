"""Matrix products: every form of the tile at every kind of edge, inside canaries and guard pages; who is chosen."""

import itertools
import subprocess
import sys
import textwrap
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from conftest import BOTH, JIT, SHRINK
from numba.core.errors import TypingError
from numba.core.registry import cpu_target

from optlab.health import examine
from optlab_kernels import gemm
from optlab_kernels.cache import choices
from optlab_kernels.gemm import nn, run, tn
from optlab_kernels.jit import jit
from optlab_kernels.vectors import FORMS

TURNED = pytest.mark.parametrize("transposed", [False, True], ids=["nn", "tn"])
TILES = [pytest.param(form, marks=pytest.mark.skipif(not JIT, reason="tiles are compiled code")) for form in FORMS]
EVERY_FORM = pytest.mark.parametrize("form", ["blas", *TILES])
EVERY_TILE = pytest.mark.parametrize("form", TILES)
compiled_only = pytest.mark.skipif(not JIT, reason="the choice is between compiled products; the JIT is off")
LARGE = [(129, 65, 257), (64, 33, 784), (1, 300, 600), (300, 1, 70), (25, 48, 512), (24, 32, 64)]
PACKED = [(m, n, k) for m in (24, 28, 30, 34) for n in (33, 40, 63) for k in (64, 65, 79, 80)]
LARGE += [*PACKED, (26, 70, 801), (36, 35, 1700)]


@pytest.fixture
def chosen_afresh():
    gemm.choice.cache_clear()
    yield
    gemm.choice.cache_clear()


def framed(rng, shape, dtype, fill=np.nan, pages=False):
    """A random matrix inside a frame, and the frame: 7 entries between rows, or rows a number of whole pages apart."""
    page = 4096 // np.dtype(dtype).itemsize
    width = -(-(shape[1] + 7) // page) * page if pages else shape[1] + 7
    frame = np.full((shape[0] + 2, width), fill, dtype)
    view = frame[1:-1, 3 : 3 + shape[1]]
    view[...] = rng.standard_normal(shape)
    return view, frame


def bound(a, b, c, dtype):
    """|error| <= (k + 1) u (|A| |B| + |C|) / (1 - k u) for sums in any order, fused or not (Higham 2002, eq. 3.13)."""
    k = a.shape[1]
    u = np.finfo(dtype).eps / 2
    size = np.abs(a).astype(float) @ np.abs(b) + np.abs(c)
    # Twice that: the reference is itself rounded where the dtype is float64.
    return 2 * (k + 1) * u * size / (1 - k * u)


def sizes():
    """All of 1 to 40 in each place: every kind of corner, and others at random; then large ones."""
    corners = itertools.product((1, 4, 5, 12, 13, 24, 31), (1, 4, 8, 9, 16, 17, 33, 40), (1, 2, 17))
    rng = np.random.default_rng(7)
    drawn = zip(*(rng.permutation(np.tile(np.arange(1, 41), 12)) for _ in "mnk"), strict=True)
    every = [*corners, *((int(m), int(n), int(k)) for m, n, k in drawn)]
    return [*every[::SHRINK], *LARGE[::SHRINK]]


@EVERY_FORM
@BOTH
@TURNED
def test_every_size_agrees_with_numpy_and_touches_nothing_else(form, dtype, transposed):
    rng = np.random.default_rng(0)
    for m, n, k in sizes():
        a, a_frame = framed(rng, (k, m) if transposed else (m, k), dtype, pages=k >= gemm.PACK_K and m % 2 == 0)
        b, b_frame = framed(rng, (k, n), dtype)
        c, c_frame = framed(rng, (m, n), dtype, fill=77)
        before = a_frame.copy(), b_frame.copy()
        left, old = a.T if transposed else a, c.copy()
        exact = left.astype(float) @ b.astype(float)
        for accumulate in (False, True):
            limit = bound(left, b, old if accumulate else 0 * old, dtype)
            c[...] = old
            run(form, a, b, c, accumulate, transposed)
            assert (np.abs(c - (exact + old * accumulate)) <= limit).all(), (m, n, k, accumulate)
        c[...] = 77
        assert (c_frame == 77).all(), (m, n, k)
        for frame, was in zip((a_frame, b_frame), before, strict=True):
            np.testing.assert_array_equal(frame, was)


@EVERY_FORM
@BOTH
@TURNED
def test_a_sum_of_no_terms_is_zero_and_an_empty_result_is_left_alone(form, dtype, transposed):
    for m, n, k in itertools.product((0, 3), repeat=3):
        a, b = np.ones((k, m) if transposed else (m, k), dtype), np.ones((k, n), dtype)
        c = np.full((m, n), 5, dtype)
        run(form, a, b, c, True, transposed)
        np.testing.assert_array_equal(c, 5 + k)
        run(form, a, b, c, False, transposed)
        np.testing.assert_array_equal(c, k)


@EVERY_FORM
@BOTH
@TURNED
def test_nan_and_infinity_go_where_they_belong(form, dtype, transposed):
    rng = np.random.default_rng(1)
    m, n, k = 29, 35, 81
    for bad in (np.nan, np.inf, -np.inf):
        for i, j, t in ((0, 0, 0), (28, 34, 80), (13, 33, 64), (24, 16, 7)):
            a = rng.standard_normal((m, k)).astype(dtype)
            b = rng.standard_normal((k, n)).astype(dtype)
            a[i, t], b[(t + 1) % k, j], a[3, (t + 1) % k] = bad, bad, 0  # the last: bad times zero is NaN
            c = np.empty((m, n), dtype)
            with np.errstate(invalid="ignore"):
                want = a.astype(float) @ b.astype(float)
                run(form, np.ascontiguousarray(a.T) if transposed else a, b, c, False, transposed)
            for kind in (np.isnan, np.isposinf, np.isneginf):
                np.testing.assert_array_equal(kind(c), kind(want))


@EVERY_TILE
@BOTH
def test_bits_depend_on_row_column_and_k_alone(form, dtype):
    """Not on how many rows there are, on the tile an entry falls into, on A's storage or on packing."""
    rng = np.random.default_rng(2)
    m, n, k = 41, 71, 900
    a, b = rng.standard_normal((m, k)).astype(dtype), rng.standard_normal((k, n)).astype(dtype)
    far, _ = framed(rng, (m, k), dtype, pages=True)
    far[...] = a
    whole, turned, part = np.empty((m, n), dtype), np.empty((m, n), dtype), np.empty((5, 10), dtype)
    packed = np.empty((m, n), dtype)
    run(form, far, b, packed, False, False)
    run(form, a, b, whole, False, False)
    run(form, np.ascontiguousarray(a.T), b, turned, False, True)
    run(form, a[7:12], b[:, 30:40], part, False, False)
    np.testing.assert_array_equal(turned, whole)
    np.testing.assert_array_equal(packed, whole)
    np.testing.assert_array_equal(part, whole[7:12, 30:40])


@EVERY_FORM
@TURNED
def test_threads_get_the_same_bits(form, transposed):
    rng = np.random.default_rng(3)
    a = rng.standard_normal((96, 96)).astype(np.float32)
    b = rng.standard_normal((96, 50)).astype(np.float32)

    def once(_):
        c = np.empty((96, 50), np.float32)
        run(form, a, b, c, False, transposed)
        return c

    first = once(0)
    with ThreadPoolExecutor(4) as pool:
        for other in pool.map(once, range(200 // SHRINK)):
            np.testing.assert_array_equal(other, first)


GUARDED = """
    import ctypes, mmap, os, sys
    import numpy as np
    from optlab_kernels.gemm import run

    PAGE = mmap.PAGESIZE
    libc = ctypes.CDLL(None, use_errno=True)
    keep = []

    def fenced(rows, width, dtype, at_end):
        "Each row in a page of its own, flush with one end of it; the pages between cannot be touched."
        room = mmap.mmap(-1, (2 * rows + 1) * PAGE)
        base = ctypes.addressof(ctypes.c_char.from_buffer(room))
        for i in range(rows + 1):
            assert libc.mprotect(ctypes.c_void_p(base + 2 * i * PAGE), PAGE, 0) == 0, ctypes.get_errno()
        size = np.dtype(dtype).itemsize
        start = PAGE + (PAGE - width * size if at_end else 0)
        keep.append(room)
        return np.ndarray((rows, width), dtype, room, start, (2 * PAGE, size))

    if sys.argv[1] == "trespass":
        row = fenced(2, 5, np.float32, True)
        row[1, 4] = 1.0
        print(ctypes.string_at(row.ctypes.data + 2 * PAGE, 20)[-4:] == np.float32(1).tobytes(), flush=True)
        ctypes.string_at(row.ctypes.data + 2 * PAGE, 21)
        print("not reached")
    else:
        rng = np.random.default_rng(0)
        for dtype in (np.float32, np.float64):
            for m, n, k in SIZES:
                for at_end in (True, False):
                    for turned in (True, False):
                        a = fenced(*((k, m) if turned else (m, k)), dtype, at_end)
                        b, c = fenced(k, n, dtype, at_end), fenced(m, n, dtype, at_end)
                        a[...], b[...] = rng.standard_normal(a.shape), rng.standard_normal(b.shape)
                        run(sys.argv[1], a, b, c, False, turned)
                        run(sys.argv[1], a, b, c, True, turned)
                        np.testing.assert_allclose(c, 2 * (a.T if turned else a) @ b, rtol=1e-3, atol=1e-3)
        print("stayed inside")
"""
FENCED_SIZES = [
    (1, 1, 1),
    (5, 3, 2),
    (13, 17, 5),
    (29, 37, 67),
    (25, 16, 80),
    (12, 32, 9),
    (3, 71, 6),
    (31, 8, 259),
    (31, 40, 63),
]


def fenced(what):
    script = textwrap.dedent(GUARDED).replace("SIZES", repr(FENCED_SIZES))
    return subprocess.run([sys.executable, "-c", script, what], capture_output=True, text=True, check=False)


@pytest.mark.skipif(sys.platform != "linux", reason="guard pages are set by Linux's mprotect")
class TestGuardPages:
    @EVERY_TILE
    def test_nothing_outside_the_rows_is_read_or_written(self, form):
        done = fenced(form)
        assert (done.returncode, done.stdout.strip()) == (0, "stayed inside"), done.stderr[-2000:]

    def test_the_fence_holds(self):
        done = fenced("trespass")
        assert done.stdout.strip() == "True"
        assert done.returncode == -11


@jit
def both(a, b, c, d, e):
    nn(a, b, c)
    nn(a, b, c, True)
    tn(a, c, d)
    tn(a, c, e, True)


@jit
def unrelated(a):
    return a[0, 0]


@BOTH
@pytest.mark.parametrize("padded", [False, True])
def test_compiled_callers_and_python_agree(dtype, padded):
    rng = np.random.default_rng(4)
    m, n, k = 33, 20, 70
    shapes = [(m, k), (k, n), (m, n), (k, n), (k, n)]
    arrays = [framed(rng, s, dtype)[0] if padded else rng.standard_normal(s).astype(dtype) for s in shapes]
    a, b, c, d, e = (x.copy() for x in arrays)
    nn(a, b, c)
    nn(a, b, c, True)
    tn(a, c, d)
    tn(a, c, e, True)
    both(*arrays)
    # The tile gives the same bits; NumPy's BLAS and SciPy's, which Numba calls, may differ in rounding.
    equal = gemm.choice(np.dtype(dtype).name).way == "tile"
    for got, want in zip(arrays[2:], (c, d, e), strict=True):
        tolerance = 0 if equal else 200 * np.finfo(dtype).eps * np.abs(want).max()
        np.testing.assert_allclose(got, want, rtol=0, atol=tolerance)


@compiled_only
@pytest.mark.parametrize("padded", [False, True])
@TURNED
def test_compiled_callers_can_use_the_blas(monkeypatch, chosen_afresh, padded, transposed):
    monkeypatch.setenv("OPTLAB_GEMM", "blas")
    fn = tn if transposed else nn

    @jit
    def call(a, b, c, add):
        fn(a, b, c, add)

    rng = np.random.default_rng(5)
    shapes = [(9, 6) if transposed else (6, 9), (9, 5), (6, 5)]
    a, b, c = (framed(rng, s, np.float64)[0] if padded else rng.standard_normal(s) for s in shapes)
    want = (a.T if transposed else a) @ b
    call(a, b, c, False)
    np.testing.assert_allclose(c, want, atol=1e-13)
    call(a, b, c, True)
    np.testing.assert_allclose(c, 2 * want, atol=1e-13)
    call(a[:0] if transposed else a[:, :0], b[:0], c, True)
    np.testing.assert_allclose(c, 2 * want, atol=1e-13)
    call(a[:0] if transposed else a[:, :0], b[:0], c, False)
    assert not c.any()
    with pytest.raises(ValueError, match="do not fit"):
        call(a, b[:-1], c, False)


BAD = {
    "inner": (lambda a, b, c: (a, b[:-1], c), "shapes do not fit"),
    "rows": (lambda a, b, c: (a, b, c[:-1]), "shapes do not fit"),
    "columns": (lambda a, b, c: (a, b, c[:, 1:]), "shapes do not fit"),
    "rows of A": (lambda a, b, c: (np.asfortranarray(a), b, c), "contiguous"),
    "rows of C": (lambda a, b, c: (a, b, np.asfortranarray(c)), "contiguous"),
    "mixed": (lambda a, b, c: (a, b.astype(np.float32), c), "float32 or of float64"),
    "integers": (lambda a, b, c: tuple(x.astype(int) for x in (a, b, c)), "float32 or of float64"),
    "vector": (lambda a, b, c: (a, b[:, 0], c), "shapes do not fit"),
}


@pytest.mark.parametrize("bad", BAD)
def test_what_does_not_fit_is_refused_with_both_shapes(bad):
    spoil, message = BAD[bad]
    arrays = spoil(np.ones((3, 4)), np.ones((4, 5)), np.ones((3, 5)))
    with pytest.raises(ValueError, match=message):
        nn(*arrays)


def test_a_read_only_result_is_refused():
    c = np.ones((3, 3))
    c.flags.writeable = False
    with pytest.raises(ValueError, match="read-only"):
        nn(np.ones((3, 3)), np.ones((3, 3)), c)
    if JIT:
        with pytest.raises(TypingError, match="read-only"):
            both(np.ones((3, 3)), np.ones((3, 3)), c, c, c)


@compiled_only
def test_compiled_code_refuses_what_does_not_fit():
    a, b, c = np.ones((3, 4)), np.ones((4, 5)), np.ones((3, 5))
    with pytest.raises(ValueError, match="do not fit"):
        both(a, b[:-1], c, b, b)
    with pytest.raises(ValueError, match="contiguous"):
        both(a, np.ones((4, 10))[:, ::2], c, b, b)
    with pytest.raises(TypingError, match="float32 or of float64"):
        both(a, b.astype(np.float32), c, b, b)


@pytest.mark.parametrize("value", ["Tile", "openblas", "1"])
def test_a_bad_value_names_the_two_good_ones(monkeypatch, chosen_afresh, value):
    monkeypatch.setenv("OPTLAB_GEMM", value)
    with pytest.raises(ValueError, match=f"OPTLAB_GEMM must be blas or tile, got '{value}'"):
        gemm.choice("float32")
    with pytest.raises(ValueError, match="must be blas or tile"):
        nn(np.ones((3, 3)), np.ones((3, 3)), np.ones((3, 3)))


@compiled_only
class TestChoice:
    def test_the_variable_decides(self, monkeypatch, chosen_afresh):
        monkeypatch.setenv("OPTLAB_GEMM", "blas")
        assert gemm.choice("float32") == ("blas", "OPTLAB_GEMM=blas")
        monkeypatch.setenv("OPTLAB_GEMM", "tile")
        gemm.choice.cache_clear()
        assert gemm.choice("float32") == (gemm.host_form(), "OPTLAB_GEMM=tile")

    def test_unset_it_is_the_tile_where_one_is_tuned(self, monkeypatch, chosen_afresh):
        monkeypatch.delenv("OPTLAB_GEMM", raising=False)
        expected = "blas" if gemm.host_form() == "generic" else "tile"
        assert gemm.choice("float64").way == expected

    def test_an_unknown_processor_gets_the_blas_unless_told_otherwise(self, monkeypatch, chosen_afresh):
        monkeypatch.delenv("OPTLAB_GEMM", raising=False)
        monkeypatch.setattr(gemm, "host_form", lambda: "generic")
        assert gemm.choice("float32").way == "blas"
        assert "no tile is tuned" in gemm.choice("float32").reason
        monkeypatch.setenv("OPTLAB_GEMM", "tile")
        gemm.choice.cache_clear()
        assert gemm.choice("float32").form == "generic"

    @pytest.mark.parametrize("features", ["+sse2,-avx2,-avx512f,-fma", "+avx2,-fma", "+neon", ""])
    def test_without_multiply_add_and_wide_vectors_the_form_is_generic(self, monkeypatch, features):
        codegen = type("Codegen", (), {"magic_tuple": lambda self: ("", "", features)})()
        monkeypatch.setattr(cpu_target.target_context, "codegen", lambda: codegen)
        assert gemm.host_form() == "generic"

    @pytest.mark.parametrize(("features", "form"), [("+avx2,+fma,-avx512f", "avx2"), ("+avx2,+avx512f,+fma", "avx512")])
    def test_the_widest_form_is_taken(self, monkeypatch, features, form):
        codegen = type("Codegen", (), {"magic_tuple": lambda self: ("", "", features)})()
        monkeypatch.setattr(cpu_target.target_context, "codegen", lambda: codegen)
        assert gemm.host_form() == form

    @pytest.mark.parametrize("fault", ["wrong", "outside", "nan", "raises"])
    def test_a_tile_that_fails_its_check_is_not_used(self, monkeypatch, chosen_afresh, fault):
        def faulty(form, a, b, c, accumulate, transposed):
            if fault == "raises":
                raise OSError("no such instruction")
            c += (a.T if transposed else a) @ b
            c[-1, -1] += {"wrong": 0.01, "nan": np.nan}.get(fault, 0.0)
            if fault == "outside":
                c.base[-1, -1] = 0.0

        monkeypatch.setenv("OPTLAB_GEMM", "tile")
        monkeypatch.setattr(gemm, "run", faulty)
        with pytest.warns(RuntimeWarning, match="fall back to BLAS"):
            choice = gemm.choice("float32")
        assert choice.way == "blas"
        assert ("no such instruction" if fault == "raises" else "differs from np.dot") in choice.reason

    @EVERY_TILE
    @BOTH
    def test_the_check_passes_and_costs_next_to_nothing(self, form, dtype):
        name = np.dtype(dtype).name
        assert gemm.check(form, name) == ""
        took = []
        for _ in range(5):
            began = time.thread_time()  # no time of others on a busy machine
            gemm.check(form, name)
            took.append(time.thread_time() - began)
        assert min(took) < 0.02  # 1 ms measured

    def test_it_is_part_of_the_cache_key_of_callers_alone(self, monkeypatch, chosen_afresh):
        def key(fn):
            return fn._cache._index_key("array(float32, 2d, C)", cpu_target.target_context.codegen())

        before, other = key(both), key(unrelated)
        monkeypatch.setitem(choices, nn, lambda signature: f"another, for {signature}")
        fresh = type(both._cache)(both.py_func)
        codegen = cpu_target.target_context.codegen()
        assert fresh._index_key("array(float32, 2d, C)", codegen) != before
        assert key(unrelated) == other
        assert not unrelated._cache._choices


def test_doctor_says_which_and_why():
    report = examine()["gemm"]
    for dtype in ("float32", "float64"):
        choice = gemm.choice(dtype)
        assert report[dtype] == f"{choice.way} ({choice.form}): {choice.reason}"
