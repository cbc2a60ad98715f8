"""Augmentation: SciPy's shifts and NumPy's flips, drawn from seed and epoch."""

from types import SimpleNamespace

import numpy as np
import pytest
from scipy import ndimage
from test_data import X

from optlab.data.augment import Augment
from optlab.data.digits import digits
from optlab.errors import ConfigError, DataError


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
