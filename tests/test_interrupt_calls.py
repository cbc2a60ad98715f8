"""Compiled calls are short: results do not depend on where one ends, and a signal is heard between two of them."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import JIT, SHRINK
from runs import network, parts

import optlab as ol
from optlab import interrupt
from optlab.interrupt import Interrupts, Pace
from optlab.train.machine import Machine
from optlab.train.tape import Tape

ROOT = Path(__file__).parents[1]
LIMIT = 120  # seconds; each piece of work below takes many times as long
NOISY = {"noise": 0.1, "seed": 3}


# --- where calls end changes nothing ----------------------------------------------------------------------------------


def trained_arrays(**options):
    """Dropout, batch normalization, a norm per step: everything that a machine carries from step to step."""
    train, _, _ = parts()
    model = network(dropout=0.2)
    history = ol.fit(model, train, None, ol.Adam(lr=0.01), batch_size=12, epochs=3, norms=True, **options)
    return [*model.state_dict().values(), *history.steps.values()]


def skipped_steps():
    model = network()
    optimizer = ol.Optimizer(model.parameters(), ol.Adam(lr=0.5), nonfinite="skip", norms=True)
    x = np.ones((24, model.parameters()[0].shape[0]), model.parameters()[0].dtype)
    x[4:8] = np.finfo(x.dtype).max  # finite, but its gradient is not
    record = Machine(model, optimizer, batch_size=4).epoch(x, np.zeros(24, int))
    assert optimizer.skipped >= 1
    return [*record.values(), *model.state_dict().values(), np.array(optimizer.skipped)]


def descent(rule, steps=1500 // SHRINK, **options):
    return [ol.descend("beale", rule, (1.0, 1.6), steps, **options).record]


def basin_maps(resolution=11):
    basin = ol.basin("himmelblau", ol.Adam(lr=0.05), resolution, 150 // SHRINK, target=1.0)
    return [basin.minimum, basin.steps, basin.ends]


WORK = {
    "machine": lambda: trained_arrays(engine="machine"),
    "machine that skips": skipped_steps,
    "lr_find": lambda: [ol.lr_find(network(), parts()[0], "adam", steps=40, engine="machine").losses],
    "descend": lambda: descent(ol.Adam(lr=0.05)),
    "descend with noise": lambda: descent(ol.RMSProp(lr=0.05), **NOISY),
    "descend with decay": lambda: descent(ol.AdamW(lr=0.05, weight_decay=0.1)),
    "descend that diverges": lambda: descent(ol.SGD(lr=0.5)),
    "basin": basin_maps,
    "grid": lambda: list(ol.SURFACES["branin"].grid(30)),
}


@pytest.mark.parametrize("work", WORK)
@pytest.mark.fault(44)
def test_results_do_not_depend_on_where_calls_end(work, monkeypatch):
    monkeypatch.setattr(Pace, "pieces", lambda self, total: iter([(0, total)]))
    want = WORK[work]()
    monkeypatch.undo()
    for seconds in (0.0, interrupt.CALL_SECONDS):  # one unit of work a call, and as many as usual
        monkeypatch.setattr(interrupt, "CALL_SECONDS", seconds)
        for have, wanted in zip(WORK[work](), want, strict=True):
            np.testing.assert_array_equal(have, wanted)


@pytest.mark.fault(44)
def test_pieces_cover_everything_once_and_fit_the_clock(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(interrupt.time, "perf_counter", lambda: now[0])
    pace, lengths, at = Pace(), [], 0
    for first, end in pace.pieces(100_000):
        assert first == at < end
        at = end
        lengths.append(end - first)
        now[0] += (end - first) * 1e-4  # a unit takes 0.1 ms
    assert at == 100_000
    assert lengths[0] == 1
    assert max(lengths) <= interrupt.GROWTH * interrupt.CALL_SECONDS / 1e-4
    assert set(lengths[3:-1]) <= set(range(495, 506))
    assert next(pace.pieces(10**6))[1] > 490  # what was measured holds for the next epoch
    assert list(Pace().pieces(0)) == []


# --- what a signal leaves ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("after", [1, 5])
@pytest.mark.fault(44)
def test_an_epoch_that_is_ended_leaves_what_its_steps_made(after, monkeypatch):
    """The tape takes the same steps by hand; parameters, statistics, counts of dropout and the optimizer agree."""
    x, y = np.random.default_rng(0).normal(size=(60, 8)).astype("f4"), np.arange(60) % 3

    def made(kind):
        layers = [
            ol.nn.Linear(8, 6, seed=0),
            ol.nn.BatchNorm1d(6),
            ol.nn.Activation("relu"),
            ol.nn.Dropout(0.3, seed=1),
        ]
        model = ol.nn.Sequential(*layers, ol.nn.Linear(6, 3, seed=2))
        optimizer = ol.Optimizer(model.parameters(), ol.Adam(lr=0.01))
        return model, optimizer, kind(model, optimizer, batch_size=6)

    def pressed(self, total):
        yield 0, after
        raise KeyboardInterrupt  # as a signal's handler does, between two calls

    model, optimizer, engine = made(Machine)
    with monkeypatch.context() as patch:
        patch.setattr(Pace, "pieces", pressed)
        engine._refuse_what_is_not_finite = lambda name, data: None  # which would be pressed first
        with pytest.raises(KeyboardInterrupt):
            engine.epoch(x, y)
    peer, theirs, tape = made(Tape)
    tape.epoch(x, y, np.arange(6 * after))
    for _ in range(2):  # and both go on alike
        for (name, have), want in zip(model.state_dict().items(), peer.state_dict().values(), strict=True):
            np.testing.assert_array_equal(have, want, err_msg=name)
        for have, want in zip(
            optimizer.state_dict()["slots"].values(), theirs.state_dict()["slots"].values(), strict=True
        ):
            np.testing.assert_array_equal(have, want)
        engine.epoch(x, y)
        tape.epoch(x, y)


@pytest.mark.parametrize("saves", [True, False])
@pytest.mark.fault(44)
def test_the_message_says_what_will_happen(saves, tmp_path, capsys):
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        callbacks = [lambda run: signal.raise_signal(signal.SIGINT), *[ol.Checkpoint(tmp_path)] * saves]
        with pytest.raises(KeyboardInterrupt):
            ol.fit(network(), parts()[0], epochs=3, callbacks=callbacks, verbose=False)
    finally:
        signal.signal(signal.SIGINT, before)
    wanted = "this epoch and saving" if saves else "this epoch"
    assert capsys.readouterr().err == f"optlab: finishing {wanted}; once more to stop now\n"


@pytest.mark.parametrize("stream", [None, "closed"])
@pytest.mark.fault(44)
def test_no_standard_error(stream, monkeypatch, tmp_path):
    if stream is not None:
        stream = (tmp_path / "x").open("w")
        stream.close()
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        monkeypatch.setattr(sys, "stderr", stream)
        with Interrupts() as interrupts:
            signal.raise_signal(signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, before)
    assert interrupts.asked == signal.SIGINT


# --- signals from outside ---------------------------------------------------------------------------------------------

SCRIPT = """
import json, math, os, signal, sys
import numpy as np
import optlab as ol
signal.signal(signal.SIGINT, signal.default_int_handler)
name = sys.argv[1]

