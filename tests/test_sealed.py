"""Fault 29: a test set is used once; a second use, by any way, is refused or shows for ever."""

import copy
import json
import os
import pickle
import re
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from optlab.data import ledger as module
from optlab.data.dataset import from_arrays
from optlab.data.digits import digits
from optlab.data.ledger import HEAD, RECORDS, Ledger
from optlab.errors import ConfigError, SealError, StorageError

REASON = "final table"


def sealed(seed=0):
    return digits().split(seed=seed)[2]


@pytest.fixture(autouse=True)
def _a_fresh_process(monkeypatch):
    monkeypatch.setattr(module, "_process", {})


@pytest.fixture
def used(tmp_path):
    """A run directory whose test set was opened, with its result."""
    ledger = Ledger(tmp_path)
    sealed().open(REASON, ledger)
    ledger.record_result({"loss": np.float32(0.25), "accuracy": None})
    return tmp_path


WAYS = {
    "x": lambda t: t.x,
    "y": lambda t: t.y,
    "rows": lambda t: t.rows,
    "data": lambda t: t.data,
    "scaler": lambda t: t.scaler,
    "take": lambda t: t.take(3),
    "folds": lambda t: t.folds(3),
    "index": lambda t: t[0],
    "slice": lambda t: t[:3],
    "iterate": list,
    "in": lambda t: 3 in t,
    "asarray": np.asarray,
    "float array": lambda t: np.asarray(t, dtype="f4"),
    "mean": np.mean,
    "pickle": pickle.dumps,
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "getattr": lambda t: getattr(t, "x", None),
}


@pytest.mark.parametrize("way", WAYS)
def test_nothing_shows_what_is_sealed(way):
    with pytest.raises(SealError, match="unseal="):
        WAYS[way](sealed())


def test_a_seal_shows_its_name_and_size():
    test = sealed()
    assert repr(test) == str(test) == "Sealed(digits, 270 rows)"
    assert len(test) == 270
    with pytest.raises(AttributeError, match="has no 'values'"):
        test.values  # noqa: B018
    with pytest.raises(TypeError):
        vars(test)


@pytest.mark.parametrize("where", ["memory", "directory"])
def test_opening_gives_the_part_and_leaves_a_record(where, tmp_path):
    ledger = Ledger(tmp_path / "run" if where == "directory" else None)
    data = digits()
    train, val, test = data.split(seed=0)
    part = test.open(f"  {REASON} ", ledger)
    assert sorted(np.concatenate([train.rows, val.rows, part.rows])) == list(range(1797))
    ledger.record_result({"accuracy": 0.5})
    opened, result = ledger.records()
    assert (opened["event"], opened["reason"], opened["data"]) == ("opened", REASON, part.digest)
    assert opened["forced"] is False
    assert opened["time"].endswith("+00:00")
    assert (result["event"], result["result"]) == ("result", {"accuracy": 0.5})
    assert ledger.verify() == []


# The six rows of the fault


@pytest.mark.parametrize("where", ["memory", "directory"])
@pytest.mark.fault(29)
def test_second_use(where, tmp_path):
    ledger = Ledger(tmp_path if where == "directory" else None)
    sealed().open(REASON, ledger)
    with pytest.raises(SealError, match=rf"opened on 20.* for '{REASON}'.*force=True"):
        sealed().open("again", ledger)
    assert len(ledger.records()) == 1


@pytest.mark.fault(29, cases=2)
def test_second_use_through_resume(used):
    """A new Ledger on the directory, as a resumed run has it; another split of the data is no way around it."""
    for test in (sealed(), sealed(seed=9)):
        with pytest.raises(SealError, match=REASON):
            test.open("resumed", Ledger(used))


def test_in_memory_it_is_once_per_test_set():
    sealed().open(REASON, Ledger(None))
    with pytest.raises(SealError):
        sealed().open("equal contents", Ledger(None))
    sealed(seed=9).open("other rows", Ledger(None))
    from_arrays(np.eye(8), [0, 1] * 4).split(0.25, 0.25)[2].open("other data", Ledger(None))
    assert len(Ledger(None).records()) == 3


@pytest.mark.fault(29)
def test_a_forced_use_is_marked_for_ever(used):
    part = sealed().open("a reviewer asked", Ledger(used), force=True)
    assert len(part) == 270
    assert [record.get("forced") for record in Ledger(used).records()] == [False, None, True]
    assert Ledger(used).verify() == []


def test_force_on_a_first_use_is_no_second_one(tmp_path):
    sealed().open(REASON, Ledger(tmp_path), force=True)
    assert Ledger(tmp_path).records()[0]["forced"] is False


def edit(old, new):
    def change(path):
        text = (path / RECORDS).read_text()
        assert old in text
        (path / RECORDS).write_text(text.replace(old, new, 1))

    return change


def drop(*numbers):
    def change(path):
        lines = (path / RECORDS).read_text().splitlines(keepends=True)
        (path / RECORDS).write_text("".join(line for i, line in enumerate(lines) if i not in numbers))

    return change


def forge(path):
    """A record with a hash of its own content, but of no place in the chain."""
    content = {"event": "result", "result": {"accuracy": 1.0}}
    with (path / RECORDS).open("a") as file:
        file.write(json.dumps({**content, "hash": module._hash(b"", content)}) + "\n")


def cut(path):
    (path / RECORDS).write_bytes((path / RECORDS).read_bytes()[:-40])


