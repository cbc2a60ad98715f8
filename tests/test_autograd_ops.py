"""Every operation against torch's autograd and against central differences: values, gradients, dtypes, broadcasting."""

import numpy as np
import pytest
from conftest import BOTH
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import optlab as ol
from optlab import autograd as ag
from optlab.autograd.graph import flow

TOLERANCE = {np.float32: 1e-5, np.float64: 1e-12}  # of the largest component


def normal(rng, *shape):
    return rng.standard_normal(shape)


def positive(rng, *shape):
    return rng.uniform(0.3, 3.0, shape)


def apart(rng, *shape):
    """Numbers in random order whose distances, from each other and from 0, are no less than 0.1."""
    n = int(np.prod(shape))
    return rng.permutation(0.1 * np.arange(1, n + 1) * rng.choice([-1.0, 1.0], n)).reshape(shape)


# Name: (numbers, ours, torch's).
UNARY = {
    "neg": (normal, lambda x: -x, lambda t, x: -x),
    "exp": (normal, lambda x: x.exp(), lambda t, x: x.exp()),
    "log": (positive, lambda x: x.log(), lambda t, x: x.log()),
    "sqrt": (positive, lambda x: x.sqrt(), lambda t, x: x.sqrt()),
    "abs": (apart, lambda x: x.abs(), lambda t, x: x.abs()),
    "builtin abs": (apart, abs, lambda t, x: abs(x)),
    "tanh": (normal, lambda x: x.tanh(), lambda t, x: x.tanh()),
    "sigmoid": (normal, lambda x: (4 * x).sigmoid(), lambda t, x: (4 * x).sigmoid()),
    "relu": (apart, lambda x: x.relu(), lambda t, x: x.relu()),
    "leaky relu": (apart, lambda x: x.leaky_relu(), lambda t, x: t.nn.functional.leaky_relu(x)),
    "leaky relu 0.3": (apart, lambda x: x.leaky_relu(0.3), lambda t, x: t.nn.functional.leaky_relu(x, 0.3)),
    "gelu": (normal, lambda x: x.gelu(), lambda t, x: t.nn.functional.gelu(x)),
    "gelu tanh": (normal, lambda x: x.gelu("tanh"), lambda t, x: t.nn.functional.gelu(x, approximate="tanh")),
    "square": (normal, lambda x: x**2, lambda t, x: x**2),
    "cube": (normal, lambda x: x**3, lambda t, x: x**3),
    "to the 0": (normal, lambda x: x**0, lambda t, x: x**0),
    "to the -1": (positive, lambda x: x**-1, lambda t, x: x**-1),
    "to the 1.5": (positive, lambda x: x**1.5, lambda t, x: x**1.5),
    "2 to the": (normal, lambda x: 2**x, lambda t, x: 2**x),
    "clip": (apart, lambda x: x.clip(-0.25, 0.45), lambda t, x: x.clip(-0.25, 0.45)),
    "clip low": (apart, lambda x: x.clip(low=0.25), lambda t, x: x.clip(min=0.25)),
    "clip high": (apart, lambda x: x.clip(high=0.25), lambda t, x: x.clip(max=0.25)),
    "3 + x": (normal, lambda x: 3 + x, lambda t, x: 3 + x),
    "x - 0.1": (normal, lambda x: x - 0.1, lambda t, x: x - 0.1),
    "0.1 - x": (normal, lambda x: 0.1 - x, lambda t, x: 0.1 - x),
    "x / 3": (normal, lambda x: x / 3, lambda t, x: x / 3),
    "3 / x": (positive, lambda x: 3 / x, lambda t, x: 3 / x),
    "x times itself": (normal, lambda x: x * x, lambda t, x: x * x),
    "T": (normal, lambda x: x.T, lambda t, x: x.permute(tuple(range(x.ndim))[::-1])),
    "flat": (normal, lambda x: x.reshape(-1), lambda t, x: x.reshape(-1)),
    "as it was": (normal, lambda x: x.reshape(x.shape), lambda t, x: x),
    "x[...]": (normal, lambda x: x[...], lambda t, x: x[...]),
    "x[None]": (normal, lambda x: x[None], lambda t, x: x[None]),
    "x[x > 0]": (normal, lambda x: x[x > 0], lambda t, x: x[x > 0]),
    "sum": (normal, lambda x: x.sum(), lambda t, x: x.sum()),
    "mean": (normal, lambda x: x.mean(), lambda t, x: x.mean()),
    "max": (apart, lambda x: x.max(), lambda t, x: x.max()),
    "min": (apart, lambda x: x.min(), lambda t, x: x.min()),
}
ALONG = {  # along an axis
    "sum": (normal, lambda x, a, k: x.sum(a, k), lambda t, x, a, k: x.sum(a, k)),
    "mean": (normal, lambda x, a, k: x.mean(a, k), lambda t, x, a, k: x.mean(a, k)),
    "max": (apart, lambda x, a, k: x.max(a, k), lambda t, x, a, k: x.amax(a, k)),
    "min": (apart, lambda x, a, k: x.min(a, k), lambda t, x, a, k: x.amin(a, k)),
}
BINARY = {
    "add": (normal, lambda a, b: a + b, lambda t, a, b: a + b),
    "sub": (normal, lambda a, b: a - b, lambda t, a, b: a - b),
    "mul": (normal, lambda a, b: a * b, lambda t, a, b: a * b),
    "div": (positive, lambda a, b: a / b, lambda t, a, b: a / b),
    "pow": (positive, lambda a, b: a**b, lambda t, a, b: a**b),
    "maximum": (normal, ag.maximum, lambda t, a, b: t.maximum(a, b)),
    "minimum": (normal, ag.minimum, lambda t, a, b: t.minimum(a, b)),
    "where": (normal, lambda a, b: ag.where(a > b, a, b * b), lambda t, a, b: t.where(a > b, a, b * b)),
}
SHAPES = [(), (1,), (5,), (3, 4), (2, 1, 3)]
PAIRS = [
    ((), ()),
    ((3,), ()),
    ((), (2, 3)),
    ((3,), (3,)),
    ((2, 3), (3,)),
    ((2, 1), (3,)),
    ((2, 1, 3), (4, 1)),
    ((1, 1), (2, 3)),
    ((0, 3), (3,)),
]
PRODUCTS = [
    ((3,), (3,)),
    ((2, 3), (3, 4)),
    ((1, 3), (3, 1)),
    ((3,), (3, 4)),
    ((2, 3), (3,)),
    ((5, 2, 3), (5, 3, 4)),
    ((5, 2, 3), (3, 4)),
    ((2, 3), (5, 3, 4)),
    ((5, 2, 3), (3,)),
    ((3,), (5, 3, 4)),
    ((6, 1, 2, 3), (5, 3, 4)),
    ((0, 3), (3, 4)),
    ((2, 0), (0, 4)),
]
KEYS = {
    "0": 0,
    "-1": -1,
    "np.int64(1)": np.int64(1),
    "1:": slice(1, None),
    "::-1": slice(None, None, -1),
    "..., 0": (..., 0),
    "None, 1": (None, 1),
    ":, None": (slice(None), None),
    "1, 2": (1, 2),
    "array": np.array([2, 0]),
    "repeats": np.array([1, 1, 0, 1]),
    "list": [0, 0, 2],
    "matrix": np.array([[0, 1], [1, 1]]),
    "two arrays": (np.array([0, 1, 0]), np.array([2, 2, 2])),
    "array and slice": (np.array([0, 0]), slice(1, 3)),
    "slice and array": (slice(None), np.array([3, 3, 0])),
    "int and array": (1, np.array([0, 0])),
    "mask": np.array([True, False, True]),
    "mask and int": (np.array([True, False, True]), 1),
    "empty list": [],
    "empty slice": slice(2, 2),
    "tuple of all": (),
}