def begins():
    print("begins", flush=True)

def objective(params):
    begins()
    return ol.objectives.descent(surface, steps=10**7, rule="sgd")(params)

class Begins(ol.Callback):
    def on_start(self, run):
        begins()

def slow(x, y):
    total = 0.0
    for i in range(20000):
        total += math.sin(x + i) * math.cos(y)
    return total + x * x + y * y

surface = ol.Surface(slow, start=(1.0, 1.0), minima=[(0.0, 0.0)])
rule = ol.SGD(lr=1e-6)
random = np.random.default_rng(0)
data = random.normal(size=(200_000, 4)).astype("f4"), random.integers(0, 2, 200_000)
few = data[0][:64], data[1][:64]
large = ol.nn.MLP([4, 1500, 1500, 2], seed=0)
before = large.state_dict()
study = ol.search.Study(ol.search.Space({"lr": ol.search.Float(1e-9, 1e-6, log=True)}), ol.search.Random(seed=0))
work = {
    "fit": lambda s: ol.fit(
        large, data if s else few, None, rule, epochs=1, batch_size=1, engine="machine", callbacks=[Begins()] * s
    ),
    "lr_find": lambda s: ol.lr_find(large, data, "adam", steps=20_000 if s else 20, engine="machine"),
    "descend": lambda s: ol.descend(surface, rule, steps=10**7 if s else 1),
    "race": lambda s: ol.race(surface, [rule], steps=10**6 if s else 1, tune=4, starts=2),
    "basin, many steps": lambda s: ol.basin("beale", rule, 9, 10**12 if s else 2),
    "basin, many starts": lambda s: ol.basin("beale", rule, 1000 if s else 9, 10**6 if s else 2),
    "grid": lambda s: surface.grid(2000 if s else 2),
    "run": lambda s: study.run(objective, trials=1) if s else ol.descend(surface, rule, steps=1),
}[name]
work(False)  # compiled
try:
    if name not in ("fit", "run"):
        begins()
    work(True)
except KeyboardInterrupt:
    same = all((value == before[key]).all() for key, value in large.state_dict().items())
    print(json.dumps(["interrupted", same, large.history.to_dict() if name == "fit" else None]))
else:
    print(json.dumps(["went on"]))
"""

PRESSES = {"fit": 2, "run": 2}  # all others have nothing to save


@pytest.mark.skipif(sys.platform == "win32" or not JIT, reason="POSIX signals, and calls that are compiled")
@pytest.mark.parametrize(
    "name", ["fit", "lr_find", "descend", "race", "basin, many steps", "basin, many starts", "grid", "run"]
)
@pytest.mark.fault(44)
def test_a_long_call_is_ended(name):
    with subprocess.Popen(
        [sys.executable, "-c", SCRIPT, name], cwd=ROOT, env={**os.environ, "PYTHONPATH": ".:kernels"},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    ) as process:  # fmt: skip
        try:
            assert process.stdout.readline() == "begins\n", process.stderr.read()
            for _ in range(PRESSES.get(name, 1)):
                with pytest.raises(subprocess.TimeoutExpired):
                    process.wait(0.7)  # it is at work
                process.send_signal(signal.SIGINT)
            output, errors = process.communicate(timeout=LIMIT)
        finally:
            process.kill()
    what, same, history = json.loads(output)
    assert what == "interrupted"
    assert same == (name != "fit")  # a sweep of rates leaves the model as it was
    if name == "fit":
        assert (history["status"], history["reason"], history["epochs"], history["steps"]) == (
            "interrupted",
            "at once",
            {},
            {},
        )
    assert errors.count("once more to stop now") == (name in PRESSES)
