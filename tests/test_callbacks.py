"""What happens between epochs: early stopping decides as Keras's, logs are complete, the progress fits its place."""

import csv
import json
import os
import re
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from conftest import SHRINK
from keras_oracle import run_keras
from runs import Last, assert_same, network, parts, trained

import optlab as ol
from optlab.train.callbacks import Each

ROOT = Path(__file__).parents[1]


# --- early stopping ---------------------------------------------------------------------------------------------------


def sequences():
    """50 curves with the settings to watch them by: noise, stalls, rounding, NaN and infinities (not at first)."""
    for best, delta in ((0.4, 0.1), (0.4, 0.3), (4.2, 0.3)):  # lower by delta, but for rounding
        yield {"curve": [best, round(best - delta, 1), 9.0], "monitor": "val_loss", "patience": 1, "min_delta": delta}
    random = np.random.default_rng(0)
    for case in range(47):
        n = int(random.integers(1, 25))
        curve = np.cumsum(random.standard_normal(n)) * random.choice([1.0, 1e-8]) + random.choice([0.0, 1.0])
        if case % 3 == 0:
            curve = curve.round(1)  # ties, and differences of exactly min_delta
        if case % 5 == 0:
            curve[1:][random.random(n - 1) < 0.2] = random.choice([np.nan, np.inf, -np.inf])
        yield {
            "curve": curve.tolist(),
            "monitor": "val_accuracy" if case % 4 == 0 else "val_loss",
            "patience": int(random.integers(0, 12)),
            "min_delta": float(random.choice([0.0, 0.1, 0.3, 1e-9])),
        }


ORACLE = """
import json, sys
import keras
keras.config.set_floatx("float64")  # it compares tensors, not numbers
class Model:
    stop_training, epoch = False, 0
    metrics, optimizer = [], None
    def get_weights(self): return self.epoch
    def set_weights(self, weights): self.back = weights
out = []
for case in json.load(sys.stdin):
    model = Model()
    callback = keras.callbacks.EarlyStopping(monitor=case["monitor"], min_delta=case["min_delta"],
        patience=case["patience"], restore_best_weights=True, mode="max" if "acc" in case["monitor"] else "min")
    callback.set_model(model)
    callback.on_train_begin()
    for epoch, value in enumerate(case["curve"]):
        model.epoch = epoch + 1
        callback.on_epoch_end(epoch, {case["monitor"]: value})
        if model.stop_training: break
    callback.on_train_end()
    out.append([model.epoch, model.stop_training, model.back])
print(json.dumps(out))
"""


class Played:
    """A run whose curve is known beforehand; its model holds the number of the epoch."""

    def __init__(self, monitor, curve):
        self.monitor, self.curve, self.epoch, self.stopped, self.back = monitor, curve, 0, None, None
        self.history = SimpleNamespace(last=lambda name: self.curve[self.epoch - 1])
        self.model = SimpleNamespace(state_dict=lambda: {"epoch": self.epoch}, load_state_dict=self.load)

    def load(self, state):
        self.back = state["epoch"]

    def need(self, name):
        assert name == self.monitor

    def stop(self, reason):
        self.stopped = reason

    def play(self, callback):
        callback.on_start(self)
        while self.epoch < len(self.curve) and self.stopped is None:
            self.epoch += 1
            callback.on_epoch(self)
        callback.on_end(self)
        return [self.epoch, self.stopped is not None, self.back]


def test_early_stopping_decides_as_keras(tmp_path):
    cases = list(sequences())
    want = json.loads(run_keras(ORACLE, tmp_path, given=json.dumps(cases)).splitlines()[-1])
    stopped = 0
    for case, decision in zip(cases, want, strict=True):
        curve, monitor = case.pop("curve"), case["monitor"]
        assert Played(monitor, curve).play(ol.EarlyStopping(**case)) == decision, (case, curve)
        stopped += decision[1]
    assert 15 < stopped < 45  # else the curves show nothing


