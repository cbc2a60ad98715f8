"""IDX, MNIST's format: two zero bytes, the element type, the number of dimensions, the dimensions, the elements."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from optlab.data.bounded import Reader, unpacked

BYTES = 0x08  # the element type of every published set
BLOCK = 1000  # rows unpacked at a time


def read_images(path: Path, out: NDArray[Any], side: tuple[int, int]) -> None:
    """Fill ``out`` (n, height * width), floating, with the pixels of n images divided by 255.

    The header must declare exactly the images that ``out`` has room for, so that no memory depends on it.

    Raises:
        DataError: the header differs, the file is short, long or damaged; the message says at which byte.
    """
    pixels = np.empty((min(BLOCK, len(out)), out.shape[1]), np.uint8)
    with unpacked(path) as reader:
        _check_header(reader, (len(out), *side))
        for start in range(0, len(out), BLOCK):
            rows = out[start : start + BLOCK]
            reader.fill(block := pixels[: len(rows)], f"images {start} to {start + len(rows) - 1}")
            np.divide(block, out.dtype.type(255), out=rows)
        reader.end()


def read_labels(path: Path, out: NDArray[np.int64], classes: int) -> None:
    """Fill ``out`` (n,) with n labels, each in 0 .. classes - 1.

    Raises:
        DataError: as for images, or a label that is no class.
    """
    labels = np.empty(len(out), np.uint8)
    with unpacked(path) as reader:
        _check_header(reader, (len(out),))
        first = reader.at
        reader.fill(labels, f"{len(out)} labels")
        reader.end()
        if labels.max(initial=0) >= classes:
            row = int(np.argmax(labels >= classes))
            reader.refuse(f"byte {first + row} (row {row}) is label {labels[row]}, expected 0 to {classes - 1}")
    out[:] = labels


def _check_header(reader: Reader, shape: tuple[int, ...]) -> None:
    magic, expected = reader.take(4, "the magic number"), bytes((0, 0, BYTES, len(shape)))
    if magic != expected:
        reader.refuse(f"begins with bytes {magic.hex(' ')}, expected {expected.hex(' ')} (IDX, {len(shape)}-d bytes)")
    declared = tuple(np.frombuffer(reader.take(4 * len(shape), "the dimensions"), ">u4").tolist())
    if declared != shape:
        reader.refuse(f"declares {_times(declared)} elements in bytes 4 to {reader.at - 1}, expected {_times(shape)}")


def _times(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))
