"""A damaged store: it is put aside, and what can be read of it goes on."""

import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

from optlab.errors import StorageError
from optlab.search.schema import APPLICATION, CHANGED, LOGS, VERSION, bring

UNREADABLE = (sqlite3.Error, UnicodeDecodeError)  # what SQLite says of a damaged name need not be text
MISSES = 1000  # numbers in a row that can't be read, after which the rest is taken for lost


def is_ours(path: Path) -> bool:
    """Whether the header, read as bytes, is that of a store."""
    with path.open("rb") as file:
        header = file.read(72)
    return header[:16] == b"SQLite format 3\0" and header[68:72] == APPLICATION.to_bytes(4, "big")


def rescue(path: Path) -> str:
    """Write a new file from what a damaged one gives, and keep that as ``NAME.damaged``; returns what to tell the user.

    Raises:
        StorageError: not even the list of its studies can be read; nothing has changed then.
    """
    copy, fresh = Path(f"{path}.copy"), Path(f"{path}.rescued")
    try:
        duplicate(path, copy)
        fresh.unlink(missing_ok=True)
        with closing(sqlite3.connect(copy)) as old, closing(sqlite3.connect(fresh)) as new:
            rescued = recover(old, new)
    except UNREADABLE as error:
        fresh.unlink(missing_ok=True)
        raise StorageError(f"{path} is damaged beyond reading ({error}); move it away to begin again") from error
    finally:
        for end in ("", "-wal", "-shm"):
            Path(f"{copy}{end}").unlink(missing_ok=True)
    aside = next(name for name in _names(path) if not name.exists())
    for end in ("-wal", "-shm", ""):
        if Path(f"{path}{end}").exists():
            Path(f"{path}{end}").rename(f"{aside}{end}")
    fresh.rename(path)
    return f"{path} was damaged: {rescued} trials were read from it and go on; the damaged file is kept as {aside.name}"


def duplicate(path: Path, copy: Path) -> None:
    """Copy a store's file and its log, without half a page at the end, which would be read as if it ended in zeros."""
    for end in ("", "-wal"):
        if Path(f"{path}{end}").exists():
            shutil.copy(f"{path}{end}", f"{copy}{end}")
    size = int.from_bytes(copy.read_bytes()[16:18], "big") or 1
    os.truncate(copy, copy.stat().st_size // size * size)


def recover(old: sqlite3.Connection, new: sqlite3.Connection) -> int:
    """Copy what can be read of a damaged file; returns how many trials.

    Raises:
        sqlite3.Error: not even the list of its studies can be read, or a newer optlab wrote it.
    """
    old.execute("PRAGMA writable_schema=ON")  # else a file shorter than its header says isn't read at all
    version = int(old.execute("PRAGMA user_version").fetchone()[0])
    if version > VERSION:
        raise sqlite3.DatabaseError("a newer optlab wrote it")
    bring(new, since=0, to=version)
    studies = old.execute("SELECT * FROM study").fetchall()
    if not studies:
        raise sqlite3.DatabaseError("its studies are lost")
    new.executemany("INSERT INTO study VALUES (?, ?, ?, ?, ?, ?)", studies)
    rescued = 0
    for study, *_ in studies:
        number = misses = 0
        while misses < MISSES:
            try:
                query = "SELECT * FROM trial NOT INDEXED WHERE study = ? AND number = ?"
                row = old.execute(query, (study, number)).fetchone()
                if row is not None:  # in what order things happened is lost
                    row = (*row[:CHANGED], rescued + 1, *[None] * (len(row) - CHANGED - 1))
                    new.execute(f"INSERT INTO trial VALUES ({', '.join('?' * len(row))})", row)
            except UNREADABLE:  # it can't be read, or makes no sense
                row = None
            rescued += row is not None
            misses = 0 if row else misses + 1
            number += 1
    for table in LOGS:
        with suppress(*UNREADABLE):
            for row in old.execute(f"SELECT * FROM {table}"):
                new.execute(f"INSERT INTO {table} VALUES ({', '.join('?' * len(row))})", row)
    new.commit()
    return rescued


def _names(path: Path) -> Iterator[Path]:
    yield Path(f"{path}.damaged")
    n = 2
    while True:
        yield Path(f"{path}.damaged-{n}")
        n += 1
