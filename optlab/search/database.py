"""One connection to a store's file, or to memory: opened, checked, signed in as a driver."""

import json
import os
import platform
import sqlite3
import threading
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

import numpy as np

from optlab import streams
from optlab.errors import StorageError
from optlab.locks import exclusive, of_file
from optlab.search import salvage, snapshot
from optlab.search.identity import STUDIES, Identity
from optlab.search.location import check_place, storage_path
from optlab.search.owner import RENEWAL, Owner, this_process
from optlab.search.schema import APPLICATION, VERSION, bring

PATIENCE = 120.0  # seconds to wait for another driver's write: it may first compile, or fit a long history
ADVICE = {
    "full": "; free some space and run again, nothing recorded is lost",
    "I/O error": "; is the disk full, or the file on a network drive? Run again, nothing recorded is lost",
    "readonly": "; the file or its directory can't be written to",
    "unable to open": "; the directory can't be written to, or the path has more than the 512 bytes that SQLite takes",
    "locked": f"; another program has held it for {PATIENCE:.0f} s",
    "locking": "; this file system has no locks: put the file on a local disk",
    "not a database": "; give another name",
    "malformed": "; move it away to begin again",
}
CHECKPOINT_SHARE = 0.02  # of the time that trials take may go into checkpoints while they are recorded
CHECKPOINT_SECONDS = 0.005  # what the first one is taken to need
CHECKPOINT_RECORDS = 100  # after so many there is one, whatever it takes
CHECKPOINT_PATIENCE = 2.0  # seconds to wait for readers of an older state at the end of a run
# The collector may close a study inside a transaction of another one on the same file, which would wait for itself.
WRITING: list[str] = []  # files with a transaction of this process, one entry each
LEFT: dict[str, set[str]] = {}  # by file, drivers that closed meanwhile: the transaction signs them off


