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


# Up to about the largest number. Between 1.8e19 (float32; 1.3e154 in float64) and some 1e22, where our
# g^2 overflows before torch's (1 - b) g g does, our step stands still already and torch's not yet.
MAGNITUDES = {
    np.float32: [0.0, 1e-45, 1e-38, 1e-30, 1e-20, 1e-8, 1.0, 1e8, 1e18, 1e25, 1e30, 1e35, 1e37],
    np.float64: [0.0, 5e-324, 1e-308, 1e-200, 1e-160, 1e-100, 1.0, 1e100, 1e153, 1e160, 1e200, 1e300],
}
TORCH = {
    "sgd": (ol.SGD(0.1), "SGD", {}),
    "momentum": (ol.Momentum(0.1), "SGD", {"momentum": 0.9}),
    "nesterov": (ol.Momentum(0.1, nesterov=True), "SGD", {"momentum": 0.9, "nesterov": True}),
    "adagrad": (ol.Adagrad(0.1), "Adagrad", {}),
    "adadelta": (ol.Adadelta(0.1), "Adadelta", {}),
    "rmsprop": (ol.RMSProp(0.1), "RMSprop", {}),
    "rmsprop-centered": (ol.RMSProp(0.1, centered=True), "RMSprop", {"centered": True}),
    "rmsprop-momentum": (ol.RMSProp(0.1, momentum=0.9), "RMSprop", {"momentum": 0.9}),
    "rmsprop-both": (ol.RMSProp(0.1, centered=True, momentum=0.9), "RMSprop", {"centered": True, "momentum": 0.9}),
    "adam": (ol.Adam(0.1), "Adam", {}),
    "adamw": (ol.AdamW(0.1), "AdamW", {}),
    "amsgrad": (ol.AMSGrad(0.1), "Adam", {"amsgrad": True}),
    "nadam": (ol.NAdam(0.1), "NAdam", {}),
    "adamax": (ol.Adamax(0.1), "Adamax", {}),
}


@pytest.mark.fault(15, cases=26)
@BOTH
@pytest.mark.parametrize("pulses", [(1.0, 1.0, 1.0), (1.0, 0.0, 0.5)], ids=["steady", "once"])
@pytest.mark.parametrize("name", TORCH)
def test_extreme_gradients_go_where_torchs_go(torch, name, pulses, dtype):
    settings, kind, options = TORCH[name]
    size = np.array(MAGNITUDES[dtype], dtype)
    gradients = [np.concatenate([size, -size]) * dtype(factor) for factor in pulses]
    path = contracts.run(settings, np.ones(2 * len(size), dtype), gradients)
    p = torch.nn.Parameter(torch.ones(2 * len(size), dtype=getattr(torch, np.dtype(dtype).name)))
    peer = getattr(torch.optim, kind)([p], lr=0.1, foreach=False, **options)
    for ours, g in zip(path[1:], gradients, strict=True):
        p.grad = torch.tensor(g)
        peer.step()
        assert np.isfinite(ours).all()
        np.testing.assert_allclose(ours, p.detach().numpy(), rtol=1e-5, atol=1e-6)


@pytest.mark.fault(15, cases=2)
@BOTH
@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_a_steady_gradient_has_the_variance_0_and_not_a_rounded_one_below(momentum, dtype):
    """Then v - m^2 -> 0 and a step goes to lr g / eps; its root was NaN wherever rounding fell below."""
    settings = ol.RMSProp(1e-3, centered=True, momentum=momentum, alpha=0.9)
    g = np.geomspace(1e-3, 1e3, 50).astype(dtype)
    path = contracts.run(settings, np.zeros(50, dtype), [g] * 600)
    assert np.isfinite(path).all()
    longest = 1e-3 * g.astype(float) / settings.eps / (1 - momentum)
    assert (np.diff(path, axis=0) <= 0).all()
    assert (-np.diff(path.astype(float), axis=0) <= longest * 1.01).all()
