"""The bench of sweeps: contestants do the same work, files keep it, goals are read from the rows; nothing is timed."""

import math
import os

import pytest

from optlab.bench import throughput
from optlab.bench.throughput_peers import JOURNAL, OURS, THEIRS, contestant, ends, entrants, total
from optlab.bench.timing import Times
from optlab.search.database import Database

FULL = 2  # what `PRAGMA synchronous` says where every commit waits for the disk
EVERYONE = (OURS, THEIRS, JOURNAL)


def check(results, trials, columns):
    """So many trials of so many parameters in [0, 1], all different, and the objective's value of each."""
    assert len(results) == trials
    for params, value in results:
        assert list(params) == [f"x{i}" for i in range(columns)]
        assert all(0 <= x <= 1 for x in params.values())
        assert value == total(params)
    assert len({value for _, value in results}) == trials


@pytest.fixture(params=EVERYONE)
def name(request):
    if request.param != OURS:
        pytest.importorskip("optuna")
    return request.param


@pytest.mark.parametrize("columns", [1, 3])
def test_in_memory_everyone_runs_the_same_trials(name, columns):
    run, results = contestant(name, columns, None)
    run(3)
    run(4)
    check(results(), 7, columns)


def test_a_file_holds_what_was_run_in_it(name, tmp_path):
    run, results = contestant(name, 2, tmp_path / "a")
    run(4)
    check(results(), 4, 2)
    again, seen = contestant(name, 2, tmp_path / "a")
    assert seen() == results()
    again(1)
    assert len(seen()) == 5


@pytest.mark.parametrize("name", [OURS, JOURNAL], indirect=True)
def test_processes_share_the_trials(name, tmp_path):
    moments = ends(name, 2, tmp_path / "a", 4, 2)
    assert len(moments) == len(contestant(name, 2, tmp_path / "a")[1]()) == 4


def test_every_result_of_ours_waits_for_the_disk(tmp_path, monkeypatch):
    real, settings = Database.execute, []

    def listening(self, query, values=()):
        if query.startswith("UPDATE trial"):
            settings.append(real(self, "PRAGMA synchronous").fetchone()[0])
        return real(self, query, values)

    monkeypatch.setattr(Database, "execute", listening)
    contestant(OURS, 2, tmp_path / "a")[0](3)
    assert settings == [FULL] * 3


def test_every_transaction_of_theirs_waits_for_the_disk(tmp_path):
    pytest.importorskip("optuna")
    import sqlalchemy

    settings = []

    def listening(connection):
        settings.append(connection.exec_driver_sql("PRAGMA synchronous").scalar())

    run, _ = contestant(THEIRS, 2, tmp_path / "a")
    sqlalchemy.event.listen(sqlalchemy.engine.Engine, "commit", listening)
    try:
        run(3)
    finally:
        sqlalchemy.event.remove(sqlalchemy.engine.Engine, "commit", listening)
    assert set(settings) == {FULL}
    assert len(settings) >= 3 * 4, "the trial, two parameters, the result"


def test_every_line_of_their_journal_waits_for_the_disk(tmp_path, monkeypatch):
    pytest.importorskip("optuna")
    run, _ = contestant(JOURNAL, 2, tmp_path / "a")
    real, calls = os.fsync, []
    monkeypatch.setattr(os, "fsync", lambda file: (calls.append(file), real(file)))
    run(3)
    assert len(calls) >= 3 * 4


def test_the_table_has_every_row_and_its_goals(monkeypatch):
    for constant, small in {"SHORT": 3, "FILED": 2, "MANY": 20, "SHARED": 4, "TURNS": 1}.items():
        monkeypatch.setattr(throughput, constant, small)
    monkeypatch.setattr(throughput, "ends", lambda name, columns, path, trials, processes: [1.0, 2.0, 3.0, 4.5])
    rows = list(throughput.table(peers=False, rounds=2))
    assert [(row["what"], row["parameters"], row["trials"]) for row in rows] == [
        ("in memory", 1, 3),
        ("in memory", 6, 3),
        ("in memory", 6, 20),
        ("SQLite, durable", 6, 2),
        ("SQLite, durable, 2 processes", 6, 4),
        ("reopened", 6, 9),
        ("SQLite, durable", 6, 20),
        ("reopened", 6, 20),
    ]
    assert all(row["ms"] > 0 for row in rows)
    assert rows[4]["ms"] == 1500.0
    assert rows[3]["one wait"] > 0
    grown = sum(math.isfinite(row.get("MB", math.nan)) for row in rows)
    assert len(throughput.verdicts(rows)) == 4 + grown  # without Optuna nothing is said of its SQLite


def test_who_takes_part(monkeypatch):
    assert entrants(peers=False, files=True) == [OURS]
    monkeypatch.setattr("optlab.bench.throughput_peers.find_spec", lambda name: None)
    assert entrants(peers=True, files=True) == [OURS]
    monkeypatch.setattr("optlab.bench.throughput_peers.find_spec", lambda name: name)
    assert entrants(peers=True, files=False) == [OURS, THEIRS]
    assert entrants(peers=True, files=True) == list(EVERYONE)


def test_a_row_is_medians_and_ratios_of_rounds():
    times = Times({OURS: [0.001, 0.002, 0.003], THEIRS: [0.01, 0.01, 0.06], "one wait": [0.001, 0.001, 0.001]})
    row = throughput._row("SQLite, durable", 6, 10, times)
    assert row["ms"] == 2.0
    assert row["trials/s"] == 500.0
    assert row[THEIRS] == pytest.approx(10.0)
    assert row["one wait"] == pytest.approx(0.5)
    assert row["quartiles"] == "5.00 to 20.00"


def test_the_pace_is_that_of_the_second_half():
    assert throughput.pace([9.0, 0.0, 5.0, 10.0, 11.0, 1.0]) == 1.0


def row(what, trials=10_000, ms=1.0, **others):
    return {"what": what, "parameters": 6, "trials": trials, "ms": ms, **others}


@pytest.mark.parametrize(
    ("rows", "lines"),
    [
        ([row("in memory", 1000, 0.1)],
         ["met    in memory, d = 6, 1,000 trials: 0.100 ms a trial, goal at most 0.1 ms"]),
        ([row("in memory", 1000, 0.11)],
         ["MISSED in memory, d = 6, 1,000 trials: 0.110 ms a trial, goal at most 0.1 ms"]),
        ([row("SQLite, durable", 10, optuna=5.0)], ["met    SQLite, durable: 5.0x optuna, goal 5x"]),
        ([row("SQLite, durable", 10, optuna=4.9)], ["MISSED SQLite, durable: 4.9x optuna, goal 5x"]),
        ([row("SQLite, durable", 10), row("SQLite, durable, 2 processes", optuna=2.0), row("reopened", 115, 9e9)], []),
        ([row("SQLite, durable", MB=49.0)],
         ["met    SQLite, durable, 10,000 trials: 49.0 MB more, goal less than 50 MB"]),
        ([row("SQLite, durable", MB=50.0)],
         ["MISSED SQLite, durable, 10,000 trials: 50.0 MB more, goal less than 50 MB"]),
        ([row("SQLite, durable", MB=math.nan)], []),
        ([row("reopened", ms=999.0)], ["met    reopened, 10,000 trials: 1.00 s, goal less than 1 s"]),
        ([row("reopened", ms=1000.0)], ["MISSED reopened, 10,000 trials: 1.00 s, goal less than 1 s"]),
    ],
)  # fmt: skip
def test_goals(rows, lines):
    assert throughput.verdicts(rows) == lines
