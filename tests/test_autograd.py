"""The tape itself: gradients, what is freed, what is not recorded; a small network as torch has it."""

import gc
import threading
import weakref

import numpy as np
import pytest
from conftest import BOTH
from tensors import leaf

import optlab as ol
from optlab import autograd as ag

# --- gradients --------------------------------------------------------------------------------------------------------


def test_gradients_accumulate_in_place():
    x = leaf(1.0, 2.0)
    (x * x).sum().backward()
    grad = x.grad
    np.testing.assert_array_equal(grad, [2, 4])
    (3 * x).sum().backward()
    assert x.grad is grad
    np.testing.assert_array_equal(grad, [5, 7])
    x.grad = None
    x.sum().backward()
    np.testing.assert_array_equal(x.grad, [1, 1])
    np.testing.assert_array_equal(grad, [5, 7])


def test_gradients_do_not_share_memory():
    a, b = leaf(1.0, 2.0), leaf(3.0, 4.0)
    start = np.ones(2)
    (a + b).backward(start)
    a.grad[0] = 7.0
    np.testing.assert_array_equal(b.grad, 1)
    np.testing.assert_array_equal(start, 1)
    s = leaf(1.0, 2.0)
    s.sum().backward()  # flows as a broadcast, read-only view
    s.grad += 1


def test_a_tensor_used_many_times():
    x = leaf(3.0)
    y = x * x  # 9
    z = y * y + y  # 90
    (z * y + x).sum().backward()  # y³ + y² + x, y = x²: 6 x⁵ + 4 x³ + 1
    np.testing.assert_allclose(x.grad, 6 * 3**5 + 4 * 27 + 1)


def test_a_deep_diamond_is_walked_once():
    """Two paths per step: 2¹⁰⁰ paths in all."""
    x = leaf(1.0)
    y = x
    for _ in range(100):
        y = 0.5 * (y + y)
    y.backward()
    np.testing.assert_array_equal(x.grad, 1)


@pytest.mark.parametrize("backward", [True, False])
def test_a_chain_of_100_000(backward):
    x = leaf(1.0)
    y = x
    for _ in range(100_000):
        y = y + 1.0
    if backward:
        y.backward()
        np.testing.assert_array_equal(x.grad, 1)
    gone = weakref.ref(y)
    del y
    assert gone() is None


def test_only_what_requires_a_gradient_gets_one():
    x, w, b = ol.Tensor([[1.0, 2.0]]), ol.Tensor(np.ones((2, 2), "f4"), requires_grad=True), ol.Tensor([1.0, 1.0])
    y = x @ w + b
    assert y.requires_grad
    y.sum().backward()
    assert x.grad is None
    assert b.grad is None
    np.testing.assert_array_equal(w.grad, [[1, 1], [2, 2]])
    assert not (x + b).requires_grad


def test_intermediate_gradients_are_kept_on_request():
    x = leaf(2.0)
    y, z = x * x, x + 1.0
    y.retain_grad()
    x.retain_grad()  # a leaf does anyway
    (3 * y + z).backward(np.ones(1))
    assert z.grad is None
    np.testing.assert_array_equal(y.grad, [3])
    np.testing.assert_array_equal(x.grad, [13])


def test_backward_of_a_leaf_and_with_a_gradient():
    x = leaf(1.0, 2.0, 3.0)
    x.backward([1, 2, 3])
    x.backward(ol.Tensor([1.0, 1.0, 1.0]))
    np.testing.assert_array_equal(x.grad, [2, 3, 4])
    with pytest.raises(ol.ConfigError, match=r"gradient must have the tensor's shape \(3,\), got \(2,\)"):
        (2 * x).backward([1.0, 1.0])


@pytest.mark.parametrize("shape", [(2,), (2, 3), (0,)])
def test_backward_needs_a_scalar(shape):
    x = ol.Tensor(np.ones(shape), requires_grad=True)
    with pytest.raises(ol.ConfigError) as error:
        (2 * x).backward()
    assert f"of shape {shape} needs gradient=" in str(error.value)
    assert ".sum() or .mean()" in str(error.value)


