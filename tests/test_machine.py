"""The compiled machine against the tape: losses and parameters equal bit for bit, for every rule, layer and option."""

import json
import os
import subprocess
import sys
import threading
import tracemalloc
from pathlib import Path

import numba
import numpy as np
import pytest
from conftest import SHRINK

import optlab as ol
from optlab import nn
from optlab.nn import functional
from optlab.train.machine import Machine
from optlab.train.plan import Unplannable
from optlab.train.tape import Tape

ROOT = Path(__file__).parents[1]
STEPS = 200 if SHRINK == 1 else 6
ROWS, BATCH = 50, 16  # three full batches and one of two rows
DTYPES = pytest.mark.parametrize("dtype", ["float32", "float64"])


def data(inputs, outputs, dtype, seed=0):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((ROWS, inputs)).astype(dtype), rng.integers(0, outputs, ROWS)


def orders(epochs):
    return [np.random.default_rng(epoch).permutation(ROWS) for epoch in range(epochs)]


def on_the_tape(model, optimizer, x, y, epochs, *, loss=nn.cross_entropy, penalty=None, rates=None, **options):
    """The loop by hand: the losses of every step."""
    losses = []
    for order in orders(epochs):
        for first in range(0, ROWS, BATCH):
            at = order[first : first + BATCH]
            optimizer.zero_grad()
            value = loss(model(x[at]), y[at], **options)
            if penalty is not None:
                value = value + penalty(model.parameters())
            value.backward()
            if rates is not None:
                optimizer.lr = rates[len(losses) % len(rates)]
            optimizer.step()
            losses.append(value.item())
    return np.array(losses)


def on_the_machine(model, optimizer, x, y, epochs, rates=None, **options):
    machine = Machine(model, optimizer, batch_size=BATCH, **options)
    return np.concatenate([machine.epoch(x, y, order, rates)["loss"] for order in orders(epochs)])


def assert_equal(model, other):
    state, want = model.state_dict(), other.state_dict()
    for name, value in want.items():
        np.testing.assert_array_equal(state[name], value, err_msg=name)


