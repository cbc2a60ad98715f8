"""Arrays as they may lie in memory: bytes reversed, misaligned, strided, read-only. The right result or a clear error.

The right result is that of the same numbers in a plain array; of a product, NumPy's.
"""

import re

import numpy as np
import pytest
from conftest import BOTH

import optlab as ol
from optlab import nn
from optlab_kernels import gemm

RNG = np.random.default_rng(0)
X, W, V = RNG.standard_normal((6, 4)), RNG.standard_normal((4, 3)), RNG.standard_normal(3)
T, LABELS = RNG.standard_normal((6, 3)), np.array([0, 1, 2, 0, 1, 2])


def misaligned(a):
    view = np.zeros(a.nbytes + 1, np.uint8)[1:].view(a.dtype).reshape(a.shape)
    view[...] = a
    return view


def read_only(a):
    a = a.copy()
    a.flags.writeable = False
    return a


LAYOUTS = {
    "reversed bytes": lambda a: a.astype(a.dtype.newbyteorder()),
    "misaligned": misaligned,
    "columns first": np.asfortranarray,
    "negative strides": lambda a: np.flip(np.flip(a).copy()),
    "every other": lambda a: np.repeat(a, 2, -1)[..., ::2],
    "read-only": read_only,
    "one number for all": lambda a: np.broadcast_to(a[(0,) * a.ndim], a.shape),
}


def leaf(a):
    return ol.Tensor(a, requires_grad=True)


def ended(y, *leaves):
    """The numbers of a result and the gradients of what it was made of."""
    (y * y).sum().backward()
    return [y.data, *(x.grad for x in leaves)]


def product(lay, dtype):
    a, b = leaf(lay(X.astype(dtype))), leaf(lay(W.astype(dtype)))
    return ended(a @ b, a, b)


def mixed(lay, dtype):
    a = leaf(X.astype(dtype))
    return ended(a * lay(X.astype(dtype)) + lay(V.astype(dtype))[:1], a)


def linear(lay, dtype):
    leaves = [leaf(lay(a.astype(dtype))) for a in (X, W, V)]
    return ended(nn.functional.linear(*leaves), *leaves)


def activation(lay, dtype):
    a = leaf(lay(X.astype(dtype)))
    return ended(nn.functional.activation(a, "tanh"), a)


def normalized(lay, dtype):
    leaves = [leaf(lay(a)) for a in (X.astype(dtype), np.ones(4, dtype), np.zeros(4, dtype))]
    return ended(nn.functional.batch_norm(*leaves, 1e-3)[0], *leaves)


def cross_entropy(lay, dtype):
    a = leaf(lay(T.astype(dtype)))
    return ended(nn.cross_entropy(a, lay(LABELS), class_weights=lay(np.array([1.0, 2.0, 3.0]))), a)


def squared_error(lay, dtype):
    a = leaf(lay(X.astype(dtype)))
    return ended(nn.functional.mse(a, lay(X.astype(dtype)) + 1), a)


def gradients(lay, dtype):
    """A gradient that is assigned, and one to begin with, added to it."""
    a = leaf(X.astype(dtype))
    a.grad = lay(X.astype(dtype))
    (a * 2).backward(lay(X.astype(dtype)))
    return [a.grad]


def optimizer(lay, dtype):
    a = leaf(lay(X.astype(dtype)))
    run = ol.Optimizer([a], ol.Adam(0.1), nonfinite="raise", clip_norm=1.0)
    a.grad = lay(X.astype(dtype))
    run.step()
    state = run.state_dict()
    run.load_state_dict({**state, "slots": {k: v.astype(v.dtype.newbyteorder()) for k, v in state["slots"].items()}})
    run.step()
    return [a.data]


def network(lay, dtype):
    model = nn.MLP([4, 8, 3], seed=0)
    model.load_state_dict({k: lay(v) for k, v in model.state_dict().items()})
    return [model(lay(X.astype("f4"))).data, model.predict(lay(X.astype("f4")))]


PLACES = [
    product, mixed, linear, activation, normalized, cross_entropy, squared_error, gradients, optimizer, network,
]  # fmt: skip


@pytest.mark.fault(17, cases=2 * len(LAYOUTS))
@BOTH
@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.__name__)
def test_the_result_does_not_depend_on_how_an_array_lies(place, dtype):
    for name, lay in LAYOUTS.items():
        plain = (lambda a, lay=lay: np.array(lay(a), a.dtype)) if name == "one number for all" else np.array
        for got, want in zip(place(lay, dtype), place(plain, dtype), strict=True):
            assert got.dtype == want.dtype, name
            np.testing.assert_allclose(got, want, rtol=1e-4 if dtype == np.float32 else 1e-12, atol=1e-6, err_msg=name)


def test_wide_numbers_keep_what_their_bytes_say():
    """Reversed bytes are no reason to drop half of them: 1 + 2^-40 is 1 in float32."""
    number = 1.0 + 2.0**-40
    assert ol.Tensor(np.array([number], ">f8")).data[0] == number
    assert ol.Tensor(np.array([number], ">f4")).dtype == np.float32


@pytest.mark.fault(17, cases=2 * 3 * len(LAYOUTS))
@BOTH
@pytest.mark.parametrize("turned", [False, True], ids=["nn", "tn"])
def test_a_product_is_right_or_refused(dtype, turned):
    call = gemm.tn if turned else gemm.nn
    for name, lay in LAYOUTS.items():
        for which in ((0,), (1,), (2,), (0, 1, 2)):
            arrays = [np.array(X.T if turned else X, dtype, order="C"), W.astype(dtype), np.zeros((6, 3), dtype)]
            for i in which:
                arrays[i] = lay(arrays[i])
            a, b, c = arrays
            try:
                call(*arrays)
            except ValueError as error:
                refusal = str(error)
            else:
                refusal = ""
            if refusal:
                assert re.search("three arrays|must be (contiguous|aligned)|read-only", refusal)
            else:
                want = (a.T if turned else a).astype(float) @ b.astype(float)
                np.testing.assert_allclose(c, want, rtol=1e-4, atol=1e-5, err_msg=f"{name} {which}")


def test_a_product_into_its_own_factors_is_refused():
    wide = np.ones((4, 12), np.float32)
    one, two, three = wide[:, :4], wide[:, 4:8], wide[:, 8:]
    gemm.nn(one, two, three)
    assert (three == 4).all()
    rows = np.lib.stride_tricks.as_strided(np.ones(8, np.float32), (4, 4), (4, 4))
    for a, b, c in ((one, two, one), (one, two, two), (one, two, wide[:, 2:6]), (one, two, rows)):
        with pytest.raises(ValueError, match="shares memory"):
            gemm.nn(a, b, c)
