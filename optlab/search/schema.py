"""What a store's file holds."""

APPLICATION = 0x6F70746C  # "optl", in the header of the file
VERSION = 1

TABLES = (
    """CREATE TABLE study (
        id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, direction TEXT NOT NULL, space TEXT NOT NULL,
        digest TEXT NOT NULL, created REAL NOT NULL)""",
    """CREATE TABLE driver (
        id TEXT PRIMARY KEY, host TEXT NOT NULL, pid INTEGER NOT NULL, birth TEXT NOT NULL, seen REAL NOT NULL,
        closed INTEGER NOT NULL, versions TEXT NOT NULL)""",
    """CREATE TABLE trial (
        study INTEGER NOT NULL, number INTEGER NOT NULL, params TEXT NOT NULL, state TEXT NOT NULL, value REAL,
        error TEXT, reports TEXT, seed INTEGER NOT NULL, started REAL NOT NULL, finished REAL, starts INTEGER NOT NULL,
        risks INTEGER NOT NULL, owner TEXT, changed INTEGER NOT NULL, PRIMARY KEY (study, number)) WITHOUT ROWID""",
    "CREATE UNIQUE INDEX news ON trial (study, changed)",
    "CREATE TABLE event (study INTEGER NOT NULL, number INTEGER NOT NULL, at REAL NOT NULL, text TEXT NOT NULL)",
)
