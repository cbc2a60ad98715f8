"""A study's file as a copy: whole, of one moment, and there only when it is complete."""

import json
import os
import sqlite3
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing, suppress
from pathlib import Path
from uuid import uuid4

from optlab.errors import ConfigError, StorageError
from optlab.search.location import check_place, storage_path
from optlab.search.schema import bring
from optlab.search.space import Space
from optlab.search.trial import Outcome, Trial

Fill = Callable[[sqlite3.Connection], None]


def copy_study(
    storage: str | os.PathLike[str],
    backup: Fill,
    number: int,
    identity: tuple[str, str, Space],
    trials: Mapping[int, Trial],
    unsaved: Mapping[int, tuple[Outcome, float]],
) -> Path:
    """Write a new file with all that is known: what ``backup`` gives of the study's own, else the trials alone.

    Args:
        storage: the new file.
        backup: fills it with what the study's own file holds.
        number: of the study in that.
        identity: name, direction and space.
        trials: as they are known in memory.
        unsaved: results that are in no file, and their times.

    Raises:
        ConfigError: ``storage`` names no file.
        StorageError: there is a file already, or it can't be written.
    """

    def whole(copy: sqlite3.Connection) -> None:
        backup(copy)
        _add_outcomes(copy, number, unsaved)

    def known(copy: sqlite3.Connection) -> None:
        bring(copy, since=0)
        name, direction, space = identity
        row = (name, direction, json.dumps(space.to_dict()), space.digest, time.time())
        copy.execute("INSERT INTO study VALUES (1, ?, ?, ?, ?, ?)", row)
        _add_trials(copy, 1, [trial for _, trial in sorted(trials.items())])
        _add_outcomes(copy, 1, unsaved)

    return _write_copy(storage, [whole, known])


def _add_trials(copy: sqlite3.Connection, study: int, trials: Iterable[Trial]) -> None:
    for order, t in enumerate(trials, 1):
        reports = json.dumps(t.reports) if t.reports else None
        row = {**vars(t), "params": json.dumps(t.params), "reports": reports}
        row |= {"study": study, "risks": 0, "changed": order}
        marks = ", ".join("?" * len(row))
        copy.execute(f"INSERT INTO trial ({', '.join(row)}) VALUES ({marks})", tuple(row.values()))


def _add_outcomes(copy: sqlite3.Connection, study: int, outcomes: Mapping[int, tuple[Outcome, float]]) -> None:
    """End trials that still run, each with its outcome and the time of that."""
    query = (
        "UPDATE trial SET state = ?, value = ?, error = ?, reports = ?, finished = ?, owner = NULL"
        " WHERE study = ? AND number = ? AND state = 'running'"
    )
    for number, (end, at) in outcomes.items():
        reports = json.dumps(end.reports) if end.reports else None
        copy.execute(query, (end.state, end.value, end.error, reports, at, study, number))
    copy.commit()


def _write_copy(storage: str | os.PathLike[str], fills: list[Fill]) -> Path:
    """Write a new file with the first of ``fills`` that can be read."""
    path = storage_path(storage)
    if path is None:
        raise ConfigError(f"a copy is a file, got {storage!r}")
    check_place(path)
    if os.path.lexists(path):
        raise StorageError(f"{path} is there already; give another name")
    for i, fill in enumerate(fills):
        draft = path.with_name(f"{path.name}.{uuid4().hex[:8]}")
        try:
            _write(draft, fill)
            _publish(draft, path)
        except (sqlite3.Error, UnicodeDecodeError) as error:
            if i == len(fills) - 1:
                raise StorageError(f"{path} can't be written: {error}") from error
        except FileExistsError:
            raise StorageError(f"{path} is there already; give another name") from None
        except OSError as error:
            raise StorageError(f"{path} can't be written: {error.strerror}") from error
        else:
            return path
        finally:
            for end in ("", "-journal"):
                with suppress(OSError):
                    os.unlink(f"{draft}{end}")
    raise AssertionError("no way to fill a copy")


def _write(draft: Path, fill: Fill) -> None:
    """Write a file that is closed and on the disk."""
    with closing(sqlite3.connect(draft)) as copy:
        fill(copy)
        copy.execute("PRAGMA journal_mode=DELETE")
        with copy:
            copy.execute("UPDATE driver SET closed = 1")
        found = copy.execute("PRAGMA quick_check(1)").fetchone()[0]
        if found != "ok":
            raise sqlite3.DatabaseError(found)
    with draft.open("rb+") as file:
        os.fsync(file.fileno())


def _publish(draft: Path, path: Path) -> None:
    """Give a draft its name, if that is free."""
    try:
        os.link(draft, path)
    except FileExistsError:
        raise
    except OSError:  # a file system without links
        if path.exists():
            raise FileExistsError(path) from None
        draft.rename(path)
