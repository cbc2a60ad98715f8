"""The fits of a search are in its file: a fresh process starts from them, and proposes what it would have without."""

import json
import math
import sqlite3
from contextlib import closing
from itertools import pairwise

import pytest
from conftest import JIT
from gp_runs import MIXED, PLANE, bound, mixed_loss, searched, sobol_results
from gp_runs import bowl as plane_loss
from gp_runs import small_without_the_compiler as small_without_the_compiler
from sweeps import SPACE, bowl

from optlab.search import GP, Study, salvage
from optlab.search.gp import chain
from optlab.search.gp.chain import Chain

TRIALS = 24 if JIT else 15


@pytest.fixture(autouse=True)
def sparse_fits(monkeypatch, small_without_the_compiler):
    """After 4, 5, ... 10, 13, 17, 23 results."""
    monkeypatch.setattr(chain, "EACH", 10)
    monkeypatch.setattr(chain, "GROWTH", 1.3)


@pytest.fixture
def fits(monkeypatch):
    """After how many results a fit was made, as it happens."""
    made, fit = [], Chain._fit

    def counted(self, points, losses, theta, anew):
        made.append(len(losses))
        return fit(self, points, losses, theta, anew)

    monkeypatch.setattr(Chain, "_fit", counted)
    return made


def guess(params):
    return params["x"] ** 2


def sometimes(params):
    """Fails for a fifth of all points."""
    return math.nan if params["width"] % 5 == 0 else bowl(params)


def opened(path, **options):
    return Study(SPACE, GP(seed=3, initial=4, **options), storage=path)


def params_of(study):
    return [trial.params for trial in study.trials]


OPTIONS = {
    "plain": {},
    "no noise": {"noise": 0.0},
    "known noise": {"noise": 0.1},
    "mean": {"mean": guess},
    "prior": {"prior": {"x": 0.1}},
}


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
@pytest.mark.parametrize("objective", [bowl, sometimes])
@pytest.mark.fault(11, cases=6)
def test_a_resumed_search_makes_no_fit_again(objective, options, fits, tmp_path):
    straight = opened(None, **options)
    straight.run(objective, trials=TRIALS)
    made, stops = fits.copy(), [0, 1, 6, 10, 11, TRIALS - 1, TRIALS]
    fits.clear()
    for start, stop in pairwise(stops):
        study = opened(tmp_path / "a.db", **options)
        study.run(objective, trials=stop - start)
        study.close()
    assert params_of(opened(tmp_path / "a.db", **options)) == params_of(straight)
    assert fits == made, "each fit is made once, in one process or in six"


@pytest.mark.parametrize("batch", [2, 4])
@pytest.mark.fault(10, cases=3)
def test_batches_that_are_resumed_anywhere(batch, fits, tmp_path):
    straight = opened(None)
    straight.run(bowl, trials=16, batch=batch)
    made = fits.copy()
    fits.clear()
    for trials in (7, 4, 5):  # stops within batches
        study = opened(tmp_path / "a.db")
        study.run(bowl, trials=trials, batch=batch)
        study.close()
    assert params_of(opened(tmp_path / "a.db")) == params_of(straight)
    assert fits == made


@pytest.mark.parametrize("drivers", [1, 2])
@pytest.mark.fault(10, cases=12)
def test_results_in_another_order_and_by_two_drivers(drivers, fits, tmp_path):
    """The last of each three trials ends first, and a process ends after each move."""

    def moves(step):
        held = []
        for _ in range(4):
            held = [step(lambda s: s.ask()) for _ in range(3)]
            for trial in held[::-1]:
                step(lambda s, t=trial: s.tell(t.number, bowl(t.params)))

    straight = opened(None)
    moves(lambda move: move(straight))
    open_studies = [opened(tmp_path / "a.db") for _ in range(drivers)]

    def step(move):
        study = open_studies.pop(0)
        found = move(study)
        if drivers == 1:
            study.close()
            study = opened(tmp_path / "a.db")
        open_studies.append(study)
        return found

    keeper = opened(tmp_path / "a.db")  # what is claimed stays so
    moves(step)
    assert params_of(keeper) == params_of(straight)
    assert keeper.replay().different == []


# --- what a file says is checked --------------------------------------------------------------------------------------


def run_then_change(path, change):
    """A file of a search in which the statement or the function changed what is kept of its fits."""
    study = opened(path)
    study.run(bowl, trials=12)
    study.close()
    with closing(sqlite3.connect(path)) as db:
        if callable(change):
            rows = db.execute("SELECT rowid, state FROM sampler_state").fetchall()
            changed = [(change(json.loads(state)), row) for row, state in rows]
            db.executemany("UPDATE sampler_state SET state = ? WHERE rowid = ?", changed)
        else:
            db.executescript(change)
        db.commit()


def each(**values):
    """The fits of a state with other values: of a text a function that changes it."""

    def change(state):
        new = [{**fit, **{k: v(fit[k]) if callable(v) else v for k, v in values.items()}} for fit in state]
        return json.dumps(new)

    return change