def ours(f, arrays, weight=None):
    """The value, the weights of its sum, and the gradients with the dtypes they flow with."""
    tensors = [ol.Tensor(a.copy(), requires_grad=True) for a in arrays]
    y = f(*tensors)
    if weight is None:
        weight = np.random.default_rng(1).standard_normal(y.shape).astype(y.dtype)
    gradients = {id(t): g for t, g in flow(y, weight, False)}
    return y.data, weight, [gradients[id(t)] for t in tensors]


def against_torch(f, g, arrays, dtype):
    torch = pytest.importorskip("torch")
    arrays = [np.asarray(a, dtype) for a in arrays]
    value, weight, gradients = ours(f, arrays)
    tensors = [torch.tensor(a, requires_grad=True) for a in arrays]
    want = g(torch, *tensors)
    want.backward(torch.tensor(weight))
    for got, expected in zip([value, *gradients], [want.detach(), *(t.grad for t in tensors)], strict=True):
        expected = expected.numpy()
        assert got.dtype == expected.dtype == dtype
        assert got.shape == expected.shape
        scale = np.abs(expected).max(initial=0.0)
        np.testing.assert_allclose(got, expected, rtol=0, atol=TOLERANCE[dtype] * max(scale, 1e-30))


def against_differences(f, arrays):
    rng = np.random.default_rng(2)
    tensors = [ol.Tensor(np.asarray(a, np.float64)) for a in arrays]
    weight = rng.standard_normal(f(*tensors).shape)
    assert ag.check(lambda *t: (f(*t) * weight).sum(), *tensors) <= 1e-6


