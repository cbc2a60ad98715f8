"""The published sets themselves, against what their authors and users publish; needs OPTLAB_DATA."""

import hashlib
import os
import struct
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

import optlab as ol
from optlab.data.catalogue import DATASETS

ROOT = os.environ.get("OPTLAB_DATA")


@pytest.fixture(params=["mnist", "fashion-mnist", "cifar-10"])
def data(request):
    if ROOT is None or not (Path(ROOT) / request.param).is_dir():
        pytest.skip(f"OPTLAB_DATA names no folder with {request.param}")
    tracemalloc.start()
    loaded = ol.data.load(request.param)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < loaded.x.nbytes + loaded.y.nbytes + (32 << 20)  # one copy, and what unpacking needs
    return loaded


COUNTS = {
    "mnist": (
        [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949],
        [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009],
    ),
    "fashion-mnist": ([6000] * 10, [1000] * 10),
    "cifar-10": ([5000] * 10, [1000] * 10),
}
# Mean and deviation of the training pixels, per colour, as usually quoted.
MOMENTS = {
    "mnist": ([0.1307], [0.3081]),
    "fashion-mnist": ([0.2860], [0.3530]),
    "cifar-10": ([0.4914, 0.4822, 0.4465], [0.2470, 0.2435, 0.2616]),
}
# md5 of the unpacked IDX files, as published for MNIST and Fashion-MNIST.
UNPACKED = {
    "mnist": (
        ("6bbc9ace898e44ae57da46a324031adb", "a25bea736e30d166cdddb491f175f624"),
        ("2646ac647ad5339dbf082846283269ea", "27ae3e4e09519cfbb04c329615203637"),
    ),
    "fashion-mnist": (
        ("f4a8712d7a061bf5bd6d2ca38dc4d50a", "9018921c3c673c538a1fc5bad174d6f9"),
        ("8181f5470baa50b63fa0f6fddb340f0a", "15d484375f8d13e6eb1aabb0c3f46965"),
    ),
}
# md5 of CIFAR-10's batches in the copy with 92 pictures from JPEG; other copies are compared by the published sha256.
JPEG_COPY = (
    "e8800bf27ec6f45491f149f7317b9608",
    "7d723ade99f73b811cfabf20cb43fa92",
    "d89dc53bd17e60b84343cd94e9eafc38",
    "456349a8730963b7930555350ebfd0f8",
    "1c39cedb4666850d181538cfcd1008d1",
    "4fd89b928a74095080b56355876466c0",
)


def idx_md5(array):
    head = bytes((0, 0, 8, array.ndim)) + struct.pack(f">{array.ndim}I", *array.shape)
    return hashlib.md5(head + array.tobytes()).hexdigest()


def test_a_published_set_is_what_was_published(data):
    """Counts and moments; and the rows, turned back into the bytes they came from, have the published checksum."""
    parts = (slice(0, data.published), slice(data.published, None))
    for part, counts in zip(parts, COUNTS[data.name], strict=True):
        assert np.bincount(data.y[part]).tolist() == counts

    channels = data.channels
    shown = data.x[: data.published].reshape(-1, channels)
    total, squares = np.zeros(channels), np.zeros(channels)
    for start in range(0, len(shown), 1 << 21):
        block = shown[start : start + (1 << 21)].astype(np.float64)
        total, squares = total + block.sum(0), squares + (block**2).sum(0)
    mean = total / len(shown)
    deviation = np.sqrt(squares / len(shown) - mean**2)
    np.testing.assert_allclose((mean, deviation), MOMENTS[data.name], atol=6e-5)

    assert (data.x.dtype, data.x.flags.c_contiguous) == (np.float32, True)
    if data.name in UNPACKED:
        for part, digests in zip(parts, UNPACKED[data.name], strict=True):
            assert (idx_md5(_bytes(data, part)), idx_md5(data.y[part].astype(np.uint8))) == digests
    else:
        batches = [slice(start, start + 10_000) for start in range(0, 60_000, 10_000)]
        for part, jpeg, (name, published) in zip(
            batches, JPEG_COPY, DATASETS["cifar-10"].contents.items(), strict=True
        ):
            planes = _bytes(data, part).transpose(0, 3, 1, 2).reshape(10_000, -1)
            records = np.column_stack([data.y[part].astype(np.uint8), planes]).tobytes()
            exact = hashlib.sha256(records).hexdigest() == published
            assert exact or hashlib.md5(records).hexdigest() == jpeg, name


def _bytes(data, part):
    pixels = np.rint(data.x[part] * np.float32(255)).astype(np.uint8)
    np.testing.assert_array_equal(pixels / np.float32(255), data.x[part])
    return pixels.reshape(-1, *data.image)


def test_the_catalogue_has_the_published_sums():
    """sha256 in the catalogue against the files, whose md5 is the published one."""
    md5 = {
        "mnist/train-images-idx3-ubyte.gz": "f68b3c2dcbeaaa9fbdd348bbdeb94873",
        "mnist/train-labels-idx1-ubyte.gz": "d53e105ee54ea40749a09fcbcd1e9432",
        "mnist/t10k-images-idx3-ubyte.gz": "9fb629c4189551a2d022fa330f9573f3",
        "mnist/t10k-labels-idx1-ubyte.gz": "ec29112dd5afa0611ce80d1b7f02629c",
        "fashion-mnist/train-images-idx3-ubyte.gz": "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
        "fashion-mnist/train-labels-idx1-ubyte.gz": "25c81989df183df01b3e8a0aad5dffbe",
        "fashion-mnist/t10k-images-idx3-ubyte.gz": "bef4ecab320f06d8554ea6380940ec79",
        "fashion-mnist/t10k-labels-idx1-ubyte.gz": "bb300cfdad3c16e7a12a480ee83cd310",
    }
    if ROOT is None or not all((Path(ROOT) / name).is_file() for name in md5):
        pytest.skip("OPTLAB_DATA names no folder with the published files")
    for name, digest in md5.items():
        contents = (Path(ROOT) / name).read_bytes()
        folder, file = name.split("/")
        download = next(d for d in DATASETS[folder].downloads if d.name == file)
        assert hashlib.md5(contents).hexdigest() == digest
        assert (hashlib.sha256(contents).hexdigest(), len(contents)) == (download.sha256, download.bytes)
