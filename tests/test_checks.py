"""What counts as a number, and in which interval."""

import math

import numpy as np
import pytest

from optlab.checks import check_amount, check_count, interval, is_whole, real, within
from optlab.errors import ConfigError


@pytest.mark.parametrize("value", [0, -3, 10**400, np.int8(5), np.uint64(2**64 - 1)])
def test_whole_numbers(value):
    assert is_whole(value)
    assert is_whole(value, value)
    assert not is_whole(value, int(value) + 1)


@pytest.mark.parametrize("value", [True, np.True_, 1.0, np.float64(1), "1", None, [1], 1j, math.nan])
def test_what_is_no_whole_number(value):
    assert not is_whole(value)
    with pytest.raises(ConfigError, match=r"n is a whole number >= 0, got "):
        check_count("n", value)


@pytest.mark.parametrize("value", [3, -2.5, np.float32(0.5), np.int64(7), math.inf, math.nan])
def test_real_numbers(value):
    np.testing.assert_array_equal(real(value), float(value))
    assert type(real(value)) is float


@pytest.mark.parametrize("value", [True, "1", None, 1j, 10**400, [1.0], np.ones(1)])
def test_what_is_no_real_number(value):
    assert real(value) is None
    with pytest.raises(ConfigError, match=r"x is a finite number >= 0, got "):
        check_amount("x", value)


@pytest.mark.parametrize("value", [-1e-300, math.nan, math.inf])
def test_what_is_no_amount(value):
    check_amount("x", 0)
    with pytest.raises(ConfigError, match=r"x is a finite number >= 0, got "):
        check_amount("x", value)


@pytest.mark.parametrize(
    ("text", "inside", "outside"),
    [
        ("[0, 1)", [0.0, 0.5], [-1e-300, 1.0, math.nan]),
        (" ( 0, 1 ] ", [1e-300, 1.0], [0.0, 1.0000001]),
        ("(-inf, inf)", [-1e308, 1e308], [math.inf, -math.inf, math.nan]),
        ("[1, inf]", [1.0], [math.inf]),
    ],
)
def test_intervals(text, inside, outside):
    assert all(within(x, text) for x in inside)
    assert not any(within(x, text) for x in outside)


@pytest.mark.parametrize("text", ["", "0, 1", "[0 1]", "[a, b]", "[0, 1"])
def test_what_is_no_interval(text):
    with pytest.raises(ConfigError, match=r"an interval reads like '\[0, 1\)', got "):
        interval(text)
