"""The timing machinery, and that benchmarks compare equal work; no test asserts a speed."""

import json
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import numba
import numpy as np
import pytest
from test_cli import ROOT, optlab

from optlab.bench import descents, epochs, kernels, products, startup, sweep, threads, training
from optlab.bench.peers import contenders
from optlab.bench.roofline import bytes_moved, ceiling
from optlab.bench.timing import WALL, Times, in_rounds, interleave, interleave_anew
from optlab_kernels.fuse import G
from optlab_kernels.machine import LINEAR, TO_INPUT, TO_WEIGHT


def test_ratio_is_the_median_of_per_round_ratios():
    times = Times({"a": [1.0, 4.0, 9.0], "b": [1.0, 2.0, 3.0]})
    assert times.median("a") == 4.0
    assert times.ratio("a", "b") == 2.0
    assert times.ratios("a", "b") == [1.0, 2.0, 3.0]
    assert times.spread("a", "b") == (1.0, 3.0)
    assert times.scaled({"a": 2.0}).ratios("a", "b") == [2.0, 4.0, 6.0]


def test_interleave_calls_every_contender_in_every_round():
    calls = {"a": 0, "b": 0}

    def work(name):
        calls[name] += 1
        return sum(range(200))

    times = interleave({n: lambda n=n: work(n) for n in calls}, rounds=3, seconds=1e-4)
    assert all(len(taken) == 3 for taken in times.rounds.values())
    assert min(calls.values()) > 3


def test_rounds_take_everyone_once_in_shuffled_order():
    calls = []
    times = in_rounds(lambda name: calls.append(name) or len(calls), "abc", rounds=4)
    rounds = ["".join(calls[i : i + 3]) for i in range(0, 12, 3)]
    assert all(sorted(one) == list("abc") for one in rounds)
    assert len(set(rounds)) > 1
    assert sorted(count for taken in times.rounds.values() for count in taken) == list(range(1, 13))


def test_every_round_begins_anew():
    made = []
    interleave_anew({"a": (lambda: made.append([]) or made[-1], lambda own: own.append(1))}, count=3, rounds=2)
    assert made == [[1] * 4] * 3  # one call before the clock, three on it; one round before the rounds


def test_the_wall_clock_counts_waiting():
    taken = interleave({"sleep": lambda: time.sleep(0.002)}, rounds=1, seconds=1e-3, clock=WALL)
    assert taken.median("sleep") >= 0.002


@pytest.mark.parametrize("settings", kernels.entrants(), ids=kernels.label)
def test_every_library_does_the_same_work(settings):
    pytest.importorskip("torch", reason="the peers are not installed")
    pytest.importorskip("optax", reason="the peers are not installed")
    p, g = np.random.default_rng(0).standard_normal((2, 257)).astype(np.float32)
    racing = contenders(settings, p, g, peers=True)
    assert len(racing) >= 3
    odd = {(kernels.label(settings), name) for name in kernels._disagreeing(racing, p)}
    assert odd <= kernels.ELSEWHERE


def test_the_ceiling_moves_the_bytes_of_a_step():
    assert bytes_moved(2, 1000, 4) == 7 * 4000  # Adam: four reads, three writes
    ceiling(3, 100, np.dtype(np.float32))()


def test_goals_say_what_was_measured():
    row = {"rule": "adam", "n": 100, "torch fused": 12.0, "optax": 7.0, "best peer": 7.0, "of ceiling": 0.5}
    met, missed = kernels.verdicts([row])
    assert met == "met    adam n = 100: 12.00x torch fused, goal 10.0"
    assert missed == "MISSED adam n = 100: 7.00x optax, goal 8.0"
    assert descents.verdicts([{"what": "basin", "jax vmap": 2.0}])[0].startswith("MISSED")


def test_the_most_and_the_least_are_goals_of_training():
    row = {"network": "784-128-64-10", "batch": 512, "torch fused": 2.5, "of products": 1.2}
    met, missed = training.verdicts([row])
    assert met == "met    784-128-64-10 batch 512: 2.50x torch fused, goal 2.3x"
    assert missed == "MISSED 784-128-64-10 batch 512: 1.20x its products alone, goal at most 1.15x"


def test_the_products_are_those_of_a_step():
    """At rate 0 the weights stay, so the products over poisoned results give the step's, bit for bit."""
    trainer = epochs.trainer([5, 4, 4, 3], 6, 0.0)
    x, y = epochs.problem([5, 4, 4, 3], 6, 1)
    trainer.epoch(x, y)
    work, grads = trainer._work, trainer.optimizer.arena.array[G]
    want = work.copy(), grads.copy()
    for op, _, _, c, d, inputs, outputs, *_ in trainer.plan.rows:
        if op == LINEAR:  # biases are 0
            work[d : d + 6 * outputs] = np.nan
        elif op == TO_INPUT:
            work[d : d + 6 * inputs] = np.nan
        elif op == TO_WEIGHT:
            grads[c : c + inputs * outputs] = np.nan
    assert np.isnan(work).any()
    assert np.isnan(grads).any()
    products.repeat(trainer, x)
    np.testing.assert_array_equal(work, want[0])
    np.testing.assert_array_equal(grads, want[1])


