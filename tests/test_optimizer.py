"""The loop by hand: torch's verbs, one vector of many tensors, norms, the rate."""

import contracts
import numpy as np
import pytest
from conftest import BOTH
from tensors import SAVED, pull, tensors

import optlab as ol


@BOTH
def test_the_loop(dtype):
    w = ol.Tensor(np.array([1.0, -1.0], dtype), requires_grad=True)
    optimizer = ol.Optimizer([w], ol.SGD(0.5))
    assert (optimizer.t, optimizer.lr, optimizer.params) == (0, 0.5, [w])
    np.testing.assert_array_equal(w.grad, [0, 0])
    for _ in range(2):
        optimizer.zero_grad()
        w.grad += [1.0, 0.5]  # as a backward pass does
        optimizer.step()
    np.testing.assert_array_equal(w.data, [0.0, -1.5])
    assert optimizer.t == 2
    optimizer.zero_grad()
    np.testing.assert_array_equal(w.grad, [0, 0])
    assert repr(optimizer) == "Optimizer(SGD(lr=0.5), 1 tensors, 2 numbers, t=2)"


@pytest.mark.parametrize("rule", ["adam(lr=0.5)", ol.Adam(0.5), ol.Adam(0.5, convention="paper")])
def test_a_rule_may_be_text_or_settings(rule):
    optimizer = ol.Optimizer(tensors(), rule)
    assert optimizer.settings == ol.Adam(0.5)
    assert ol.Optimizer(tensors(), ol.Adam).settings == ol.Adam()


def test_params_may_be_a_tensor_a_generator_or_a_tuple():
    w = ol.Tensor([1.0])
    for params in (w, (t for t in [w]), (w,), [w]):
        assert ol.Optimizer(params, "sgd").params == [w]


@BOTH
@pytest.mark.parametrize("settings", SAVED, ids=repr)
def test_many_tensors_step_as_one_vector(settings, dtype):
    """Packing changes nothing: the same numbers in one flat tensor take the same steps, bit for bit."""
    several = ol.Optimizer(tensors(dtype), settings)
    flat = ol.Tensor(np.concatenate([t.data.ravel() for t in several.params]))
    one = ol.Optimizer([flat], settings)
    for seed in range(5):
        pull(several, seed=seed)
        flat.grad[...] = np.concatenate([t.grad.ravel() for t in several.params])
        one.step()
        np.testing.assert_array_equal(np.concatenate([t.data.ravel() for t in several.params]), flat.data)
    for slot in settings.variant.slots:
        parts = several.state(slot)
        assert [s.shape for s in parts] == [t.shape for t in several.params]
        np.testing.assert_array_equal(np.concatenate([s.ravel() for s in parts]), one.state(slot)[0])


def test_slots_are_views_under_their_names():
    optimizer = ol.Optimizer(tensors(), "adam")
    pull(optimizer)
    assert all(np.shares_memory(s, optimizer._array) for s in optimizer.state("m"))
    with pytest.raises(ol.ConfigError, match=r"unknown slot 'w'.*Known: m, v"):
        optimizer.state("w")


@pytest.mark.parametrize("settings", SAVED, ids=repr)
def test_maximize_is_a_step_on_the_negative(settings):
    settings = settings.replace(weight_decay=0.0)
    path = contracts.run(settings, np.ones(5), np.arange(50.0).reshape(10, 5), maximize=True)
    np.testing.assert_array_equal(path, contracts.run(settings, np.ones(5), -np.arange(50.0).reshape(10, 5)))


@BOTH
def test_norms_of_the_last_step(dtype):
    optimizer = ol.Optimizer(tensors(dtype), "adam(lr=0.1)", norms=True)
    assert optimizer.norms == {"gradient": 0.0, "update": 0.0, "parameter": 0.0}
    for seed in range(3):
        before = np.concatenate([p.data.ravel() for p in optimizer.params])
        pull(optimizer, seed=seed)
        after, g = (
            np.concatenate([a.ravel() for a in x])
            for x in zip(*((p.data, p.grad) for p in optimizer.params), strict=True)
        )
        want = {"gradient": g, "update": after - before, "parameter": after}
        for name, vector in want.items():  # 21 terms: their rounding errors stay below 21 units
            np.testing.assert_allclose(optimizer.norms[name], np.linalg.norm(vector), rtol=21 * np.finfo(dtype).eps)
    with pytest.raises(ol.ConfigError, match="norms=True"):
        _ = ol.Optimizer(tensors(), "adam").norms


@BOTH
def test_the_rate_is_writable(dtype):
    w = ol.Tensor(np.zeros(1, dtype))
    optimizer = ol.Optimizer([w], ol.SGD(1.0))
    for lr in (0.5, 0, np.float32(0.25), 1e-320, 2):
        optimizer.lr = lr
        w.data[...], w.grad[...] = 0.0, 1.0
        optimizer.step()
        assert optimizer.lr == lr
        assert w.data[0] == dtype(-optimizer.lr)
    assert optimizer.settings == ol.SGD(1.0)


@pytest.mark.parametrize("lr", [-1.0, np.nan, np.inf, 1e300, 10**400, "0.1", "x", True, None, [0.1], 1j], ids=repr)
@pytest.mark.fault(16)
def test_a_bad_rate_is_refused_and_the_old_one_kept(lr):
    optimizer = ol.Optimizer([ol.Tensor([0.0])], ol.SGD(0.5))  # a list: float32, which has no 1e300
    with pytest.raises(ol.ConfigError, match="lr must be"):
        optimizer.lr = lr
    assert optimizer.lr == 0.5
