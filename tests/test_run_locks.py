"""One run at a time writes to a folder or a log, and a refused training leaves everything as it was."""

import inspect
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import ExitStack, suppress
from pathlib import Path

import numpy as np
import pytest
from runs import network, parts

import optlab as ol
from optlab import locks
from optlab.train import callbacks, checkpoint, progress, rundir
from optlab.train.callbacks import Callback

ROOT = Path(__file__).parents[1]
# Every callback that writes, found by search, and how one of it is made that writes into a folder.
MADE = {
    "Checkpoint": lambda folder: ol.Checkpoint(folder),
    "CSVLog": lambda folder: ol.CSVLog(folder / "history.csv"),
    "JSONLog": lambda folder: ol.JSONLog(folder / "history.jsonl"),
}
KINDS = {
    name: kind
    for module in (callbacks, checkpoint, progress, rundir)
    for name, kind in vars(module).items()
    if inspect.isclass(kind) and issubclass(kind, Callback) and kind.__module__ == module.__name__
}
WRITERS = [name for name, kind in KINDS.items() if kind.locks is not Callback.locks and not name.startswith("_")]
EVERY_WRITER = pytest.mark.parametrize("name", WRITERS)


def test_every_callback_that_writes_is_here():
    assert sorted(WRITERS) == sorted(MADE)
    for kind in KINDS.values():
        if kind.check is not Callback.check and kind.on_start is not Callback.on_start:
            assert "raise ConfigError" not in inspect.getsource(kind.on_start), f"{kind.__name__} refuses too late"


def tree(folder):
    return {path.relative_to(folder): path.is_file() and path.read_bytes() for path in sorted(folder.rglob("*"))}


def train(folder, *names, more=(), epochs=2, model=None, **options):
    rows, val, _ = parts()
    model = model or network()
    ol.fit(model, rows, val, epochs=epochs, callbacks=[*(MADE[name](folder) for name in names), *more], **options)
    return model


# --- two at once ------------------------------------------------------------------------------------------------------


@EVERY_WRITER
@pytest.mark.parametrize("resumes", [False, True])
@pytest.mark.fault(37, cases=2)
def test_two_threads_do_not_mix_their_files(name, resumes, tmp_path):
    """The second, started while the first is at work, is told who is; what the first leaves is as if it were alone."""
    alone, both, found = tmp_path / "alone", tmp_path / "both", []
    names = ["Checkpoint", name] if name != "Checkpoint" else [name]
    train(alone, *names, epochs=3)

    def second():
        before = tree(both)
        with pytest.raises(ol.StorageError) as refused:
            train(both, name, epochs=3, **({"resume": both} if resumes and name == "Checkpoint" else {}))
        found.append((before == tree(both), str(refused.value)))

    def meanwhile(run):
        if run.epoch == 2:
            thread = threading.Thread(target=second)
            thread.start()
            thread.join()

    train(both, *names, more=[meanwhile], epochs=3)
    ((unchanged, message),) = found
    assert unchanged
    assert re.search(
        rf"is in use by process {os.getpid()} on '{re.escape(socket.gethostname())}' since \d{{4}}-", message
    )
    assert "\n" not in message
    files, wanted = tree(both), tree(alone)
    assert files.keys() == wanted.keys(), "no lock is left"
    for path in files:
        if path.suffix in (".csv", ".jsonl"):
            assert files[path] == wanted[path]
    arrays, want = checkpoint.newest(both)[0], checkpoint.newest(alone)[0]
    for key in want:
        if not key.startswith("history/seconds"):
            np.testing.assert_array_equal(arrays[key], want[key], err_msg=key)


