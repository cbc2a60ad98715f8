"""CIFAR-10's binary version: records of a label byte, then the red, the green and the blue plane of 32 x 32 bytes."""

import tarfile
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from optlab.data.bounded import Reader, unpacked

SIDE, CHANNELS, CLASSES = 32, 3, 10
FEATURES = SIDE * SIDE * CHANNELS
RECORD = 1 + FEATURES
BLOCK = 500  # records decoded at a time
FOLDER = "cifar-10-batches-bin"  # in the published archive, and where unpacking it by hand puts the files
FILES = (tarfile.REGTYPE, tarfile.AREGTYPE)
SPARE = 1 << 20  # bytes that an archive may hold beside the batches: class names, a web page, padding
PICKLE_ADVICE = "optlab reads the binary version, cifar-10-binary.tar.gz"

Slots = Mapping[str, tuple[NDArray[Any], NDArray[np.int64]]]  # file name -> where its pixels and its labels go


def read_files(files: Mapping[str, Path], slots: Slots) -> None:
    """Decode one file per batch, plain, .gz or .xz; two at a time, since unpacking releases the interpreter's lock.

    Raises:
        DataError: a file is short, long, damaged, a pickle, or has a label that is no class.
    """

    def decode(name: str) -> None:
        with unpacked(files[name]) as reader:
            _decode(reader, *slots[name])
            reader.end()

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(decode, slots))


def read_archive(path: Path, slots: Slots) -> None:
    """Decode the batches straight from the published tar.gz; nothing is written to the disk.

    Headers are parsed one block at a time and extension headers are passed over, since ``tarfile`` would read
    whatever length those declare into memory.

    Raises:
        DataError: a batch is missing, twice there or malformed; a link, a device or a path that leads outside is there.
    """
    missing = dict(slots)
    limit = SPARE + sum(RECORD * len(y) for _, y in slots.values())
    with unpacked(path) as reader:
        while any(block := reader.take(tarfile.BLOCKSIZE, "a tar header")):
            member = _member(reader, block, limit)
            name = member.name.removeprefix("./").removeprefix(f"{FOLDER}/")
            if member.type in FILES and name in slots:
                if name not in missing:
                    reader.refuse(f"has {member.name} twice")
                x, y = missing.pop(name)
                if member.size != RECORD * len(y):
                    reader.refuse(f"{member.name} has {member.size} bytes, expected {RECORD * len(y)}")
                _decode(reader, x, y, member.name)
                reader.skip(-member.size % tarfile.BLOCKSIZE, "padding")
            else:
                reader.skip(member.size + -member.size % tarfile.BLOCKSIZE, member.name)
        reader.digest(limit)  # to the end, where gzip's checksum is
        if missing:
            reader.refuse(f"has no {', '.join(missing)}")


def _member(reader: Reader, block: bytes, limit: int) -> tarfile.TarInfo:
    begin = reader.at - len(block)
    try:
        member = tarfile.TarInfo.frombuf(block, "utf-8", "replace")
    except (tarfile.HeaderError, ValueError) as error:
        reader.refuse(f"byte {begin} is no tar header: {error}")
    shown = ascii(member.name)
    extension = member.type in (tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME)
    if not (member.type in FILES or member.isdir() or extension):
        reader.refuse(f"holds {shown}, a link, device or the like, at byte {begin}; expected regular files only")
    if member.name.startswith(("/", "\\")) or ".." in member.name.replace("\\", "/").split("/"):
        reader.refuse(f"holds {shown} at byte {begin}, a path that leads outside the archive")
    if member.size < 0 or reader.at + member.size > limit:
        reader.refuse(f"holds {shown} of {member.size} bytes at byte {begin}; expected {limit} in all at most")
    return member


def _decode(reader: Reader, x: NDArray[Any], y: NDArray[np.int64], member: str = "") -> None:
    """Fill x (n, 3072), rows of pixels (height, width, channel) divided by 255, and y (n,) from n records."""
    where = f"{member}: " if member else ""
    records = np.empty((min(BLOCK, len(y)), RECORD), np.uint8)
    pictures = x.reshape(-1, SIDE, SIDE, CHANNELS)
    for start in range(0, len(y), BLOCK):
        stop = min(start + BLOCK, len(y))
        reader.fill(block := records[: stop - start], f"records {start} to {stop - 1} of {RECORD} bytes each")
        labels = block[:, 0]
        if labels.max() >= CLASSES:
            row = int(np.argmax(labels >= CLASSES))
            if start + row == 0 and bytes(block[0, :1]) == b"\x80":
                reader.refuse(f"{where}is a Python pickle, which can run code; {PICKLE_ADVICE}")
            reader.refuse(f"{where}record {start + row} has label {labels[row]}, expected 0 to {CLASSES - 1}")
        y[start:stop] = labels
        planes = block[:, 1:].reshape(-1, CHANNELS, SIDE, SIDE)
        np.divide(planes.transpose(0, 2, 3, 1), x.dtype.type(255), out=pictures[start:stop])
