"""A tensor among numbers and arrays: dtypes, operators, copies, and which words refuse what."""

import copy
import operator
import pickle

import numpy as np
import pytest
from conftest import BOTH
from tensors import leaf

import optlab as ol
from optlab import autograd as ag

# --- numbers and arrays -----------------------------------------------------------------------------------------------


OPERATORS = [operator.add, operator.sub, operator.mul, operator.truediv, operator.pow]
WEAK = [2, 2.5, True, np.float64(2.5), np.float32(2.5), np.int64(2), np.array(2.5), np.array([1, 2]), [1.5, 2.5]]


@BOTH
@pytest.mark.parametrize("op", OPERATORS)
@pytest.mark.parametrize("other", WEAK, ids=lambda v: f"{type(v).__name__} {np.asarray(v).dtype} {v}")
def test_numbers_take_the_dtype_of_the_tensor(op, other, dtype):
    x = leaf(1.5, 2.0, dtype=dtype)
    for y, want in [
        (op(x, other), op(x.data, np.asarray(other, dtype))),
        (op(other, x) if not isinstance(other, list) else op(x * 0 + other, x), op(np.asarray(other, dtype), x.data)),
    ]:
        assert isinstance(y, ol.Tensor)
        assert y.dtype == dtype
        np.testing.assert_array_equal(y.data, want)
        y.sum().backward()
        assert x.grad.dtype == dtype


@pytest.mark.parametrize("op", [*OPERATORS, operator.matmul, ag.maximum, lambda a, b: ag.stack([a, b])])
def test_float32_and_float64_do_not_mix(op):
    x = ol.Tensor(np.ones(2, "f4"))
    for other in (np.ones(2), ol.Tensor(np.ones(2)), ol.Tensor(np.float64(1.0))):
        if op is operator.matmul and other.ndim == 0:
            continue
        with pytest.raises(
            ol.ConfigError, match=r"of float32 and float64: give both one dtype, by x.astype\('float32'\)"
        ):
            op(x, other)
    with pytest.raises(ol.ConfigError, match="of float64 and float32"):
        op(ol.Tensor(np.ones(2)), np.ones(2, "f4"))


def test_an_array_on_the_left():
    x = leaf(1.0, 2.0)
    for y in (np.ones((3, 2)) + x, np.ones(2) * x, np.ones((3, 2)) @ x, np.float64(2.0) * x, np.ones(2) / x):
        assert isinstance(y, ol.Tensor)
        assert y.requires_grad
    with pytest.raises(TypeError):
        np.exp(x)
    with pytest.raises(ol.ConfigError, match=r"would lose the gradient.*x\.data"):
        np.asarray(x)
    np.testing.assert_array_equal(np.asarray(x.detach()), x.data)
    assert np.shares_memory(x.numpy(), x.data)


def test_astype():
    x = leaf(1.0, 2.0, dtype=np.float32)
    y = x.astype("float64")
    (y * np.array([1.0, 3.0])).sum().backward()
    assert y.dtype == np.float64
    assert x.grad.dtype == np.float32
    np.testing.assert_array_equal(x.grad, [1, 3])
    assert x.astype(np.float32) is x
    with pytest.raises(ol.ConfigError, match="float32 or float64, got dtype int64"):
        x.astype(int)


@BOTH
def test_functions_take_arrays_and_numbers(dtype):
    a, b = np.array([1.0, 2.0], dtype), np.array([3.0, 5.0], dtype)
    for y, want in [
        (ag.add(a, b), [4, 7]),
        (ag.mul(2, b), [6, 10]),
        (ag.matmul(a, b), 13),
        (ag.stack([a, 1.0 * b]), [a, b]),
        (ag.concatenate([[7], a]), [7, 1, 2]),
        (ag.where([True, False], a, 0), [1, 0]),
        (ag.max(a), 2),
        (ag.relu(-a), [0, 0]),
        (ag.getitem(a, 1), 2),
    ]:
        assert y.dtype == dtype
        assert not y.requires_grad
        np.testing.assert_array_equal(y.data, want)
    assert ag.add(1.0, 2).dtype == np.float32
    assert ag.exp([0.0]).dtype == np.float32
    with pytest.raises(ol.ConfigError, match="maximum of float32 and float64"):
        ag.maximum(np.ones(2, "f4"), np.ones(2))


def test_comparisons_are_arrays():
    x, y = leaf(1.0, 2.0), leaf(2.0, 2.0)
    for op in (operator.lt, operator.le, operator.gt, operator.ge, operator.eq, operator.ne):
        for got in (op(x, y), op(x, y.data)):
            assert type(got) is np.ndarray
            np.testing.assert_array_equal(got, op(x.data, y.data))
        np.testing.assert_array_equal(op(x, 1.0), op(x.data, 1.0))
    assert len({x, y, x}) == 2


def test_one_number():
    x = leaf(0.25)
    assert (x.item(), float(x.sum()), bool(x), f"{x:.1f}") == (0.25, 0.25, True, "0.2")
    for f in (ol.Tensor.item, float, bool):
        with pytest.raises(ol.ConfigError, match=r"one number is a number, this one has shape \(2,\)"):
            f(leaf(1.0, 2.0))


