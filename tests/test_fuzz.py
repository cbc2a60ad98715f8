"""Whatever the bytes are (faults.md, row 27): an answer or an error that is documented. Data files and sweep files have
their own fuzz beside their tests."""

import json
import shutil
import sqlite3
import warnings
from contextlib import closing, suppress

import pytest
from conftest import FUZZ
from hypothesis import given, settings
from hypothesis import strategies as st
from malformed import BATCH, batch_bytes, read_batch
from sweeps import SPACE, bowl, noisy
from test_data_files import damaged, only_data_errors
from test_report import ATTRIBUTES, TAGS, Reader

from optlab.errors import ConfigError, StorageError
from optlab.search import Random, Study
from optlab.viz.page import number, page, pairs, section

fuzzed = settings.get_profile("fuzz")
FEW = FUZZ // 10
few = settings(fuzzed, max_examples=FEW)  # Optuna opens a database in some 0.1 s


@pytest.mark.fault(27, cases=FUZZ)
@fuzzed
@given(damaged((BATCH, batch_bytes([0, 255]))) | st.binary(max_size=200))
def test_cifar_batches(tmp_path, contents):
    only_data_errors(tmp_path / "b.bin", read_batch, contents)


# --- a study's file ---------------------------------------------------------------------------------------------------


def placed(contents, *changes):
    out = bytearray(contents)
    for place, new in changes:
        place %= len(out)
        out[place : place + len(new)] = new
    return bytes(out)


changes = st.lists(st.tuples(st.integers(0, 1 << 30), st.binary(min_size=1, max_size=8)), min_size=1, max_size=4)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """A sound file with a few trials of every kind."""
    path = tmp_path_factory.mktemp("store") / "a.db"
    study = Study(SPACE, Random(seed=1), storage=path)
    study.describe({"objective": "bowl"})
    study.run(bowl, trials=4)
    study.tell(study.ask(), error="broken")
    study.ask()
    study.close()
    return path.read_bytes()


def go_on(path):
    study = Study(SPACE, Random(seed=1), storage=path)
    study.run(bowl, trials=1)
    study.close()


def documented(action):
    """It may refuse, with a reason, or warn; nothing else."""
    with warnings.catch_warnings(record=True, action="always"):
        try:
            action()
        except (StorageError, ConfigError) as error:
            text = str(error)
        else:
            return
    assert text


@pytest.fixture
def fresh(tmp_path):
    """A folder that is empty each time it is asked for."""

    def make():
        shutil.rmtree(tmp_path / "x", ignore_errors=True)
        (tmp_path / "x").mkdir()
        return tmp_path / "x"

    return make


@pytest.mark.fault(27, cases=FUZZ)
def test_study_files(store, fresh):
    @fuzzed
    @given(changes)
    def run(changed):
        path = fresh() / "a.db"
        path.write_bytes(placed(store, *changed))
        documented(lambda: go_on(path))

    run()


FIELDS = {"params", "state", "value", "error", "reports", "seed", "started", "finished", "starts", "risks", "owner"}
values = (
    st.none()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=9)
    | st.binary(max_size=9)
    | st.sampled_from(
        [
            "complete",
            "COMPLETE",
            "PRUNED",
            "running",
            "failed",
            "{}",
            "[]",
            "null",
            "[[0, 1]]",
            '{"x": 1}',
            "NaN",
            "1e999",
        ]
    )
)


@pytest.mark.fault(27, cases=FUZZ)
def test_rows_of_study_files(store, fresh):
    """A file that SQLite finds sound, with rows that make no sense."""

    @fuzzed
    @given(st.integers(0, 5), st.dictionaries(st.sampled_from(sorted(FIELDS)), values, min_size=1, max_size=3))
    def run(number, row):
        path = fresh() / "a.db"
        path.write_bytes(store)
        with closing(sqlite3.connect(path)) as db:
            db.execute(f"UPDATE OR IGNORE trial SET {', '.join(f'{k} = ?' for k in row)} WHERE number = ?",
                       (*row.values(), number))  # fmt: skip
            db.commit()
        documented(lambda: go_on(path))

    run()