TAMPERING = {
    "reason": (edit(REASON, "typing error"), "line 1 .* was edited"),
    "forced": (edit("false", "true"), "line 1 .* was edited"),
    "time": (edit('"time": "20', '"time": "19'), "line 1 .* was edited"),
    "result": (edit("0.25", "0.05"), "line 2 .* was edited"),
    "spaces": (edit('"event": "opened"', '"event":  "opened"'), "line 2 .* was edited"),
    "first line": (drop(0), "line 1 .* removed"),
    "last line": (drop(1), "1 of 2 lines .* were removed"),
    "all lines": (drop(0, 1), "2 of 2 lines .* were removed"),
    "the file": (lambda path: (path / RECORDS).unlink(), "2 of 2 lines .* were removed"),
    "the head": (lambda path: (path / HEAD).unlink(), "seal.head is missing"),
    "the head's text": (lambda path: (path / HEAD).write_text("hello"), "seal.head is missing or was edited"),
    "the head's hash": (lambda path: (path / HEAD).write_text(f"{2:08d} {'0' * 64}\n"), "not the one"),
    "no JSON": (edit("{", "["), "line 1 .* can't be read"),
    "cut": (cut, "line 2 .* can't be read"),
    "a line more": (forge, "line 3 .* added"),
    "swapped": (
        lambda path: (path / RECORDS).write_text("".join((path / RECORDS).read_text().splitlines(True)[::-1])),
        "line 1",
    ),
    "binary": (lambda path: (path / RECORDS).write_bytes(b"\xff\x00\n\xfe\n"), "line 1 .* can't be read"),
}


@pytest.mark.parametrize("name", TAMPERING)
@pytest.mark.fault(29)
def test_a_change_by_hand_is_found_and_gives_no_second_use(name, used):
    change, message = TAMPERING[name]
    change(used)
    assert any(re.search(message, problem) for problem in Ledger(used).verify())
    with pytest.raises(SealError):
        sealed().open("again", Ledger(used))
    sealed().open("still", Ledger(used), force=True)
    forced = Ledger(used).records()[-1]
    assert (forced["reason"], forced["forced"]) == ("still", True)
    problems = Ledger(used).verify()  # the new record does not hide what was done, and does not add to it
    assert any(re.search(message, problem) for problem in problems)
    Ledger(used).open(forced["data"], "more", force=True)
    assert Ledger(used).verify() == problems


def test_a_crash_between_line_and_head_is_no_tampering(used):
    """The head is one line behind then, or empty after the very first."""
    first = (used / RECORDS).read_text().splitlines()[0]
    (used / HEAD).write_text(f"{1:08d} {json.loads(first)['hash']}\n")
    assert Ledger(used).verify() == []
    (used / RECORDS).write_text(first + "\n")
    (used / HEAD).write_text("")
    assert Ledger(used).verify() == []
    with pytest.raises(SealError, match=REASON):
        sealed().open("again", Ledger(used))


# The disk answers late: whoever does not wait for the lock has read an empty ledger by then.
RACER = """
import sys, time
from optlab.data.ledger import Ledger
from optlab.errors import SealError
ledger, append = Ledger(sys.argv[1]), Ledger._append
Ledger._append = lambda self, content: (time.sleep(0.2), append(self, content))
print("ready", flush=True)
sys.stdin.readline()
try:
    ledger.open("0" * 64, "racer " + sys.argv[2])
    print("won")
except SealError:
    print("lost")
ledger.open("0" * 64, "racer " + sys.argv[2], force=True)
"""


@pytest.mark.fault(29)
def test_of_two_processes_at_once_one_wins(tmp_path):
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", RACER, str(tmp_path), str(i)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for i in range(3)
    ]
    for racer in racers:
        assert racer.stdout.readline() == "ready\n"
    for racer in racers:
        racer.stdin.write("\n")
        racer.stdin.flush()
    outcomes = [racer.communicate()[0].strip() for racer in racers]
    assert sorted(outcomes) == ["lost", "lost", "won"]
    forced = [record["forced"] for record in Ledger(tmp_path).records()]
    assert forced == [False] + [True] * 3
    assert Ledger(tmp_path).verify() == []  # the lines of all three form one chain


@pytest.mark.parametrize("where", ["memory", "directory"])
def test_of_many_threads_one_wins_and_forced_ones_form_one_chain(where, tmp_path, monkeypatch):
    append = Ledger._append
    monkeypatch.setattr(Ledger, "_append", lambda self, content: (time.sleep(0.02), append(self, content)))
    path = tmp_path if where == "directory" else None
    barrier, won = threading.Barrier(8), []

    def race(i):
        barrier.wait()
        try:
            Ledger(path).open("0" * 64, f"thread {i}")
            won.append(i)
        except SealError:
            Ledger(path).open("0" * 64, f"thread {i} forced", force=True)

    threads = [threading.Thread(target=race, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    records = Ledger(path).records()
    assert len(won) == 1
    assert [record["forced"] for record in records] == [False] + [True] * 7
    assert Ledger(path).verify() == []


# What else can go wrong


@pytest.mark.parametrize("reason", ["", "  ", None, True, 3])
def test_a_reason_is_needed(reason, tmp_path):
    with pytest.raises(ConfigError, match="a reason in words"):
        sealed().open(reason, Ledger(tmp_path))
    assert Ledger(tmp_path).records() == []


def test_a_result_needs_an_opening(tmp_path):
    with pytest.raises(ConfigError, match="belongs to an opening"):
        Ledger(tmp_path).record_result({"loss": 1.0})


def test_what_can_not_be_recorded_is_not_shown(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="can't be written"):
        sealed().open(REASON, Ledger(tmp_path / "file"))
    (tmp_path / "run" / RECORDS).mkdir(parents=True)
    with pytest.raises(StorageError, match="can't be read"):
        sealed().open(REASON, Ledger(tmp_path / "run"))

    def full(file, data):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(StorageError, match="No space left"):
        sealed().open(REASON, Ledger(tmp_path / "full"))
