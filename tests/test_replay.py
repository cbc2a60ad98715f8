"""What a sampler saw is known of every trial, and the sampler proposes the same from it again."""

import concurrent.futures
import copy
import json
import random
import sqlite3
import threading
from contextlib import closing

import pytest
from conftest import JIT, LONG
from gp_runs import small_without_the_compiler as small_without_the_compiler
from sweeps import SPACE, bowl, child, curve

from optlab.errors import ConfigError, StorageError
from optlab.search import GP, Grid, Random, Refine, Sobol, Study, salvage


class Watched(Random):
    """Random search that keeps what it is asked and what it is shown, as a witness."""

    def __init__(self, seed, calls):
        super().__init__(seed)
        self.calls = calls

    def propose(self, numbers, seen):
        self.calls.append((list(numbers), copy.deepcopy(list(seen))))
        return super().propose(numbers, seen)


def witnessed(study, calls):
    """Whether `Study.seen` tells what the sampler was shown, of every trial."""
    told = {number: shown for numbers, shown in calls for number in numbers}
    for trial in study.trials:
        if trial.number in told:
            assert study.seen(trial.number) == told[trial.number], trial.number
    return len(told)


@pytest.mark.parametrize("seed", range(50 if LONG else 8))
@pytest.mark.parametrize("storage", [None, "a.db"])
@pytest.mark.fault(10)
def test_what_a_sampler_saw_is_known_whatever_happened_in_between(storage, seed, tmp_path):
    """Asked one by one and together, told in any order, failed, pruned, given back, by two drivers of one file."""
    storage, calls, dice, open_trials = storage and tmp_path / storage, [], random.Random(seed), []
    studies = [Study(SPACE, Watched(3, calls), "maximize", storage) for _ in range(2 if storage else 1)]
    for _ in range(60):
        study, move = dice.choice(studies), dice.randrange(7)
        if move < 2:
            open_trials.append(study.ask())
        elif move == 2:
            open_trials += study.ask(n=dice.randint(2, 5))
        elif move == 3:
            open_trials.append(study.ask(params={"x": dice.uniform(-1, 1), "lr": 0.1, "width": 3, "rule": "sgd"}))
        elif move == 4 and open_trials:
            study.tell(open_trials.pop(dice.randrange(len(open_trials))), error="lost")
        elif open_trials:
            trial = open_trials.pop(dice.randrange(len(open_trials)))
            trial.report(0.25, step=1)
            study.tell(trial, bowl(trial.params))
            if dice.random() < 0.2:
                study.tell(trial, 1.0)  # a second result, which is not taken
        if dice.random() < 0.1:
            study.run(curve, trials=2, executor=concurrent.futures.ThreadPoolExecutor(2), pruner="median")
    assert witnessed(studies[0], calls) > 30
    own = [t.number for t in studies[0].trials if t.params["lr"] == 0.1]
    same, different, left_out = studies[-1].replay()
    assert (different, left_out) == ([], own)
    assert len(same) + len(own) == len(studies[0].trials)


@pytest.mark.parametrize("seed", range(10 if LONG and JIT else 2))
@pytest.mark.fault(10)
def test_a_search_whose_trials_end_in_any_order_is_replayed_from_its_file(seed, tmp_path):
    """Four threads, stopped twice: order-dependent, and yet each proposal is the sampler's own to the last bit."""
    order = random.Random(seed)
    running, turn = [], threading.Condition()

    def held(params):
        """Ends when chance says so: each trial waits until it is drawn from those that run."""
        with turn:
            running.append(params)
            while params in running:
                if len(running) > 2 or not turn.wait(0.02):
                    running.pop(order.randrange(len(running)))
                    turn.notify_all()
        return bowl(params)

    for trials in (7, 6, 5):
        study = Study(SPACE, GP(seed=seed, initial=4), storage=tmp_path / "a.db")
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            study.run(held, trials=trials, executor=pool)
        study.close()
    study = Study(SPACE, GP(seed=seed, initial=4), storage=tmp_path / "a.db")
    assert study.replay() == (list(range(18)), [], [])
    assert any(o.state == "running" for n in range(18) for o in study.seen(n)), "nothing ran at the same time"
    other = Study(SPACE, GP(seed=seed + 1, initial=4), storage=tmp_path / "a.db").replay()
    assert other == ([], list(range(18)), [])


