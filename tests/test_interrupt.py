"""Signals during a training: the first finishes the epoch and saves, the second stops at once, and nothing is lost."""

import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from conftest import LONG
from runs import Last, assert_same, network, parts, trained

import optlab as ol
from optlab.interrupt import Interrupts, leave
from optlab.train import checkpoint

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
ROOT = Path(__file__).parents[1]
EPOCHS, STEPS = 6, 3  # per epoch
CODES = {"SIGINT": -signal.SIGINT, "SIGTERM": 143, "SIGHUP": 129}  # Python dies of SIGINT itself: 130 in a shell

SCRIPT = """
import json, os, signal, sys, time
sys.path.insert(0, "tests")
from runs import *
from optlab.train import checkpoint
signal.signal(signal.SIGINT, signal.default_int_handler)  # even where this test runs in the background
directory, engine, where, at, name, times, every, nap = json.loads(sys.argv[1])
count = {}

def reached(place):
    count[place] = count.get(place, 0) + 1
    if place == where and count[place] == at:
        for _ in range(times):
            os.kill(os.getpid(), getattr(signal, name))

class Slow(ol.nn.Sequential):
    def forward(self, x):
        if self.training:
            reached("step")
            time.sleep(nap)
        return super().forward(x)

class Here(ol.Callback):
    def on_start(self, run):
        print("started", flush=True)
        reached("start")
    def on_epoch(self, run):
        reached("epoch")
    def on_end(self, run):
        reached("end")
        print(json.dumps([run.history.status, run.history.reason, run.epoch]), flush=True)

fsync = os.fsync
def slow_fsync(file):
    reached("write")
    fsync(file)
os.fsync = slow_fsync

train, val, _ = parts()
model = network(dropout=0.2)
if engine == "tape":
    model = Slow(*model.layers)
callbacks = [Here(), ol.Checkpoint(directory, every=every, best=None)]
ol.fit(model, train, val, epochs=6, batch_size=12, engine=engine, callbacks=callbacks, verbose=False)
print("went on", flush=True)
"""


@pytest.fixture(scope="module")
def want():
    """The run that nothing interrupted."""
    train, val, _ = parts()
    return trained(network(dropout=0.2), train, val, epochs=EPOCHS, batch_size=12, engine="machine")


def child(directory, engine, where="", at=0, name="SIGINT", times=1, every=1, nap=0.0):
    arguments = json.dumps([str(directory), engine, where, at, name, times, every, nap])
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT, arguments], cwd=ROOT, env={**os.environ, "PYTHONPATH": ".:kernels"},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip


def assert_nothing_is_lost(directory, want):
    """What a second run makes of the first one's checkpoints."""
    train, val, _ = parts()
    model = network(dropout=0.2, seed=9)
    if checkpoint.read(directory, checkpoint.numbers(directory)[-1])[1]["config"]["engine"] == "tape":
        run = resumed_on_the_tape(directory, model, train, val)
    else:
        run = trained(model, train, val, resume=directory)
    assert_same(run, want)


def resumed_on_the_tape(directory, model, train, val):
    kind = type("Slow", (ol.nn.Sequential,), {})  # the name of the child's
    return trained(kind(*model.layers), train, val, resume=directory)


@pytest.mark.parametrize(("engine", "where", "at", "name", "times", "every", "saved", "ended"), [
    ("machine", "start", 1, "SIGINT", 1, 1, None, ["interrupted", "SIGINT", 0]),
    ("machine", "epoch", 2, "SIGTERM", 1, 1, 2, ["interrupted", "SIGTERM", 2]),
    ("machine", "write", 9, "SIGHUP", 1, 1, 3, ["interrupted", "SIGHUP", 3]),  # four files to flush per checkpoint
    ("machine", "write", 9, "SIGINT", 2, 1, 2, ["interrupted", "at once", 3]),
    ("tape", "step", 8, "SIGINT", 1, 4, 3, ["interrupted", "SIGINT", 3]),
    ("tape", "step", 8, "SIGTERM", 2, 1, 2, ["interrupted", "at once", 2]),
    ("tape", "step", 14, "SIGHUP", 2, 3, 3, ["interrupted", "at once", 4]),  # the fifth epoch is half done: not saved
])  # fmt: skip
@pytest.mark.fault(25)
def test_a_signal_at_an_instant(engine, where, at, name, times, every, saved, ended, tmp_path, want):
    process = child(tmp_path, engine, where, at, name, times, every)
    output, errors = process.communicate()
    assert process.returncode == CODES[name], errors
    lines = output.splitlines()
    assert lines[0] == "started"
    assert json.loads(lines[-1]) == ended
    assert errors.count("optlab: finishing this epoch and saving; once more to stop now") == 1
    assert checkpoint.numbers(tmp_path)[-1:] == ([] if saved is None else [saved])
    assert not list((tmp_path / "checkpoints").glob(".*"))
    if saved is not None:
        assert_nothing_is_lost(tmp_path, want)


