"""The store: one SQLite file (or one in memory) with the trials of its studies, shared by any number of drivers.

A trial is claimed before it is run and recorded once, the first write wins. Records are on the disk when `record`
returns (WAL, synchronous=FULL); claims needn't be: one that is lost is made again with the same number and parameters.
"""

import json
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from optlab.errors import ConfigError, StorageError
from optlab.plain import parsed
from optlab.search.backup import copy_study
from optlab.search.changes import changes
from optlab.search.database import Database
from optlab.search.rows import COLUMNS, SENSELESS, DamagedRow, read_trial
from optlab.search.salvage import UNREADABLE
from optlab.search.space import Space
from optlab.search.trial import Outcome, Reports, Trial

DEATHS = 5  # a trial that was begun so often inside a driver that died is not run again
NAMES = ", ".join(COLUMNS)
INSERT = (
    "INSERT INTO trial (study, number, params, state, seed, started, starts, risks, owner, changed, claimed, batch)"
    " VALUES (?, ?, ?, 'running', ?, ?, 1, ?, ?, ?, ?, ?)"
)
_TEXT = json.JSONEncoder(default=lambda value: value.item() if hasattr(value, "item") else repr(value))
ENCODER = json.JSONEncoder(default=lambda value: value.item(), allow_nan=False)


class Moments(NamedTuple):
    """When a trial was claimed and when it was changed last, as the count of the study's changes.

    ``claimed`` is None where the file does not say; ``batch`` is `Store.claim`'s.
    """

    number: int
    claimed: int | None
    changed: int
    batch: int | None


def batch_of(number: int, size: int) -> range:
    """The numbers of the batch that trial ``number`` falls into."""
    first = number // size * size
    return range(first, first + size)


