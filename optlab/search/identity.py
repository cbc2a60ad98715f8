"""Whether a path still names the file that SQLite has open, and whether nobody wrote over it."""

import os
import sqlite3
import time
from collections.abc import Callable, Iterable
from contextlib import closing, suppress
from pathlib import Path

TORN_SECONDS = 1.0  # as long a file may look torn, because another driver moves its log into it
STUDIES = "SELECT name, created FROM study"
UNREADABLE = (sqlite3.Error, UnicodeDecodeError)
Studies = Callable[[], Iterable[tuple[str, float]]]


class Identity:
    """A file as it was when it was opened.

    SQLite goes on with a file that was deleted, moved or replaced, as all systems but Windows let it: nobody would
    find there what it writes. ``real`` is the file's own name, which a link may have brought us to.

    Attributes:
        over: what became of the content, "" if it is still the study's.
        is_other: whether the content is another study's now.
        was: the last answer of `lost`.
    """

    def __init__(self, path: str, real: str) -> None:
        self.path, self.real = path, real
        self._file, *self._content = _stat(path)
        self._log = f"{real}-wal"
        self._log_file = _stat(self._log)[0]
        self.over = self.was = ""
        self.is_other = False

    def lost(self, studies: Studies, log: bool = True) -> str:
        """Return what became of the file (and its log), or "" if all is well; it may hold no studies but these."""
        self.was = self._lost(studies, log)
        return self.was

    def is_there(self) -> bool:
        """Whether the path still names this file."""
        return _stat(self.path)[0] == self._file

    def _lost(self, studies: Studies, log: bool) -> str:
        file, *content = _stat(self.path)
        if file != self._file:
            if not any(file):
                return "was deleted or moved"
            self._free_log(studies)
            return "was replaced by another file"
        if log and _stat(self._log)[0] != self._log_file:
            return f"lost its log, the file {os.path.basename(self._log)}"
        if content != self._content and not self.over:
            self.over = self._written_over(studies)
            self._content = content
        return self.over

    def _free_log(self, studies: Studies) -> None:
        """Remove the log that was left beside another study's file: SQLite would write it into that."""
        with suppress(OSError, *UNREADABLE):
            ours = _stat(self._log)[0] == self._log_file and _stat(self.real)[0] != self._file
            if ours and self._is_other(studies):
                os.unlink(self._log)
                os.unlink(f"{self.real}-shm")

    def _written_over(self, studies: Studies) -> str:
        give_up = time.monotonic() + TORN_SECONDS
        while time.monotonic() < give_up:
            with suppress(*UNREADABLE):
                if not self._is_other(studies):
                    return ""
                self.is_other = True
                os.truncate(self._log, 0)  # SQLite has the same file open, and would write the log into it at its end
                return "was written over with another file"
            time.sleep(0.01)
        return "was damaged"

    def _is_other(self, studies: Studies) -> bool:
        """Look into the file that is there now, without its log: other drivers write into it too, but no other studies.

        Raises:
            sqlite3.Error: it can't be read.
        """
        address = f"{Path(self.real).as_uri()}?immutable=1"
        with closing(sqlite3.connect(address, uri=True)) as db:
            return not set(db.execute(STUDIES)) <= set(studies())


def _stat(path: str) -> tuple[tuple[int, int], int, int]:
    """Return which file it is, how long, and when it was written; zeros where there is none."""
    try:
        found = os.stat(path)
    except OSError:
        return (0, 0), 0, 0
    return (found.st_dev, found.st_ino), found.st_size, found.st_mtime_ns
