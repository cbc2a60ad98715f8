"""Arrays of one's own, splits, folds, standardisation, augmentation: against scikit-learn, SciPy and the arithmetic."""

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import ndimage
from sklearn.model_selection import StratifiedKFold, train_test_split
from sklearn.preprocessing import StandardScaler

from optlab.data.augment import Augment
from optlab.data.dataset import Dataset, from_arrays
from optlab.data.digits import digits
from optlab.data.scaler import Scaler
from optlab.data.splits import shares
from optlab.errors import ConfigError, DataError

X, Y = np.arange(24.0).reshape(8, 3), np.array([0, 1, 0, 1, 0, 1, 0, 1])


def table(counts, seed=0, dtype="float64"):
    """One data set with so many rows of each class, shuffled; a row holds its own number."""
    y = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(counts)), counts))
    x = np.arange(len(y), dtype=dtype)[:, None]
    return Dataset("table", x, y, tuple(map(str, range(len(counts)))), None, len(y))


def published(n, own):
    data = table([n // 2, n - n // 2])
    return Dataset("published", data.x, data.y, data.classes, None, n - own)


# Arrays


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


# Splits

COUNTS = st.lists(st.integers(5, 40), min_size=1, max_size=8)
FRACTION = st.floats(0.02, 0.4)


@given(counts=COUNTS, val=FRACTION, test=FRACTION, seed=st.integers(0, 2**63))
def test_a_split_gives_every_class_its_share(counts, val, test, seed):
    data = table(counts)
    n = len(data)
    assume(min(val, test) * n >= 0.5 and min(counts) * (1 - val - test) > 2)
    train, held, sealed = data.split(val, test, seed, standardize=False)
    parts = [train, held, sealed._part]
    assert sorted(np.concatenate([part.rows for part in parts])) == list(range(n))
    assert [len(part) for part in parts[1:]] == [int(val * n + 0.5), int(test * n + 0.5)]
    for part in parts:
        share = np.array(counts) * len(part) / n
        assert np.all(np.abs(np.bincount(part.y, minlength=len(counts)) - share) <= 1 + 1e-9)


@given(counts=st.lists(st.integers(0, 30), min_size=1, max_size=12), data=st.data())
def test_shares_add_up_and_are_near(counts, data):
    """The three sums of a controlled rounding, on any table: rows, columns, and each number next to its share."""
    n = sum(counts)
    assume(n > 0)
    first = data.draw(st.integers(0, n))
    second = data.draw(st.integers(0, n - first))
    sizes = np.array([first, second, n - first - second])
    found = shares(np.array(counts), sizes, np.arange(len(counts)))
    assert found.sum(0).tolist() == sizes.tolist()
    assert found.sum(1).tolist() == counts
    assert found.min() >= 0
    assert np.all(np.abs(found - np.outer(counts, sizes) / n) <= 1)


@pytest.mark.parametrize("counts", [[50, 50], [90, 9], [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]])
def test_a_split_has_the_counts_of_train_test_split(counts):
    """scikit-learn draws which classes get the odd row; the counts differ from ours by that one row at most."""
    data = table(counts)
    for test in (0.1, 0.2, 0.5):
        train, _, sealed = data.split(val=0, test=test, seed=1)
        theirs = train_test_split(data.y, test_size=len(sealed), stratify=data.y, random_state=0)
        for ours, their in zip((train.y, sealed._part.y), theirs, strict=True):
            assert len(ours) == len(their)
            assert np.abs(np.bincount(ours) - np.bincount(their)).max() <= 1


def test_the_same_seed_is_the_same_split_everywhere():
    """Philox's raw stream and whole numbers: these rows were written down once and hold on every platform and NumPy."""
    data = from_arrays(np.zeros((12, 1)), [0, 1] * 6)
    train, val, test = data.split(0.25, 0.25, seed=7)
    assert train.rows.tolist() == [4, 10, 7, 6, 1, 11]
    assert val.rows.tolist() == [8, 2, 9]
    assert test._part.rows.tolist() == [0, 5, 3]
    assert data.split(0.25, 0.25, seed=8)[0].rows.tolist() != [4, 10, 7, 6, 1, 11]


def test_whole_numbers_nothing_and_the_published_part():
    data = published(100, 20)
    train, val, test = data.split(10, "published", seed=3)
    assert test._part.rows.tolist() == list(range(80, 100))
    assert (len(train), len(val)) == (70, 10)
    assert max(train.rows.max(), val.rows.max()) < 80
    assert [len(part) for part in data.split(0.25, "published")[:2]] == [60, 20]
    assert [len(part) for part in data.split(0, 0)] == [100, 0, 0]
    assert [len(part) for part in data.split(5, 15)] == [80, 5, 15]
    assert "20 of them its own test part" in repr(data)


@pytest.mark.parametrize(
    ("counts", "options", "message"),
    [
        ([50, 50], {"val": 1.0}, "fraction in"),
        ([50, 50], {"val": -0.1}, "fraction in"),
        ([50, 50], {"val": -1}, "there are 100"),
        ([50, 50], {"test": 100}, "training part needs some"),
        ([50, 50], {"val": 0.5, "test": 0.5}, "leave none of 100"),
        ([50, 50], {"val": float("nan")}, "fraction in"),
        ([50, 50], {"val": True}, "fraction in"),
        ([50, 50], {"val": "a lot"}, "fraction in"),
        ([50, 50], {"test": "publised"}, "published"),
        ([50, 50], {"test": "published"}, "no test part of its own"),
        ([50, 50], {"val": 0.001}, "no row at all"),
        ([50, 2], {}, "class '1' has 2 rows for 3 parts"),
        ([97, 3], {"val": 0, "test": 0.9}, "class '1' would have no training row"),
        ([1, 1], {"val": 0, "test": 0.5}, "class '0' has 1 rows for 2"),
        ([50, 50], {"seed": -1}, "seed is"),
        ([50, 50], {"seed": 1.5}, "seed is"),
    ],
)
def test_a_split_that_can_not_be(counts, options, message):
    with pytest.raises((ConfigError, DataError), match=message):
        table(counts).split(**options)


def test_a_tiny_class_is_fine_without_stratification():
    assert sum(map(len, table([50, 1]).split(stratify=False))) == 51


@given(counts=st.lists(st.integers(6, 30), min_size=1, max_size=6), k=st.integers(2, 6), seed=st.integers(0, 2**32))
def test_folds_are_disjoint_cover_all_and_have_sklearns_counts(counts, k, seed):
    data = table(counts)
    pairs = data.folds(k, seed, standardize=False)
    assert sorted(np.concatenate([held.rows for _, held in pairs])) == list(range(len(data)))
    for train, held in pairs:
        assert sorted([*train.rows, *held.rows]) == list(range(len(data)))
    sorted_y = np.sort(data.y)  # scikit-learn numbers classes as they appear
    theirs = [np.bincount(sorted_y[at]) for _, at in StratifiedKFold(k).split(sorted_y, sorted_y)]
    np.testing.assert_array_equal([np.bincount(held.y, minlength=len(counts)) for _, held in pairs], theirs)


def test_folds_inside_a_part_stay_inside_and_refit():
    train, _, _ = digits().split(seed=1)
    pairs = train.folds(3, seed=2)
    assert sorted(np.concatenate([held.rows for _, held in pairs])) == sorted(train.rows)
    for inner, held in pairs:
        assert inner.scaler is held.scaler
        np.testing.assert_array_equal(inner.scaler.shift, Scaler.fit(train.data.x, inner.rows, 1).shift)
    assert train.data.part().folds(3)[0][0].scaler is None


@pytest.mark.parametrize("k", [1, 0, 2.0, True])
def test_bad_folds(k):
    with pytest.raises(ConfigError, match="whole number >= 2"):
        table([5, 5]).folds(k)


def test_too_many_folds():
    with pytest.raises(DataError, match="class '1' has 3 rows for 4 folds"):
        table([9, 3]).folds(4)
    with pytest.raises(DataError, match="12 rows are not enough for 13"):
        table([9, 3]).folds(13)
    assert len(table([9, 3]).folds(4, stratify=False)) == 4


def test_take_is_a_smaller_part_with_the_same_scaler():
    train, _, _ = table([60, 30, 10]).split(0, 0)
    small = train.take(20, seed=5)
    assert np.bincount(small.y).tolist() == [12, 6, 2]
    assert set(small.rows) <= set(train.rows)
    assert small.scaler is train.scaler
    assert train.take([3, 1]).rows.tolist() == train.rows[[3, 1]].tolist()
    assert sorted(train.take(100).rows) == sorted(train.rows)
    for bad in (0, 101, [0, 0], [100], [-1], [0.5], [], [[1]]):
        with pytest.raises(ConfigError):
            train.take(bad)


# Standardisation


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_table_is_standardised_as_scikit_learn_does(dtype):
    random = np.random.default_rng(0)
    x = random.normal(size=(500, 6)) * [1, 1e-3, 1e4, 1, 1, 5] + [0, 7, 1e6, 0, 0, -3]
    x[:, 3], x[:, 4] = 0.1, 0.0  # constant
    data = from_arrays(x, random.integers(2, size=500), dtype=dtype)
    train, val, _ = data.split(seed=4)
    theirs = StandardScaler().fit(data.x[train.rows].astype("f8"))
    tolerance = {"rtol": 1e-12} if dtype == "float64" else {"rtol": 1e-6}
    np.testing.assert_allclose(train.scaler.shift, theirs.mean_, **tolerance, atol=1e-14)
    np.testing.assert_allclose(train.scaler.scale, 1 / theirs.scale_, **tolerance)
    assert train.scaler.scale[3:5].tolist() == [1, 1]
    assert val.scaler is train.scaler
    np.testing.assert_array_equal(val.x, (data.x[val.rows] - train.scaler.shift) * train.scaler.scale)
    assert val.x.dtype == dtype


def test_blocks_do_not_matter(monkeypatch):
    x = np.random.default_rng(1).normal(3, 2, (1001, 5))
    whole = Scaler.fit(x, np.arange(1001))
    monkeypatch.setattr("optlab.data.scaler.BLOCK", 35)
    np.testing.assert_allclose(Scaler.fit(x, np.arange(1001)).shift, whole.shift, rtol=1e-13)
    np.testing.assert_allclose(Scaler.fit(x, np.arange(1001)).scale, whole.scale, rtol=1e-13)


def test_a_far_away_feature_keeps_its_spread():
    """One pass of sums of squares would lose all digits here."""
    x = np.array([[1e9 + 1], [1e9 + 3]] * 50)
    assert Scaler.fit(x, np.arange(100)).scale.tolist() == [1.0]


def test_pictures_have_one_number_per_channel():
    x = np.random.default_rng(2).integers(0, 256, (60, 4, 4, 3), np.uint8)
    x[..., 2] = 9
    data = from_arrays(x, np.arange(60) % 2)
    scaler = data.split(0, 0)[0].scaler
    colours = data.x.reshape(-1, 3).astype("f8")
    np.testing.assert_allclose(scaler.shift.reshape(-1, 3), np.tile(colours.mean(0), (16, 1)), rtol=1e-6)
    np.testing.assert_allclose(1 / scaler.scale.reshape(-1, 3)[:, :2], np.tile(colours.std(0)[:2], (16, 1)), rtol=1e-6)
    assert set(scaler.scale.reshape(-1, 3)[:, 2]) == {1}


def test_other_rows_do_not_reach_the_scaler():
    data = digits()
    train, val, test = data.split(seed=0)
    before = train.scaler
    data.x[np.concatenate([val.rows, test._part.rows])] = 1e6
    after = data.split(seed=0)[0].scaler
    assert before.shift.tobytes() == after.shift.tobytes()
    assert before.scale.tobytes() == after.scale.tobytes()


def test_what_can_not_be_standardised():
    with pytest.raises(DataError, match="feature 1 are too large"):
        from_arrays([[0, 1e200], [1, -1e200]], [0, 1], dtype="float64").part(standardize=True)
    assert from_arrays([[1e-40], [0.0]], [0, 1]).part(standardize=True).scaler.scale.tolist() == [1]
    with pytest.raises(DataError, match="no training rows"):
        Scaler.fit(X, np.zeros(0, int))


# Identity


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


# Augmentation


class Drawn(SimpleNamespace):
    """A generator that gives what a test says."""

    def integers(self, *_, **__):
        return np.array(self.moves).T

    def random(self, m):
        return np.array(self.coins)


@pytest.mark.parametrize("image", [(6, 5), (6, 5, 3)])
def test_a_shift_is_scipys_and_a_flip_is_numpys(image):
    pictures = np.random.default_rng(0).random((4, *image), np.float32)
    moves = [(0, 0), (2, -1), (-2, 2), (1, 0)]
    random = Drawn(moves=moves, coins=[0.9, 0.9, 0.1, 0.1])
    found = Augment(shift=2, flip=True)(pictures.reshape(4, -1), image, random).reshape(pictures.shape)
    for picture, move, coin, changed in zip(pictures, moves, random.coins, found, strict=True):
        want = ndimage.shift(picture, (*move, *([0] * (len(image) - 2))), order=0)
        np.testing.assert_array_equal(changed, np.flip(want, 1) if coin < 0.5 else want)


def test_augmented_pictures_depend_on_seed_and_epoch_only():
    data = digits()
    augment, before = Augment(shift=1, flip=True, noise=0.1), data.x.copy()

    def epoch(seed, number):
        return augment(data.x, data.image, augment.generator(seed, number))

    first = epoch(3, 5)
    assert first.tobytes() == epoch(3, 5).tobytes()
    assert not np.array_equal(first, epoch(3, 6))
    assert not np.array_equal(first, epoch(4, 5))
    assert first.dtype == np.float32
    assert first.min() >= 0
    assert first.max() <= 1
    assert data.x.tobytes() == before.tobytes()
    still = Augment(shift=0)
    assert still(data.x, data.image, still.generator(0, 0)).tobytes() == data.x.tobytes()
    noise = Augment(shift=0, noise=0.05)(np.full((400, 64), 0.5, "f4"), (8, 8), augment.generator(0, 0)) - 0.5
    assert abs(noise.std() - 0.05) < 0.001


def test_all_moves_are_as_likely():
    one = np.zeros((9000, 25), "f4")
    one[:, 12] = 1
    moved = Augment(shift=1)(one, (5, 5), np.random.default_rng(0)).mean(0).reshape(5, 5)
    assert moved.sum() == pytest.approx(1)
    np.testing.assert_allclose(moved[1:4, 1:4], 1 / 9, atol=5 * np.sqrt(8 / 81 / 9000))


@pytest.mark.parametrize("options", [{"shift": -1}, {"shift": 1.5}, {"flip": 1}, {"noise": -0.1}, {"noise": np.nan}])
def test_bad_augmentation(options):
    with pytest.raises(ConfigError, match=next(iter(options))):
        Augment(**options)


def test_only_pictures_are_augmented():
    augment = Augment(shift=2)
    random = augment.generator(0, 0)
    with pytest.raises(DataError, match="is a table"):
        augment(X, None, random)
    with pytest.raises(DataError, match="rows of 64 numbers"):
        augment(X, (8, 8), random)
    with pytest.raises(DataError, match="can empty"):
        augment(np.zeros((1, 4)), (2, 2), random)
    assert Augment.from_dict(augment.to_dict()) == augment
    with pytest.raises(ConfigError, match="did you mean 'shift'"):
        Augment.from_dict({"shfit": 1})
