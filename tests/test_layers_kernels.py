"""The loops over a batch against torch: forwards and backwards, both precisions, hostile inputs."""

import numba
import numpy as np
import pytest

from optlab_kernels import layers
from optlab_kernels.dropout import dropout_mask, mix
from optlab_kernels.exponential import exp
from optlab_kernels.jit import jit

torch = pytest.importorskip("torch", reason="the layers' oracle is torch")
F = torch.nn.functional


@jit
def fill_exp(x, y):
    for i in range(np.uint64(x.size)):
        y[i] = exp(x[i])


DTYPES = pytest.mark.parametrize("dtype", [np.float64, np.float32])
CLOSE = {np.float64: {"rtol": 1e-12, "atol": 1e-12}, np.float32: {"rtol": 2e-5, "atol": 2e-6}}
SHAPES = pytest.mark.parametrize("shape", [(1, 1), (3, 7), (32, 10), (17, 33)])


def batch(shape, dtype, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def tensor(array):
    return torch.from_numpy(array.copy()).requires_grad_()


@SHAPES
@DTYPES
@pytest.mark.parametrize("name", layers.ACTIVATIONS)
def test_activations(name, dtype, shape):
    z, dh = 3 * batch(shape, dtype), batch(shape, dtype, 1)
    h, dz = np.empty_like(z), np.empty_like(z)
    kind = layers.ACTIVATIONS[name]
    layers.activate(kind, 0.01, z, h)
    layers.activate_back(kind, 0.01, z, h, dh, dz)
    x = tensor(z)
    want = {"leaky-relu": F.leaky_relu, "relu": F.relu, "tanh": torch.tanh, "sigmoid": torch.sigmoid, "gelu": F.gelu}
    y = want[name](x)
    y.backward(torch.from_numpy(dh))
    np.testing.assert_allclose(h, y.detach().numpy(), **CLOSE[dtype])
    np.testing.assert_allclose(dz, x.grad.numpy(), **CLOSE[dtype])


@SHAPES
@DTYPES
@pytest.mark.parametrize("smoothing", [0.0, 0.1, 1.0])
def test_cross_entropy(shape, dtype, smoothing):
    z = 5 * batch(shape, dtype)
    labels = np.random.default_rng(2).integers(0, shape[1], shape[0])
    dz = np.empty_like(z)
    loss = layers.softmax_cross_entropy(z, labels, smoothing, dz)
    x = tensor(z)
    want = F.cross_entropy(x, torch.from_numpy(labels), label_smoothing=smoothing)
    want.backward()
    np.testing.assert_allclose(loss, want.item(), **CLOSE[dtype])
    np.testing.assert_allclose(dz, x.grad.numpy(), **CLOSE[dtype])
    np.testing.assert_allclose(dz.sum(axis=1), 0.0, atol=1e-12 if dtype is np.float64 else 1e-6)


@pytest.mark.parametrize("row", [[1e308, -1e308, 0.0], [-1e308] * 3, [7.0] * 3, [0.0, -np.inf, 1.0]])
@pytest.mark.fault(17)
def test_cross_entropy_of_extreme_logits_is_finite(row):
    z = np.array([row])
    dz = np.empty_like(z)
    with np.errstate(over="ignore"):
        loss = layers.softmax_cross_entropy(z, np.array([0]), 0.0, dz)
    assert np.isfinite(loss)
    assert np.isfinite(dz).all()
    assert abs(dz.sum()) < 1e-12


@SHAPES
@DTYPES
def test_squared_error(shape, dtype):
    y, target = batch(shape, dtype), batch(shape, dtype, 1)
    dy = np.empty_like(y)
    loss = layers.squared_error(y, target, dy)
    x = tensor(y)
    want = F.mse_loss(x, torch.from_numpy(target))
    want.backward()
    np.testing.assert_allclose(loss, want.item(), **CLOSE[dtype])
    np.testing.assert_allclose(dy, x.grad.numpy(), **CLOSE[dtype])


@pytest.mark.parametrize("shape", [(2, 1), (5, 7), (64, 33)])
@DTYPES
def test_batch_norm(shape, dtype):
    x, dy = 2 * batch(shape, dtype) + 3, batch(shape, dtype, 1)
    gamma, beta = batch(shape[1], dtype, 2), batch(shape[1], dtype, 3)
    mean, variance, inverse, dgamma, dbeta = (np.empty(shape[1], dtype) for _ in range(5))
    y, dx = np.empty_like(x), np.empty_like(x)
    layers.batch_norm(x, gamma, beta, 1e-5, mean, variance, inverse, y)
    layers.batch_norm_back(x, gamma, mean, inverse, dy, dx, dgamma, dbeta)
    tx, tg, tb = tensor(x), tensor(gamma), tensor(beta)
    want = F.batch_norm(tx, None, None, tg, tb, training=True, eps=1e-5)
    want.backward(torch.from_numpy(dy))
    loose = {"rtol": 1e-9, "atol": 1e-9} if dtype is np.float64 else {"rtol": 2e-3, "atol": 2e-3}  # 1/sqrt(var) cancels
    np.testing.assert_allclose(y, want.detach().numpy(), **CLOSE[dtype])
    np.testing.assert_allclose(variance, x.var(axis=0), **CLOSE[dtype])
    np.testing.assert_allclose(dx, tx.grad.numpy(), **loose)
    np.testing.assert_allclose(dgamma, tg.grad.numpy(), **loose)
    np.testing.assert_allclose(dbeta, tb.grad.numpy(), **loose)


def test_bias_and_its_gradient():
    z, b, dz = batch((6, 5), np.float64), batch(5, np.float64, 1), batch((6, 5), np.float64, 2)
    want = z + b
    layers.add_bias(z, b)
    np.testing.assert_array_equal(z, want)
    db = np.full(5, np.nan)
    layers.sum_rows(dz, db)
    np.testing.assert_array_equal(db, np.add.reduce(dz, axis=0))  # row after row, as NumPy does along the first axis


@pytest.mark.skipif(bool(numba.config.DISABLE_JIT), reason="two million interpreted calls take half a minute")
def test_exp_in_float32_is_within_its_bound():
    x = np.linspace(-90, 89, 2_000_003).astype(np.float32)
    y = np.empty_like(x)
    fill_exp(x, y)
    want = np.exp(x.astype(np.float64))
    normal = (want > 1.2e-38) & (want < 3.4e38)
    units = np.abs(y[normal] - want[normal]) / np.spacing(want[normal].astype(np.float32))
    assert units.max() < 1.2
    assert (y[want <= 1.1e-38] == 0).all()
    assert np.isinf(y[want >= 3.41e38]).all()


def test_exp_of_the_unusual():
    special = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, -1e30], np.float32)
    y = np.empty_like(special)
    with np.errstate(all="ignore"):
        fill_exp(special, y)
    np.testing.assert_array_equal(y, np.array([np.nan, np.inf, 0.0, 1.0, 1.0, 0.0], np.float32))
    wide = np.empty(2)
    fill_exp(np.array([1.0, -700.0]), wide)
    np.testing.assert_allclose(wide, np.exp([1.0, -700.0]), rtol=1e-15)