def both(make_model, settings, dtype, *, outputs=5, epochs=-(-STEPS // 4), tape=None, machine=None, **optimizer):
    """Train twice and compare; returns the losses."""
    (a, b), (x, y) = (make_model(), make_model()), data(7, outputs, dtype)
    first = ol.Optimizer(a.parameters(), settings, **optimizer)
    second = ol.Optimizer(b.parameters(), settings, **optimizer)
    want = on_the_tape(a, first, x, y, epochs, **(tape or {}))
    losses = on_the_machine(b, second, x, y, epochs, **(machine or {}))
    # the machine logs the loss in float64, the tape holds it in the model's dtype
    np.testing.assert_array_equal(losses.astype(dtype), want.astype(dtype))
    assert_equal(b, a)
    np.testing.assert_array_equal(first._array[2:], second._array[2:])
    return losses


@DTYPES
@pytest.mark.parametrize("rule", ol.RULES)
def test_every_rule(rule, dtype):
    settings = ol.RULES[rule](1e-2, weight_decay=1e-3)
    losses = both(lambda: nn.MLP([7, 9, 6, 5], dtype=dtype), settings, dtype)
    assert np.isfinite(losses).all()
    assert losses[0] != losses[-1]


@DTYPES
@pytest.mark.parametrize("activation", ["relu", "leaky-relu", "tanh", "sigmoid", "gelu"])
def test_every_activation(activation, dtype):
    both(lambda: nn.MLP([7, 9, 5], activation=activation, dtype=dtype), ol.Adam(1e-2), dtype)


@DTYPES
def test_batch_norm_and_dropout(dtype):
    losses = both(lambda: nn.MLP([7, 9, 8, 5], batch_norm=True, dropout=0.3, dtype=dtype), ol.Momentum(1e-2), dtype)
    if SHRINK == 1:  # the interpreted run is too short to learn anything
        assert losses[-8:].mean() < losses[:8].mean()


@pytest.mark.parametrize(
    "options",
    [
        {"clip_norm": 0.05},
        {"clip_value": 1e-3},
        {"clip_norm": 0.05, "clip_value": 0.02, "maximize": True},
        {"nonfinite": "raise"},
        {"nonfinite": "skip"},
    ],
    ids=str,
)
def test_the_optimizers_options(options):
    both(lambda: nn.MLP([7, 9, 5]), ol.SGD(0.1), "float32", **options)


def test_label_smoothing():
    both(
        lambda: nn.MLP([7, 9, 5]), ol.Adam(), "float32", tape={"label_smoothing": 0.1}, machine={"label_smoothing": 0.1}
    )


def test_rates_per_step():
    rates = np.geomspace(1e-3, 1e-1, 4)
    both(lambda: nn.MLP([7, 9, 5]), ol.Momentum(), "float32", tape={"rates": rates}, machine={"rates": rates})


def test_groups():
    (a, b), (x, y) = (nn.MLP([7, 9, 5], seed=1), nn.MLP([7, 9, 5], seed=1)), data(7, 5, "float32")
    first, second = (ol.Optimizer(m.parameter_groups(0.1), ol.AdamW(1e-2)) for m in (a, b))
    want = on_the_tape(a, first, x, y, 5)
    np.testing.assert_array_equal(on_the_machine(b, second, x, y, 5).astype("f4"), want.astype("f4"))
    assert_equal(b, a)


@DTYPES
def test_penalties(dtype):
    """Gradients agree to the last bit or two: the tape adds the two penalties in another order; so does the loss."""
    (a, b), (x, y) = (nn.MLP([7, 9, 5], dtype=dtype), nn.MLP([7, 9, 5], dtype=dtype)), data(7, 5, dtype)
    first, second = (ol.Optimizer(m.parameters(), ol.SGD(0.1)) for m in (a, b))
    penalty = lambda ps: nn.l1_penalty(ps, 1e-3) + nn.l2_penalty(ps, 1e-2)  # noqa: E731
    want = on_the_tape(a, first, x, y, 10, penalty=penalty)
    losses = on_the_machine(b, second, x, y, 10, l1=1e-3, l2=1e-2)
    close = {"rtol": 1e-12, "atol": 1e-13} if dtype == "float64" else {"rtol": 1e-5, "atol": 1e-6}
    np.testing.assert_allclose(losses, want, **close)
    for p, q in zip(a.parameters(), b.parameters(), strict=True):
        np.testing.assert_allclose(q.data, p.data, **close)


@DTYPES
def test_squared_error(dtype):
    (a, b), (x, _) = (nn.MLP([7, 9, 2], dtype=dtype), nn.MLP([7, 9, 2], dtype=dtype)), data(7, 2, dtype)
    y = x[:, :2] * 2 - 1
    first, second = (ol.Optimizer(m.parameters(), ol.Adam(1e-2)) for m in (a, b))
    want = on_the_tape(a, first, x, y, 20, loss=nn.mse)
    losses = on_the_machine(b, second, x, y, 20, loss="mse")
    np.testing.assert_array_equal(losses.astype(dtype), want.astype(dtype))
    assert_equal(b, a)


def test_norms_are_the_optimizers():
    a, b = nn.MLP([7, 9, 5]), nn.MLP([7, 9, 5])
    x, y = data(7, 5, "float32")
    first, second = (ol.Optimizer(m.parameters(), ol.Adam(1e-2), norms=True) for m in (a, b))
    record = Machine(b, second, batch_size=ROWS).epoch(x, y)
    nn.cross_entropy(a(x), y).backward()
    first.step()
    assert {name: float(record[name][0]) for name in first.norms} == first.norms


def test_tape_and_machine_may_take_turns():
    a, b = (nn.MLP([7, 9, 5], batch_norm=True, dropout=0.2) for _ in range(2))
    x, y = data(7, 5, "float32")
    first, second = (ol.Optimizer(m.parameters(), ol.Adam(1e-2)) for m in (a, b))
    machine = Machine(b, second, batch_size=BATCH)
    for turn in range(4):
        at = orders(1)[0]
        on_the_tape(a, first, x, y, 1)
        if turn % 2:
            machine.epoch(x, y, at)
        else:
            on_the_tape(b, second, x, y, 1)
    assert_equal(b, a)


# --- faults -----------------------------------------------------------------------------------------------------------


def bound(**options):
    model = nn.MLP([7, 9, 5])
    optimizer = ol.Optimizer(model.parameters(), ol.Adam(1e-2), **options)
    return model, optimizer, Machine(model, optimizer, batch_size=BATCH)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m, x, y: m.epoch(x[:, :5], y), r"x must have shape \(n, 7\), got \(50, 5\)"),
        (lambda m, x, y: m.epoch(x.astype("f8"), y), "x is float64, the model float32"),
        (lambda m, x, y: m.epoch(x, y + 1), "label 5 of row"),
        (lambda m, x, y: m.epoch(x, y[:-1]), r"labels of shape \(50,\)"),
        (lambda m, x, y: m.epoch(x, y * 1.0), "labels are integers"),
        (lambda m, x, y: m.epoch(x, y, [0, 50]), "row numbers from 0 to 49"),
        (lambda m, x, y: m.epoch(x, y, rates=[0.1]), "4 steps needs 4 rates"),
    ],
)
def test_a_mistake_changes_nothing(call, message):
    _, optimizer, machine = bound()
    before = optimizer._array.tobytes()
    with pytest.raises(ol.ConfigError, match=message):
        call(machine, *data(7, 5, "float32"))
    assert optimizer._array.tobytes() == before


