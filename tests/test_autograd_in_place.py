"""Numbers changed in place: found where backward needs the old ones, allowed elsewhere; views stay views."""

import operator

import numpy as np
import pytest
from conftest import BOTH
from tensors import leaf

import optlab as ol


def assign(x):
    x.data = np.zeros(x.shape)


def elements(x):
    with ol.no_grad():
        x[...] = 0.0


def part(x):
    with ol.no_grad():
        x[:1] = ol.Tensor(np.zeros(1))


def minus(x):
    with ol.no_grad():
        x -= 1.0


def view(x):
    with ol.no_grad():
        x.reshape(-1)[:1] = 5.0


def detached(x):
    x.detach()[0] = 5.0


def wrapped(x):
    ol.Tensor(x)[0] = 5.0


def step(x):
    ol.Optimizer([x], "sgd").step()


CHANGES = [assign, elements, part, minus, view, detached, wrapped, step]


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_between_forward_and_backward_is_found(change):
    w, x = leaf(1.0, 2.0, name="w"), leaf(1.0, 1.0)
    y = (w * x).sum()
    change(w)
    x.grad = np.ones(2)
    with pytest.raises(ol.ConfigError, match=r"tensor 'w' of shape \(2,\) was changed in place after mul had saved it"):
        y.backward()
    np.testing.assert_array_equal(x.grad, 1)


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_of_what_is_not_needed_is_no_mistake(change):
    w = leaf(1.0, 2.0)
    y = (w + 1.0).sum() + (2.0 * w).sum()  # mul saves w for the gradient of 2 only
    z = w.sum() - w[0] + w.reshape(2, 1).mean()
    change(w)
    z.backward()
    assert w.grad is not None
    del y


@pytest.mark.parametrize("name", ["exp", "tanh", "sigmoid", "relu", "softmax", "sqrt"])
def test_a_changed_result_is_found_where_its_own_gradient_needs_it(name):
    x = leaf(1.0, 2.0)
    y = getattr(x, name)()
    with ol.no_grad():
        y *= 2.0
    with pytest.raises(ol.ConfigError, match=rf"made by {name} of shape \(2,\) was changed in place after {name}"):
        y.sum().backward()


def test_assignment_and_augmented_assignment():
    w = leaf(1.0, 2.0)
    with pytest.raises(ol.ConfigError, match="no_grad"):
        w[0] = 1.0
    for op in (operator.iadd, operator.isub, operator.imul, operator.itruediv):
        with pytest.raises(ol.ConfigError, match="under no_grad"):
            op(w, 1.0)
    x = ol.Tensor(np.zeros(2))
    with pytest.raises(ol.ConfigError, match="no_grad"):
        x[...] = w
    x[0] = 3.0  # a constant may change
    np.testing.assert_array_equal(x.data, [3, 0])
    total, first = x, x
    total += w  # recorded: a new tensor
    assert total is not first
    total.sum().backward()
    np.testing.assert_array_equal(w.grad, 1)
    data, same = w.data, w
    with ol.no_grad():
        w += 1.0
        w -= 0.5 * w.grad
        w *= [2.0, 4.0]
        w /= 2.0
        with pytest.raises(ol.ConfigError, match=r"data must have the tensor's shape \(2,\), got \(3, 2\)"):
            w += np.ones((3, 2))
    assert w is same
    assert w.data is data
    assert w.requires_grad
    np.testing.assert_array_equal(data, [1.5, 5.0])


# --- packed tensors ---------------------------------------------------------------------------------------------------


@BOTH
def test_views_of_the_arena_stay(dtype):
    w, b = ol.Tensor(np.ones((3, 2), dtype), requires_grad=True), ol.Tensor(np.zeros(2, dtype), requires_grad=True)
    c = ol.Tensor(np.array(2.0, dtype), requires_grad=True)
    optimizer = ol.Optimizer([w, b, c], ol.SGD(0.1))
    views = [w.data, w.grad, b.data, b.grad, c.data, c.grad]
    for _ in range(3):
        optimizer.zero_grad()
        (c * (ol.Tensor(np.ones((4, 3), dtype)) @ w + b) ** 2).mean().backward()
        assert all(x is y for x, y in zip(views, [w.data, w.grad, b.data, b.grad, c.data, c.grad], strict=True))
        assert np.shares_memory(w.grad, optimizer.arena.array)
        assert w.grad.any()
        assert b.grad.any()
        assert c.grad.any()
        optimizer.step()