def test_a_first_nan_is_not_the_best():
    assert Played("val_loss", [np.nan, 2.0, 1.0, 3.0, 3.0]).play(ol.EarlyStopping(2)) == [5, True, 3]
    assert Played("val_loss", [np.nan, 2.0, 1.0, 3.0]).play(ol.EarlyStopping(1)) == [4, True, 3]


@pytest.mark.parametrize("engine", ["machine", "tape"])
def test_the_best_epoch_comes_back_bit_for_bit(engine):
    train, val, _ = parts()
    states = []
    model = network(batch_norm=True, dropout=0.1)
    history = ol.fit(
        model, train, val, ol.Adam(lr=0.1), epochs=60, batch_size=12, engine=engine,
        callbacks=[lambda run: states.append(run.model.state_dict()), ol.EarlyStopping(4)],
    )  # fmt: skip
    best, value = history.best()
    assert history.status == "stopped"
    assert history.epochs == best + 4 == len(states)
    assert history.reason == f"val_loss has not improved for 4 epochs; best in epoch {best}"
    for name, array in model.state_dict().items():
        np.testing.assert_array_equal(array, states[best - 1][name], err_msg=name)
    assert model.evaluate(val).loss == value
    left = network(batch_norm=True, dropout=0.1)
    stopping = ol.EarlyStopping(4, restore_best=False)
    ol.fit(left, train, val, ol.Adam(lr=0.1), epochs=60, batch_size=12, engine=engine, callbacks=[stopping])
    for name, array in left.state_dict().items():
        np.testing.assert_array_equal(array, states[-1][name], err_msg=name)


def test_one_callback_for_two_trainings():
    train, val, _ = parts()
    stopping = ol.EarlyStopping(2)
    runs = [trained(network(), train, val, ol.Adam(lr=0.3), epochs=30, callbacks=[stopping]) for _ in range(2)]
    assert runs[0].history.status == "stopped"
    assert_same(*runs)


def test_settings_of_early_stopping():
    for options in ({"patience": -1}, {"patience": 1.5}, {"min_delta": -1.0}, {"min_delta": np.nan}):
        with pytest.raises(ol.ConfigError, match=next(iter(options))):
            ol.EarlyStopping(**options)
    train, val, _ = parts()
    model = network()
    before = model.state_dict()
    with pytest.raises(ol.ConfigError, match=r"no curve 'val_acc' to watch; this run has train_loss, val_loss, val_a"):
        ol.fit(model, train, val, callbacks=[ol.EarlyStopping(monitor="val_acc")])
    with pytest.raises(ol.ConfigError, match="no curve 'val_loss'"):
        ol.fit(model, train, callbacks=[ol.EarlyStopping()])
    for name, array in model.state_dict().items():
        np.testing.assert_array_equal(array, before[name])


# --- callbacks in general ---------------------------------------------------------------------------------------------


class Told(ol.Callback):
    """Writes down what it is told."""

    def __init__(self, name, notes, fails=""):
        self.name, self.notes, self.fails = name, notes, fails

    def note(self, what):
        self.notes.append(f"{self.name} {what}")
        if what == self.fails:
            raise RuntimeError(f"{self.name} fails")

    def on_start(self, run):
        self.note("start")

    def on_epoch(self, run):
        self.note("epoch")

    def on_end(self, run):
        self.note(f"end {run.history.status}")


def test_the_order_in_which_they_are_called():
    notes = []
    saving = Told("saving", notes)
    saving.saves = True
    train, _, _ = parts()
    callbacks = [saving, Told("first", notes), lambda run: notes.append(f"function {run.epoch}"), Told("last", notes)]
    ol.fit(network(), train, epochs=2, callbacks=callbacks)
    epoch = ["first epoch", "function {}", "last epoch", "saving epoch"]
    assert notes == [
        "first start", "last start", "saving start",
        *(line.format(1) for line in epoch), *(line.format(2) for line in epoch),
        "saving end finished", "last end finished", "first end finished",
    ]  # fmt: skip