@BOTH
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("name", UNARY)
def test_of_one(name, shape, dtype):
    draw, f, g = UNARY[name]
    x = draw(np.random.default_rng(0), *shape)
    against_torch(f, g, [x], dtype)
    if dtype == np.float64:
        against_differences(f, [x])


@BOTH
@pytest.mark.parametrize("shapes", PAIRS, ids=str)
@pytest.mark.parametrize("name", BINARY)
def test_of_two(name, shapes, dtype):
    draw, f, g = BINARY[name]
    rng = np.random.default_rng(0)
    for order in (shapes, shapes[::-1]):
        arrays = [draw(rng, *s) for s in order]
        against_torch(f, g, arrays, dtype)
        if dtype == np.float64:
            against_differences(f, arrays)


@BOTH
@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("axis", [0, 1, -1, (0, 2), (-1, 0), (0, 1, 2)], ids=str)
@pytest.mark.parametrize("name", ALONG)
def test_along_axes(name, axis, keepdims, dtype):
    draw, f, g = ALONG[name]
    x = draw(np.random.default_rng(0), 2, 3, 4)
    against_torch(lambda x: f(x, axis, keepdims), lambda t, x: g(t, x, axis, keepdims), [x], dtype)
    if dtype == np.float64:
        against_differences(lambda x: f(x, axis, keepdims), [x])


@BOTH
@pytest.mark.parametrize("axis", [0, 1, 2, -1])
@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
def test_softmax(name, axis, dtype):
    x = normal(np.random.default_rng(0), 2, 3, 4)
    against_torch(lambda x: getattr(x, name)(axis), lambda t, x: getattr(x, name)(axis), [x], dtype)
    against_differences(lambda x: getattr(x, name)(axis), [x])


@BOTH
@pytest.mark.parametrize("shapes", PRODUCTS, ids=str)
def test_matmul(shapes, dtype):
    rng = np.random.default_rng(0)
    arrays = [normal(rng, *s) for s in shapes]
    against_torch(lambda a, b: a @ b, lambda t, a, b: a @ b, arrays, dtype)
    if dtype == np.float64:
        against_differences(lambda a, b: a @ b, arrays)


@BOTH
@pytest.mark.parametrize("key", KEYS.values(), ids=list(KEYS))
def test_indexing(key, dtype):
    """torch knows no negative steps; there NumPy's own indexing of an array of positions is the oracle."""
    x = normal(np.random.default_rng(0), 3, 4).astype(dtype)
    value, weight, (gradient,) = ours(lambda x: x[key], [x])
    np.testing.assert_array_equal(value, x[key])
    positions = np.arange(12).reshape(3, 4)[key]
    want = np.bincount(positions.ravel(), weight.ravel(), minlength=12).reshape(3, 4)
    np.testing.assert_allclose(gradient, want, rtol=4 * np.finfo(dtype).eps)
    assert gradient.dtype == dtype
    against_differences(lambda x: x[key], [x])


@BOTH
@pytest.mark.parametrize("axes", [(0, 1, 2), (2, 0, 1), (-1, 0, 1), ((1, 2, 0),), ([2, 1, 0],), ()], ids=str)
def test_transpose(axes, dtype):
    order = axes[0] if len(axes) == 1 else axes or (2, 1, 0)
    x = normal(np.random.default_rng(0), 2, 3, 4)
    against_torch(lambda x: x.transpose(*axes), lambda t, x: x.permute(*order), [x], dtype)


@BOTH
@pytest.mark.parametrize("shape", [(6, 4), (-1,), (2, -1, 2), ((4, 6),), ([3, -1],)], ids=str)
def test_reshape(shape, dtype):
    x = normal(np.random.default_rng(0), 2, 3, 4)
    against_torch(lambda x: x.T.reshape(*shape), lambda t, x: x.permute(2, 1, 0).reshape(*shape), [x], dtype)


