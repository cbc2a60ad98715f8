"""The digits that ship with scikit-learn, and the sets that are drawn: glyphs and shapes."""

import gzip
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from matplotlib.path import Path
from scipy import ndimage
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression

from optlab.data import digits as digits_module
from optlab.data import glyphs as glyphs_module
from optlab.data.digits import digits
from optlab.data.glyphs import FONTS, SIDE, glyphs
from optlab.data.shapes import SHAPES, _polygon, _spokes, shapes
from optlab.errors import ConfigError, DataError

DRAWN = {"digits": glyphs, "letters": lambda n, seed=0: glyphs(n, seed, "letters"), "shapes": shapes}
EVERY_SET = pytest.mark.parametrize("name", DRAWN)


def test_digits_are_scikit_learns():
    ours, theirs = digits(), load_digits()
    np.testing.assert_array_equal(ours.x, theirs.data / 16)
    np.testing.assert_array_equal(ours.x.reshape(-1, *ours.image) * 16, theirs.images)
    np.testing.assert_array_equal(ours.y, theirs.target)
    assert list(ours.classes) == [str(label) for label in theirs.target_names]
    assert (ours.x.dtype, ours.y.dtype, ours.image, ours.published) == (np.float32, np.int64, (8, 8), 1797)


def test_digits_do_not_import_scikit_learn():
    code = "import sys; from optlab.data.digits import digits; digits(); print(*{m.split('.')[0] for m in sys.modules})"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "optlab" in loaded
    assert not {"sklearn", "scipy", "matplotlib", "numba"} & set(loaded)


@pytest.mark.parametrize(
    "content", [b"", b"not gzip", gzip.compress(b"1,2,3", mtime=0), gzip.compress(b"a,b\n", mtime=0), None]
)
def test_digits_that_are_not_there(content, tmp_path, monkeypatch):
    file = tmp_path / "datasets/data/digits.csv.gz"
    file.parent.mkdir(parents=True)
    if content is not None:
        file.write_bytes(content)
    monkeypatch.setattr(digits_module, "find_spec", lambda _: SimpleNamespace(origin=str(tmp_path / "__init__.py")))
    with pytest.raises(DataError, match="install scikit-learn again"):
        digits()
    monkeypatch.setattr(digits_module, "find_spec", lambda _: None)
    with pytest.raises(DataError, match="not installed"):
        digits()


@EVERY_SET
def test_a_drawn_set_is_balanced_bytes_between_0_and_1(name):
    data = DRAWN[name](153)
    assert data.x.shape == (153, int(np.prod(data.image)))
    assert (data.x.dtype, data.y.dtype, data.published) == (np.float32, np.int64, 153)
    counts = np.bincount(data.y, minlength=len(data.classes))
    assert counts.max() - counts.min() <= 1
    assert not np.array_equal(data.y, np.sort(data.y))
    levels = data.x.astype("f8") * 255
    assert levels.min() == 0
    assert levels.max() > 200
    np.testing.assert_allclose(levels, np.rint(levels), atol=1e-4)
    assert data.x.flags.c_contiguous
    assert data.x.flags.writeable
    assert len({row.tobytes() for row in data.x}) == 153


@EVERY_SET
def test_a_seed_gives_the_same_bits_in_another_process(name):
    data = DRAWN[name](60, seed=3)
    module, options = ("shapes", "") if name == "shapes" else ("glyphs", f", classes={name!r}")
    code = f"from optlab.data.{module} import {module}; print({module}(60, seed=3{options}).digest)"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said.strip() == data.digest
    assert DRAWN[name](60, seed=4).digest != data.digest


@EVERY_SET
@pytest.mark.parametrize("options", [{"n": 1}, {"n": 0}, {"n": 2.0}, {"n": True}, {"n": 9, "seed": -1}])
def test_bad_sizes_and_seeds(name, options):
    with pytest.raises(ConfigError, match="seed" if "seed" in options else "n is a whole number"):
        DRAWN[name](**options)


@pytest.mark.parametrize(("name", "low", "high"), [("digits", 0.7, 0.95), ("shapes", 0.35, 0.8)])
def test_a_linear_classifier_finds_it_neither_trivial_nor_hopeless(name, low, high):
    data = DRAWN[name](2500)
    model = LogisticRegression(C=0.01, max_iter=60, tol=1e-2).fit(data.x[:2000], data.y[:2000])
    assert low < model.score(data.x[2000:], data.y[2000:]) < high


# Glyphs


def test_every_font_has_every_class():
    """An empty box for a missing letter would be the same picture for all of them."""
    for names in glyphs_module.CLASSES.values():
        masters = glyphs_module._masters(names)
        assert masters.shape[:2] == (len(FONTS), len(names))
        for of_font in masters:
            assert of_font.sum((1, 2)).min() > 100
            assert len({letter.tobytes() for letter in of_font}) == len(names)
        edges = [masters[..., 0, :], masters[..., -1, :], masters[..., 0], masters[..., -1]]
        assert max(edge.max() for edge in edges) == 0  # nothing is cut off