def test_splitmix_is_the_published_one():
    """The first numbers of seed 0 and of seed 1234567, from the reference implementation of Vigna's collection."""
    golden = 0x9E3779B97F4A7C15
    with np.errstate(over="ignore"):
        first = [int(mix(np.uint64(i * golden % 2**64))) for i in (1, 2, 3)]
        other = int(mix(np.uint64((1234567 + golden) % 2**64)))
    assert first == [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F]
    assert other == 6457827717110365317


def test_dropout_masks():
    with np.errstate(over="ignore"):
        masks = [np.empty((200, 50)) for _ in range(4)]
        for mask, (seed, step) in zip(masks, [(0, 1), (0, 1), (0, 2), (1, 1)], strict=True):
            dropout_mask(mask, seed, step, 0.25)
    a, same, later, other = masks
    np.testing.assert_array_equal(a, same)
    assert set(np.unique(a)) == {0.0, 1.0 / 0.75}
    for mask in (a, later, other):  # 10,000 draws: five standard deviations
        assert abs((mask == 0).mean() - 0.25) < 5 * np.sqrt(0.25 * 0.75 / mask.size)
    for mask in (later, other):  # independent: they agree where both keep or both drop
        agree = (a == mask).mean()
        assert abs(agree - (0.75**2 + 0.25**2)) < 5 * np.sqrt(0.25 / mask.size)
    first, second = (a[:, :-1] == 0).ravel(), (a[:, 1:] == 0).ravel()
    assert abs(np.corrcoef(first, second)[0, 1]) < 5 / np.sqrt(first.size)
