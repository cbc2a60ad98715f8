"""Arrays of one's own: every layout read, every bad value told, and how a data set is known and shown."""

import numpy as np
import pytest

from optlab.data.dataset import from_arrays
from optlab.data.digits import digits
from optlab.errors import ConfigError, DataError

X, Y = np.arange(24.0).reshape(8, 3), np.array([0, 1, 0, 1, 0, 1, 0, 1])


# --- arrays -----------------------------------------------------------------------------------------------------------


def test_what_is_ready_is_not_copied():
    x, y = np.arange(24, dtype="f4").reshape(8, 3), Y.astype(np.int64)
    data = from_arrays(x, y)
    assert np.shares_memory(data.x, x)
    assert np.shares_memory(data.y, y)


@pytest.mark.parametrize(
    "x",
    [
        np.asfortranarray(X),
        np.repeat(X, 2, axis=1)[:, ::2],
        X.astype(">f4"),
        X.astype(int).tolist(),
        np.broadcast_to(X, (1, 8, 3))[0],
        X > 3,
        np.ma.array(X, mask=False),
    ],
    ids=["fortran", "strided", "big-endian", "list", "read-only", "bool", "unmasked"],
)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_every_layout_becomes_the_same_numbers(x, dtype):
    data = from_arrays(x, Y, dtype=dtype)
    np.testing.assert_array_equal(data.x, np.asarray(x))
    assert data.x.dtype == dtype
    assert data.x.flags.c_contiguous
    assert data.x.flags.writeable
    assert data.x.dtype.isnative
    assert (data.y.dtype, data.classes, data.outputs, data.published) == (np.int64, ("0", "1"), 2, 8)


def test_strings_become_sorted_classes():
    y = ["dog", "cat", "dog", "ant"] * 2
    data = from_arrays(X, y)
    assert data.classes == ("ant", "cat", "dog")
    assert [data.classes[label] for label in data.y] == y
    assert from_arrays(X, np.array(y, object)).y.tolist() == data.y.tolist()
    ordered = from_arrays(X, y, classes=["dog", "cat", "ant", "emu"])
    assert ordered.y.tolist() == [0, 1, 0, 2] * 2
    assert ordered.outputs == 4


def test_floats_are_targets():
    one, two = from_arrays(X, X[:, 0]), from_arrays(X, X[:, :2].astype("f2"))
    assert (one.y.shape, one.outputs, one.classes, one.y.dtype) == ((8, 1), 1, (), np.float32)
    assert (two.y.shape, two.outputs) == ((8, 2), 2)
    np.testing.assert_array_equal(two.y, X[:, :2])
    assert len(one.split(0.25, 0.25)[0]) == 4


def test_bytes_become_pictures_from_0_to_1():
    x = np.arange(2 * 4 * 5 * 3, dtype=np.uint8).reshape(2, 4, 5, 3)
    data = from_arrays(x, [0, 1])
    assert data.image == (4, 5, 3)
    assert data.channels == 3
    np.testing.assert_array_equal(data.x.reshape(x.shape), x.astype("f4") / np.float32(255))
    assert from_arrays(x[..., 0], [0, 1]).image == (4, 5)
    assert from_arrays(x.reshape(2, -1), [0, 1], image=(4, 5, 3)).x.tolist() == data.x.tolist()
    assert from_arrays(x.reshape(2, -1), [0, 1]).x.max() == 119  # bytes in a table are numbers


def with_value(value, dtype="f8"):
    x = X.astype(dtype)
    x[5, 2] = value
    return x


BAD_X = {
    "nan": (with_value(np.nan), "row 5, column 2 is nan"),
    "inf": (with_value(-np.inf), "row 5, column 2 is -inf"),
    "too large": (with_value(1e39), r"row 5, column 2 is 1e\+39, which float32 can't hold"),
    "one row": (X[:1], r"at least two rows.*\(1, 3\)"),
    "empty": (X[:0], r"at least two rows.*\(0, 3\)"),
    "no features": (X[:, :0], "one feature"),
    "flat": (X[:, 0], r"\(n, features\).*\(8,\)"),
    "scalar": (3.0, "got shape"),
    "object": (X.astype(object), "dtype object"),
    "text": (X.astype(str), "must hold numbers, got dtype <U"),
    "complex": (X + 1j, "complex128"),
    "dates": (X.astype("M8[s]"), "datetime64"),
    "ragged": ([[1, 2], [3]], "X is no array"),
    "masked": (np.ma.array(X, mask=X == 3), "masked"),
    "channels first": (np.zeros((8, 3, 6, 6)), "colours come last"),
    "range": (np.full((8, 6, 6), 1.5), "from 0 to 1.*got 1.5 to 1.5"),
}