DAMAGE = {
    "a bit of theta": each(theta=lambda t: f"{int(t[0], 16) ^ 1:x}{t[1:]}"),
    "theta short": each(theta=lambda t: t[:-16]),
    "theta empty": each(theta=""),
    "theta no digits": each(theta="xyz"),
    "theta NaN": each(theta=lambda t: "000000000000f87f" * (len(t) // 16)),
    "another warp": each(warp=["power", -3.0]),
    "no warp": each(warp=["bend", 1.0]),
    "a list for a warp": each(warp=[["log"], {}]),
    "fewer results": each(results=lambda m: m - 1),
    "no whole number": each(results="1e400"),
    "infinite": lambda state: json.dumps(state).replace('"results": ', '"results": 1e400, "was": '),
    "another digest": each(digest="0" * 32),
    "no digest": each(digest=None),
    "cut": lambda state: json.dumps(state)[:-3],
    "a number": lambda state: "7",
    "nested": lambda state: "[" * 100_000,
    "bytes that are no text": lambda state: b"\xff\xfe[]",
    "all gone": "DELETE FROM sampler_state",
    "no table": "DROP TABLE sampler_state; PRAGMA user_version = 3",
    "another loss": "UPDATE trial SET value = value + 1e-9 WHERE number = 2",
}


@pytest.mark.parametrize("change", DAMAGE.values(), ids=DAMAGE)
@pytest.mark.fault(11)
def test_what_is_not_of_these_results_is_not_used(change, fits, tmp_path):
    run_then_change(tmp_path / "a.db", change)
    fits.clear()
    study = opened(tmp_path / "a.db")
    fresh = bound(SPACE, seed=3, initial=4)
    wanted = fresh.propose([12], study.observations())
    due = fits.copy()
    fits.clear()
    assert [study.ask().params] == wanted
    assert fits == due, "all fits are made again"
    wanted = fresh.propose([13], study.observations())
    study.close()
    fits.clear()
    assert [opened(tmp_path / "a.db").ask().params] == wanted
    assert fits == [], "and kept"


@pytest.mark.fault(11)
def test_fits_of_another_search_are_not_used(fits, tmp_path):
    """Of another seed over the same space: the first results differ."""
    run_then_change(tmp_path / "a.db", "DELETE FROM sampler_state")
    other = Study(SPACE, GP(seed=4, initial=4), storage=tmp_path / "b.db")
    other.run(bowl, trials=12)
    other.close()
    with closing(sqlite3.connect(tmp_path / "a.db")) as db:
        db.execute("ATTACH ? AS other", (str(tmp_path / "b.db"),))
        db.execute("INSERT INTO sampler_state SELECT * FROM other.sampler_state")
        db.commit()
    study = opened(tmp_path / "a.db")
    assert [study.ask().params] == bound(SPACE, seed=3, initial=4).propose([12], study.observations()[:12])


@pytest.mark.parametrize(
    "options", [{"seed": 4}, {"noise": 0.1}, {"initial": 5}, {"mean": guess}], ids=lambda options: next(iter(options))
)
@pytest.mark.fault(11)
def test_a_sampler_with_other_options_makes_its_own_fits(options, fits, tmp_path):
    run_then_change(tmp_path / "a.db", "")
    fits.clear()
    other = {"seed": 3, "initial": 4, **options}
    study = Study(SPACE, GP(**other), storage=tmp_path / "a.db")
    assert [study.ask().params] == bound(SPACE, **other).propose([12], study.observations()[:12])
    assert len(fits) % 2 == 0
    assert fits, "in the study as in the sampler that has no file"


@pytest.mark.fault(10)
def test_a_replay_makes_every_fit_itself(fits, tmp_path):
    run_then_change(tmp_path / "a.db", "")
    study, made = opened(tmp_path / "a.db"), fits.copy()
    fits.clear()
    assert study.replay() == (list(range(12)), [], [])
    assert fits == made


@pytest.mark.fault(7)
def test_a_rescued_file_has_no_fits_and_goes_on(tmp_path):
    run_then_change(tmp_path / "a.db", "")
    salvage.rescue(tmp_path / "a.db")
    study = opened(tmp_path / "a.db")
    assert [study.ask().params] == bound(SPACE, seed=3, initial=4).propose([12], study.observations()[:12])


@pytest.mark.parametrize(("space", "loss"), [(PLANE, plane_loss), (MIXED, mixed_loss)], ids=["plane", "mixed"])
def test_a_state_holds_the_fits_to_the_last_bit(space, loss, fits):
    """By the sampler alone: what `state` gives, `restore` takes, whatever else is among it."""
    seen = searched(bound(space, seed=3), loss, 12, sobol_results(space, 4, loss))
    first = bound(space, seed=3, initial=4)
    wanted = first.propose([12], seen)
    state = first.state().encode()
    assert first.state() is None
    fits.clear()
    second = bound(space, seed=3, initial=4)
    second.restore([b"{", state, b"[]"])
    assert (second.propose([12], seen), fits, second.state()) == (wanted, [], None)
    theirs, ours = first.posterior(seen), second.posterior(seen)
    assert (ours.theta.tobytes(), ours.alpha.tobytes()) == (theirs.theta.tobytes(), theirs.alpha.tobytes())
