"""Sums in any order keep every NaN and infinity, and their rounding errors."""

import numpy as np
import pytest
from conftest import BOTH, SHRINK

from optlab_kernels.jit import jit
from optlab_kernels.reductions import add, all_finite, sum_of_squares


@BOTH
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("n", [1, 7, 64, 200 // SHRINK])
def test_one_bad_number_is_found_wherever_it_is(dtype, bad, n):
    arena = np.random.default_rng(0).standard_normal((3, n)).astype(dtype)
    with np.errstate(invalid="ignore"):
        for i in range(n):
            arena[1, i], kept = bad, arena[1, i]
            assert not all_finite(arena, 1, 0, n)
            assert all_finite(arena, 1, 0, i)
            assert all_finite(arena, 1, i + 1, n)
            assert all_finite(arena, 0, 0, n)
            arena[1, i] = kept
    assert all_finite(arena, 1, 0, n)


@BOTH
def test_infinities_of_both_signs_do_not_cancel(dtype):
    with np.errstate(invalid="ignore"):
        assert not all_finite(np.array([[np.inf, -np.inf]], dtype), 0, 0, 2)


@BOTH
def test_every_finite_number_is_finite(dtype):
    limits = np.finfo(dtype)
    extremes = [0.0, -0.0, limits.max, limits.min, limits.tiny, limits.smallest_subnormal, 1.0, -limits.max]
    assert all_finite(np.array([extremes * 9], dtype), 0, 0, 72)


@jit
def total(x):
    s = x.dtype.type(0)
    for i in range(x.size):
        s = add(s, x[i])
    return s


@BOTH
def test_a_reordered_sum_is_within_the_bound_of_any_order(dtype):
    """|error| <= (n - 1) u sum |x| for every order (Higham, Accuracy and Stability, 2nd ed. 2002, eq. 4.4)."""
    x = np.random.default_rng(0).standard_normal(5000 // SHRINK).astype(dtype)
    exact = np.sum(x.astype(np.longdouble))
    bound = x.size * np.finfo(dtype).eps / 2 * np.sum(np.abs(x.astype(np.float64)))
    assert abs(total(x) - exact) <= bound
    assert total(x) == total(x)
    x[17] = np.nan
    assert np.isnan(total(x))


@pytest.mark.parametrize("n", [0, 1, 63, 64, 65, 4095, 4096, 4097, 20_000])
@BOTH
def test_sum_of_squares(n, dtype):
    arena = np.random.default_rng(n).standard_normal((3, n + 7)).astype(dtype)
    want = float((arena[1, 3 : n + 3].astype(np.float64) ** 2).sum())
    # in float32 each lane adds at most 64 squares, each rounded to 2^-24, in one block
    rtol = 64 * 2.0**-24 if dtype is np.float32 else 1e-13
    np.testing.assert_allclose(sum_of_squares(arena, 1, 3, n + 3), want, rtol=rtol)
    if n:
        arena[1, 3 + n // 2] = np.nan
        assert np.isnan(sum_of_squares(arena, 1, 3, n + 3))