@pytest.mark.parametrize("name", BAD_X)
def test_bad_x(name):
    x, message = BAD_X[name]
    with pytest.raises(DataError, match=message):
        from_arrays(x, Y)


def test_a_bad_value_is_found_in_any_block(monkeypatch):
    monkeypatch.setattr("optlab.data.checks.BLOCK", 6)
    with pytest.raises(DataError, match="row 5, column 2 is nan"):
        from_arrays(with_value(np.nan), Y)


BAD_Y = {
    "short": (Y[:7], {}, r"each of X's 8 rows, got shape \(7,\)"),
    "scalar": (0, {}, "one entry for each"),
    "negative": (Y - 1, {}, "got -1 at row 0"),
    "gap": (Y * 2, {}, "up to 2, but none is 1"),
    "from one": (Y + 1, {}, "none is 0.*classes="),
    "one class": (Y * 0, {}, "at least two classes"),
    "nan": (np.where(Y, np.nan, 0.0), {}, "y at row 1, column 0 is nan"),
    "one-hot": (np.eye(2, dtype=int)[Y], {}, "argmax"),
    "column": (Y[:, None], {}, "ravel"),
    "mixed": (np.array(["a", 1] * 4, object), {}, "numbers or strings, got dtype object"),
    "too few names": (Y, {"classes": ["a"]}, "two or more different"),
    "same names": (Y, {"classes": ["a", "a"]}, "two or more different"),
    "name string": (Y, {"classes": "ab"}, "list of names"),
    "above names": (Y * 2, {"classes": ["a", "b"]}, "up to 1, got 2 at row 1"),
    "float names": (Y * 1.0, {"classes": ["a", "b"]}, r"astype\(int\)"),
    "cube": (np.zeros((8, 1, 1)), {}, r"\(n, targets\)"),
    "image": (Y, {"image": (2, 2)}, "no pictures of shape"),
    "image rank": (Y, {"image": (3,)}, "a picture is"),
    "dtype": (Y, {"dtype": "float16"}, "float16"),
}


@pytest.mark.parametrize("name", BAD_Y)
def test_bad_y_or_option(name):
    y, options, message = BAD_Y[name]
    with pytest.raises(DataError, match=message):
        from_arrays(X, y, **options)


def test_an_unknown_name_of_a_class_is_named():
    with pytest.raises(ConfigError, match=r"'bat'; did you mean 'cat'"):
        from_arrays(X, ["bat", "dog"] * 4, classes=["cat", "dog"])


# --- identity ---------------------------------------------------------------------------------------------------------


def test_a_digest_is_of_contents():
    one, two = digits(), digits()
    assert one.digest == two.digest
    assert len(one.digest) == 64
    assert one.astype("float64").digest != one.digest
    two = digits()
    two.x[5, 5] += 1
    assert two.digest != one.digest
    two = digits()
    two.y[0] = 1
    assert two.digest != one.digest
    assert one.part([1, 2]).digest == one.part([2, 1]).digest != one.part([1, 3]).digest


def test_float64_is_asked_for():
    data = from_arrays(X, X[:, 0]).astype("float64")
    assert (data.x.dtype, data.y.dtype) == (np.float64, np.float64)
    with pytest.raises(ConfigError, match="float32 or float64"):
        data.astype("int8")


def test_reprs():
    train, _, test = digits().split()
    assert repr(train) == "Part(digits, 1257 of 1797 rows, standardised)"
    assert repr(digits().part()) == "Part(digits, 1797 of 1797 rows)"
    assert repr(from_arrays(X, X)) == "Dataset(arrays: 8 rows, 3 features, 3 targets, float32)"
    assert "64 features, shift 0.3" in repr(train.scaler)
    assert repr(test) == "Sealed(digits, 270 rows)"


def test_a_contact_sheet():
    ax = digits().show(60)
    sheet = ax.images[0].get_array()
    assert sheet.shape == (10 * 9 - 1, 6 * 9 - 1)
    first = digits()
    np.testing.assert_array_equal(sheet[27:35, :8], first.x[np.flatnonzero(first.y == 3)[0]].reshape(8, 8))
    assert [label.get_text() for label in ax.get_yticklabels()] == list("0123456789")
    pictures = from_arrays(np.random.default_rng(0).random((5, 3, 4, 3)), np.arange(5.0))
    assert pictures.show(4).images[0].get_array().shape == (7, 9, 3)
    with pytest.raises(DataError, match="is a table"):
        from_arrays(X, Y).show()
    with pytest.raises(ConfigError, match="n is a whole number"):
        digits().show(0)
