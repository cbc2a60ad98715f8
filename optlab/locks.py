"""A place that one run at a time may write to, held by a lock of the operating system."""

import errno
import json
import os
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from optlab import streams
from optlab.errors import StorageError

LOCK = "run.lock"  # of a folder, inside it
POLL_SECONDS = 0.005  # between looks at a lock that is waited for
ATTEMPTS = 100  # a lock file that its holder removes just now is made anew
NO_LOCKS = {errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOLCK, errno.ENOSYS, errno.EINVAL}
FLAGS = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)

_held: set[int] = set()


def of_folder(folder: Path) -> Path:
    """Return the lock file of a folder."""
    return folder / LOCK


def of_file(path: Path) -> Path:
    """Return the lock file of a file, beside it."""
    return path.with_name(f".{path.name}.lock")


@contextmanager
def exclusive(lock: Path, what: str, patience: float = 0.0) -> Iterator[None]:
    """Hold ``what`` alone, among all processes and threads, by a lock on the file ``lock``; its folder is made.

    Another holder is waited for, at most ``patience`` seconds.

    The system releases the lock when the process dies, however it dies. The lock file goes at the end, and so do
    folders that were made for it and stayed empty. Where the file system has no locks, a warning says so.

    Raises:
        StorageError: another run holds it; the message says who. Or the lock file can't be made.
    """
    missing = [folder for folder in lock.parents if not os.path.exists(folder)]
    try:
        file = _opened(lock, what, time.monotonic() + patience)
    except StorageError:
        _remove(missing)
        raise
    except (OSError, ValueError) as error:
        _remove(missing)
        raise StorageError(f"{what} can't be written: {getattr(error, 'strerror', None) or error}") from None
    _held.add(file)
    process = os.getpid()
    try:
        yield
    finally:
        if os.getpid() == process:  # a fork that gets here has nothing to release
            _held.discard(file)
            if sys.platform == "win32":  # which removes no open file
                os.close(file)
                with suppress(OSError):
                    lock.unlink()
            else:
                with suppress(OSError):
                    lock.unlink()  # while it is held: so it is nobody else's
                os.close(file)
            _remove(missing)


def lock_open(file: int, wait: bool) -> None:
    """Lock an open file; closing it releases the lock.

    Raises:
        OSError: another has the lock (and not ``wait``), or the file system has no locks.
    """
    if sys.platform == "win32":
        import msvcrt

        os.lseek(file, 1 << 20, os.SEEK_SET)  # past the contents: Windows would refuse to read a locked byte
        msvcrt.locking(file, msvcrt.LK_LOCK if wait else msvcrt.LK_NBLCK, 1)
        os.lseek(file, 0, os.SEEK_SET)
    else:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))


def _opened(path: Path, what: str, give_up: float) -> int:
    """Return the descriptor of the lock file, locked, with this process written in it."""
    for _ in range(ATTEMPTS):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            file = os.open(path, FLAGS, 0o644)
        except FileNotFoundError:  # its folder was removed by a run that was refused
            continue
        try:
            _lock(file, path, what, give_up)
            if os.path.samestat(os.fstat(file), path.stat()):
                os.ftruncate(file, 0)
                os.write(file, json.dumps(_owner()).encode())
                return file
        except FileNotFoundError:  # the holder removed it before it was locked here
            pass
        except BaseException:
            os.close(file)
            raise
        os.close(file)
    raise StorageError(f"{what} can't be written: its lock {path.name} can't be made there")


def _lock(file: int, path: Path, what: str, give_up: float) -> None:
    while True:
        try:
            return lock_open(file, wait=False)
        except OSError as error:
            if error.errno in NO_LOCKS:
                streams.warn(f"{path.parent} has no locks: see to it that no other run writes to {what}", stacklevel=6)
                return None
            if time.monotonic() >= give_up:
                text = f"{what} is in use by {_holder(path)}; wait for its end, or write elsewhere"
                raise StorageError(text) from None
        time.sleep(POLL_SECONDS)


def _owner() -> dict[str, object]:
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return {"process": os.getpid(), "host": socket.gethostname(), "since": now}


def _holder(path: Path) -> str:
    """Say who wrote the lock file, as far as it can be read."""
    try:
        owner = json.loads(path.read_bytes()[:1000])
        return f"process {int(owner['process'])} on {str(owner['host'])[:80]!r} since {str(owner['since'])[:40]}"
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return "another run"


def _remove(folders: list[Path]) -> None:
    """Remove folders, the innermost first, as far as they are empty."""
    with suppress(OSError):
        for folder in folders:
            folder.rmdir()


def _let_go() -> None:
    """Close the locks of the parent in a fork, so that they end with the parent."""
    for file in _held:
        os.close(file)
    _held.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_let_go)