@BOTH
@pytest.mark.parametrize("axis", [0, 1, -1])
def test_concatenate_and_stack(axis, dtype):
    rng = np.random.default_rng(0)
    joined = [normal(rng, *s) for s in ([(2, 3), (1, 3), (4, 3)] if axis == 0 else [(2, 3), (2, 1), (2, 0)])]
    against_torch(lambda *t: ag.concatenate(t, axis), lambda t, *x: t.cat(x, axis), joined, dtype)
    stacked = [normal(rng, 2, 3) for _ in range(3)]
    against_torch(lambda *t: ag.stack(t, axis), lambda t, *x: t.stack(x, axis), stacked, dtype)
    against_torch(
        lambda a: ag.stack([a, a * a, a], axis), lambda t, a: t.stack([a, a * a, a], axis), stacked[:1], dtype
    )


@BOTH
def test_where_takes_numbers_arrays_and_broadcasts(dtype):
    rng = np.random.default_rng(0)
    chosen = rng.random((2, 1, 3)) > 0.5
    x = normal(rng, 4, 1)
    against_torch(lambda a: ag.where(chosen, a, 1.0), lambda t, a: t.where(t.tensor(chosen), a, 1.0), [x], dtype)
    against_torch(lambda a: ag.where(chosen, 1.0, a), lambda t, a: t.where(t.tensor(chosen), 1.0, a), [x], dtype)


# --- where gradients are a matter of convention -----------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize("name", ["max", "min"])
def test_ties_share_the_gradient_equally(name, dtype):
    """As torch's amax, amin, max() and min(); its max(dim) gives all of it to one index."""
    x = np.array([[1.0, 2.0, 2.0, 1.0], [3.0, 3.0, 3.0, 3.0], [0.0, -1.0, 5.0, 5.0]])
    against_torch(lambda x: getattr(x, name)(1), lambda t, x: getattr(x, "a" + name)(1), [x], dtype)
    against_torch(lambda x: getattr(x, name)(), lambda t, x: getattr(x, name)(), [x], dtype)
    t = ol.Tensor(x.astype(dtype), requires_grad=True)
    t[1].max().backward()
    np.testing.assert_array_equal(t.grad[1], 0.25)
    pair = [np.array([1.0, 2.0, 3.0]), np.array([1.0, 3.0, 2.0])]
    against_torch(getattr(ag, name + "imum"), lambda t, a, b: getattr(t, name + "imum")(a, b), pair, dtype)


KINKS = ["relu", "leaky relu", "abs", "clip", "square", "cube", "to the 0", "sigmoid", "gelu", "gelu tanh"]


@BOTH
@pytest.mark.parametrize("name", KINKS)
def test_kinks_as_torch(name, dtype):
    x = np.array([0.0, -0.0, -0.25, 0.45, 1.0, np.finfo(dtype).tiny])
    against_torch(*UNARY[name][1:], [x], dtype)


@BOTH
def test_powers_at_zero_as_torch(dtype):
    a, b = np.meshgrid([0.0, 1.0, 2.0], [0.0, 1.0, 2.0])
    against_torch(*BINARY["pow"][1:], [a, b], dtype)


@pytest.mark.parametrize("name", ["tanh", "sigmoid", "relu", "leaky_relu", "gelu", "softmax", "log_softmax", "abs"])
@BOTH
def test_extreme_numbers_give_finite_gradients_and_no_warning(name, dtype):
    for large in (30.0, 1e3, float(np.finfo(dtype).max)):
        x = ol.Tensor(np.array([-large, 0.5, large], dtype), requires_grad=True)
        y = getattr(x, name)()
        y[1:].sum().backward()  # of log_softmax, the first is -inf
        assert np.isfinite(y.data[1:]).all() or name == "log_softmax"
        assert np.isfinite(x.grad).all()
    assert ol.Tensor(np.array([-700.0])).sigmoid().item() == pytest.approx(np.exp(-700.0), rel=1e-14)


def test_relu_stops_infinite_gradients():
    x = ol.Tensor(np.array([-1.0, 0.0, 2.0, np.nan]), requires_grad=True)
    x.relu().backward(np.array([np.inf, -np.inf, 3.0, 5.0]))
    np.testing.assert_array_equal(x.grad, [0, 0, 3, 5])  # torch's too: a NaN passes it on


