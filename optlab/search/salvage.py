"""A damaged store: it is put aside, and what can be read of it goes on."""

import os
import secrets
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

from optlab.errors import StorageError
from optlab.plain import parsed
from optlab.search.rows import COLUMNS, SENSELESS, read_trial
from optlab.search.schema import APPLICATION, CHANGED, LOGS, VERSION, bring
from optlab.search.space import Space

UNREADABLE = (sqlite3.Error, UnicodeDecodeError)  # what SQLite says of a damaged name need not be text
ROW_BYTES = 64  # no trial takes less room in a file

Row = dict[str, Any]


def is_ours(path: Path) -> bool:
    """Whether the header, read as bytes, is that of a store."""
    with path.open("rb") as file:
        header = file.read(72)
    return header[:16] == b"SQLite format 3\0" and header[68:72] == APPLICATION.to_bytes(4, "big")


def rescue(path: Path, patience: float = 0.0) -> str:
    """Write a new file from what a damaged one gives, and keep that as ``NAME.damaged``; returns what to tell the user.

    Only under the lock under which drivers open the file. Those that are at work wait, at most ``patience`` seconds are
    waited for them, and find another file in its place at their next write.

    Raises:
        StorageError: not even the list of its studies can be read; nothing has changed then.
    """
    place = Path(os.path.realpath(path))
    copy, fresh = (Path(f"{place}.{secrets.token_hex(4)}") for _ in range(2))
    try:
        with _writers_kept(place, patience):
            duplicate(place, copy)
            with closing(sqlite3.connect(copy)) as old, closing(sqlite3.connect(fresh)) as new:
                rescued = recover(old, new)
            with fresh.open("rb+") as file:
                os.fsync(file.fileno())
            aside = _put_aside(place)
            os.replace(fresh, place)
    except UNREADABLE as error:
        raise StorageError(f"{path} is damaged beyond reading ({error}); move it away to begin again") from error
    finally:
        for draft in (copy, fresh):
            for end in ("", "-wal", "-shm", "-journal"):
                Path(f"{draft}{end}").unlink(missing_ok=True)
    return f"{path} was damaged: {rescued} trials were read from it and go on; the damaged file is kept as {aside.name}"


@contextmanager
def _writers_kept(path: Path, patience: float) -> Iterator[None]:
    """Keep drivers from writing into a damaged file, as far as it is fit for a lock."""
    if os.name == "nt":  # where a file that is open can't be moved
        yield
        return
    with closing(sqlite3.connect(path, timeout=patience, isolation_level=None)) as db:
        try:
            db.execute("BEGIN IMMEDIATE")
        except UNREADABLE as error:
            if "locked" in str(error):
                raise StorageError(f"{path} is damaged, and a driver is writing into it; stop that first") from error
        yield


def _put_aside(path: Path) -> Path:
    """Give a file and its log another name, which is returned; the file keeps its own until another one takes it."""
    aside = next(name for name in _names(path) if not os.path.lexists(name))
    with suppress(FileNotFoundError):
        if os.path.getsize(f"{path}-wal"):
            os.replace(f"{path}-wal", f"{aside}-wal")
    for end in ("-wal", "-shm"):
        Path(f"{path}{end}").unlink(missing_ok=True)
    try:
        os.link(path, aside)
    except OSError:  # a file system without links
        path.rename(aside)
    return aside


