"""The store: one SQLite file (or one in memory) with the trials of its studies, shared by any number of drivers.

A trial is claimed before it is run and recorded once, the first write wins. Records are on the disk when `record`
returns (WAL, synchronous=FULL); claims needn't be: one that is lost is made again with the same number and parameters.
"""

import json
import math
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from optlab.errors import ConfigError
from optlab.search.database import Database
from optlab.search.trial import Outcome, Trial

DEATHS = 5  # a trial that was begun so often inside a driver that died is not run again
COLUMNS = "number, params, value, state, error, reports, seed, started, finished, starts, owner, changed"


class Store:
    """The trials of one study, mirrored in memory.

    Attributes:
        trials: number -> record, as of the last look.
        changed: numbers of the records that are new since the reader emptied it.
    """

    def __init__(self, path: str | os.PathLike[str] | None = None) -> None:
        self.trials: dict[int, Trial] = {}
        self.changed: list[int] = []
        self._owners: dict[int, str | None] = {}
        self._study, self._last, self._highest = 0, 0, -1
        self._written: list[Any] = []
        self._db = Database(path)
        self.close, self.renew = self._db.close, self._db.renew

    # --- the study ----------------------------------------------------------------------------------------------------

    def study(self, name: str, direction: str, space: str, digest: str) -> None:
        """Find the study of this name, or begin it.

        Raises:
            ConfigError: it is there with another space or direction.
        """
        with self._write(durable=True):
            self._db.execute(
                "INSERT OR IGNORE INTO study (name, direction, space, digest, created) VALUES (?, ?, ?, ?, ?)",
                (name, direction, space, digest, time.time()),
            )
            row = self._db.execute("SELECT id, direction, digest FROM study WHERE name = ?", (name,)).fetchone()
        self._study, *there = row
        if there != [direction, digest]:
            what = "direction" if there[0] != direction else "space"
            raise ConfigError(f"{self._db.path} holds study {name!r} with another {what}; give this one another name=")
        with self._db.reading():
            self._sync()

    def refresh(self) -> None:
        """Read what other drivers wrote."""
        if self._db.path is None:
            return
        with self._db.reading():
            if self._db.others_wrote():
                self._sync()

    def log(self) -> list[tuple[float, int, str]]:
        """(time, trial's number, what happened): second results, released claims, crashes."""
        query = "SELECT at, number, text FROM event WHERE study = ? ORDER BY rowid"
        with self._db.reading():
            return self._db.execute(query, (self._study,)).fetchall()

    # --- trials -------------------------------------------------------------------------------------------------------

    def adopt(self, count: int, exposed: bool) -> list[Trial]:
        """Claim up to ``count`` trials whose drivers are gone, lowest numbers first.

        ``exposed`` says that the trials run inside this driver, which one of them may take down.
        """
        if all(owner == self._db.me for owner in self._owners.values()):
            return []
        with self._write(durable=False):
            taken: list[int] = []
            for number in self._orphans():
                if len(taken) == count:
                    break
                starts, risks = self._begun(number)
                if risks >= DEATHS:
                    reason = f"its driver died {DEATHS} times while it ran"
                    self._set(number, state="quarantined", error=reason, finished=time.time(), owner=None)
                    continue
                now = time.time()
                self._set(number, owner=self._db.me, started=now, starts=starts + 1, risks=risks + exposed)
                taken.append(number)
        return [self.trials[number] for number in taken]

    def _begun(self, number: int) -> tuple[int, int]:
        query = "SELECT starts, risks FROM trial WHERE study = ? AND number = ?"
        starts, risks = self._db.execute(query, (self._study, number)).fetchone()
        return starts, risks

    def _orphans(self) -> list[int]:
        gone = self._db.gone({owner for owner in self._owners.values() if owner is not None} - {self._db.me})
        return sorted(number for number, owner in self._owners.items() if owner is None or owner in gone)

    def claim(
        self,
        count: int,
        propose: Callable[[Sequence[int]], Sequence[dict[str, Any]]],
        seed_of: Callable[[int], int],
        exposed: bool = False,
    ) -> list[Trial]:
        """Claim up to ``count`` new numbers, with the parameters that are proposed for them under the write lock."""
        with self._write(durable=False):
            numbers = self._free(count)
            proposals = propose(numbers)
            numbers = numbers[: len(proposals)]
            for number, params in zip(numbers, proposals, strict=True):
                self._change(
                    "INSERT INTO trial (study, number, params, state, seed, started, starts, risks, owner, changed)"
                    " VALUES (?, ?, ?, 'running', ?, ?, 1, ?, ?, ?)",
                    (
                        self._study,
                        number,
                        _json(params),
                        seed_of(number),
                        time.time(),
                        int(exposed),
                        self._db.me,
                        self._tick(),
                    ),
                )
        return [self.trials[number] for number in numbers]

    def _free(self, count: int) -> list[int]:
        """The next numbers; those first that a damaged file lost."""
        new = self._highest + 1
        gaps = [n for n in range(new) if n not in self.trials] if len(self.trials) < new else []
        return [*gaps, *range(new, new + count)][:count]

    def record(self, number: int, outcome: Outcome) -> bool:
        """Write how a trial ended, once; False (and an entry in the log) if it is recorded already."""
        with self._write(durable=True):
            done = self._set(
                number,
                state=outcome.state,
                value=outcome.value,
                error=outcome.error,
                reports=json.dumps(outcome.reports) if outcome.reports else None,
                finished=time.time(),
                owner=None,
            )
            if not done:
                self._note(number, f"a second result was not taken: {outcome.state} {outcome.value} {outcome.error}")
        return done

    def release(self, numbers: Sequence[int]) -> None:
        """Give back claims of trials that were stopped on purpose."""
        with self._write(durable=True):
            for number in numbers:
                starts, risks = self._begun(number)
                if self._set(number, owner=None, starts=starts - 1, risks=max(0, risks - 1)):
                    self._note(number, "stopped before its end; it will be run again")

    def note(self, number: int, text: str) -> None:
        """Write into the log."""
        with self._write(durable=False):
            self._note(number, text)

    # --- underneath ---------------------------------------------------------------------------------------------------

    def _set(self, number: int, **values: Any) -> bool:
        """Change a running trial."""
        names = ", ".join(f"{name} = ?" for name in values)
        query = f"UPDATE trial SET {names}, changed = ? WHERE study = ? AND number = ? AND state = 'running'"
        return self._change(query, (*values.values(), self._tick(), self._study, number))

    def _change(self, query: str, values: Sequence[Any]) -> bool:
        rows = self._db.execute(f"{query} RETURNING {COLUMNS}", values).fetchall()
        self._written += rows
        return bool(rows)

    def _note(self, number: int, text: str) -> None:
        self._db.execute("INSERT INTO event VALUES (?, ?, ?, ?)", (self._study, number, time.time(), text))

    def _tick(self) -> int:
        self._ticks += 1
        return self._ticks

    @contextmanager
    def _write(self, durable: bool) -> Iterator[None]:
        """A transaction on top of all that others have written; the mirror follows when it is committed."""
        with self._db.lock:
            with self._db.writing(durable):
                if self._db.others_wrote():
                    self._sync()
                self._ticks, self._written = self._last, []
                yield
            self._absorb(self._written)

    def _sync(self) -> None:
        query = f"SELECT {COLUMNS} FROM trial WHERE study = ? AND changed > ? ORDER BY changed"
        self._absorb(self._db.execute(query, (self._study, self._last)).fetchall())

    def _absorb(self, rows: Sequence[Any]) -> None:
        """Bring the mirror up to date."""
        for row in rows:
            number, text, value, state, error, reports, seed, started, finished, starts, owner, self._last = row
            known = self.trials.get(number)
            params = known.params if known else json.loads(text)
            told = (
                tuple((step, math.nan if at is None else float(at)) for step, at in json.loads(reports))
                if reports
                else ()
            )
            self.trials[number] = Trial(number, params, value, state, error, told, seed, started, finished, starts)
            if state == "running":
                self._owners[number] = owner
            else:
                self._owners.pop(number, None)
            self.changed.append(number)
            self._highest = max(self._highest, number)


def _json(params: dict[str, Any]) -> str:
    return json.dumps(params, default=lambda value: value.item(), allow_nan=False)
