"""The timing machinery, and that benchmarks compare equal work; no test asserts a speed."""

import json
import subprocess
import sys

import numba
import numpy as np
import pytest
from test_cli import ROOT, optlab

from optlab.bench import descents, kernels
from optlab.bench.peers import contenders
from optlab.bench.roofline import bytes_moved, ceiling
from optlab.bench.timing import Times, interleave


def test_ratio_is_the_median_of_per_round_ratios():
    times = Times({"a": [1.0, 4.0, 9.0], "b": [1.0, 2.0, 3.0]})
    assert times.median("a") == 4.0
    assert times.ratio("a", "b") == 2.0
    assert times.spread("a", "b") == (1.0, 3.0)


def test_interleave_calls_every_contender_in_every_round():
    calls = {"a": 0, "b": 0}

    def work(name):
        calls[name] += 1
        return sum(range(200))

    times = interleave({n: lambda n=n: work(n) for n in calls}, rounds=3, seconds=1e-4)
    assert all(len(taken) == 3 for taken in times.rounds.values())
    assert min(calls.values()) > 3


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


@pytest.mark.skipif(bool(numba.config.DISABLE_JIT), reason="eight million interpreted steps take minutes")
def test_the_command_prints_machine_threads_and_goals():
    document = json.loads(optlab("bench", "descents", "--rounds", 1, "--json", check=0).stdout)
    assert "numba 1" in document["threads"]
    assert "1 of" in document["threads"]
    assert [row["what"] for row in document["rows"]] == ["trajectory", "basin"]
