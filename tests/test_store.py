"""The file under a study: what it keeps of several studies, what a sweep is, and older files."""

import json
import sqlite3
from contextlib import closing

import pytest
from sweeps import DESCRIPTION, SPACE, begun, table

from optlab.errors import ConfigError
from optlab.search import Float, Random, Space, Study, salvage, schema


def test_memory_and_file_keep_the_same(tmp_path):
    there, here = begun(tmp_path / "a.db", 30), begun(None, 30)
    assert table(there) == table(here)
    there.close()
    assert table(Study(SPACE, Random(seed=1), storage=tmp_path / "a.db")) == table(here)


def test_several_studies_in_one_file(tmp_path):
    a = begun(tmp_path / "a.db", 3, name="a")
    other = Study(Space(y=Float(0, 1)), Random(seed=2), "maximize", tmp_path / "a.db", "b")
    other.run(lambda params: params["y"], trials=4)
    assert [len(a.trials), len(other.trials)] == [3, 4]
    assert all(set(trial.params) == {"y"} for trial in other.trials)


def test_another_space_or_direction_needs_another_name(tmp_path):
    begun(tmp_path / "a.db", 1)
    with pytest.raises(ConfigError, match="another space"):
        Study(Space(y=Float(0, 1)), Random(seed=1), storage=tmp_path / "a.db")
    with pytest.raises(ConfigError, match="another direction"):
        begun(tmp_path / "a.db", direction="maximize")


def test_what_is_on_disk_is_no_pickle_and_plain(tmp_path):
    begun(tmp_path / "a.db", 2).close()
    db = sqlite3.connect(tmp_path / "a.db")
    rows = db.execute("SELECT params, value FROM trial").fetchall()
    db.close()
    assert [json.loads(params) for params, _ in rows] == [trial.params for trial in begun(None, 2).trials]


# --- what a sweep is, and older files ---------------------------------------------------------------------------------


def old_file(path):
    """As version 1 wrote it: settings among the events, under trial -1."""
    with closing(sqlite3.connect(path)) as db:
        schema.bring(db, since=0, to=1)
        space = (json.dumps(SPACE.to_dict()), SPACE.digest)
        db.execute("INSERT INTO study VALUES (1, 'study', 'minimize', ?, ?, 0.0)", space)
        params = [json.dumps(SPACE.decode([x, 0.5, 0.5, 0.5])) for x in (0.25, 0.75)]
        row = "INSERT INTO trial VALUES (1, ?, ?, 'complete', ?, NULL, NULL, 7, 1.0, 2.0, 1, 0, NULL, ?)"
        db.executemany(row, [(0, params[0], 0.5, 1), (1, params[1], 0.25, 2)])
        earlier = {**DESCRIPTION, "sampler": {"name": "random"}}
        for number, text in (
            (-1, "sweep " + json.dumps(earlier)),
            (0, "sweep up"),
            (-1, "sweep " + json.dumps(DESCRIPTION)),
        ):
            db.execute("INSERT INTO event VALUES (1, ?, 3.0, ?)", (number, text))
        db.commit()


@pytest.mark.parametrize("damaged", [False, True])
@pytest.mark.fault(7)
def test_a_file_of_version_1_comes_up_to_date(damaged, tmp_path):
    path = tmp_path / "a.db"
    old_file(path)
    if damaged:
        assert "2 trials were read" in salvage.rescue(path)
    for _ in range(2):
        study = begun(path)
        assert study.description == DESCRIPTION
        assert [(number, text) for _, number, text in study.log()] == [(0, "sweep up")]
        assert [(t.value, t.seed, t.params["x"]) for t in study.trials] == [(0.5, 7, -0.5), (0.25, 7, 0.5)]
        study.close()
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (schema.VERSION,)
        assert db.execute("SELECT count(*) FROM sweep").fetchone() == (2,)
    assert repr(Study.open(path).sampler) == "Sobol(seed=3)"


def test_the_last_description_stands_and_each_study_has_its_own(tmp_path):
    a, b = begun(tmp_path / "a.db", name="a"), begun(tmp_path / "a.db", name="b")
    assert a.description == {}
    a.describe({"lr": 1})
    a.describe(DESCRIPTION)
    assert (a.description, b.description, a.log()) == (DESCRIPTION, {}, [])
    memory = begun(None)
    memory.describe(DESCRIPTION)
    assert memory.description == DESCRIPTION