class Fixed:
    """A generator that gives the numbers of a test."""

    def __init__(self, *values):
        self.values = list(values)

    def uniform(self, low, high, size):
        return np.broadcast_to(np.asarray(self.values.pop(0), float), size if isinstance(size, tuple) else (size,))


@pytest.mark.parametrize(
    ("angle", "shear", "growth", "shift"),
    [(0, 0, (0, 0), (0, 0)), (0.3, 0, (0, 0), (0, 0)), (0, 0.3, (0, 0), (0, 0)), (0, 0, (0.2, -0.1), (2, -1))],
)
def test_the_distortion_is_scipys_affine_transform(angle, shear, growth, shift):
    masters = glyphs_module._masters(tuple("0123456789"))
    random = Fixed(angle, shear, np.array(growth)[:, None], np.array(shift)[:, None])
    found = glyphs_module._distorted(masters, np.array([4]), np.array([7]), random).reshape(SIDE, SIDE)
    # letter = shrink * shear * turn * (picture - shift), for (x, y); SciPy's axes are (y, x)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    matrix = np.diag(np.exp(-np.array(growth))) @ np.array([[1, 0], [shear, 1]]) @ turn
    matrix = matrix[::-1, ::-1]
    fine, page = glyphs_module.FINE, masters.shape[-1]
    center = (fine * SIDE - 1) / 2
    offset = (page - 1) / 2 - matrix @ (center + fine * np.array(shift[::-1]))
    large = ndimage.affine_transform(masters[4, 7], matrix, offset, (fine * SIDE, fine * SIDE), order=0)
    want = large.reshape(SIDE, fine, SIDE, fine).mean((1, 3))
    assert np.abs(found - want).mean() < 1e-3  # a nearest point may be the other one of two
    assert want.max() > 0.9


def test_unknown_classes_and_missing_fonts(monkeypatch, tmp_path):
    with pytest.raises(ConfigError, match="did you mean 'letters'"):
        glyphs(10, classes="leters")
    monkeypatch.setattr(glyphs_module, "find_spec", lambda _: SimpleNamespace(origin=str(tmp_path / "__init__.py")))
    with pytest.raises(DataError, match=r"DejaVuSans\.ttf can't be read"):
        glyphs(10)
    monkeypatch.setattr(glyphs_module, "find_spec", lambda _: None)
    with pytest.raises(DataError, match="not installed"):
        glyphs(10)


# Shapes


@pytest.mark.parametrize(
    "corners", [_spokes(1, 1, 1), _spokes(*(5 * (1.1, 0.45))), ((-1, -1), (1, -1), (1, 0), (0, 1))]
)
def test_the_distance_to_a_polygon(corners):
    """The sign is matplotlib's point-in-polygon, the size the least distance to many points of the outline."""
    random = np.random.default_rng(0)
    x, y = random.uniform(-1.5, 1.5, (2, 400))
    found = _polygon(*corners)(x, y)
    inside = Path([*corners, corners[0]], closed=True).contains_points(np.column_stack([x, y]))
    assert np.array_equal(found < 0, inside)
    a, b = np.array(corners), np.roll(corners, -1, axis=0)
    outline = (a[:, None] + np.linspace(0, 1, 2000)[None, :, None] * (b - a)[:, None]).reshape(-1, 2)
    nearest = np.sqrt((x[:, None] - outline[:, 0]) ** 2 + (y[:, None] - outline[:, 1]) ** 2).min(1)
    np.testing.assert_allclose(np.abs(found), nearest, atol=1e-3)


def test_shapes_differ_and_fit():
    grid = np.linspace(-1.25, 1.25, 101)
    x, y = np.meshgrid(grid, grid)
    filled = {name: distance(x, y) < 0 for name, distance in SHAPES.items()}
    for name, picture in filled.items():
        assert 0.1 < picture.mean() < 0.6, name
        assert not np.concatenate([picture[[0, -1]], picture[:, [0, -1]].T]).any(), name
        assert ndimage.label(picture)[1] == 1, name  # one piece
        assert ndimage.label(~picture)[1] == (2 if name == "ring" else 1), name
    assert len({picture.tobytes() for picture in filled.values()}) == len(SHAPES) == 10


def test_a_shape_is_brighter_than_its_ground_and_has_smooth_edges():
    data = shapes(200)
    pictures = data.x.reshape(-1, 32, 32, 3)
    circles = pictures[data.y == list(SHAPES).index("circle")]
    for picture in circles:
        top = picture.max(-1)
        assert np.quantile(top, 0.95) > np.median(picture[:2].max(-1)) + 0.2
    edges = np.abs(np.diff(circles.max(-1), axis=2)).max(2)
    assert edges.max() < 1