def test_sequences():
    x = ol.Tensor(np.arange(6.0).reshape(3, 2), requires_grad=True)
    assert len(x) == 3
    a, b, c = x
    (a * b + c).sum().backward()
    np.testing.assert_array_equal(x.grad, [[2, 3], [0, 1], [1, 1]])
    for f in (len, iter, list):
        with pytest.raises(TypeError, match="0-d tensor"):
            f(x.sum())
    assert repr(x.detach()[0]) == "Tensor([0. 1.], dtype=float64)"
    assert f"{x[0]}" == "Tensor([0. 1.], dtype=float64, requires_grad=True)"


def test_copies_and_pickles_are_leaves():
    w = leaf(1.0, 2.0, name="w")
    ol.Optimizer([w], "adam")
    for other in (copy.deepcopy(w), pickle.loads(pickle.dumps(w)), pickle.loads(pickle.dumps(w * 1.0))):
        assert other.requires_grad
        assert other.grad is None
        np.testing.assert_array_equal(other.data, w.data)
        assert not np.shares_memory(other.data, w.data)
        other.sum().backward()
    np.testing.assert_array_equal(w.grad, 0)


def test_an_index_may_be_used_again():
    x, at = leaf(1.0, 2.0, 3.0), np.array([0, 1])
    y = x[at]
    at[:] = 2
    y.sum().backward()
    np.testing.assert_array_equal(x.grad, [1, 1, 0])


# --- messages ---------------------------------------------------------------------------------------------------------


A, B = ol.Tensor(np.ones((2, 3))), ol.Tensor(np.ones((4, 5)))
SHAPES = [
    (lambda: A + B, r"add: shapes \(2, 3\) and \(4, 5\) do not fit"),
    (lambda: A - B, r"sub: shapes \(2, 3\) and \(4, 5\)"),
    (lambda: A * B, r"mul: shapes \(2, 3\) and \(4, 5\)"),
    (lambda: A / B, r"div: shapes \(2, 3\) and \(4, 5\)"),
    (lambda: A**B, r"pow: shapes \(2, 3\) and \(4, 5\)"),
    (lambda: A @ B, r"matmul: shapes \(2, 3\) and \(4, 5\)"),
    (lambda: A @ 2.0, r"matmul: shapes \(2, 3\) and \(\)"),
    (lambda: np.ones(7) + A, r"add: shapes \(7,\) and \(2, 3\)"),
    (lambda: ag.maximum(A, B), r"maximum: shapes \(2, 3\) and \(4, 5\)"),
    (lambda: ag.minimum(A, B), r"minimum: shapes \(2, 3\) and \(4, 5\)"),
    (lambda: ag.where([True, False], A, B), r"where: shapes \(2,\), \(2, 3\) and \(4, 5\)"),
    (lambda: ag.concatenate([A, B]), r"concatenate: shapes \(2, 3\), \(4, 5\) do not fit along axis 0"),
    (lambda: ag.concatenate([A, A], 5), r"concatenate: shapes \(2, 3\), \(2, 3\) do not fit along axis 5"),
    (lambda: ag.stack([A, B]), r"stack: shapes \(2, 3\), \(4, 5\) do not fit along axis 0"),
    (lambda: ag.stack([]), "stack needs at least one tensor, got none"),
    (lambda: A.reshape(5), r"reshape: 6 numbers of shape \(2, 3\) do not fit the shape 5"),
    (lambda: A.transpose(0, 2), r"transpose: axes \(0, 2\) do not fit the shape \(2, 3\)"),
    (lambda: A.sum(2), r"sum: axis 2 does not fit the shape \(2, 3\)"),
    (lambda: A.mean((0, 0)), r"mean: axis \(0, 0\) does not fit"),
    (lambda: A.softmax(-3), r"softmax: axis -3 does not fit the shape \(2, 3\)"),
    (lambda: A[:0].max(0), r"max of no numbers: shape \(0, 3\)"),
    (lambda: A[:0].mean(), r"mean of no numbers: shape \(0, 3\)"),
    (lambda: A[:0].log_softmax(0), r"log_softmax of no numbers: shape \(0, 3\)"),
    (lambda: A[2], r"indexing a tensor of shape \(2, 3\): index 2 is out of bounds"),
    (lambda: A[0, 0, 0], r"indexing a tensor of shape \(2, 3\): too many indices"),
    (lambda: A[[0.5]], "indexed by integers, slices, .* got float64"),
    (lambda: A[A], "indexed by integers, slices, .* got float64"),
    (lambda: A + None, "add needs real numbers, got NoneType"),
    (lambda: A * "x", "mul needs real numbers, got str"),
    (lambda: A + 1j, "add needs real numbers, got complex"),
    (lambda: A.clip(), "clip needs low <= high, one of them at least"),
    (lambda: A.clip(1, 0), "got low=1, high=0"),
    (lambda: A.gelu("tanhh"), "unknown form of gelu 'tanhh'; did you mean 'tanh'"),
]


@pytest.mark.parametrize(("mistake", "message"), SHAPES, ids=[m for _, m in SHAPES])
def test_mistakes_are_told(mistake, message):
    with pytest.raises(ol.ConfigError, match=message):
        mistake()