def duplicate(path: Path, copy: Path) -> None:
    """Copy a store's file and its log, without half a page at the end, which would be read as if it ended in zeros."""
    for end in ("-wal", ""):  # what is moved from the log into the file meanwhile is in both
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
    old.isolation_level = None
    studies = old.execute("SELECT * FROM study").fetchall()
    if not studies:
        raise sqlite3.DatabaseError("its studies are lost")
    new.executemany("INSERT INTO study VALUES (?, ?, ?, ?, ?, ?)", studies)
    for table in LOGS:
        with suppress(*UNREADABLE):
            for row in old.execute(f"SELECT * FROM {table}"):
                new.execute(f"INSERT INTO {table} VALUES ({', '.join('?' * len(row))})", row)
    spaces = {}
    for id, _, _, space, *_ in studies:
        with suppress(ValueError):
            spaces[id] = Space.from_dict(parsed(space))
    rescued = 0
    for row in _trials(old, set(spaces)):
        # Some make no sense, or lack what every row has; in what order things happened is lost.
        with suppress(*SENSELESS, KeyError, sqlite3.Error):
            read_trial(*[row[name] for name in COLUMNS], space=spaces[row["study"]], known=None)
            values = [*list(row.values())[:CHANGED], rescued + 1]
            values += [None] * (len(row) - len(values))
            new.execute(f"INSERT INTO trial VALUES ({', '.join('?' * len(values))})", values)
            rescued += 1
    new.commit()
    return rescued


# --- reading by what is left of the tree, and page by page ------------------------------------------------------------


def _trials(old: sqlite3.Connection, studies: set[int]) -> list[Row]:
    """Return the trials that can be read, in order; their tree may be broken anywhere."""
    pages, size = (old.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "page_size"))
    found: dict[tuple[int, int], Row] = {}
    broken = False
    for study in studies:
        broken |= _walk(old, study, pages * size // ROW_BYTES, found)
    if broken:
        scattered: dict[tuple[int, int], Row] = {}
        for row in _leaves(old, pages):
            key = (row["study"], row["number"])
            if row["study"] in studies and isinstance(row["number"], int) and isinstance(row["changed"], int):
                before = scattered.get(key)
                if before is None or before["changed"] < row["changed"]:  # a page that is out of use may be older
                    scattered[key] = row
        found = scattered | found
    return [row for _, row in sorted(found.items())]


def _walk(old: sqlite3.Connection, study: int, limit: int, found: dict[tuple[int, int], Row]) -> bool:
    """Find the trials of a study by their tree; return whether it is broken."""

    query = "SELECT * FROM trial NOT INDEXED WHERE study = ? AND number"

    def find(row: Row, least: int) -> int:
        if not isinstance(row["number"], int) or not least <= row["number"] < limit:
            raise sqlite3.DatabaseError("the order of the numbers is lost")
        found[study, row["number"]] = row
        return int(row["number"]) + 1

    number, broken = 0, False
    while number < limit:
        try:
            for row in _rows(old, f"{query} >= ? ORDER BY number", study, number):
                number = find(row, number)
            return broken
        except UNREADABLE:  # on to the next page that can be read
            broken = True
        for side in (
            ">= ? ORDER BY number",
            "<= ? ORDER BY number DESC",
        ):  # one above the leaves is reached from one side
            with suppress(*UNREADABLE):
                for row in _rows(old, f"{query} {side} LIMIT 1", study, number):
                    find(row, 0)
        number += 1
    return broken


def _leaves(old: sqlite3.Connection, pages: int) -> Iterator[Row]:
    """Yield what is on each page that could belong to the trials, taken for their whole table."""
    for page in range(2, pages + 1):
        with suppress(*UNREADABLE):
            old.execute("PRAGMA writable_schema=ON")
            old.execute("UPDATE sqlite_master SET rootpage = ? WHERE name = 'trial' AND type = 'table'", (page,))
            old.execute("PRAGMA writable_schema=RESET")
            yield from _rows(old, "SELECT * FROM trial NOT INDEXED")


def _rows(old: sqlite3.Connection, query: str, *values: int) -> Iterator[Row]:
    found = old.execute(query, values)
    names = [column[0] for column in found.description]
    for row in found:
        yield dict(zip(names, row, strict=True))


def _names(path: Path) -> Iterator[Path]:
    yield Path(f"{path}.damaged")
    n = 2
    while True:
        yield Path(f"{path}.damaged-{n}")
        n += 1