# --- what a page shows ------------------------------------------------------------------------------------------------

text = st.text(st.sampled_from("<>&\"'`=/!-;:$ {}()%\\ascriptonerjvg\x00\x1b\ud800\u2028"), max_size=40) | st.text(
    max_size=40
)


@pytest.mark.fault(27, cases=FUZZ)
@fuzzed
@given(text, text, st.dictionaries(text, text | st.lists(text, max_size=3) | st.dictionaries(text, text, max_size=3)))
def test_fields_of_pages(title, other, rows):
    """No field opens a tag, an attribute or a script of its own."""
    seen = Reader(page(title, "", [number(other, title, other)], [section(other, pairs(rows), "wide")]))
    assert seen.tags <= TAGS
    assert seen.attributes <= ATTRIBUTES
    assert seen.text.count("default-src") == (title + other * 3 + str(rows)).count("default-src")


# --- Optuna's studies -------------------------------------------------------------------------------------------------

plain = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9) | st.lists(st.integers())


@st.composite
def journals(draw, contents):
    """A journal of Optuna's with bytes changed, or with something else for a field of a line."""
    if draw(st.booleans()):
        return placed(contents, *draw(changes))
    lines = [json.loads(line) for line in contents.splitlines()]
    field = draw(st.sampled_from(lines))
    while isinstance(field[key := draw(st.sampled_from(sorted(field)))], dict) and field[key] and draw(st.booleans()):
        field = field[key]
    field[key] = draw(plain)
    return "".join(json.dumps(line) + "\n" for line in lines).encode()


@pytest.fixture
def theirs(fresh):
    """``theirs(name)`` is the path of a small study in one of Optuna's storages."""
    optuna = pytest.importorskip("optuna", reason="needs Optuna: pip install 'optlab[optuna]'")
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = Study(SPACE, Random(seed=1))
    study.run(noisy, trials=4)
    study.tell(study.ask(), error="broken")

    def make(name):
        path = fresh() / name
        study.to_optuna(path)
        return path

    return make


def taken_in(path, contents):
    """Read an Optuna storage of these contents, or refuse it."""
    from optlab.integrations.convert import from_optuna

    path.write_bytes(contents)
    documented(lambda: from_optuna(path, path.with_name("mine.db")).close())


@pytest.mark.fault(27, cases=FUZZ)
def test_journals_of_optunas(theirs, fresh):
    @fuzzed
    @given(journals(theirs("a.log").read_bytes()))
    def run(contents):
        taken_in(fresh() / "a.log", contents)

    run()


@pytest.mark.fault(27, cases=FEW)
def test_sqlite_files_of_optunas(theirs, fresh):
    sound = theirs("a.db").read_bytes()

    @few
    @given(changes)
    def run(changed):
        taken_in(fresh() / "a.db", placed(sound, *changed))

    run()


@pytest.mark.fault(27, cases=FEW)
def test_rows_of_sqlite_files_of_optunas(theirs, fresh):
    """A file that SQLite finds sound, with rows that make no sense."""
    path = theirs("a.db")
    sound = path.read_bytes()
    with closing(sqlite3.connect(path)) as db:
        tables = [name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")]
        fields = [(table, row[1]) for table in tables for row in db.execute(f"PRAGMA table_info({table})")]

    @few
    @given(st.lists(st.tuples(st.sampled_from(fields), values, st.integers(0, 9)), min_size=1, max_size=3))
    def run(changed):
        path = fresh() / "b.db"
        path.write_bytes(sound)
        with closing(sqlite3.connect(path)) as db:
            for (table, field), value, skipped in changed:
                row = f"SELECT rowid FROM {table} LIMIT 1 OFFSET {skipped} % (SELECT count(*) + 1 FROM {table})"
                with suppress(sqlite3.IntegrityError):  # a number of the row that is none
                    db.execute(f"UPDATE OR IGNORE {table} SET {field} = ? WHERE rowid = ({row})", (value,))
            db.commit()
        taken_in(path, path.read_bytes())

    run()
