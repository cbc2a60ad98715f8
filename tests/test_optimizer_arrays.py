"""Anyone's arrays: packed into rows, copied or refused, taken over by a newer optimizer, freed."""

import gc
import weakref

import numpy as np
import pytest
from conftest import BOTH
from tensors import pull

import optlab as ol
from optlab.optim.arena import ALIGNMENT
from optlab_kernels.fuse import STATE, G, P


@BOTH
@pytest.mark.parametrize("n", [1, 8, 15, 16, 17, 1001])
def test_rows_start_on_cache_lines_and_tensors_are_views_of_them(dtype, n):
    a, b = ol.Tensor(np.ones(n, dtype)), ol.Tensor(np.ones((n, 2), dtype))
    optimizer = ol.Optimizer([a, b], "adam")
    assert all(row.ctypes.data % ALIGNMENT == 0 for row in optimizer._array)
    for row, views in [(P, (a.data, b.data)), (G, (a.grad, b.grad)), (STATE, optimizer.state("m"))]:
        for view, low, shape in zip(views, (0, n), ((n,), (n, 2)), strict=True):
            assert view.base is not None
            assert view.shape == shape
            assert view.flags.c_contiguous
            assert view.ctypes.data == optimizer._array[row, low:].ctypes.data


@pytest.mark.parametrize(
    "array",
    [
        np.arange(12.0).reshape(3, 4).T,
        np.arange(24.0)[::-2],
        np.asfortranarray(np.arange(12.0, dtype=np.float32).reshape(3, 4)),
        np.broadcast_to(np.float64(3.0), (2, 3)),
        np.array(5.0),
    ],
    ids=["transposed", "reversed", "fortran", "broadcast", "0-d"],
)
@pytest.mark.parametrize("writable", [True, False])
def test_the_callers_array_is_copied_and_left_alone(array, writable):
    array.flags.writeable = writable and array.flags.writeable  # a broadcast array never is
    original = array.copy()
    w = ol.Tensor(array)
    optimizer = ol.Optimizer([w], ol.SGD(1.0))
    np.testing.assert_array_equal(w.data, original)
    w.grad[...] = 1.0
    optimizer.step()
    np.testing.assert_array_equal(w.data, original - 1)
    np.testing.assert_array_equal(array, original)
    assert not np.shares_memory(w.data, array)


@pytest.mark.parametrize("data", [3, 2.5, True, [1, 2], [[1.0], [2.0]], np.arange(3), range(3)])
def test_what_is_no_float_array_becomes_float32(data):
    w = ol.Tensor(data)
    ol.Optimizer([w], "adam").step()
    assert w.dtype == np.float32
    assert w.shape == np.shape(data)
    np.testing.assert_array_equal(w.data, np.asarray(data, np.float32))


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ([], "needs at least one tensor, got none"),
        ([np.ones(3)], r"ol.Tensor objects, got ndarray; wrap arrays: ol.Tensor\(w\)"),
        (["weights"], "got str"),
        ([None], "got NoneType"),
        ([ol.Tensor(np.zeros((3, 0)))], r"has no elements: shape \(3, 0\)"),
        ([ol.Tensor(np.zeros(3, "f4")), ol.Tensor(np.zeros(3, "f8"))], "share one dtype, got float32 and float64"),
        ([ol.Tensor([1.0])] * 2, "given twice"),
    ],
)
def test_params_that_can_not_be_packed_are_refused(params, message):
    with pytest.raises(ol.ConfigError, match=message):
        ol.Optimizer(params, "sgd")
    for p in params:
        assert not isinstance(p, ol.Tensor) or p.grad is None, "nothing was packed"


def test_data_and_grad_are_assigned_in_place():
    w = ol.Tensor(np.zeros((2, 3)))
    assert w.grad is None
    w.grad = np.ones((2, 3))
    w.grad = None
    w.grad = np.full((2, 3), 2.0)
    optimizer = ol.Optimizer([w], ol.SGD(1.0))
    np.testing.assert_array_equal(w.grad, 2.0)  # packing keeps a gradient that is there
    data, grad = w.data, w.grad
    w.data, w.grad = np.ones((2, 3)), np.arange(6).reshape(2, 3)
    assert w.data is data
    assert w.grad is grad
    optimizer.step()
    np.testing.assert_array_equal(data, 1.0 - np.arange(6).reshape(2, 3))
    for wrong in (np.ones(6), np.ones((3, 2)), 1.0):
        with pytest.raises(ol.ConfigError, match=r"grad must have the tensor's shape \(2, 3\), got"):
            w.grad = wrong
        with pytest.raises(ol.ConfigError, match=r"data must have the tensor's shape \(2, 3\), got"):
            w.data = wrong
    with pytest.raises(ol.ConfigError, match=r"use optimizer\.zero_grad"):
        w.grad = None
    np.testing.assert_array_equal(w.grad, np.arange(6).reshape(2, 3))


def test_a_newer_optimizer_takes_over():
    w, other = ol.Tensor(np.zeros(3)), ol.Tensor(np.zeros(3))
    older = ol.Optimizer([w, other], ol.SGD(1.0))
    w.grad[...] = 1.0
    older.step()
    newer = ol.Optimizer([w], ol.SGD(0.5))
    np.testing.assert_array_equal(w.data, -1.0)
    np.testing.assert_array_equal(w.grad, 1.0)
    with pytest.raises(ol.ConfigError, match="belong to a newer Optimizer"):
        older.step()
    newer.step()
    np.testing.assert_array_equal(w.data, -1.5)


def test_a_refused_optimizer_leaves_the_older_one_at_work():
    w = ol.Tensor(np.zeros(3, np.float32))
    older = ol.Optimizer([w], ol.SGD(1.0))
    for params, rule, options in [
        ([w, w], "sgd", {}),
        ([w, ol.Tensor(np.zeros(3))], "sgd", {}),
        ([w], "sdg", {}),
        ([w], ol.SGD(1e300), {}),
        ([w], "sgd", {"nonfinite": "no"}),
    ]:
        with pytest.raises(ol.ConfigError):
            ol.Optimizer(params, rule, **options)
    w.grad[...] = 1.0
    older.step()
    np.testing.assert_array_equal(w.data, -1.0)


def test_an_optimizer_out_of_use_is_freed_and_its_tensors_live_on():
    w = ol.Tensor(np.zeros(3))
    first = ol.Optimizer([w], ol.SGD(1.0))
    pull(first)
    data, gone = w.data.copy(), weakref.ref(first)
    del first
    gc.collect()
    assert gone() is None
    np.testing.assert_array_equal(w.data, data)
    pull(ol.Optimizer([w], ol.SGD(1.0)))
    array = weakref.ref(ol.Optimizer([w], "adam").arena)
    ol.Optimizer([w], "sgd")
    gc.collect()
    assert array() is None
