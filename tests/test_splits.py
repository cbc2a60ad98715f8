"""Splits and folds: shares of every class, scikit-learn's counts, the same rows for the same seed everywhere."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from sklearn.model_selection import StratifiedKFold, train_test_split

from optlab.data.dataset import Dataset, from_arrays
from optlab.data.digits import digits
from optlab.data.scaler import Scaler
from optlab.data.splits import shares
from optlab.errors import ConfigError, DataError


def table(counts, seed=0, dtype="float64"):
    """One data set with so many rows of each class, shuffled; a row holds its own number."""
    y = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(counts)), counts))
    x = np.arange(len(y), dtype=dtype)[:, None]
    return Dataset("table", x, y, tuple(map(str, range(len(counts)))), None, len(y))


def published(n, own):
    data = table([n // 2, n - n // 2])
    return Dataset("published", data.x, data.y, data.classes, None, n - own)


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