def test_tanh_form_of_gelu_is_bounded():
    x = ol.Tensor(np.array([-1e300, -50.0, 50.0, 1e300]), requires_grad=True)
    y = x.gelu("tanh")
    y.sum().backward()
    np.testing.assert_array_equal(y.data, [0, 0, 50, 1e300])
    np.testing.assert_array_equal(x.grad, [0, 0, 1, 1])


def test_a_maximum_that_is_nan_gives_its_gradient_to_the_nan():
    x = ol.Tensor(np.array([1.0, np.nan, 2.0]), requires_grad=True)
    x.max().backward()
    np.testing.assert_array_equal(x.grad, [0, 1, 0])


# --- laws over random shapes ------------------------------------------------------------------------------------------

BROADCAST = hnp.mutually_broadcastable_shapes(num_shapes=2, max_dims=4, max_side=4)


@given(shapes=BROADCAST, name=st.sampled_from(sorted(BINARY)), seed=st.integers(0, 9))
def test_broadcasting(shapes, name, seed):
    draw, f, g = BINARY[name]
    rng = np.random.default_rng(seed)
    against_torch(f, g, [draw(rng, *s) for s in shapes.input_shapes], np.float64)


@given(
    shapes=hnp.mutually_broadcastable_shapes(signature=np.matmul.signature, max_dims=2, max_side=4),
    seed=st.integers(0, 9),
)
def test_products_of_random_shapes(shapes, seed):
    rng = np.random.default_rng(seed)
    arrays = [normal(rng, *s) for s in shapes.input_shapes]
    against_torch(lambda a, b: a @ b, lambda t, a, b: a @ b, arrays, np.float64)


@given(data=st.data(), shape=hnp.array_shapes(max_dims=3, max_side=4), seed=st.integers(0, 9))
def test_any_index(data, shape, seed):
    x = normal(np.random.default_rng(seed), *shape)
    basic = hnp.basic_indices(shape, allow_newaxis=True)
    key = data.draw(st.one_of(basic, hnp.integer_array_indices(shape)))
    value, weight, (gradient,) = ours(lambda x: x[key], [x])
    positions = np.arange(x.size).reshape(shape)[key]
    np.testing.assert_array_equal(value, x[key])
    want = np.bincount(np.ravel(positions), np.ravel(weight), minlength=x.size).reshape(shape)
    np.testing.assert_allclose(gradient, want, rtol=1e-14, atol=1e-14)


SMOOTH = ["tanh", "sigmoid", "gelu", "softmax", "exp"]


@settings(max_examples=300)
@given(seed=st.integers(0, 10**6))
def test_random_graphs(seed):
    """Each step takes any two of the tensors so far: sums of many paths."""
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(seed)
    leaves = [rng.uniform(-1, 1, s) for s in [(3, 3), (3,), (3, 1), ()]]
    mine = [ol.Tensor(a, requires_grad=True) for a in leaves]
    other = [torch.tensor(a, requires_grad=True) for a in leaves]
    m, o = list(mine), list(other)
    for _ in range(12):
        i, j = rng.integers(len(m), size=2)
        kind = rng.integers(6)
        if kind < 3:
            f = [lambda a, b: a + b, lambda a, b: a * b, lambda a, b: a - b / (2 + b * b)][kind]
            m.append(f(m[i], m[j]))
            o.append(f(o[i], o[j]))
        elif kind == 3:
            name = SMOOTH[rng.integers(3)]
            m.append(getattr(m[i], name)())
            o.append(getattr(o[i], name)() if name != "gelu" else torch.nn.functional.gelu(o[i]))
        elif kind == 4:
            m.append(m[i].mean())
            o.append(o[i].mean())
        else:
            m.append((m[i] * m[0]).tanh() @ m[0])
            o.append((o[i] * o[0]).tanh() @ o[0])
    sum((t.mean() for t in m[4:]), start=ol.Tensor(0.0, dtype=np.float64)).backward()
    sum(t.mean() for t in o[4:]).backward()
    for a, b in zip(mine, other, strict=True):
        want = np.zeros(a.shape) if b.grad is None else b.grad.numpy()
        got = np.zeros(a.shape) if a.grad is None else a.grad
        np.testing.assert_allclose(got, want, rtol=0, atol=1e-12 * max(np.abs(want).max(), 1e-300))
