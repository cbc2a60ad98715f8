"""What a store's file holds, and how an older one comes up to date."""

from collections.abc import Sequence
from typing import Protocol

APPLICATION = 0x6F70746C  # "optl", in the header of the file
# One row per version: what leads to it from the version before. A released row never changes.
STEPS: tuple[Sequence[str], ...] = (
    (
        """CREATE TABLE study (
            id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, direction TEXT NOT NULL, space TEXT NOT NULL,
            digest TEXT NOT NULL, created REAL NOT NULL)""",
        """CREATE TABLE driver (
            id TEXT PRIMARY KEY, host TEXT NOT NULL, pid INTEGER NOT NULL, birth TEXT NOT NULL, seen REAL NOT NULL,
            closed INTEGER NOT NULL, versions TEXT NOT NULL)""",
        """CREATE TABLE trial (
            study INTEGER NOT NULL, number INTEGER NOT NULL, params TEXT NOT NULL, state TEXT NOT NULL, value REAL,
            error TEXT, reports TEXT, seed INTEGER NOT NULL, started REAL NOT NULL, finished REAL,
            starts INTEGER NOT NULL, risks INTEGER NOT NULL, owner TEXT, changed INTEGER NOT NULL,
            PRIMARY KEY (study, number)) WITHOUT ROWID""",
        "CREATE UNIQUE INDEX news ON trial (study, changed)",
        "CREATE TABLE event (study INTEGER NOT NULL, number INTEGER NOT NULL, at REAL NOT NULL, text TEXT NOT NULL)",
    ),
    (
        "CREATE TABLE sweep (study INTEGER NOT NULL, at REAL NOT NULL, settings TEXT NOT NULL)",
        # They were events of trial -1, the text "sweep " and the settings.
        """INSERT INTO sweep SELECT study, at, substr(text, 7) FROM event
            WHERE number = -1 AND text LIKE 'sweep %' ORDER BY rowid""",
        "DELETE FROM event WHERE number = -1 AND text LIKE 'sweep %'",
    ),
    (  # what a sampler saw: the study's last change when it was asked; and how many trials it proposed together
        "ALTER TABLE trial ADD COLUMN claimed INTEGER",
        "ALTER TABLE trial ADD COLUMN batch INTEGER",
    ),
    (  # what a sampler computed for a proposal at great cost: a fresh process starts from it
        """CREATE TABLE IF NOT EXISTS sampler_state (
            study INTEGER NOT NULL, number INTEGER NOT NULL, state TEXT NOT NULL)""",
    ),
)
VERSION = len(STEPS)
CHANGED = 13  # the place of that column, after which come those of later versions
LOGS = ("event", "sweep")  # tables without which a study goes on


class _Connection(Protocol):
    def execute(self, query: str, /) -> object: ...


def bring(db: _Connection, since: int, to: int = VERSION) -> None:
    """Take a file from version ``since`` (0: an empty one) up to ``to``, inside the caller's transaction."""
    for step in STEPS[since:to]:
        for statement in step:
            db.execute(statement)
    db.execute(f"PRAGMA application_id={APPLICATION}")
    db.execute(f"PRAGMA user_version={to}")
