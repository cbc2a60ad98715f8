"""A study's file read without a trace: what it holds is copied into memory; the file and its folder stay as they are.

The copy is brought up to the newest format and, if the file is damaged, recovered; the file itself may lie on a medium
that can't be written to, and belong to a driver that is at work.
"""

import os
import sqlite3
import tempfile
import time
from contextlib import closing, suppress
from pathlib import Path
from stat import S_ISREG

from optlab import streams
from optlab.errors import StorageError
from optlab.search import salvage
from optlab.search.schema import APPLICATION, VERSION, bring

ATTEMPTS = 50  # copies taken of a file that changes meanwhile
PAUSE_SECONDS = 0.02  # between them

Signature = tuple[tuple[int, int, int], ...]  # inode, size and time of the last change; of the file and of its log


def signature(path: Path) -> Signature:
    """What changes whenever somebody writes into a store's file or its log.

    Raises:
        StorageError: there is no such file.
    """
    try:
        if not S_ISREG((state := os.stat(path)).st_mode):
            raise StorageError(f"{path} is no file; a study is stored in a file, as sweep.db is")
        states = [state]
        with suppress(FileNotFoundError):
            states.append(os.stat(_beside(path, "-wal")))
    except FileNotFoundError:
        raise StorageError(f"{path} does not exist; optlab sweep makes such a file") from None
    except (OSError, ValueError) as error:  # ValueError: a name that no file can have
        raise StorageError(f"{str(path)!r} can't be read: {error}") from None
    return tuple((state.st_ino, state.st_size, state.st_mtime_ns) for state in states if state.st_size)


def snapshot(path: Path) -> sqlite3.Connection:
    """A copy in memory of what a store's file and its log hold, in the newest format.

    Raises:
        StorageError: it belongs to another program or a newer optlab, or does not stand still.
        sqlite3.Error: it is damaged beyond reading, or can't be read.
    """
    memory = _connected(":memory:")
    try:
        try:
            _copy(path, memory)
            _check(path, memory)
        except salvage.UNREADABLE as error:
            if isinstance(error, sqlite3.OperationalError) or not salvage.is_ours(path):
                raise
            memory.close()
            memory = _recovered(path)
        bring(memory, since=memory.execute("PRAGMA user_version").fetchone()[0])
    except BaseException:
        memory.close()
        raise
    return memory


def _connected(place: str | Path, uri: bool = False) -> sqlite3.Connection:
    return sqlite3.connect(place, isolation_level=None, check_same_thread=False, uri=uri)


def _beside(path: Path, end: str) -> Path:
    return Path(f"{os.path.realpath(path)}{end}")


def _copy(path: Path, memory: sqlite3.Connection) -> None:
    for _ in range(ATTEMPTS):
        before = signature(path)
        if len(before) < 2:  # no log: nobody has to be asked, only nobody may write meanwhile
            _backup(path, "immutable=1", memory)
        elif _beside(path, "-shm").exists():  # its driver is at work, or was killed
            with suppress(sqlite3.OperationalError):  # that file can't be opened
                return _backup(path, "readonly_shm=1", memory)
            _backup_of_copy(path, memory)
        else:
            _backup_of_copy(path, memory)
        if signature(path) == before:
            return None
        time.sleep(PAUSE_SECONDS)
    raise StorageError(f"{path} does not stand still: something writes into it that is no driver; try again later")


def _backup(path: Path, option: str, memory: sqlite3.Connection) -> None:
    # SQLite opens the file: an open and a close beside it would drop the locks of a driver in this process.
    there = f"{_beside(path, '').as_uri()}?mode=ro&{option}"
    with closing(_connected(there, uri=True)) as db:
        db.backup(memory)


def _backup_of_copy(path: Path, memory: sqlite3.Connection) -> None:
    with tempfile.TemporaryDirectory(prefix="optlab-") as folder:
        copy = Path(folder, "copy.db")
        salvage.duplicate(_beside(path, ""), copy)
        with closing(_connected(copy)) as db:
            db.backup(memory)


def _check(path: Path, memory: sqlite3.Connection) -> None:
    """That it is a store's, of a format that is known, and whole."""
    application, version, size = (
        memory.execute(f"PRAGMA {name}").fetchone()[0] for name in ("application_id", "user_version", "page_size")
    )
    if application != APPLICATION:
        if not memory.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
            raise StorageError(f"{path} is empty; optlab sweep makes such a file")
        raise StorageError(f"{path} is an SQLite file of another program")
    if version > VERSION:
        raise StorageError(f"{path} was written by a newer optlab (format {version}, here {VERSION}); upgrade")
    check_tables(memory, path)
    found = memory.execute("PRAGMA integrity_check(1)").fetchone()[0]
    if found != "ok" or path.stat().st_size % size:
        raise sqlite3.DatabaseError(found)


def check_tables(db: sqlite3.Connection, path: Path | None) -> None:
    """Refuse a file with views or triggers: they are queries that whoever wrote the file would have this program run.

    Raises:
        StorageError: it has some.
    """
    db.execute("PRAGMA trusted_schema=OFF")  # nor may an expression in a table's definition call what is unsafe
    found = db.execute("SELECT name FROM sqlite_master WHERE type NOT IN ('table', 'index')").fetchone()
    if found is not None:
        raise StorageError(f"{path} has a view or a trigger, {found[0]!r}, which no study's file has")


def _recovered(path: Path) -> sqlite3.Connection:
    memory = _connected(":memory:")
    try:
        with tempfile.TemporaryDirectory(prefix="optlab-") as folder:
            copy = Path(folder, "copy.db")
            salvage.duplicate(_beside(path, ""), copy)
            with closing(sqlite3.connect(copy)) as old:
                trials = salvage.recover(old, memory)
    except salvage.UNREADABLE as error:
        memory.close()
        raise StorageError(f"{path} is damaged beyond reading ({error})") from error
    streams.warn(f"{path} is damaged: {trials} trials were read from it; the file stays as it is", stacklevel=7)
    return memory