class Store:
    """The trials of one study, mirrored in memory.

    Attributes:
        trials: number -> record, as of the last look.
        changed: numbers of the records that are new since the reader emptied it.
    """

    def __init__(self, path: str | os.PathLike[str] | None = None, reader: bool = False) -> None:
        self.trials: dict[int, Trial] = {}
        self.changed: list[int] = []
        self._owners: dict[int, str | None] = {}
        self._study, self._last, self._highest = 0, 0, -1
        self._written: list[tuple[Trial, str | None]] = []
        self._unsaved: dict[int, tuple[Outcome, float]] = {}  # results that could not be written, and their times
        self._db = Database(path, reader)
        self.close, self.lock = self._db.close, self._db.lock
        self.checkpoint, self.lost = self._db.checkpoint, self._db.lost

    @property
    def running(self) -> bool:
        """Whether some trial, of whatever driver, has begun and not ended."""
        return bool(self._owners)

    # --- the study ----------------------------------------------------------------------------------------------------

    def studies(self) -> dict[str, tuple[str, str]]:
        """Name -> (direction, space as JSON) of every study in the file, in the order in which they were begun.

        Raises:
            StorageError: a name is no text.
        """
        with self._db.reading():
            rows = self._db.execute("SELECT name, direction, space FROM study ORDER BY id").fetchall()
        for row in rows:
            if not all(isinstance(value, str) for value in row):
                raise StorageError(f"{self._db.path}: a study makes no sense: {row[0]!r}; move the file away")
        return {name: (direction, space) for name, direction, space in rows}

    def read(self, name: str, direction: str, space: Space) -> None:
        """Read a study that is there; the first write makes this store's driver of the file."""
        self._identity = name, direction, space
        with self._db.reading():
            [self._study] = self._db.execute("SELECT id FROM study WHERE name = ?", (name,)).fetchone()
            self._sync()

    def study(self, name: str, direction: str, space: Space) -> None:
        """Find the study of this name, or begin it.

        Raises:
            ConfigError: it is there with another space or direction.
        """
        self._identity = name, direction, space
        digest = space.digest
        with self._write(durable=True):
            self._db.execute(
                "INSERT OR IGNORE INTO study (name, direction, space, digest, created) VALUES (?, ?, ?, ?, ?)",
                (name, direction, json.dumps(space.to_dict()), digest, time.time()),
            )
            row = self._db.execute("SELECT id, direction, digest, space FROM study WHERE name = ?", (name,)).fetchone()
        self._study, *there, stored = row
        if there != [direction, digest]:
            same = there[0] == direction
            what = f"space ({changes(stored, space)})" if same else f"direction, {there[0]}"
            raise ConfigError(f"{self._db.path} holds study {name!r} with another {what}; give this one another name=")
        try:
            with self._db.reading():
                self._sync()
        except DamagedRow:
            self.trials, self.changed, self._owners = {}, [], {}
            self._last, self._highest = 0, -1
            self._db.recover()
            self.study(name, direction, space)

    def refresh(self) -> None:
        """Read what other drivers wrote."""
        if self._db.path is None or self._db.was_lost:  # what is known of a file that is gone stays
            return
        with self._db.reading():
            if self._db.others_wrote():
                self._sync()

    def log(self) -> list[tuple[float, int, str]]:
        """(time, trial's number, what happened): second results, released claims, crashes."""
        query = "SELECT at, number, text FROM event WHERE study = ? ORDER BY rowid"
        with self._db.reading():
            return self._db.execute(query, (self._study,)).fetchall()

    def describe(self, settings: Mapping[str, Any]) -> None:
        """Keep what a sweep is, besides those before, and from which trial on."""
        with self._write(durable=True):
            self._describe(settings, self._highest + 1)

    def describe_sampler(self, sampler: dict[str, Any], first: int) -> None:
        """Keep within a claim what proposes the trials from ``first`` on, if that is another sampler than before."""
        last = self._descriptions()[-1:]
        before = last[0] if last else {}
        if before.get("sampler") != json.loads(_TEXT.encode(sampler)):
            self._describe({**before, "sampler": sampler}, first)

    def _describe(self, settings: Mapping[str, Any], first: int) -> None:
        told = {key: value for key, value in settings.items() if key != "first"} | ({"first": first} if first else {})
        self._db.execute("INSERT INTO sweep VALUES (?, ?, ?)", (self._study, time.time(), _TEXT.encode(told)))

    def descriptions(self) -> list[dict[str, Any]]:
        """What the sweeps were told to be, the last one at the end; ``first`` is the trial from which on, if not 0.

        Raises:
            StorageError: one makes no sense.
        """
        with self._db.reading():
            return self._descriptions()

    def _descriptions(self) -> list[dict[str, Any]]:
        query = "SELECT settings FROM sweep WHERE study = ? ORDER BY rowid"
        try:
            return [dict(parsed(text)) for (text,) in self._db.execute(query, (self._study,))]
        except (TypeError, ValueError) as error:
            raise StorageError(f"{self._db.path}: what it tells of its sweep makes no sense: {error}") from None

    def keep_state(self, number: int, state: str) -> None:
        """Keep a sampler's state with the trial it was computed for; only inside the transaction of its `claim`."""
        self._db.execute("INSERT INTO sampler_state VALUES (?, ?, ?)", (self._study, number, state))

    def states(self) -> list[bytes]:
        """Return the states that samplers left, in the order of their claims; without those that cannot be read."""
        query = "SELECT CAST(state AS BLOB) FROM sampler_state WHERE study = ? ORDER BY rowid"
        with self._db.reading(), suppress(*UNREADABLE):
            return [state for (state,) in self._db.execute(query, (self._study,))]
        return []

    # --- trials -------------------------------------------------------------------------------------------------------

    def adopt(self, count: int, exposed: bool) -> list[Trial]:
        """Claim up to ``count`` trials whose drivers are gone, lowest numbers first.

        ``exposed`` says that the trials run inside this driver, which one of them may take down.
        """
        if all(owner == self._db.me for owner in self._owners.values()):
            return []
        with self._db.reading():
            if not self._orphans():  # the usual answer needs no write
                return []
        with self._write(durable=False):
            taken: list[int] = []
            for number in self._orphans():
                if len(taken) == count:
                    break
                starts, risks = self._begun(number)
                if risks >= DEATHS:
                    reason = f"its driver died {DEATHS} times while it ran"
                    self._set(number, None, state="quarantined", error=reason, finished=time.time())
                    continue
                self._set(number, self._db.me, risks=risks + exposed, started=time.time(), starts=starts + 1)
                taken.append(number)
        return [self.trials[number] for number in taken]

    def _begun(self, number: int) -> tuple[int, int]:
        query = "SELECT starts, CAST(risks AS INTEGER) FROM trial WHERE study = ? AND number = ?"
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
        batch: int | None = None,
        total: int | None = None,
    ) -> list[Trial]:
        """Claim up to ``count`` new numbers, with the parameters that are proposed for them under the write lock.

        ``batch`` says how many are proposed together: None for those that are claimed now, 0 for a point of one's own.
        With ``total`` the study gets no more trials than that.
        """
        with self._write(durable=False):
            numbers, since = [n for n in self._free(count) if total is None or n < total], self._last
            proposals = propose(numbers) if numbers else []
            numbers = numbers[: len(proposals)]
            for number, params in zip(numbers, proposals, strict=True):
                text, seed, now, me = ENCODER.encode(params), seed_of(number), time.time(), self._db.me
                row = (self._study, number, text, seed, now, int(exposed), me, self._tick(), since, batch)
                self._db.execute(INSERT, row)
                trial = Trial(number, json.loads(text), seed=seed, started=now, starts=1)
                self._written.append((trial, me))
        return [self.trials[number] for number in numbers]

    def _free(self, count: int) -> list[int]:
        """The next numbers; those first that a damaged file lost."""
        new = self._highest + 1
        gaps = [n for n in range(new) if n not in self.trials] if len(self.trials) < new else []
        return [*gaps, *range(new, new + count)][:count]

    def record(self, number: int, outcome: Outcome) -> bool:
        """Write how a trial ended, once; False (and an entry in the log) if it is recorded already."""
        state, value, error, now = outcome.state, outcome.value, outcome.error, time.time()
        self._unsaved[number] = outcome, now
        with self._write(durable=True):
            done = self._set(number, None, outcome.reports, state=state, value=value, error=error, finished=now)
            if not done:
                self._note(number, f"a second result was not taken: {state} {value} {error}")
        del self._unsaved[number]
        self._db.keep_up(now - self.trials[number].started)
        return done

    def release(self, numbers: Sequence[int]) -> None:
        """Give back claims of trials that were stopped on purpose; not those that another driver has taken over."""
        with self._write(durable=True):
            for number in numbers:
                if self._owners.get(number) != self._db.me:
                    continue
                starts, risks = self._begun(number)
                if self._set(number, None, risks=max(0, risks - 1), starts=starts - 1):
                    self._note(number, "stopped before its end; it will be run again")

    def note(self, number: int, text: str) -> None:
        """Write into the log."""
        with self._write(durable=False):
            self._note(number, text)

    def course(self) -> list[Moments]:
        """When the trials were claimed and changed last, in the order of their numbers.

        Raises:
            StorageError: what the file says makes no sense.
        """
        query = "SELECT number, claimed, changed, batch FROM trial WHERE study = ? ORDER BY number"
        with self._db.reading():
            found = [Moments(*row) for row in self._db.execute(query, (self._study,))]
        for row in found:
            if not all(value is None or (isinstance(value, int) and value >= 0) for value in row):
                raise StorageError(f"{self._db.path}: when trial {row.number} was claimed makes no sense: {row[1:]}")
        return found

    def copy(self, storage: str | os.PathLike[str]) -> Path:
        """`Study.copy`."""
        with self._db.lock:
            return copy_study(storage, self._db.backup, self._study, self._identity, self.trials, self._unsaved)

    # --- underneath ---------------------------------------------------------------------------------------------------

    def _set(
        self, number: int, owner: str | None, reports: Reports = (), risks: int | None = None, **values: Any
    ) -> bool:
        """Change a running trial; False if it is none."""
        columns = {**values, "owner": owner, "changed": self._ticks + 1}
        if reports:
            columns["reports"] = json.dumps(reports)
        if risks is not None:
            columns["risks"] = risks
        names = " = ?, ".join(columns)
        query = f"UPDATE trial SET {names} = ? WHERE study = ? AND number = ? AND state = 'running'"
        done = self._db.execute(query, (*columns.values(), self._study, number)).rowcount == 1
        if done:  # not RETURNING: that takes four times as long
            self._tick()
            self._written.append((replace(self.trials[number], reports=reports, **values), owner))
        return done

    def _note(self, number: int, text: str) -> None:
        self._db.execute("INSERT INTO event VALUES (?, ?, ?, ?)", (self._study, number, time.time(), text))

    def _tick(self) -> int:
        self._ticks += 1
        return self._ticks

    @contextmanager
    def _write(self, durable: bool) -> Iterator[None]:
        """A transaction on top of all that others have written; the mirror follows when it is committed."""
        with self._db.lock:
            if self._db.reader:
                self._db.sign_in()
                self._last = 0
                self.study(*self._identity)
            with self._db.writing(durable):
                if self._db.others_wrote():
                    self._sync()
                self._ticks, self._written = self._last, []
                yield
            for trial, owner in self._written:
                self._keep(trial, owner)
            self._last = self._ticks

    def _sync(self) -> None:
        if self._db.reader:
            self._last = 0  # a damaged file may have been recovered meanwhile, and numbers its changes anew
        query = f"SELECT {NAMES}, owner, changed FROM trial WHERE study = ? AND changed > ? ORDER BY changed"
        for line in self._db.execute(query, (self._study, self._last)).fetchall():
            *row, owner, self._last = line
            try:
                trial = read_trial(*row, space=self._identity[2], known=self.trials.get(row[0]))
            except SENSELESS as error:
                where = f"{self._db.path}: trial {row[0]}"
                raise DamagedRow(f"{where} makes no sense ({error}); move the file away to begin again") from error
            self._keep(trial, owner)

    def _keep(self, trial: Trial, owner: str | None) -> None:
        """Bring the mirror up to date."""
        self.trials[trial.number] = trial
        if trial.state == "running":
            self._owners[trial.number] = owner
        else:
            self._owners.pop(trial.number, None)
        self.changed.append(trial.number)
        self._highest = max(self._highest, trial.number)