@pytest.mark.parametrize("batch", [1, 4])
def test_batches_are_replayed_too_and_points_of_ones_own_among_them(batch, tmp_path):
    study = Study(SPACE, GP(seed=2, initial=4), storage=tmp_path / "a.db")
    study.run(bowl, trials=6, batch=batch)  # stops in the middle of a batch of four
    study.ask(params=study.trials[0].params)
    study.run(bowl, trials=7, executor=2, batch=batch)
    assert study.replay() == ([n for n in range(13) if n != 6], [], [6])
    with pytest.raises(ConfigError, match="trial 6 is a point of one's own; no sampler proposed it"):
        study.seen(6)
    for number in range(7, 13):
        assert [o.number for o in study.seen(number)] == list(range(number // batch * batch))


@pytest.mark.parametrize(
    "sampler", [Grid(x=[-1, 0, 1], width=[1, 8, 64]), Sobol(seed=3), Refine(seed=3, coarse=6)], ids=repr
)
@pytest.mark.fault(10)
def test_trials_of_a_driver_that_died_are_replayed(sampler, tmp_path):
    script = (
        "import os, sys; from sweeps import *; from optlab.search import *; from optlab.search.sampler import *\n"
        "study = Study(SPACE, sampler_from_dict(json.loads(sys.argv[2])), storage=sys.argv[1])\n"
        "trials = study.ask(n=3) + study.ask(n=4)\n"
        "for trial in trials[::2]: study.tell(trial, bowl(trial.params))\n"
        "study.ask(); os._exit(9)"
    )
    child(script, tmp_path / "a.db", json.dumps(sampler.to_dict()))
    study = Study(SPACE, sampler, storage=tmp_path / "a.db")
    study.run(bowl, trials=9)
    assert study.replay() == (list(range(len(study.trials))), [], [])


@pytest.mark.fault(7)
def test_what_a_file_does_not_tell_is_said(tmp_path):
    path = tmp_path / "a.db"
    study = Study(SPACE, Random(seed=3), storage=path)
    study.run(bowl, trials=4)
    study.close()
    with closing(sqlite3.connect(path)) as db:  # as version 2 wrote it
        db.execute("ALTER TABLE trial DROP COLUMN claimed")
        db.execute("ALTER TABLE trial DROP COLUMN batch")
        db.execute("DROP TABLE sampler_state")
        db.execute("PRAGMA user_version = 2")
    study = Study(SPACE, Random(seed=3), storage=path)
    study.run(bowl, trials=2)
    assert study.replay() == ([4, 5], [], [0, 1, 2, 3])
    assert [o.loss for o in study.seen(5)] == [t.value for t in study.trials[:5]]
    with pytest.raises(ConfigError, match="the file doesn't tell what was known at trial 3"):
        study.seen(3)
    with pytest.raises(ConfigError, match="there is no trial 6; the study has 6"):
        study.seen(6)
    study.close()
    salvage.rescue(path)
    study = Study(SPACE, Random(seed=3), storage=path)
    study.run(bowl, trials=1)
    assert study.replay() == ([6], [], [0, 1, 2, 3, 4, 5])
    study.close()
    with closing(sqlite3.connect(path)) as db:
        db.execute("UPDATE trial SET claimed = 'x' WHERE number = 6")
        db.commit()
    with pytest.raises(StorageError, match="when trial 6 was claimed makes no sense"):
        Study(SPACE, Random(seed=3), storage=path).replay()