@pytest.mark.fault(15)
def test_a_gradient_that_is_not_finite_stops_under_raise_and_is_left_out_under_skip():
    x, y = data(7, 5, "float32")
    x[20] = 3e38  # overflows, in the second batch
    model, optimizer, machine = bound(nonfinite="raise")
    with pytest.raises(ol.NonFiniteError, match=r"step 2: the gradient of parameter 0"):
        machine.epoch(x, y)
    assert optimizer.t == 1
    assert all(np.isfinite(p.data).all() for p in model.parameters())
    model, optimizer, machine = bound(nonfinite="skip")
    losses = machine.epoch(x, y)["loss"]
    assert (optimizer.t, optimizer.skipped) == (3, 1)
    assert np.flatnonzero(np.isnan(losses)).tolist() == [1]
    assert all(np.isfinite(p.data).all() for p in model.parameters())


@DTYPES
@pytest.mark.parametrize(
    ("options", "optimizer"),
    [
        ({"class_weights": [1.0, 0.0, 3.0, 0.5, 2.0]}, {}),
        ({"class_weights": [1.0, 0.0, 3.0, 0.5, 2.0], "label_smoothing": 0.2}, {"clip_norm": 0.1}),
        ({"scaler": (np.arange(7.0), np.linspace(0.1, 2.0, 7))}, {"norms": True}),
        ({"l2": 1e-2, "loss": "mse"}, {"norms": True}),
        ({"l1": 1e-3}, {"nonfinite": "skip", "norms": True}),
    ],
    ids=str,
)
def test_the_tape_engine_is_the_machine_in_slow_motion(options, optimizer, dtype):
    x, y = data(7, 5, dtype)
    if options.get("loss") == "mse":
        y = np.random.default_rng(1).standard_normal((ROWS, 5)).astype(dtype)
    records, models = [], []
    for engine in (Machine, Tape):
        model = nn.MLP([7, 9, 8, 5], batch_norm=True, dropout=0.2, dtype=dtype)
        bound_to = ol.Optimizer(model.parameters(), ol.Adam(1e-2), **optimizer)
        trainer = engine(model, bound_to, batch_size=BATCH, **options)
        rates = np.linspace(0.01, 0.1, -(-ROWS // BATCH))
        records.append([trainer.epoch(x, y, order, rates) for order in orders(5)])
        models.append(model)
    assert_equal(*models)
    for machine, tape in zip(*records, strict=True):
        assert list(machine) == list(tape)
        # a penalty's value is summed in another order; its gradient is not a sum
        close = {"l1", "l2"} & set(options) and 4 * np.finfo(dtype).eps
        for key in machine:
            np.testing.assert_allclose(machine[key].astype(dtype), tape[key].astype(dtype), rtol=close or 0)


@pytest.mark.parametrize("scaled", [False, True])
def test_rows_that_stand_together_are_read_where_they_are(scaled):
    """All in order, a jump inside a batch, a batch elsewhere: the same numbers as gathered, and x stays as it is."""
    x, y = data(7, 5, "float32")
    before, options = x.copy(), {"scaler": (np.ones(7), np.full(7, 2.0))} if scaled else {}
    in_runs = np.concatenate([np.arange(30, 46), np.arange(10), np.arange(20, 26), np.arange(34, 50)])
    for order in (None, in_runs, np.arange(50)[::-1]):
        models = [nn.MLP([7, 9, 5]) for _ in range(2)]
        for engine, model in zip((Machine, Tape), models, strict=True):
            engine(model, ol.Optimizer(model.parameters(), "adam"), batch_size=BATCH, **options).epoch(x, y, order)
        assert_equal(*models)
    np.testing.assert_array_equal(x, before)


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
def test_class_weights_are_torchs(smoothing):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(3)
    z, y, w = rng.standard_normal((40, 6)), rng.integers(0, 6, 40), np.array([0.0, 1.0, 2.5, 0.1, 1.0, 7.0])
    ours = ol.Tensor(z.copy(), requires_grad=True)
    loss = nn.cross_entropy(ours, y, label_smoothing=smoothing, class_weights=w)
    loss.backward()
    theirs = torch.tensor(z, requires_grad=True)
    of = torch.nn.CrossEntropyLoss(torch.tensor(w), label_smoothing=smoothing)
    want = of(theirs, torch.tensor(y))
    want.backward()
    assert loss.item() == pytest.approx(want.item(), rel=1e-12)
    np.testing.assert_allclose(ours.grad, theirs.grad.numpy(), rtol=1e-12, atol=1e-15)


def test_a_batch_of_classes_without_weight_says_nothing():
    z = ol.Tensor(np.ones((3, 4)), requires_grad=True)
    loss = nn.cross_entropy(z, [1, 1, 1], class_weights=[1, 0, 1, 1])
    loss.backward()
    assert loss.item() == 0.0
    assert not z.grad.any()


@pytest.mark.parametrize("engine", [Machine, Tape])
@pytest.mark.fault(17, cases=11)
def test_bad_data_is_refused_before_anything_changes(engine):
    model = nn.MLP([7, 9, 5])
    trainer = engine(model, ol.Optimizer(model.parameters(), "adam"), batch_size=BATCH)
    x, y = data(7, 5, "float32")
    before = model.state_dict()
    for value in (np.nan, np.inf):
        bad = x.copy()
        bad[31, 4] = bad[40, 0] = value
        with pytest.raises(ol.DataError, match=rf"x has {value} in row 31, column 4 \(2 of 50 rows"):
            trainer.epoch(bad, y)
    off = y.copy()
    off[8] = 5
    for wrong, message in (
        ((x.astype("f8"), y), "x is float64, the model float32"),
        ((x[:, :6], y), "x must have shape"),
        ((x, y[:-1]), "need labels of shape"),
        ((x, off), "label 5 of row 8 is out of range"),
        ((x, y.astype("f4")), "labels are integers"),
        ((x, y, [0, 50]), "row numbers from 0 to 49"),
        ((x, y, None, [0.1, -0.1, 0.1, 0.1]), "finite and >= 0"),
        ((x, y, None, [0.1]), "needs 4 rates"),
    ):
        with pytest.raises(ol.ConfigError, match=message):
            trainer.epoch(*wrong)
    with pytest.raises(ol.ConfigError, match="eval mode"):
        engine(model.eval(), trainer.optimizer).epoch(x, y)
    model.train()
    for name, value in before.items():
        np.testing.assert_array_equal(model.state_dict()[name], value)
    frozen = np.asfortranarray(x)
    frozen.flags.writeable = False
    trainer.epoch(frozen, y)  # any layout, and read-only arrays


@pytest.mark.fault(17)
def test_one_class_is_a_flat_loss():
    model = nn.MLP([7, 3, 1])
    for engine in (Machine, Tape):
        record = engine(model, ol.Optimizer(model.parameters(), "sgd")).epoch(
            data(7, 5, "float32")[0], np.zeros(50, int)
        )
        assert (record["loss"] == 0.0).all()


@pytest.mark.fault(17)
def test_an_empty_epoch_and_a_batch_larger_than_the_data():
    model, optimizer, machine = bound()
    x, y = data(7, 5, "float32")
    before = model.state_dict()
    assert machine.epoch(x, y, [])["loss"].size == 0
    for name, value in before.items():
        np.testing.assert_array_equal(model.state_dict()[name], value)
    large = Machine(model, optimizer, batch_size=1000)
    assert large.epoch(x, y)["loss"].size == 1


class Doubling(nn.Module):
    def forward(self, x):
        return x * 2.0


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (lambda: nn.Sequential(nn.Linear(7, 5), Doubling()), "does not know the layer"),
        (lambda: nn.Sequential(nn.BatchNorm1d(7), nn.Linear(7, 5)), "first layer must be Linear"),
        (lambda: nn.Sequential(nn.Linear(7, 6), nn.Linear(5, 5)), "takes 5 features and gets 6"),
    ],
)
def test_what_the_machine_does_not_know_it_says(model, message):
    model = model()
    optimizer = ol.Optimizer(model.parameters(), "sgd")
    with pytest.raises(Unplannable, match=message):
        Machine(model, optimizer)
    with pytest.raises(Unplannable, match="does not hold the parameter"):
        Machine(nn.MLP([7, 5]), optimizer)