HOLDER = """
import os, sys, time; sys.path.insert(0, "tests"); from runs import *
train, val, _ = parts()
def wait(run):
    if sys.argv[2] == "fork" and os.fork() == 0:
        time.sleep(60)  # outlives its parent
    print("at work", flush=True)
    time.sleep(60)
logs = [ol.CSVLog(sys.argv[1] + "/history.csv"), ol.JSONLog(sys.argv[1] + "/history.jsonl")]
ol.fit(network(), train, val, epochs=3, callbacks=[*logs, ol.Checkpoint(sys.argv[1]), type("Wait", (ol.Callback,), {
    "saves": True, "on_epoch": lambda self, run: wait(run)})()])
"""


@pytest.mark.skipif(os.name == "nt", reason="process groups are POSIX's")
@pytest.mark.parametrize("how", ["dies", "fork"])
@pytest.mark.fault(37, cases=4)
def test_a_process_is_named_and_its_death_frees_the_folder(how, tmp_path):
    """Killed by SIGKILL it leaves its lock file, and a child of it may live on: neither keeps the next one away."""
    environment = {**os.environ, "PYTHONPATH": ".:kernels"}
    command = [sys.executable, "-c", HOLDER, str(tmp_path), how]
    holder = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, process_group=0)
    try:
        assert holder.stdout.readline() == "at work\n"
        before = tree(tmp_path)
        for name in WRITERS:
            with pytest.raises(ol.StorageError, match=f"in use by process {holder.pid} on"):
                train(tmp_path, name)
        with pytest.raises(ol.StorageError, match=f"in use by process {holder.pid} on"):
            train(tmp_path, resume=tmp_path)
        assert tree(tmp_path) == before
        holder.kill()
        holder.wait()
        assert (tmp_path / locks.LOCK).exists()
        model = train(tmp_path, epochs=3, resume=tmp_path)
        assert model.history.epochs == 3
        assert not [path for path in tmp_path.iterdir() if "lock" in path.name]
    finally:
        with suppress(ProcessLookupError):
            os.killpg(holder.pid, signal.SIGKILL)
        holder.communicate()


@pytest.mark.fault(37, cases=100)
def test_a_lock_is_held_by_one_of_many_threads(tmp_path):
    lock, inside, most, done = tmp_path / "made" / "x.lock", [], [], []

    def run():
        until = time.monotonic() + 60
        while time.monotonic() < until:
            try:
                with locks.exclusive(lock, "x"):
                    inside.append(1)
                    most.append(len(inside))
                    time.sleep(0.0002)
                    inside.pop()
                    done.append(1)
                    return
            except ol.StorageError:
                time.sleep(0.0005)

    threads = [threading.Thread(target=run) for _ in range(100)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(done), max(most)) == (100, 1)
    assert not lock.exists()


@pytest.mark.parametrize("content", [b"", b"[]", b"\xff", b'{"process": "x"}', b"[" * 99, b'{"process": 1, "host": 2}'])
def test_a_lock_file_may_hold_anything(content, tmp_path):
    lock = tmp_path / "a.lock"
    with locks.exclusive(lock, "the folder a"):
        lock.write_bytes(content)
        with pytest.raises(ol.StorageError, match="the folder a is in use by another run;"):
            ExitStack().enter_context(locks.exclusive(lock, "the folder a"))


@pytest.mark.skipif(os.name == "nt", reason="symbolic links are made by administrators")
def test_a_lock_does_not_follow_a_link(tmp_path):
    (tmp_path / "precious").write_text("kept")
    (tmp_path / locks.LOCK).symlink_to(tmp_path / "precious")
    with pytest.raises(ol.StorageError, match="can't be written"):
        train(tmp_path, "Checkpoint")
    assert (tmp_path / "precious").read_text() == "kept"


@pytest.mark.skipif(os.name == "nt", reason="flock is POSIX's")
def test_a_drive_without_locks_is_said_and_trained_on(tmp_path, monkeypatch):
    import errno
    import fcntl

    def none(file, how):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", none)
    with pytest.warns(UserWarning, match="has no locks: see to it that no other run writes to the run directory"):
        model = train(tmp_path, "Checkpoint")
    assert model.history.status == "finished"


# --- refused ----------------------------------------------------------------------------------------------------------