@pytest.mark.parametrize(("fails", "ended"), [
    ("start", ["a end failed"]),
    ("epoch", ["c end failed", "b end failed", "a end failed"]),
    ("end finished", ["c end finished", "b end finished", "a end finished"]),
])  # fmt: skip
def test_whatever_fails_every_callback_that_began_is_told_the_end(fails, ended):
    notes, (train, _, _) = [], parts()
    model = network()
    with pytest.raises(RuntimeError, match="b fails"):
        ol.fit(model, train, epochs=1, callbacks=[Told("a", notes), Told("b", notes, fails), Told("c", notes)])
    assert [note for note in notes if "end" in note] == ended
    if fails != "end finished":
        assert (model.history.status, model.history.reason) == ("failed", "RuntimeError: b fails")


def test_a_callback_that_fails_costs_no_epoch_that_was_saved(tmp_path):
    """Nor is an epoch saved that not all callbacks have seen."""
    train, val, _ = parts()
    fails = Each(lambda run: 1 / (run.epoch - 4))
    with pytest.raises(ZeroDivisionError):
        trained(network(), train, val, epochs=6, callbacks=[fails, ol.EarlyStopping(), ol.Checkpoint(tmp_path)])
    run = trained(network(seed=1), train, val, resume=tmp_path, callbacks=[ol.EarlyStopping()])
    assert_same(run, trained(network(), train, val, epochs=6, callbacks=[ol.EarlyStopping()]))


def test_a_callback_may_stop_the_run_and_set_the_rate():
    def halve(run):
        run.optimizer.lr /= 2
        if run.epoch == 3:
            run.stop("enough")

    train, _, _ = parts()
    history = ol.fit(network(), train, rule=ol.SGD(lr=0.5), epochs=9, callbacks=[halve])
    assert (history.status, history.reason) == ("stopped", "enough")
    assert history["lr"].tolist() == [0.5, 0.25, 0.125]


# --- logs -------------------------------------------------------------------------------------------------------------