def test_a_newer_optimizer_takes_the_parameters():
    model, _, machine = bound()
    ol.Optimizer(model.parameters(), "sgd")
    with pytest.raises(ol.ConfigError, match="newer Optimizer"):
        machine.epoch(*data(7, 5, "float32"))


@pytest.mark.parametrize(("rows", "batch"), [(17, 16), (3, 1), (1, 16)])
@pytest.mark.fault(17)
def test_a_batch_of_one_has_no_variance_here_either(rows, batch):
    model = nn.MLP([7, 9, 5], batch_norm=True)
    machine = Machine(model, ol.Optimizer(model.parameters(), "sgd"), batch_size=batch)
    before = model.state_dict()
    with pytest.raises(ol.ConfigError, match="has no variance"):
        machine.epoch(*data(7, 5, "float32"), range(rows))
    for name, value in before.items():
        np.testing.assert_array_equal(model.state_dict()[name], value)


def test_impossible_settings_are_refused():
    model, optimizer, _ = bound()
    for wrong in ({"label_smoothing": 1.5}, {"l1": -1.0}, {"l2": float("nan")}):
        with pytest.raises(ol.ConfigError, match="label_smoothing must be"):
            Machine(model, optimizer, **wrong)
    for weights in ([1.0] * 4, [-1.0] * 5, [0.0] * 5, [np.nan] * 5):
        with pytest.raises(ol.ConfigError, match="class_weights are 5 finite"):
            Machine(model, optimizer, class_weights=weights)
    with pytest.raises(ol.ConfigError, match="a scaler has 7 finite"):
        Machine(model, optimizer, scaler=(np.zeros(6), np.ones(6)))


