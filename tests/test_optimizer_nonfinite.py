"""Bad gradients (faults.md, row 15): every kind under every policy and rule."""

import re

import contracts
import numpy as np
import pytest
from conftest import BOTH
from tensors import frozen, pull, tensors

import optlab as ol

LARGE = {np.float32: 1e38, np.float64: 1e308}
KINDS = {
    "nan": lambda dtype: [np.nan],
    "inf": lambda dtype: [np.inf],
    "-inf": lambda dtype: [-np.inf],
    "denormal": lambda dtype: [np.finfo(dtype).smallest_subnormal],
    "large": lambda dtype: [LARGE[dtype]],
    "0.0": lambda dtype: [0.0],
    "-0.0": lambda dtype: [-0.0],
    "mixed": lambda dtype: [0.0, np.inf, LARGE[dtype], -0.0, np.nan, -np.inf, 1.0, np.finfo(dtype).smallest_subnormal],
}
BAD = {"nan", "inf", "-inf", "mixed"}


@pytest.mark.parametrize("policy", ["raise", "skip", "propagate"])
@BOTH
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ol.RULES)  # row 15 counts six rules (288 cases); here are all
@pytest.mark.fault(15)
def test_extreme_gradients(name, kind, dtype, policy):
    settings = ol.RULES[name]()
    optimizer = ol.Optimizer(tensors(dtype), settings, nonfinite=policy)
    pull(optimizer, steps=2)
    values = KINDS[kind](dtype)
    optimizer.params[1].grad.flat[1 : 1 + len(values)] = values
    before = frozen(optimizer)
    with np.errstate(all="ignore"):
        if policy == "raise" and kind in BAD:
            first = next(v for v in values if not np.isfinite(v))
            with pytest.raises(
                ol.NonFiniteError, match=rf"step 3: .* parameter 1 \(weights\) of shape \(2, 5\) is {first};"
            ):
                optimizer.step()
            assert (frozen(optimizer), optimizer.skipped) == (before, 0)
        elif policy == "skip" and kind in BAD:
            optimizer.step()
            optimizer.step()
            assert (frozen(optimizer), optimizer.skipped, optimizer.t) == (before, 2, 2)
        else:
            want, control = optimizer._array.copy(), optimizer._controls[0].copy()
            contracts.on_arrays(settings.variant, want, control)
            optimizer.step()
            np.testing.assert_array_equal(optimizer._array, want)  # NaN where IEEE arithmetic has one
            numbers = ~np.isnan(want)
            np.testing.assert_array_equal(np.signbit(optimizer._array)[numbers], np.signbit(want)[numbers])
            np.testing.assert_array_equal(optimizer._controls[0], control)
            assert (optimizer.skipped, optimizer.t) == (0, 3)
    if policy != "propagate" and kind in BAD:  # and it goes on
        pull(optimizer)
        assert optimizer.t == 3
        assert np.isfinite(optimizer._array).all()


def test_a_tensor_without_a_name_is_told_by_its_index():
    optimizer = ol.Optimizer(tensors(), "sgd", nonfinite="raise")
    optimizer.params[3].grad[0, 0, 6] = np.nan
    with pytest.raises(
        ol.NonFiniteError, match=re.escape("step 1: the gradient of parameter 3 of shape (1, 1, 7) is nan")
    ):
        optimizer.step()


@pytest.mark.parametrize("policy", ["raises", "", None, True, ["skip"]])
def test_an_unknown_policy_is_refused(policy):
    with pytest.raises(ol.ConfigError, match=r"unknown policy for non-finite gradients.*Known: propagate, raise, skip"):
        ol.Optimizer(tensors(), "sgd", nonfinite=policy)