@BOTH
def test_a_small_network_as_torch(torch, dtype):
    """200 steps of SGD: the same losses and weights."""
    rng = np.random.default_rng(0)
    x, labels = rng.standard_normal((32, 8)).astype(dtype), rng.integers(0, 4, 32)
    shapes = [(8, 16), (16,), (16, 4), (4,)]
    arrays = [(rng.standard_normal(s) / 4).astype(dtype) for s in shapes]
    mine = [ol.Tensor(a.copy(), requires_grad=True) for a in arrays]
    other = [torch.tensor(a, requires_grad=True) for a in arrays]
    optimizer, theirs = ol.Optimizer(mine, ol.SGD(0.5)), torch.optim.SGD(other, 0.5)
    tolerance = 1e-12 if dtype == np.float64 else 1e-4
    for _ in range(200):
        optimizer.zero_grad()
        theirs.zero_grad()
        v, c, w, b = mine
        loss = -((ol.Tensor(x) @ v + c).gelu() @ w + b).log_softmax()[np.arange(32), labels].mean()
        loss.backward()
        optimizer.step()
        v, c, w, b = other
        logits = torch.nn.functional.gelu(torch.tensor(x) @ v + c) @ w + b
        want = torch.nn.functional.cross_entropy(logits, torch.tensor(labels))
        want.backward()
        theirs.step()
        np.testing.assert_allclose(loss.item(), want.item(), rtol=tolerance)
    for a, t in zip(mine, other, strict=True):
        np.testing.assert_allclose(a.data, t.detach().numpy(), rtol=0, atol=tolerance * 10)


@BOTH
def test_stacked_rows_and_one_matrix_need_one_product(dtype):
    """(b, n, k) @ (k, m): the gradient of the matrix is that of (b n, k) @ (k, m), bit for bit."""
    rng = np.random.default_rng(0)
    x, a = rng.standard_normal((5, 4, 3)).astype(dtype), rng.standard_normal((3, 2)).astype(dtype)
    weight = rng.standard_normal((5, 4, 2)).astype(dtype)
    v, w = ol.Tensor(a, requires_grad=True), ol.Tensor(a, requires_grad=True)
    (ol.Tensor(x) @ v).backward(weight)
    (ol.Tensor(x.reshape(20, 3)) @ w).backward(weight.reshape(20, 2))
    np.testing.assert_array_equal(v.grad, w.grad)


# --- what is freed ----------------------------------------------------------------------------------------------------


def test_a_freed_graph_is_refused_and_a_kept_one_is_not():
    x = leaf(2.0, name="x")
    y = x * x
    z = y.sum()
    z.backward(keep_graph=True)
    z.backward()
    np.testing.assert_array_equal(x.grad, [8])
    with pytest.raises(ol.ConfigError, match=r"made by sum of shape \(\) was freed.*keep_graph=True"):
        z.backward()
    with pytest.raises(ol.ConfigError, match=r"made by mul of shape \(1,\) was freed"):
        (y + 1).sum().backward()  # a part is
    np.testing.assert_array_equal(x.grad, [8])


def test_no_reference_cycles():
    """Without the collector: a result goes with its last name, what it was made from with backward()."""
    ag.gelu(leaf(1.0))  # imports SciPy, which leaves cycles
    gc.collect()
    gc.disable()
    try:
        x = leaf(1.0, 2.0)
        y = x.tanh()
        inner, array = weakref.ref(y), weakref.ref(y.data)
        z = (y * y).softmax().sum()
        del y
        assert inner() is not None
        z.backward()
        assert inner() is None
        assert array() is None
        for f in (ag.exp, ag.gelu, ag.max, ag.softmax, ag.sigmoid, lambda t: t[[0, 0]], lambda t: ag.stack([t, t])):
            y = f(x)
            gone = weakref.ref(y)
            del y
            assert gone() is None
        assert gc.collect() == 0
    finally:
        gc.enable()


# --- no_grad ----------------------------------------------------------------------------------------------------------


def test_no_grad_records_nothing():
    x = leaf(1.0)
    with ol.no_grad():
        y = x * 2.0
        with ag.no_grad():
            pass
        assert not (x * 2.0).requires_grad
    assert not y.requires_grad
    assert (x * 2.0).requires_grad
    with pytest.raises(ol.ConfigError, match=r"under no_grad\(\), or from tensors without requires_grad=True"):
        y.backward()
    with pytest.raises(KeyError), ol.no_grad():
        raise KeyError
    assert (x * 2.0).requires_grad


@pytest.mark.parametrize("decorator", [ol.no_grad, ol.no_grad()])
def test_no_grad_as_a_decorator(decorator):
    @decorator
    def f(x, depth):
        return f(x, depth - 1) if depth else x * 2.0

    x = leaf(1.0)
    assert not f(x, 5).requires_grad
    assert (x * 2.0).requires_grad
    assert f.__name__ == "f"


def test_no_grad_is_of_one_thread():
    x, found = leaf(1.0), []
    with ol.no_grad():
        thread = threading.Thread(target=lambda: found.append((x * 2.0).requires_grad))
        thread.start()
        thread.join()
    assert found == [True]


def test_backward_works_under_no_grad():
    x = leaf(3.0)
    y = x * x
    with ol.no_grad():
        y.backward()
    np.testing.assert_array_equal(x.grad, [6])
