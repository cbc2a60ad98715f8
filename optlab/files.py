"""Files that are written whole or not at all."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from optlab.errors import StorageError

NAME_LENGTH = 40  # characters of a file's name that its draft keeps: names end at 255 bytes


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a draft beside ``path`` to be written by any library; its content reaches the disk, then it takes the name.

    If anything fails, the draft goes and what was there stays. A name that is no regular file, such as ``/dev/stdout``,
    is written directly; a symbolic link is replaced, not followed.

    Raises:
        StorageError: the disk is full, or can't be written.
    """
    try:
        with _replacing(Path(path)) as draft:
            yield draft
    except StorageError:
        raise
    except OSError as error:
        raise StorageError(f"{os.fspath(path)} can't be written: {error.strerror or error}") from None


@contextmanager
def _replacing(path: Path) -> Iterator[Path]:
    if path.exists() and not path.is_file():
        yield path
        return
    unique = f"{os.getpid()}-{os.urandom(4).hex()}"
    draft = path.with_name(f".{path.stem[:NAME_LENGTH]}.{unique}{path.suffix[:NAME_LENGTH]}")
    try:
        yield draft
        with suppress(FileNotFoundError):
            draft.chmod(path.stat().st_mode & 0o777)
        with draft.open("rb+") as file:
            os.fsync(file.fileno())
        os.replace(draft, path)
    finally:
        draft.unlink(missing_ok=True)
    if hasattr(os, "O_DIRECTORY"):  # the name, too, must reach the disk
        folder = os.open(path.parent, os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def write_whole(path: str | os.PathLike[str], content: bytes | str) -> Path:
    """Write a file, whole or not at all; text as UTF-8. Returns the path.

    Raises:
        StorageError: the disk is full, or can't be written; what was there before is unharmed.
    """
    with replacing(path) as draft:
        draft.write_bytes(content.encode() if isinstance(content, str) else content)
    return Path(path)


def check_writable(path: Path, what: str = "") -> None:
    """Refuse a file that can't be written, without changing anything; its folder need not be there yet.

    Raises:
        StorageError: it is a folder, or may not be written, or no file can have this name.
    """
    try:
        with path.open("rb+"):
            return
    except FileNotFoundError:
        problem = _problem(path.parent)
    except (OSError, ValueError) as error:
        problem = getattr(error, "strerror", None) or str(error)
    if problem:
        raise StorageError(f"{what or path} can't be written: {problem}")


def check_folder(folder: Path, what: str = "") -> None:
    """Refuse a folder that can't be made or written to, without changing anything.

    Raises:
        StorageError: it, or what it would be in, is a file or may not be written to.
    """
    if problem := _problem(folder):
        raise StorageError(f"{what or folder} can't be made: {problem}")


def _problem(folder: Path) -> str:
    """Say what keeps files from being made in a folder, which itself may be missing; "" if nothing does."""
    there = next((place for place in (folder, *folder.parents) if os.path.exists(place)), folder)
    if not os.path.isdir(there):
        return f"{os.strerror(errno.ENOTDIR)}: {there}"
    allowed = os.access(there, os.W_OK | os.X_OK, effective_ids=os.access in os.supports_effective_ids)
    return "" if allowed else f"{os.strerror(errno.EACCES)}: {there}"
