"""The tape itself: graphs, accumulation, what is freed, what is refused and with which words."""

import copy
import gc
import operator
import pickle
import threading
import weakref

import numpy as np
import pytest

import optlab as ol
from optlab import autograd as ag

BOTH = pytest.mark.parametrize("dtype", [np.float32, np.float64])


def leaf(*values, dtype=np.float64, name=None):
    return ol.Tensor(np.array(values, dtype), requires_grad=True, name=name)


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


# --- changes in place -------------------------------------------------------------------------------------------------


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


@BOTH
def test_a_small_network_as_torch(dtype):
    """200 steps of SGD: the same losses and weights."""
    torch = pytest.importorskip("torch")
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


# --- check ------------------------------------------------------------------------------------------------------------


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
