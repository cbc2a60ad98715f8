"""`autograd.check`: finds a wrong gradient, and leaves everything as it was."""

import numpy as np
import pytest
from tensors import leaf

import optlab as ol
from optlab import autograd as ag


def test_check_finds_a_wrong_gradient():
    def wrong(x):  # 1 % too large
        return ag.tensor.record("wrong", x.data**2, ((x, lambda g: 2.02 * g * x.data),))

    x = ol.Tensor(np.array([1.0, -2.0]))
    assert ag.check(lambda x: wrong(x).sum(), x) == pytest.approx(0.0099, rel=1e-2)
    assert ag.check(lambda x: 1e-12 * wrong(x).sum(), x) == pytest.approx(0.0099, rel=1e-2)
    assert ag.check(lambda x: (x**2).sum(), x) < 1e-9
    assert ag.check(lambda x: (x**2).sum(), x, eps=1e-1) < 1e-9  # a parabola's differences are exact
    assert 1e-4 < ag.check(lambda x: (x**3).sum(), x, eps=1e-1) < 1e-1


def test_check_leaves_everything_as_it_was():
    w, b = leaf(0.5, -0.3, name="w"), ol.Tensor(np.array([0.2], np.float32))
    ol.Optimizer([w], "sgd")
    w.grad[...] = 7.0
    grad, before = w.grad, w.data.copy()
    seen = []

    def f(w, b):
        seen.append(b.dtype)
        return (w.tanh() * b).sum()

    assert ag.check(f, w, b) < 1e-8
    assert set(seen) == {np.dtype(np.float64)}
    assert w.grad is grad
    assert b.grad is None
    assert not b.requires_grad
    np.testing.assert_array_equal(grad, 7)
    np.testing.assert_array_equal(w.data, before)
    with pytest.raises(ZeroDivisionError):
        ag.check(lambda w: 1 / 0, w)
    np.testing.assert_array_equal(w.data, before)


def test_check_reaches_parameters_the_function_holds():
    w, x = leaf(0.5, -0.3), np.array([1.0, 2.0])
    assert ag.check(lambda *_: (w * x).tanh().sum(), w) < 1e-8


def test_check_of_what_does_not_depend_on_the_tensor():
    x = ol.Tensor(np.array([1.0, 2.0]))
    assert ag.check(lambda x: ol.Tensor(np.array(3.0)), x) == 0.0
    assert ag.check(lambda x: x.softmax().sum(), x) < 1e-6  # a gradient of 0
    assert ag.check(lambda x: x.detach().sum(), x) == pytest.approx(1.0)  # differences see what the tape does not
    assert np.isnan(ag.check(lambda x: x.sum() * float("nan"), x))


def test_check_refuses():
    x = ol.Tensor(np.ones(2))
    for f, arguments, message in [
        (lambda x: x, [x], r"one number, got a tensor of shape \(2,\)"),
        (lambda x: 1.0, [x], "one number, got float"),
        (lambda: x.sum(), [], "check needs the tensors"),
        (lambda x: x.sum(), [np.ones(2)], "check needs the tensors"),
    ]:
        with pytest.raises(ol.ConfigError, match=message):
            ag.check(f, *arguments)