def test_a_graph_from_before_an_epoch_is_refused():
    model, _, machine = bound()
    x, y = data(7, 5, "float32")
    loss = nn.cross_entropy(model(x), y)
    machine.epoch(x, y)
    with pytest.raises(ol.ConfigError, match="changed in place"):
        loss.backward()


# --- resources --------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(bool(numba.config.DISABLE_JIT), reason="interpreted arithmetic makes objects of its own")
def test_memory_does_not_grow():
    """An epoch holds its log, an index array and labels; nothing stays."""
    _, _, machine = bound()
    x, y = data(7, 5, "float32")
    machine.epoch(x, y)
    tracemalloc.start()
    try:
        for _ in range(100):
            machine.epoch(x, y)
        before, _ = tracemalloc.get_traced_memory()
        for _ in range(1000):
            machine.epoch(x, y)
        after, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # free lists of small objects fill up to some 11 kB; the smallest object kept per epoch would be 28 kB
    assert after - before < 20_000
    assert peak - before < 64 * 1024


@pytest.mark.fault(24)
def test_two_threads_train_two_models():
    x, y = data(7, 5, "float32")
    models = [bound() for _ in range(3)]
    for _ in range(5):
        models[0][2].epoch(x, y)
    threads = [threading.Thread(target=lambda m=m: [m[2].epoch(x, y) for _ in range(5)]) for m in models[1:]]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for model, _, _ in models[1:]:
        assert_equal(model, models[0][0])


@pytest.mark.skipif(bool(numba.config.DISABLE_JIT), reason="nothing is compiled")
def test_other_depths_widths_batches_and_a_second_process_compile_nothing(tmp_path):
    code = (
        "import json, numpy as np, optlab as ol\n"
        "from optlab import nn\n"
        "from optlab.train.machine import Machine\n"
        "from optlab_kernels.cache import counts\n"
        "seen = []\n"
        "for widths, batch in (([7, 9, 5], 16), ([3, 40, 20, 8, 2], 7)):\n"
        "    model = nn.MLP(widths, dtype='float32')\n"
        "    machine = Machine(model, ol.Optimizer(model.parameters(), 'adam'), batch_size=batch)\n"
        "    machine.epoch(np.ones((30, widths[0]), 'f4'), np.zeros(30, int))\n"
        "    seen.append(dict(counts))\n"
        "print(json.dumps(seen))"
    )
    env = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'kernels'}"}

    def run():
        done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    run()  # compiles what is not there yet
    first, second = run()
    assert first["compiled"] == second["compiled"] == 0
    assert second["loaded"] == first["loaded"] > 0


def test_linear_on_the_tape_is_the_machines_product():
    """`nn.Linear` and the plan use one matrix product; `x @ w` on the tape is NumPy's."""
    x, w = (ol.Tensor(np.random.default_rng(i).standard_normal(s)) for i, s in enumerate([(6, 7), (7, 5)]))
    np.testing.assert_allclose(functional.linear(x, w).data, (x @ w).data, rtol=1e-12, atol=1e-13)
