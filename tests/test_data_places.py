"""Published sets are found under the names that torchvision and other sites give their files."""

import gzip
import hashlib
import pickle
from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner

import optlab as ol
from optlab.cli import cli
from optlab.data.catalogue import DATASETS

PIXELS = np.random.default_rng(0).integers(0, 256, (5, 4, 4), np.uint8)
LABELS = np.array([3, 1, 4, 1, 5], np.uint8)
ROWS = {"train": slice(0, 3), "t10k": slice(3, 5)}


def idx(array):
    """A file in the format of LeCun's page: 0, 0, type 8, dimensions; sizes, big-endian; bytes."""
    sizes = b"".join(side.to_bytes(4, "big") for side in array.shape)
    return bytes([0, 0, 8, array.ndim]) + sizes + array.tobytes()


FILES = {
    f"{prefix}-{what}-idx{array.ndim}-ubyte": idx(array[rows])
    for prefix, rows in ROWS.items()
    for what, array in (("images", PIXELS), ("labels", LABELS))
}
LAYOUTS = {
    "optlab's": ("{set}/{name}", bytes),
    "torchvision's": ("{torchvision}/raw/{name}", bytes),
    "torchvision's, packed": ("{torchvision}/raw/{name}.gz", gzip.compress),
    "torchvision's, flat": ("{torchvision}/{name}", bytes),
    "dots": ("{set}/{dotted}", bytes),
    "dots, packed": ("{set}/{dotted}.gz", gzip.compress),
    "dots, torchvision's folder": ("{torchvision}/raw/{dotted}", bytes),
    "a folder for each file": ("{set}/{name}/{name}", bytes),
    "a folder for each file, dots": ("{set}/{name}/{dotted}", bytes),
}
SETS = {"mnist": "MNIST", "fashion-mnist": "FashionMNIST"}


@pytest.fixture(autouse=True)
def small(monkeypatch, tmp_path):
    """The sets with five small pictures, whose contents are the published ones."""
    contents = {name: hashlib.sha256(data).hexdigest() for name, data in FILES.items()}
    for name in SETS:
        monkeypatch.setitem(DATASETS, name, replace(DATASETS[name], rows=(3, 2), image=(4, 4), contents=contents))
    monkeypatch.setenv("OPTLAB_DATA", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def lay_out(folder, name, layout):
    pattern, pack = LAYOUTS[layout]
    for file, data in FILES.items():
        dotted = file.replace("-idx", ".idx")
        path = folder / pattern.format(set=name, torchvision=SETS[name], name=file, dotted=dotted)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(pack(data))


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", SETS)
def test_a_set_is_found_and_verified_in_every_layout(name, layout, tmp_path):
    lay_out(tmp_path, name, layout)
    for folder in (None, tmp_path):
        data = ol.data.load(name, folder)
        np.testing.assert_array_equal(data.x, PIXELS.reshape(5, 16).astype("f4") / np.float32(255))
        assert (data.y.tolist(), data.published) == (LABELS.tolist(), 3)
    entry = DATASETS[name]
    states = list(entry.verify(entry.find()))
    assert [state for _, *state in states] == [["ok", True]] * 4
    other = next(one for one in SETS if one != name)
    with pytest.raises(ol.DataError, match=f"no file of {other} in {tmp_path}/{other}"):
        ol.data.load(other)


def test_the_folder_of_its_own_name_comes_first(tmp_path):
    lay_out(tmp_path, "mnist", "torchvision's")
    lay_out(tmp_path, "mnist", "optlab's")
    assert DATASETS["mnist"].find() == tmp_path / "mnist"
    (tmp_path / "mnist" / "t10k-labels-idx1-ubyte").unlink()
    with pytest.raises(ol.DataError, match=r"mnist has no t10k-labels-idx1-ubyte.* into .*/mnist"):
        ol.data.load("mnist")


PICKLES = ["cifar-10-batches-py/data_batch_1", "cifar-10-python.tar.gz", "CIFAR10/cifar-10-batches-py/data_batch_1"]


class Trap:
    def __reduce__(self):
        return (pytest.fail, ("a pickle was opened",))


@pytest.mark.fault(20, cases=3)
@pytest.mark.parametrize("place", PICKLES)
def test_torchvisions_pickles_of_cifar_are_refused_by_name(place, tmp_path):
    (path := tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(pickle.dumps(Trap()))
    with pytest.raises(
        ol.DataError, match=r"cifar-10-(batches-py|python.tar.gz) is a pickle, .* cifar-10-binary.tar.gz"
    ):
        ol.data.load("cifar-10")


@pytest.mark.parametrize("place", ["cifar-10-batches-bin", "cifar-10/cifar-10-batches-bin", "CIFAR10", "cifar-10"])
def test_cifars_binary_version_is_found_beside_pickles(place, tmp_path, monkeypatch):
    monkeypatch.setitem(DATASETS, "cifar-10", objects := replace(DATASETS["cifar-10"], rows=(5, 1)))
    (tmp_path / "cifar-10-batches-py").mkdir()
    (tmp_path / place).mkdir(parents=True)
    for i, name in enumerate(objects.contents):
        (tmp_path / place / name).write_bytes(bytes([i]) + bytes(3072))
    assert ol.data.load("cifar-10").y.tolist() == list(range(6))


def test_the_command_says_where(tmp_path):
    lay_out(tmp_path, "mnist", "torchvision's")
    done = CliRunner().invoke(cli, ["data", "verify", "mnist"])
    assert done.exit_code == 0
    assert "MNIST" in done.output