def rows_of(path):
    if path.suffix == ".csv":
        with path.open(newline="") as file:
            return [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.mark.parametrize(("kind", "ending"), [(ol.CSVLog, "csv"), (ol.JSONLog, "jsonl")])
def test_logs_hold_every_epoch_also_after_a_resume(kind, ending, tmp_path):
    train, val, _ = parts()
    path, seen = tmp_path / "made" / f"log.{ending}", []
    watch = Each(lambda run: seen.append(len(rows_of(path))))  # a line is there as soon as its epoch is over
    history = ol.fit(network(), train, val, epochs=2, callbacks=[kind(path), watch, ol.Checkpoint(tmp_path)])
    for n in (2, 4):
        rows = rows_of(path)
        assert [row.pop("epoch") for row in rows] == list(range(1, n + 1))
        for name in history:
            np.testing.assert_array_equal([row[name] for row in rows], history[name])
        history = ol.fit(network(), train, val, resume=tmp_path, epochs=4, callbacks=[kind(path), watch])
    assert seen == [1, 2, 3, 4]


def test_a_log_holds_no_token_that_json_does_not_know(tmp_path):
    log = ol.JSONLog(tmp_path / "log")
    history = {"train_loss": [np.nan], "val_loss": [np.inf]}
    log.on_start(SimpleNamespace(epoch=1, history=history))
    log.on_end(None)
    assert json.loads((tmp_path / "log").read_text()) == {"epoch": 1, "train_loss": None, "val_loss": None}


def test_a_log_that_can_not_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    train, _, _ = parts()
    for path in (tmp_path / "file" / "log.csv", tmp_path):
        with pytest.raises(ol.StorageError, match=r"the log .* can't be written"):
            ol.fit(network(), train, epochs=1, callbacks=[ol.CSVLog(path)])


# --- progress ---------------------------------------------------------------------------------------------------------


def test_silent_off_a_terminal_and_plain_lines_if_asked_for(capfd):
    train, val, _ = parts()
    ol.fit(network(), train, val, epochs=2)
    assert capfd.readouterr() == ("", "")
    history = ol.fit(network(), train, val, epochs=2, verbose=True)
    output, lines = capfd.readouterr()
    assert output == ""
    first, second = lines.splitlines()
    assert re.fullmatch(r"epoch 1/2  train_loss \S+  val_loss \S+  val_accuracy \S+  lr 0.001  \d+\.\d\d s", first)
    assert f"epoch 2/2  train_loss {history['train_loss'][1]:.4g}  val_loss {history['val_loss'][1]:.4g}" in second
    ol.fit(network(), train, val, epochs=9, verbose=True, callbacks=[lambda run: run.stop("enough")])
    assert capfd.readouterr().err.splitlines()[-1] == "stopped: enough"


SHOWN = """
import sys; sys.path.insert(0, "tests")
from runs import *
train, val, _ = parts()
stop = lambda run: run.epoch == 7 and run.stop("[enough]")
ol.fit(network(), train, val, epochs=9, callbacks=[stop], verbose=eval(sys.argv[1]))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="a pseudo-terminal is POSIX's")
@pytest.mark.parametrize(("verbose", "columns"), [(None, 100), (True, 20), (False, 100)])
def test_a_bar_on_a_terminal(verbose, columns):
    import fcntl
    import struct
    import termios

    master, slave = os.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    environment = {k: v for k, v in os.environ.items() if k not in ("COLUMNS", "LINES", "NO_COLOR")}
    process = subprocess.Popen(
        [sys.executable, "-c", SHOWN, str(verbose)], cwd=ROOT, stdin=slave, stdout=slave, stderr=slave,
        env={**environment, "PYTHONPATH": ".:kernels", "TERM": "xterm-256color"},
    )  # fmt: skip
    os.close(slave)
    chunks = []

    def read():
        try:
            while chunk := os.read(master, 4096):
                chunks.append(chunk)
        except OSError:  # so Linux reports the end
            pass

    reader = threading.Thread(target=read)
    reader.start()
    assert process.wait() == 0
    reader.join()
    os.close(master)
    shown = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", b"".join(chunks).decode())
    if verbose is False:
        assert shown == ""
        return
    lines = [line for line in re.split(r"[\r\n]+", shown) if line.strip()]
    assert max(map(len, lines)) <= columns
    assert "stopped: [enough]" in shown.replace("\r\n", "" if columns == 20 else "\n")
    if columns == 100:
        assert "7/9" in lines[-2]
        assert "train_loss" in lines[-2]


def test_nobody_reads_the_lines_any_more():
    class Closed:
        def isatty(self):
            return False

        def write(self, text):
            raise BrokenPipeError

    from optlab.train.progress import progress

    train, _, _ = parts()
    last = Last()
    ol.fit(network(), train, epochs=2, callbacks=[*progress(Closed(), True), last])
    assert last.run.history.status == "finished"


# --- history ----------------------------------------------------------------------------------------------------------


def test_the_history(tmp_path):
    train, val, _ = parts()
    run = trained(network(), train, val, ol.Adam(lr=0.1), epochs=12 // min(SHRINK, 3), norms=True)
    history = run.history
    assert list(history) == ["train_loss", "val_loss", "val_accuracy", "lr"]
    assert set(history.steps) == {"loss", "lr", "gradient", "update", "parameter"}
    assert all(len(curve) == run.step for curve in history.steps.values())
    assert len(history.seconds) == history.epochs == run.epoch
    by_epoch = history.steps["loss"].reshape(-1, run.steps_per_epoch).mean(1)
    np.testing.assert_array_equal(history["train_loss"], by_epoch)
    assert history.best() == (int(history["val_loss"].argmin()) + 1, history["val_loss"].min())
    assert history.best("val_accuracy")[1] == history["val_accuracy"].max()
    with pytest.raises(KeyError, match="did you mean 'val_loss'"):
        history["val_los"]
    history["val_loss"][:] = 0.0  # a copy
    assert history["val_loss"].all()
    rows = rows_of(history.save(tmp_path / "history.csv"))
    np.testing.assert_array_equal([row["val_loss"] for row in rows], history["val_loss"])
    assert json.loads(json.dumps(history.to_dict()))["epochs"]["lr"] == history["lr"].tolist()
    assert repr(history).startswith(f"History({run.epoch} epochs on the machine, finished, train_loss ")
