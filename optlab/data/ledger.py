"""The ledger of a test set: when it was opened, why, and what came out; a change by hand is found out."""

import hashlib
import json
import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from optlab.errors import ConfigError, SealError, StorageError
from optlab.locks import lock_open

RECORDS, HEAD = "seal.jsonl", "seal.head"

BINARY = getattr(os, "O_BINARY", 0)  # of Windows, which would write other line ends

_process: dict[str, list[dict[str, Any]]] = {}  # of Ledger(None): digest -> records
_threads = threading.Lock()


class Ledger:
    """Who opened a test set: one JSON record per line in ``seal.jsonl`` of a run's or study's directory.

    Every record carries the sha256 of the line before it and its own content, and ``seal.head`` the number of lines and
    the last hash, so that an edited, removed or added line is found out. A directory's test set is opened once,
    whatever its rows. ``Ledger(None)`` lives as long as the process and counts by contents: one opening per test set.

    Whoever writes both files anew, or deletes both, is not found out.

    Args:
        path: the directory, made when needed; None for memory.

    Example:
        >>> ledger = Ledger(None)
        >>> ledger.open("digest of a test set", "final table")
        >>> ledger.record_result({"accuracy": 0.93})
        >>> [record["event"] for record in ledger.records()], ledger.verify()
        (['opened', 'result'], [])
    """

    def __init__(self, path: str | os.PathLike[str] | None) -> None:
        self.path = None if path is None else Path(path)
        self._opened = ""

    def open(self, digest: str, reason: str, force: bool = False) -> None:
        """Record one opening of the test set with this digest.

        Raises:
            ConfigError: the reason is empty.
            SealError: a second opening, or a ledger changed by hand, without ``force``.
            StorageError: the ledger can't be read or written.
        """
        if not isinstance(reason, str) or not reason.strip():
            raise ConfigError(f"unseal needs a reason in words, such as 'final table', got {reason!r}")
        with self._alone():
            earlier = [record for record in self._read(digest) if record.get("event") == "opened"]
            problems = self.verify()
            if (earlier or problems) and not force:
                raise SealError(_second(earlier, problems))
            self._append(
                {"event": "opened", "reason": reason.strip(), "data": digest, "forced": bool(earlier or problems)}
            )
        self._opened = digest

    def record_result(self, result: Mapping[str, Any]) -> None:
        """Add what the opening gave, such as ``{"loss": 0.31, "accuracy": 0.93}``.

        Raises:
            ConfigError: nothing was opened through this ledger.
            StorageError: the ledger can't be written.
        """
        if not self._opened:
            raise ConfigError("a result belongs to an opening; open the test set through this ledger first")
        with self._alone():
            self._append({"event": "result", "data": self._opened, "result": dict(result)})

    def records(self) -> list[dict[str, Any]]:
        """Openings and results in order; a line that can't be read is left out (`verify` names it)."""
        if self.path is None and not self._opened:
            return [record for records in _process.values() for record in records]
        return self._read(self._opened)

    def verify(self) -> list[str]:
        """What does not fit together, or did not when a record was added, one sentence each; [] if all is well."""
        lists = [record.get("problems") for record in self._read("")]
        noted = [str(problem) for found in lists if isinstance(found, list) for problem in found]
        return list(dict.fromkeys([*noted, *self._problems()]))

    def _problems(self) -> list[str]:
        if self.path is None:
            return []
        problems: list[str] = []
        previous, hashes = b"", []
        for number, line in enumerate(self._lines(), 1):
            record = _parsed(line)
            hashes.append(record.get("hash", ""))
            if not record:
                problems.append(f"line {number} of {RECORDS} can't be read: it was cut off or edited")
            elif hashes[-1] != _hash(previous, record):
                problems.append(f"line {number} of {RECORDS} was edited, or a line before it was removed or added")
            previous = line
        head = self._bytes(HEAD).decode("ascii", "replace").split()
        if len(head) != 2 or not head[0].isdigit():
            if len(hashes) > 1 or head:  # a crash can come between the first line and its head
                problems.append(f"{HEAD} is missing or was edited")
        elif int(head[0]) > len(hashes):
            problems.append(f"{int(head[0]) - len(hashes)} of {int(head[0])} lines of {RECORDS} were removed")
        elif int(head[0]) < 1 or hashes[int(head[0]) - 1] != head[1]:
            problems.append(f"line {int(head[0])} of {RECORDS} is not the one that was written")
        return problems

    def _read(self, digest: str) -> list[dict[str, Any]]:
        if self.path is None:
            return list(_process.get(digest, []))
        return [record for line in self._lines() if (record := _parsed(line))]

    def _append(self, content: dict[str, Any]) -> None:
        record = {"time": datetime.now(UTC).isoformat(timespec="seconds"), **content}
        if self.path is None:
            _process.setdefault(record["data"], []).append(record)
            return
        # The next line makes the head fit again, so it keeps what was wrong with the old one.
        if problems := self.verify():
            record["problems"] = problems
        lines = self._lines()
        record["hash"] = _hash(lines[-1] if lines else b"", record)
        torn = bool(lines) and not self._bytes(RECORDS).endswith(b"\n")
        line = b"\n" * torn + json.dumps(record, default=float).encode() + b"\n"
        self._write(RECORDS, line, os.O_APPEND)
        self._write(HEAD, f"{len(lines) + 1:08d} {record['hash']}\n".encode(), 0)  # same length: in place, never empty

    def _lines(self) -> list[bytes]:
        return [line for line in self._bytes(RECORDS).split(b"\n") if line]

    def _bytes(self, name: str) -> bytes:
        try:
            return (self.path / name).read_bytes() if self.path is not None else b""
        except FileNotFoundError:
            return b""
        except OSError as error:
            raise StorageError(f"the ledger of the test set can't be read: {error}") from None

    def _write(self, name: str, data: bytes, flag: int) -> None:
        try:
            file = os.open(os.path.join(self.path or "", name), os.O_WRONLY | os.O_CREAT | BINARY | flag, 0o644)
            try:
                if os.write(file, data) != len(data):
                    raise OSError(f"{name}: only a part was written")
                os.fsync(file)
            finally:
                os.close(file)
        except OSError as error:
            raise StorageError(f"the ledger of the test set can't be written: {error}") from None

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """One process and one thread at a time between reading the ledger and adding to it."""
        with _threads:
            if self.path is None:
                yield
                return
            try:
                self.path.mkdir(parents=True, exist_ok=True)
                lock = os.open(self.path / HEAD, os.O_RDWR | os.O_CREAT, 0o644)
            except OSError as error:
                raise StorageError(f"the ledger of the test set can't be written: {error}") from None
            try:
                lock_open(lock, wait=True)
                yield
            finally:
                os.close(lock)  # gives the lock back


def _parsed(line: bytes) -> dict[str, Any]:
    with suppress(ValueError):
        record = json.loads(line)
        if isinstance(record, dict):
            return record
    return {}


def _hash(previous: bytes, record: Mapping[str, Any]) -> str:
    content = json.dumps({key: value for key, value in record.items() if key != "hash"}, default=float, sort_keys=True)
    return hashlib.sha256(previous + content.encode()).hexdigest()


def _second(earlier: list[dict[str, Any]], problems: list[str]) -> str:
    said = []
    if earlier:
        said.append(f"the test set was opened on {earlier[0].get('time')} for {earlier[0].get('reason')!r}")
    if problems:
        said.append(f"its ledger was changed by hand ({problems[0]})")
    return (
        " and ".join(said) + "; a second look makes it a validation set. force=True opens it, and reports will say so"
    )
