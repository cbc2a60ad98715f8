"""NumPy's files, .npy and .npz, read within bounds and never unpickled, whatever their headers claim."""

import math
import re
import struct
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np

from optlab.data.bounded import DAMAGE, Reader
from optlab.errors import DataError, OptlabError

HEADER_BYTES = 10_000  # of an .npy header; NumPy itself trusts no longer one
DIRECTORY_BYTES = 4 << 20  # of a zip's list of members, each of which takes about ten times as much memory
RATIO, FREE_BYTES = 200, 64 << 20  # what unpacks to more than FREE_BYTES is at most RATIO times its packed size
HEADER = re.compile(
    r"\{\s*'descr':\s*'([<>|=]?)([a-zA-Z?])(\d{0,6})',\s*'fortran_order':\s*(True|False),"
    r"\s*'shape':\s*\(((?:\d{1,19},?\s*){0,32})\),?\s*\}\s*",
    re.ASCII,
)
BROKEN = (*DAMAGE, NotImplementedError, RuntimeError, ValueError, OverflowError, LookupError, struct.error)


class Header(NamedTuple):
    """What an .npy file says of its elements."""

    dtype: np.dtype
    shape: tuple[int, ...]
    fortran: bool

    @property
    def nbytes(self) -> int:
        """How much memory the elements take."""
        return math.prod(self.shape) * self.dtype.itemsize


def read_header(reader: Reader, size: int) -> Header:
    """Return what the .npy file that ``reader`` gives, of ``size`` bytes in all, says of itself; format 1.0 or 2.0.

    Raises:
        DataError: it is damaged, holds what are neither numbers nor text, or is not as long as it says.
    """
    start = reader.take(8, "the start of an .npy file")
    if start[:6] != b"\x93NUMPY" or start[6] not in (1, 2):
        reader.refuse(f"begins with {start!r}, expected an .npy file of version 1.0 or 2.0")
    length = int.from_bytes(reader.take(2 * start[6], "the header's length"), "little")
    if length > HEADER_BYTES:
        reader.refuse(f"declares a header of {length} bytes, expected {HEADER_BYTES} at most")
    header = reader.take(length, "the header")
    parts = HEADER.fullmatch(header.decode("latin-1"))
    if parts is None or parts[2] not in "biufU?":
        objects = "Python objects, which are pickles and can run code" if b"O" in header else "neither numbers nor text"
        reader.refuse(f"holds {objects}, or is malformed: header {ascii(header.decode('latin-1').strip())[:200]}")
    order, kind, width, fortran, dims = parts.groups()
    shape = tuple(int(side) for side in dims.replace(",", " ").split())
    try:
        dtype = np.dtype(f"{order}{kind}{width}")
    except TypeError:
        reader.refuse(f"has the unknown element type {order}{kind}{width}")
    found = Header(dtype, shape, fortran == "True")
    if found.nbytes != size - reader.at:
        reader.refuse(f"declares {shape} of {dtype}, {found.nbytes} bytes; it has {size - reader.at} after the header")
    return found


def read_array(reader: Reader, size: int) -> np.ndarray:
    """Return the array in the .npy file that ``reader`` gives, of ``size`` bytes in all.

    Raises:
        DataError: as for `read_header`; or it is cut short, or has text that is not Unicode.
    """
    dtype, shape, fortran = found = read_header(reader, size)
    elements = np.empty(found.nbytes, np.uint8)
    reader.fill(elements, f"{found.nbytes} bytes of elements")
    reader.end()
    if dtype.kind == "U":
        points = elements.view(f"{dtype.byteorder}u4")
        if np.any((points > 0x10FFFF) | ((points >= 0xD800) & (points <= 0xDFFF))):
            reader.refuse("has text that is not Unicode")
    if not elements.size:
        return np.empty(shape, dtype)
    return elements.view(dtype).reshape(shape, order="F" if fortran else "C")


class Npz:
    """The arrays of an .npz file, each read when it is asked for; ``names`` are those of the members without .npy."""

    def __init__(self, path: Path | str, archive: zipfile.ZipFile, size: int) -> None:
        self.path, self._archive, self._size = path, archive, size
        self._members: dict[str, zipfile.ZipInfo] = {}
        for info in archive.infolist():
            name = info.filename.removesuffix(".npy")
            if name in self._members:
                raise DataError(f"{path}: has the array {name!a} twice")
            self._members[name] = info
        self.names = list(self._members)

    def stored(self) -> bool:
        """Whether all members are unpacked ones that together are no longer than the file."""
        members = self._members.values()
        plain = all(info.compress_type == zipfile.ZIP_STORED for info in members)
        return plain and sum(info.file_size for info in members) <= self._size

    def header(self, name: str) -> Header:
        """Return what one array is.

        Raises:
            DataError: it is damaged, or no array.
        """
        with self._member(name) as (reader, size):
            return read_header(reader, size)

    def read(self, name: str, most: int | None = None) -> np.ndarray:
        """Return one array of at most ``most`` bytes.

        Raises:
            DataError: it is damaged, larger, or no array.
        """
        with self._member(name, most) as (reader, size):
            return read_array(reader, size)

    @contextmanager
    def _member(self, name: str, most: int | None = None) -> Iterator[tuple[Reader, int]]:
        """Open a member; what the zip claims is compared with the file, or ``most``, before anything is unpacked."""
        info = self._members[name]
        label = f"{self.path}: {info.filename!a}"
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise DataError(f"{label} is packed by method {info.compress_type}, expected stored or deflated")
        # Where the size is known beforehand, that is the bound: a network of zeros packs very well.
        bound = max(FREE_BYTES, RATIO * info.compress_size) if most is None else most + HEADER_BYTES + 12
        if info.compress_size > self._size or info.file_size > bound:
            packed = min(info.compress_size, self._size)
            raise DataError(f"{label} claims {info.file_size} bytes packed into {packed}; unpacked, use np.savez")
        with self._archive.open(info) as stream:
            yield Reader(label, stream), info.file_size


@contextmanager
def opened(path: Path | str, file: BinaryIO) -> Iterator[Npz]:
    """Open the .npz in a file, which ``path`` names in messages; its list of members is bounded, too.

    Raises:
        DataError: it is no zip archive, or damaged.
    """
    try:
        size = file.seek(0, 2)
        length = _directory_bytes(file, size)
        if length > DIRECTORY_BYTES:
            raise DataError(f"{path}: declares a list of members of {length} bytes, expected {DIRECTORY_BYTES} at most")
        with zipfile.ZipFile(file) as archive:
            yield Npz(path, archive, size)
    except OptlabError:
        raise
    except BROKEN as error:
        raise DataError(f"{path}: is no sound .npz file: {error}") from None


def _directory_bytes(file: BinaryIO, size: int) -> int:
    """Return how long a zip says its list of members is, found where `zipfile` finds it; 0 if it is no zip."""
    file.seek(max(0, size - 22 - (1 << 16)))
    tail = file.read()
    end = tail[-22:]
    if not (end[:4] == b"PK\5\6" and end[-2:] == b"\0\0"):
        end = tail[tail.rfind(b"PK\5\6") :][:22]
    if len(end) < 22 or end[:4] != b"PK\5\6":
        return 0
    length = int.from_bytes(end[12:16], "little")
    at = size - len(tail) + tail.rfind(end)
    if at >= 20:
        file.seek(at - 20)
        if file.read(4) == b"PK\6\7":  # a zip64: `zipfile` takes its number if there is one
            file.seek(max(0, at - 20 - 56))
            record = file.read(56)
            if record[:4] == b"PK\6\6":
                length = int.from_bytes(record[40:48], "little")
    return length
