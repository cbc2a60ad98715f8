"""Compiled steps in several threads, after a fork, and under any thread setting: the same numbers, no abort."""

import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numba
import numpy as np
import pytest

import optlab as ol

ROOT = Path(__file__).parents[1]
STEPS = 3 if numba.config.DISABLE_JIT else 50


def train(seed: int) -> np.ndarray:
    """A few Adam steps over 2,003 float32 parameters."""
    rng = np.random.default_rng(seed)
    w = ol.Tensor(rng.standard_normal(2003).astype(np.float32), requires_grad=True)
    optimizer = ol.Optimizer([w], ol.Adam(lr=0.01))
    for _ in range(STEPS):
        w.grad = rng.standard_normal(2003).astype(np.float32)
        optimizer.step()
    return w.data


@pytest.mark.fault(24)
def test_three_threads_give_what_one_gives():
    want = [train(seed) for seed in range(12)]
    with ThreadPoolExecutor(3) as pool:
        got = list(pool.map(train, range(12)))
    for a, b in zip(got, want, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.fault(24)
def test_three_threads_may_compile_one_rule_at_once():
    runs = []
    settings = ol.Adamax(lr=0.05)
    threads = [threading.Thread(target=lambda: runs.append(ol.descend("levy", settings, steps=20))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(runs) == 3
    np.testing.assert_array_equal(runs[0].points, runs[1].points)
    np.testing.assert_array_equal(runs[0].points, runs[2].points)


@pytest.mark.skipif(bool(numba.config.DISABLE_JIT), reason="interpreted code holds the GIL")
def test_a_step_releases_the_gil():
    """Python takes the GIL from nobody here: another thread runs only while a step gives it away of itself."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(3600)
    w = ol.Tensor(np.ones(2_000_000, np.float32), requires_grad=True)
    optimizer = ol.Optimizer([w], ol.Adam())
    optimizer.step()
    woken, done = 0, threading.Event()

    def watch() -> None:
        nonlocal woken
        while not done.wait(1e-4):
            woken += 1

    watcher = threading.Thread(target=watch)
    try:
        watcher.start()
        before = woken
        for _ in range(1000):  # a busy machine may keep the watcher waiting for a while
            optimizer.step()
            if woken > before:
                break
        during = woken - before
    finally:
        sys.setswitchinterval(interval)
        done.set()
        watcher.join()
    assert during > 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this platform")
@pytest.mark.fault(24)
def test_a_forked_child_steps_on():
    code = (
        "import os, sys; sys.path.insert(0, sys.argv[1]); from test_threads import train\n"
        "want = train(1); pid = os.fork()\n"
        "if pid == 0: os._exit(0 if (train(1) == want).all() else 3)\n"
        "print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))"
    )
    assert _python(code, str(Path(__file__).parent)).stdout.strip() == "0"


@pytest.mark.parametrize("count", ["1", "64"])
@pytest.mark.fault(24)
def test_thread_settings_change_nothing(count):
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); from test_threads import train\n"
        "print(train(1).tobytes().hex()[:4000])"
    )
    done = _python(code, str(Path(__file__).parent), OMP_NUM_THREADS=count)
    assert done.stdout.strip() == train(1).tobytes().hex()[:4000], done.stderr


def _python(code: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(ROOT), str(ROOT / "kernels")])
    env = {**os.environ, "PYTHONPATH": path, **environment}
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, env=env, capture_output=True, text=True)