@pytest.mark.parametrize("case", range(40 if LONG else 2))
@pytest.mark.fault(25)
def test_a_signal_from_outside_at_any_instant(case, tmp_path, want):
    random = np.random.default_rng(case)
    name, engine, times = list(CODES)[case % 3], ("tape", "machine")[case // 2 % 2], 1 + case % 2
    # long enough an epoch that the second signal finds it at work
    with child(tmp_path, engine, every=int(random.integers(1, 4)), nap=0.02) as process:
        assert process.stdout.readline() == "started\n"
        time.sleep(random.uniform(0.0, 0.5 if engine == "tape" else 0.02))
        for _ in range(times):
            process.send_signal(getattr(signal, name))
            time.sleep(random.uniform(0.0, 0.03))
        # `communicate` would leave out what `readline` has read beyond its line
        output, errors = process.stdout.read(), process.stderr.read()
    done = "went on" in output  # the signal came after the last epoch, and was the process's own affair
    assert process.returncode in (CODES[name], -getattr(signal, name), 0 if done else CODES[name]), errors
    if checkpoint.numbers(tmp_path):
        assert_nothing_is_lost(tmp_path, want)


TERMINAL = """
import fcntl, os, sys, termios, traceback
sys.path.insert(0, "tests")
from runs import *
tell, hear, directory = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
sys.excepthook = lambda *error: open(directory + "/why", "w").write("".join(traceback.format_exception(*error)))

def wait(run):
    if run.epoch == 2:
        os.write(tell, b"!")
        os.read(hear, 1)

train, val, _ = parts()
ol.fit(network(dropout=0.2), train, val, epochs=6, batch_size=12, callbacks=[wait, ol.Checkpoint(directory)])
"""


@pytest.mark.fault(25)
def test_the_terminal_is_closed(tmp_path, want):
    """The kernel sends SIGHUP, and nothing can be written to the terminal any more."""
    (master, slave), (heard, tell), (hear, told), (enough, stop) = os.openpty(), os.pipe(), os.pipe(), os.pipe()
    process = subprocess.Popen(
        [sys.executable, "-c", TERMINAL, str(tell), str(hear), str(tmp_path)],
        cwd=ROOT, env={**os.environ, "PYTHONPATH": ".:kernels", "TERM": "xterm"},
        stdin=slave, stdout=slave, stderr=slave, start_new_session=True, pass_fds=(tell, hear),
    )  # fmt: skip
    reader = threading.Thread(target=drain, args=(master, enough), daemon=True)
    reader.start()
    for end in (slave, tell, hear):
        os.close(end)
    assert os.read(heard, 1) == b"!"
    os.close(stop)
    reader.join()  # a terminal that somebody still reads stays open
    os.close(master)
    os.write(told, b"!")
    code, why = process.wait(), tmp_path / "why"
    assert code == 129, why.read_text() if why.exists() else ""
    for end in (heard, told, enough):
        os.close(end)
    assert checkpoint.numbers(tmp_path) == [1, 2]
    assert_nothing_is_lost(tmp_path, want)


def drain(terminal, enough):
    """Read what a terminal shows, so that nobody waits for room, until the other end of the pipe is closed."""
    with suppress(OSError):
        while enough not in select.select([terminal, enough], [], [])[0]:
            os.read(terminal, 4096)


# --- in this process --------------------------------------------------------------------------------------------------


@pytest.fixture
def ctrl_c():
    """Python's own handler, which a run in the background may not have."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("ctrl_c")
def test_in_a_notebook_the_history_is_kept_and_the_handlers_come_back(capsys):
    train, val, _ = parts()
    model = network()
    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]

    def press(run):
        if run.epoch == 3:
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        ol.fit(model, train, val, epochs=9, callbacks=[press])
    assert (model.history.status, model.history.reason, model.history.epochs) == ("interrupted", "SIGINT", 3)
    assert capsys.readouterr().err.startswith("optlab: finishing this epoch")
    assert handlers == [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]


@pytest.mark.usefixtures("ctrl_c")
def test_early_stopping_still_gives_the_best_back():
    train, val, _ = parts()
    model, states = network(), []

    def press(run):
        states.append(run.model.state_dict())
        if run.epoch == 12:
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        ol.fit(model, train, val, ol.Adam(lr=0.2), epochs=20, callbacks=[press, ol.EarlyStopping(100)])
    best = model.history.best()[0]
    assert best < 12
    for name, value in model.state_dict().items():
        np.testing.assert_array_equal(value, states[best - 1][name])


def test_a_handler_of_the_users_own_is_left_alone():
    seen = []
    before = signal.signal(signal.SIGTERM, lambda number, frame: seen.append(number))
    try:
        with Interrupts() as interrupts:
            signal.raise_signal(signal.SIGTERM)
        assert interrupts.asked is None
        assert seen == [signal.SIGTERM]
    finally:
        signal.signal(signal.SIGTERM, before)


def test_training_in_a_thread_of_its_own():
    train, val, _ = parts()
    last, failures = Last(), []

    def work():
        try:
            ol.fit(network(), train, val, epochs=2, callbacks=[last])
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert not failures
    assert_same(last.run, trained(network(), train, val, epochs=2))


def test_codes():
    with pytest.raises(KeyboardInterrupt):
        leave(signal.SIGINT)
    for number, code in ((signal.SIGTERM, 143), (signal.SIGHUP, 129)):
        with pytest.raises(SystemExit) as stop:
            leave(number)
        assert stop.value.code == code


@pytest.mark.usefixtures("ctrl_c")
def test_a_message_that_can_not_be_shown_loses_nothing(monkeypatch):
    class Gone:
        def write(self, text):
            raise OSError("Input/output error")

        def flush(self):
            raise OSError("Input/output error")

    monkeypatch.setattr(sys, "stderr", Gone())
    with Interrupts() as interrupts:
        signal.raise_signal(signal.SIGINT)
    assert interrupts.asked == signal.SIGINT
