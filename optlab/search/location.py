"""What ``storage=`` names: a file or memory, in the words of SQLite and SQLAlchemy too."""

import os
import re
import stat
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from optlab.errors import ConfigError, StorageError

MEMORY = ":memory:"
# `Path` makes one slash of two; SQLite itself reads names that begin with "file:" as addresses.
ADDRESS = re.compile(r"(file(?=:)|sqlite(?=:/)|[A-Za-z][\w+.-]+(?=://)):(//)?(.*)", re.DOTALL)
SUFFIX_BYTES = 20  # room for NAME-journal, NAME.damaged-2-wal and the like


def storage_path(storage: Any) -> Path | None:
    """Return the file that ``storage`` names, or None for memory.

    As for SQLAlchemy, ``sqlite:///`` comes before a name, and ``sqlite://`` alone is memory.

    Raises:
        ConfigError: it names neither.

    >>> str(storage_path("sqlite:///sweep.db")), str(storage_path("sqlite:////tmp/sweep.db")), storage_path(":memory:")
    ('sweep.db', '/tmp/sweep.db', None)
    """
    if storage is None:
        return None
    try:
        name = os.fsdecode(storage)
    except TypeError:
        raise ConfigError(f"storage= is the name of a file, or None for memory; got {storage!r}") from None
    if address := ADDRESS.fullmatch(name):
        name = _database(name, *address.groups())
    if name == MEMORY:
        return None
    text = f"storage={storage!r} can't be the name of a file"
    if not name.strip() or "\0" in name:
        raise ConfigError(f"{text}: it {'has a NUL' if name.strip() else 'is empty'}; give a name such as sweep.db")
    try:
        name.encode()
    except UnicodeEncodeError:
        raise ConfigError(f"{text}: it isn't Unicode; give a name such as sweep.db") from None
    if re.split(r"[/\\]" if os.name == "nt" else "/", name)[-1] in ("", ".", ".."):
        raise StorageError(f"{text}: it is that of a directory; a study is stored in a file, as sweep.db is")
    return Path(name)


def _database(address: str, scheme: str, slashes: str | None, rest: str) -> str:
    """Return the name in an address, as SQLAlchemy reads it."""
    text = f"storage={address!r} can't be used"
    if re.fullmatch(r"sqlite(\+pysqlite)?", scheme) is None:
        raise ConfigError(f"{text}: studies are kept in SQLite files; give the file's path, or sqlite:///sweep.db")
    if slashes is None or rest[:1] not in ("", "/"):
        raise ConfigError(f"{text}: three slashes come before a name, sqlite:///sweep.db, and four before a full path")
    if "?" in rest:
        raise ConfigError(f"{text}: there are no options after a name; give sqlite:///sweep.db")
    return unquote(rest[1:]) or MEMORY


def check_place(path: Path) -> None:
    """Refuse a place where no study's file can be.

    Raises:
        StorageError: a directory, a device, a name that is too long, a place in a directory that isn't there.
    """
    try:
        mode = _mode(path)
        parent = mode or _mode(path.parent)
    except PermissionError as error:  # not even to be looked at
        raise StorageError(f"{path} can't be written: {error.strerror}") from None
    except OSError as error:
        raise StorageError(f"{path} can't be a file: {error.strerror}; give another name") from None
    if not parent:
        raise StorageError(f"{path.parent} does not exist; make the directory first")
    if not mode and not stat.S_ISDIR(parent):
        raise StorageError(f"{path.parent} is a file, not a directory")
    if stat.S_ISDIR(mode):
        raise StorageError(f"{path} is a directory; a study is stored in a file, as sweep.db is")
    if mode and not stat.S_ISREG(mode):
        raise StorageError(f"{path} is a device, a pipe or a socket; a study is stored in a file, as sweep.db is")
    if hasattr(os, "pathconf"):
        room = os.pathconf(path.parent, "PC_NAME_MAX") - len(os.fsencode(path.name)) - SUFFIX_BYTES
        if room < 0:
            raise StorageError(f"{path}: the name is too long by {-room} bytes; SQLite adds to it, as in sweep.db-wal")


def _mode(path: Path) -> int:
    """Return the type of a file, 0 where there is none."""
    try:
        return path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return 0