class Database:
    """SQLite with the settings that every driver needs.

    Attributes:
        me: the name of this driver in the file; "" of a reader.
        lock: held by the thread that uses the connection.
        reader: whether this is no driver, but reads a copy in memory, taken anew when the file has changed.
    """

    def __init__(self, path: str | os.PathLike[str] | None, reader: bool = False) -> None:
        self.path = storage_path(path)
        self.lock = threading.RLock()
        # Whatever becomes of the working directory.
        self._named = "" if self.path is None else os.path.abspath(self.path)
        self._file = "" if self.path is None else os.path.realpath(self.path)
        self._identity: Identity | None = None
        self._budget, self._cost, self._behind = 0.0, CHECKPOINT_SECONDS, 0
        self._version: int | snapshot.Signature = -1  # of what was read last
        self.reader = reader
        self._db: sqlite3.Connection
        if reader:
            if self.path is None:
                raise StorageError("there is no study to open in memory; give the file that keeps it")
            self.me, self._process = "", this_process()
            self._look()
        else:
            self._connect()

    def sign_in(self) -> None:
        """Make a reader a driver, which may write."""
        copy = self._db
        self.reader = False
        try:
            self._connect()
        except BaseException:
            self._db, self.reader = copy, True
            raise
        copy.close()

    def execute(self, query: str, values: Sequence[Any] = ()) -> sqlite3.Cursor:
        """Run one statement."""
        return self._db.execute(query, values)

    @contextmanager
    def reading(self) -> Iterator[None]:
        """To read in; SQLite's errors become `StorageError`."""
        with self.lock:
            self._reconnect()
            try:
                yield
            except salvage.UNREADABLE as error:
                raise self._told(error) from error

    @contextmanager
    def writing(self, durable: bool) -> Iterator[None]:
        """A transaction that is alone from its beginning; what is ``durable`` is on the disk at its end."""
        with self.lock:
            self._reconnect()
            WRITING.append(self._file)
            try:
                if self.path is not None:
                    self._db.execute(f"PRAGMA synchronous={'FULL' if durable else 'NORMAL'}")
                self._db.execute("BEGIN IMMEDIATE")
                self._check_identity(durable)
                yield
                for driver in LEFT.pop(self._file, ()):
                    self._sign_off(driver)
                self._db.execute("COMMIT")
            except BaseException as error:
                with suppress(sqlite3.Error):
                    if self._db.in_transaction:
                        self._db.execute("ROLLBACK")
                    self._let_go()
                if isinstance(error, salvage.UNREADABLE):
                    raise self._told(error) from error
                raise
            finally:
                WRITING.remove(self._file)

    def others_wrote(self) -> bool:
        """Whether another connection has written since the last time this was asked."""
        if self.path is None:
            return False
        if self.reader:
            return os.path.exists(self._file) and self._look()  # what was read of a file that is gone stays
        before, self._version = self._version, int(self._pragma("data_version"))
        return before != self._version

    def gone(self, drivers: set[str]) -> set[str]:
        """Those of these drivers that have closed or died."""
        now, gone = time.time(), set()
        for id in drivers:
            query = "SELECT host, pid, birth, seen, closed FROM driver WHERE id = ?"
            row = self._db.execute(query, (id,)).fetchone()
            left = id in LEFT.get(self._file, ())
            if left or row is None or row[4] or not Owner(*row[:3]).alive(row[3], now):
                gone.add(id)
        return gone

    # --- the file and its log -----------------------------------------------------------------------------------------

    def lost(self, log: bool = True) -> str:
        """Return what became of the file since it was opened: deleted, replaced, written over; "" if all is well."""
        return "" if self._identity is None else self._identity.lost(self._studies, log)

    @property
    def was_lost(self) -> bool:
        """Whether it was `lost` when last looked at."""
        return self._identity is not None and bool(self._identity.was)

    def _studies(self) -> sqlite3.Cursor:
        return self._db.execute(STUDIES)

    def _check_identity(self, log: bool) -> None:
        """Refuse to write where nobody would find it; inside a transaction, which keeps a recovery waiting.

        Raises:
            StorageError: with what became of the file.
        """
        if lost := self.lost(log):
            raise self._lost(lost)

    def _let_go(self) -> None:
        """Have nothing to do any more with another study's file that was written over ours."""
        if self._identity is not None and self._identity.is_other:
            self._db.close()
            self._db = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)

    def _lost(self, what: str) -> StorageError:
        keep = "Open it again, or keep what is known here: study.copy('other.db')"
        return StorageError(f"{self.path} {what} while the study had it open; nothing more is written. {keep}")

    def checkpoint(self, patience: float = CHECKPOINT_PATIENCE) -> bool:
        """Move what the log holds into the file, which then is the whole study; return whether all of it is there.

        A reader of an older state, in any process, keeps the log from being moved until it ends.
        """
        if self.path is None or self.reader or self._process.pid != os.getpid():
            return True
        give_up = time.monotonic() + patience
        with self.lock, suppress(sqlite3.Error):
            while not self.lost():
                _, logged, moved = self._db.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
                if logged == moved:
                    self._pragma("busy_timeout=0")
                    self._pragma("wal_checkpoint(TRUNCATE)")  # for its size alone
                    self._pragma(f"busy_timeout={PATIENCE * 1000:.0f}")
                    return True
                if time.monotonic() >= give_up:
                    break
                time.sleep(0.01)
        return False

    def keep_up(self, seconds: float) -> None:
        """Checkpoint after a record of a trial that took so long, if that is a small part of it, or after many."""
        if self.path is None:
            return
        self._behind += 1
        self._budget += CHECKPOINT_SHARE * max(0.0, seconds)
        if self._budget < self._cost and self._behind < CHECKPOINT_RECORDS:
            return
        began = time.monotonic()
        self.checkpoint(patience=0.0)
        self._cost, self._behind = time.monotonic() - began, 0
        self._budget = max(0.0, self._budget - self._cost)

    def backup(self, copy: sqlite3.Connection) -> None:
        """Copy everything into another connection, as of now.

        Raises:
            sqlite3.Error: what is there can't be read, or is another file's.
        """
        with self.lock:
            self._reconnect()
            if self.lost() and self._identity and self._identity.over:
                raise sqlite3.DatabaseError(f"the file {self._identity.over}")
            self._db.backup(copy)

    def close(self) -> None:
        """Let go of the file; what this driver left unfinished is free for the next one."""
        if self._process.pid != os.getpid():
            return
        if self.reader:
            self._db.close()
            return
        self._closed.put(None)
        with self.lock, suppress(sqlite3.Error):
            try:
                if self.path is not None and self._file in WRITING:
                    LEFT.setdefault(self._file, set()).add(self.me)
                elif not self.lost():
                    self._sign_off(self.me)
                    self.checkpoint(patience=0.0)
            finally:
                self._db.close()

    def _sign_off(self, driver: str) -> None:
        self._db.execute("UPDATE driver SET closed = 1 WHERE id = ?", (driver,))

    def _look(self) -> bool:
        """Take a copy of the file, if it has changed since the last one; whether it had."""
        assert self.path is not None
        try:
            now = snapshot.signature(self.path)
            if self._version == now:
                return False
            copy = snapshot.snapshot(self.path)
        except salvage.UNREADABLE as error:
            raise self._told(error) from error
        if self._version != -1:
            self._db.close()
        self._db, self._version = copy, now
        return True

    def recover(self) -> None:
        """Put the file aside, whose rows make no sense, and go on with what can be read of it."""
        assert self.path is not None
        with self.lock, self._opening():
            recovered = bool(self.lost())  # by another driver
            self._closed.put(None)
            self._db.close()
            if not recovered:
                streams.warn(salvage.rescue(self.path, PATIENCE), stacklevel=6)
            self._open()

    def _connect(self) -> None:
        with self._opening():
            try:
                self._open()
            except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
                if self.path is None or isinstance(error, sqlite3.OperationalError) or not salvage.is_ours(self.path):
                    raise
                streams.warn(salvage.rescue(self.path, PATIENCE), stacklevel=7)
                self._open()

    @contextmanager
    def _opening(self) -> Iterator[None]:
        """Be the only driver that opens the file: it may be damaged, and is recovered once."""
        try:
            if self.path is None:
                yield
            else:
                check_place(self.path)
                with exclusive(of_file(Path(self._file)), str(self.path), PATIENCE):
                    yield
        except salvage.UNREADABLE as error:
            raise self._told(error) from error
        except PermissionError as error:  # not even to be looked at
            raise StorageError(f"{self.path} can't be written: {error.strerror}") from None

    def _open(self) -> None:
        place = ":memory:" if self.path is None else self._file
        self._db = sqlite3.connect(place, timeout=PATIENCE, isolation_level=None, check_same_thread=False)
        try:
            self._prepare()
            self._enter()
        except BaseException:
            self._db.close()
            raise

    def _prepare(self) -> None:
        """See that the file is ours and of this version, or new."""
        # The tables are counted first: another driver may make them between the two questions.
        tables = self._db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        application = self._pragma("application_id")
        if application == APPLICATION:
            snapshot.check_tables(self._db, self.path)
        else:
            if application or tables:
                raise StorageError(f"{self.path} is an SQLite file of another program; give another name")
            self._db.execute("BEGIN IMMEDIATE")
            if self._pragma("application_id") != APPLICATION:  # nobody else was faster
                if self.path is not None and self.path.stat().st_size and not self._pragma("page_count"):
                    raise sqlite3.DatabaseError("less than a page is left of it")  # SQLite takes that for empty
                bring(self._db, since=0)
            self._db.execute("COMMIT")
        if self._pragma("user_version") < VERSION:
            self._db.execute("BEGIN IMMEDIATE")
            bring(self._db, since=self._pragma("user_version"))  # another driver may have been faster
            self._db.execute("COMMIT")
        version = self._pragma("user_version")
        if version > VERSION:
            raise StorageError(f"{self.path} was written by a newer optlab (format {version}, here {VERSION}); upgrade")
        give_up = time.monotonic() + PATIENCE
        while True:  # SQLite doesn't wait by itself when the journal's mode changes
            try:
                self._pragma("journal_mode=WAL")
                return
            except sqlite3.OperationalError as error:
                if "locked" not in str(error) or time.monotonic() > give_up:
                    raise
                time.sleep(0.01)

    def _enter(self) -> None:
        """Check the file, and sign in."""
        self._process, self.me = this_process(), uuid.uuid4().hex
        self._version = -1  # each connection counts what others write for itself
        if self.path is not None:
            found = self._pragma("integrity_check(1)")  # a thirtieth of the time that the trials take to be read
            # SQLite reads a page that is cut off as if it went on with zeros.
            if found != "ok" or self.path.stat().st_size % self._pragma("page_size"):
                raise sqlite3.DatabaseError(found)
        versions = {"python": platform.python_version(), "numpy": np.__version__, "machine": platform.platform()}
        row = (self.me, *vars(self._process).values(), time.time(), json.dumps(versions))
        self._db.execute("INSERT INTO driver VALUES (?, ?, ?, ?, ?, 0, ?)", row)
        self._closed: SimpleQueue[None] = SimpleQueue()  # the collector may close a study, so that no lock will do
        if self.path is not None:
            self._identity = Identity(self._named, self._file)
            threading.Thread(target=_renew, args=(self._identity, self.me, self._closed), daemon=True).start()

    def _reconnect(self) -> None:
        """A connection must not cross a fork: the child opens its own and is a driver of its own."""
        if self._process.pid != os.getpid() and not self.reader:
            if self.path is None:
                raise StorageError("a study in memory can't be used in a forked process; give it storage=")
            self._abandoned = self._db  # closing it would drop the parent's locks
            self._connect()

    def _pragma(self, text: str) -> Any:
        row = self._db.execute(f"PRAGMA {text}").fetchone()
        return row[0] if row else None

    def _told(self, error: Exception) -> StorageError:
        self._version = -1  # what others wrote is to be read again
        if lost := self.lost():
            return self._lost(lost)
        advice = next((hint for key, hint in ADVICE.items() if key in str(error)), "")
        return StorageError(f"{self.path or 'the study in memory'}: {error}{advice}")


def _renew(file: Identity, driver: str, closed: "SimpleQueue[None]") -> None:
    """Say once in a while that a driver lives, until it closes: drivers of other hosts can't see its process."""
    there = f"{Path(file.real).as_uri()}?mode=rw"  # no file is made where none is left
    while True:
        with suppress(Empty):
            return closed.get(timeout=RENEWAL)
        if not file.is_there():
            continue
        # A connection of its own: nothing here may keep the driver from the collector, or hold its lock at a fork.
        with suppress(sqlite3.Error), closing(sqlite3.connect(there, PATIENCE, uri=True)) as db, db:
            db.execute("UPDATE driver SET seen = ? WHERE id = ?", (time.time(), driver))
