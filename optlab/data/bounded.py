"""Files read within bounds: unpacked piece by piece, never more than is asked for, whatever their headers claim."""

import gzip
import io
import lzma
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any, NoReturn

from optlab.errors import DataError

XZ_MEMORY = 128 << 20  # an xz header asks for up to 4 GB; the strongest preset needs 65 MiB
PIECE = 1 << 20
DAMAGE = (EOFError, OSError, zlib.error, lzma.LZMAError, zipfile.BadZipFile)


class Reader:
    """The bytes of one file from the first to the last; ``at`` is how many have been read.

    ``path`` names the file in messages. Every shortage, surplus or damage is a ``DataError`` of one line.
    """

    def __init__(self, path: Path | str, stream: Any) -> None:
        self.path, self.at = path, 0
        self._stream = stream

    def refuse(self, problem: str) -> NoReturn:
        """Raise the error that this file has ``problem``."""
        raise DataError(f"{self.path}: {problem}")

    def fill(self, buffer: Any, what: str) -> None:
        """Read exactly as many bytes as ``buffer`` (any C-contiguous array or bytearray) holds."""
        view = memoryview(buffer).cast("B")
        done = 0
        while done < len(view):
            got = self._read_into(view[done:])
            if not got:
                self.refuse(f"ends at byte {self.at + done}, expected {what} to byte {self.at + len(view)}")
            done += got
        self.at += done

    def take(self, count: int, what: str) -> bytes:
        """Exactly ``count`` bytes; for small counts, such as headers."""
        buffer = bytearray(count)
        self.fill(buffer, what)
        return bytes(buffer)

    def skip(self, count: int, what: str) -> None:
        """Read ``count`` bytes and forget them."""
        while count:
            count -= len(self.take(min(count, PIECE), what))

    def end(self) -> None:
        """Check that nothing follows; for a packed file this also compares its checksum."""
        if self._read_into(memoryview(bytearray(1))):
            self.refuse(f"goes on after byte {self.at}, where it should end")

    def digest(self, limit: int) -> str:
        """The sha256 of what is left, at most ``limit`` bytes."""
        total, piece = sha256(), memoryview(bytearray(PIECE))
        while got := self._read_into(piece):
            total.update(piece[:got])
            self.at += got
            if self.at > limit:
                self.refuse(f"unpacks to more than {limit} bytes")
        return total.hexdigest()

    def _read_into(self, view: memoryview) -> int:
        try:
            return int(self._stream.readinto(view[:PIECE]) or 0)
        except DAMAGE as error:
            self.refuse(f"is damaged, found after byte {self.at}: {error}")


class _Xz(io.RawIOBase):
    """One xz stream with a bound on the decoder's memory, which ``lzma.open`` does not offer."""

    def __init__(self, file: Any) -> None:
        self._file = file
        self._unpacker = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=XZ_MEMORY)

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer)
        while not self._unpacker.eof:
            packed = self._file.read(1 << 16) if self._unpacker.needs_input else b""
            if not packed and self._unpacker.needs_input:
                raise EOFError("the xz stream is cut short")
            if data := self._unpacker.decompress(packed, len(view)):
                view[: len(data)] = data
                return len(data)
        if self._unpacker.unused_data or self._file.read(1):
            raise lzma.LZMAError("bytes after the end of the xz stream")
        return 0


@contextmanager
def unpacked(path: Path) -> Iterator[Reader]:
    """A reader of the file's bytes; gzip and xz, known by their first bytes, are unpacked on the way.

    Raises:
        DataError: the file can't be opened, and whatever the reader meets.
    """
    try:
        file = path.open("rb")
    except OSError as error:
        raise DataError(f"{path}: can't be read: {error.strerror}") from None
    with file:
        first = file.peek(6)[:6]
        if first[:2] == b"\x1f\x8b":
            with gzip.GzipFile(fileobj=file) as stream:
                yield Reader(path, stream)
        elif first == b"\xfd7zXZ\0":
            yield Reader(path, _Xz(file))
        else:
            yield Reader(path, file)