def test_every_library_trains_the_sweep_alike():
    pytest.importorskip("torch", reason="the peers are not installed")
    pytest.importorskip("optax", reason="the peers are not installed")
    rates = np.array([3e-2, 1e-4])
    racing = sweep.contestants(rates, steps=3, peers=True)
    assert set(racing) == {"machine", "jax vmap", "jax map", "torch.func", "torch baddbmm", "torch in turn"}
    assert sweep.differing(racing) == []
    other = sweep.contestants(rates * 1.01, steps=3, peers=False)["machine"]
    assert sweep.differing({**racing, "machine": other}) == [name for name in racing if name != "machine"]


@pytest.mark.parametrize("new", [False, True])
def test_a_row_of_the_sweep(new):
    times, odd = sweep.race(new, np.array([1e-3, 1e-2]), steps=2, peers=False, rounds=1)
    row = sweep.row(new, times, odd, models=2, steps=2)
    assert (row["models"], row["differs"]) == (2, "")
    goals = ["met    an epoch: 1.50x jax vmap, goal 1.4x", "MISSED an epoch: 5.00x torch.func, goal 6.0x"]
    assert sweep.verdicts([row | {"jax vmap": 1.5, "torch.func": 5.0}]) == ([] if new else goals)


def test_two_threads_do_the_work_of_one():
    with ThreadPoolExecutor(threads.THREADS) as pool:
        work = threads.work(pool, np.array([1e-3, 1e-2, 3e-2]), steps=2, turns=5)
        first, second = work["models, two threads"](), work["models, one thread"]()
        assert len(first[0]) + len(first[1]) == len(second) == 3
        assert work["loop, one thread"]() == work["loop, two threads"]()
    rows = threads.measure(np.array([1e-3, 1e-2]), steps=1, turns=5, rounds=1)
    for models, loop, want in ((1.8, 1.9, "met   "), (1.6, 1.9, "MISSED"), (1.0, 1.1, "no goal")):
        gains = {"models": models, "loop": loop}
        assert threads.verdicts([row | {"two threads": gains[row["what"]]} for row in rows])[0].startswith(want)


def test_fresh_processes_are_timed():
    times = startup.measure({"nothing": "pass", "a wait": "time.sleep(0.3)"}, rounds=1)
    assert times.median("a wait") > 0.3
    assert times.median("nothing") > 0
    assert startup.seconds(startup.EPOCH) > 0
    slow = [{"what": startup.OURS, "s": 1.3}, {"what": "import torch", "s": 1.5}]
    assert [line[:6] for line in startup.verdicts(slow)] == ["MISSED", "met   "]


def test_the_python_loop_is_the_same_descent():
    import optlab as ol

    record = np.array(descents.python_loop(100))
    run = ol.descend("beale", ol.Adam(lr=descents.RATE), descents.START, 99)
    np.testing.assert_allclose(record[:, :2], run.points, rtol=1e-9)


def test_a_table_in_its_own_process():
    script = (
        "from optlab.bench import kernels; kernels.SIZES = (100,); print(next(iter(kernels.table(False, 1, (100,)))))"
    )
    path = f"{ROOT}:{ROOT / 'kernels'}"
    done = subprocess.run([sys.executable, "-c", script], env={"PYTHONPATH": path}, capture_output=True, text=True)
    assert "'rule': 'sgd'" in done.stdout, done.stderr


INTERPRETED = pytest.mark.skipif(bool(numba.config.DISABLE_JIT), reason="millions of interpreted steps take minutes")


@INTERPRETED
def test_the_command_prints_machine_threads_and_goals():
    document = json.loads(optlab("bench", "descents", "--rounds", 1, "--json", check=0).stdout)
    assert "numba 1" in document["threads"]
    assert "1 of" in document["threads"]
    assert [row["what"] for row in document["rows"]] == ["trajectory", "basin"]


@INTERPRETED
def test_two_threads_are_not_kept_on_one_core():
    document = json.loads(optlab("bench", "threads", "--rounds", 1, "--json", check=0).stdout)
    assert document["clock"] == "wall clock"
    assert [(row["what"], row["cores"]) for row in document["rows"]] == [
        ("models", threads.cores()),
        ("loop", threads.cores()),
    ]