class Refuses(Callback):
    """As a user's own may, where they can."""

    def __init__(self, where):
        self.where = where

    def check(self, run):
        if self.where == "check":
            raise ol.ConfigError("not today")

    def on_start(self, run):
        if self.where == "on_start":
            raise ol.ConfigError("not today")


REFUSALS = {
    "checkpoints of another run": lambda folder: {"more": [ol.Checkpoint(folder)]},
    "check of another callback": lambda folder: {"more": [Refuses("check")]},
    "start of another callback": lambda folder: {"more": [Refuses("on_start")]},
    "a curve that there is not": lambda folder: {"more": [ol.EarlyStopping(1, monitor="val_los")]},
    "a log in a file": lambda folder: {"more": [ol.CSVLog(folder / "other.csv" / "log.csv")]},
    "a log that is a folder": lambda folder: {"more": [ol.JSONLog(folder)]},
    "checkpoints in a file": lambda folder: {"more": [ol.Checkpoint(folder / "other.csv")]},
    "a name that no file has": lambda folder: {"more": [ol.JSONLog(folder / "a\0b")]},
    "an option": lambda folder: {"batch_size": 0},
    "a resume with an option": lambda folder: {"resume": folder, "batch_size": 3},
    "a resume elsewhere": lambda folder: {"resume": folder, "more": [ol.Checkpoint(folder / "b")]},
    "a resume of another network": lambda folder: {"resume": folder, "model": network(dropout=0.5)},
}


@pytest.mark.parametrize("refusal", REFUSALS)
@pytest.mark.fault(37)
def test_a_refused_training_leaves_the_files_and_the_model_of_the_one_before(refusal, tmp_path):
    folder = tmp_path / "run"
    model = train(folder, *WRITERS)
    (folder / "other.csv").write_text("kept")
    files, state, history, directory = tree(tmp_path), model.state_dict(), model.history, model.directory
    assert len(files) == 9
    options = {"model": model, **REFUSALS[refusal](folder)}
    names = [name for name in WRITERS if name != "Checkpoint"]
    with pytest.raises(ol.OptlabError):
        train(folder, *names, **options)
    assert tree(tmp_path) == files
    for name, value in state.items():
        np.testing.assert_array_equal(model.state_dict()[name], value)
    if refusal != "start of another callback":  # which is a training that began
        assert (model.history, model.directory) == (history, directory)


@pytest.mark.parametrize("refusal", ["check of another callback", "start of another callback", "an option"])
@pytest.mark.fault(37)
def test_a_refused_training_leaves_nothing_where_nothing_was(refusal, tmp_path):
    with pytest.raises(ol.ConfigError):
        train(tmp_path / "a" / "b", *WRITERS, **REFUSALS[refusal](tmp_path))
    assert tree(tmp_path) == {}


@pytest.mark.parametrize(("one", "other"), [
    (ol.Checkpoint("a"), ol.Checkpoint(Path("a") / ".." / "a", keep=1)),
    (ol.CSVLog("a/log"), ol.JSONLog("a/log")),
    (ol.CSVLog("log"), ol.CSVLog(Path("log").absolute())),
])  # fmt: skip
@pytest.mark.fault(37)
def test_two_callbacks_of_one_training_have_a_place_each(one, other, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    if isinstance(one, ol.CSVLog) and one.path == Path("log"):
        other = ol.CSVLog(tmp_path / "log")
    with pytest.raises(ol.ConfigError, match="two callbacks write to"):
        train(tmp_path, more=[one, other])
    assert tree(tmp_path) == {}


def test_who_holds_it_is_in_the_lock_file(tmp_path):
    seen = []
    train(tmp_path, "Checkpoint", more=[lambda run: seen.append(json.loads((tmp_path / locks.LOCK).read_bytes()))])
    assert {name for entry in seen for name in entry} == {"process", "host", "since"}
    assert seen[0]["process"] == os.getpid()
