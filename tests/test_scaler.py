"""Standardisation, as scikit-learn does it, from training rows alone."""

import numpy as np
import pytest
from sklearn.preprocessing import StandardScaler
from test_data import X

from optlab.data.dataset import from_arrays
from optlab.data.digits import digits
from optlab.data.scaler import Scaler
from optlab.errors import DataError


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
