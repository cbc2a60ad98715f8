"""The same numbers give the same result in whatever container they come."""

import numpy as np
import pytest

import optlab as ol
from optlab.containers import as_array
from optlab.sklearn import MLPClassifier, MLPRegressor

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(24, 3)).round(6)
Y = np.arange(24) % 2
TARGETS = X @ [[1.0], [-2.0], [0.5]]


def frame(library, array):
    module = pytest.importorskip(library, reason=f"{library} makes the frames; pip install {library}")
    names = ["a", "b", "c"]
    return module.DataFrame(dict(zip(names, np.atleast_2d(array.T), strict=False)))


def column(library, array):
    """One-dimensional arrays are a series, others a frame."""
    module = pytest.importorskip(library, reason=f"{library} makes the frames; pip install {library}")
    return module.Series(array) if array.ndim == 1 else frame(library, array)


def read_only(array):
    copy = array.copy()
    copy.flags.writeable = False
    return copy


def tensor(array):
    return pytest.importorskip("torch", reason="torch makes the tensors; pip install torch").from_numpy(array)


CONTAINERS = {
    "other byte order": lambda a: a.astype(a.dtype.newbyteorder()),
    "Fortran's order": np.asfortranarray,
    "strided": lambda a: np.repeat(a, 2, axis=0)[::2],
    "reversed twice": lambda a: a[::-1].copy()[::-1],
    "read-only": read_only,
    "matrix-like": lambda a: np.ma.array(a),
    "list": lambda a: a.tolist(),
    "tuple": lambda a: tuple(map(tuple, a.tolist())) if a.ndim > 1 else tuple(a.tolist()),
    "buffer": lambda a: memoryview(np.ascontiguousarray(a)),
    "pandas": lambda a: column("pandas", a),
    "polars": lambda a: column("polars", a),
    "torch": tensor,
}


def mlp(dtype, outputs=2):
    return ol.nn.MLP([3, 4, outputs], dtype=dtype, seed=1)


def trained(X, y, dtype, outputs=2):
    model = mlp(dtype, outputs)
    ol.fit(model, (X, y), (X, y), epochs=2, batch_size=8, verbose=False)
    return np.concatenate([p.data.ravel() for p in model.parameters()])


def estimated(estimator, X, y, dtype):
    return estimator((4,), epochs=2, random_state=0, dtype=dtype).fit(X, y).predict(X)


TAKERS = {
    "fit": lambda X, y, t, dtype: trained(X, y, dtype),
    "fit, targets": lambda X, y, t, dtype: trained(X, t, dtype, 1),
    "evaluate": lambda X, y, t, dtype: mlp(dtype).evaluate((X, y)).loss,
    "lr_find": lambda X, y, t, dtype: ol.lr_find(mlp(dtype), (X, y), "adam", steps=20, batch_size=8).losses,
    "predict": lambda X, y, t, dtype: mlp(dtype).predict(X),
    "a call": lambda X, y, t, dtype: mlp(dtype)(X).data,
    "from_arrays": lambda X, y, t, dtype: ol.data.from_arrays(X, t, dtype=dtype).y,
    "labels": lambda X, y, t, dtype: ol.data.from_arrays(X, y, dtype=dtype).y,
    "MLPClassifier": lambda X, y, t, dtype: estimated(MLPClassifier, X, y, dtype),
    "MLPRegressor": lambda X, y, t, dtype: estimated(MLPRegressor, X, t, dtype),
    "Tensor": lambda X, y, t, dtype: ol.Tensor(X, dtype=dtype).data,
}  # fmt: skip
THEIRS = ("MLPClassifier", "MLPRegressor")  # what scikit-learn takes decides


@pytest.mark.fault(46, cases=len(CONTAINERS))
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("taker", TAKERS)
def test_every_container_gives_the_result_of_the_plain_array(taker, dtype):
    wanted = TAKERS[taker](X, Y, TARGETS, dtype)
    for name, pack in CONTAINERS.items():
        if taker in THEIRS and name in ("buffer", "torch"):
            continue
        got = TAKERS[taker](pack(X), pack(Y), pack(TARGETS), dtype)
        np.testing.assert_array_equal(got, wanted, err_msg=name)


@pytest.mark.fault(46, cases=8)
@pytest.mark.parametrize("given", ["f2", "f4", "f8", ">f4", ">f8", "i1", "i8", ">u2"])
def test_a_model_computes_in_its_own_precision_whatever_comes(given):
    """The oracle is NumPy, in float64."""
    x = (X * 8).round().clip(0, 99).astype(given)
    for dtype in ("float32", "float64"):
        model = ol.nn.MLP([3, 2], dtype=dtype, seed=0)
        weight, bias = (p.data.astype("f8") for p in model.parameters())
        for got in (model.predict(x), model(x).data):
            assert got.dtype == dtype
            np.testing.assert_allclose(got, x.astype("f8") @ weight + bias, rtol=1e-5, atol=1e-5)


@pytest.mark.fault(46, cases=4)
def test_a_tensor_keeps_the_precision_of_every_typed_container():
    for pack in (CONTAINERS[name] for name in ("other byte order", "buffer", "pandas", "polars", "torch")):
        assert ol.Tensor(pack(X)).dtype == np.float64
        assert ol.Tensor(pack(X.astype("f4"))).dtype == np.float32
        np.testing.assert_array_equal((ol.Tensor(X) * pack(X)).data, X * X)
    assert ol.Tensor(X.tolist()).dtype == np.float32


@pytest.mark.fault(46, cases=3)
def test_columns_of_frames_that_allow_for_missing_values_are_numbers():
    pandas = pytest.importorskip("pandas", reason="pandas makes the frames; pip install pandas")
    data = pandas.DataFrame({"a": [1.5, 2.5], "b": [True, False], "c": pandas.array([3, 4], dtype="Int64")})
    np.testing.assert_array_equal(ol.data.from_arrays(data, [0, 1]).x, [[1.5, 1, 3], [2.5, 0, 4]])
    assert as_array(pandas.Series([1, 2], dtype="Int64"), "y").dtype == np.int64
    data["when"] = pandas.to_datetime(["2026-01-01", "2026-01-02"])
    with pytest.raises(ol.DataError, match=r"X must hold numbers.* from column 'when'"):
        ol.data.from_arrays(data, [0, 1])
    with pytest.raises(ol.DataError, match="X must hold numbers"):
        ol.data.from_arrays(pandas.DataFrame({"a": [1, None], "b": pandas.array([1, None], dtype="Int64")}), [0, 1])


@pytest.mark.fault(46, cases=3)
def test_what_is_no_array_is_one_clear_error(torch):
    bound = torch.ones(4, 3, requires_grad=True)
    for x in (bound, torch.ones(4, 3, dtype=torch.bfloat16)):
        with pytest.raises(ol.DataError, match="X is no array"):
            ol.fit(mlp("float32"), (x, [0, 1, 0, 1]), epochs=1)
    with pytest.raises(ol.DataError, match="a tensor's data is no array"):
        ol.Tensor([[1.0], [1.0, 2.0]])
