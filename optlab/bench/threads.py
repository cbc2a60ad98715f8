"""The sweep's models in two Python threads against one: wall clock, on whatever cores the machine has to give.

Other programs take their share of the cores, so the same rounds also time a loop that touches no memory, twice in one
thread and once in each of two: its ratio is what a second thread could gain at that moment.
"""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from optlab.bench import epochs, sweep
from optlab.bench.timing import WALL, Times, interleave
from optlab_kernels.jit import jit

CLOCK = "wall clock"
THREADS = 2
TURNS = 10_000_000  # of the loop, about ten milliseconds
GOAL = 0.9  # of what the loop gains
FREE = 1.7  # what the loop must gain for the models' figure to say anything


@jit
def spin(turns: int) -> int:
    """A chain of integer operations: nothing to wait for but the core."""
    x = np.uint64(88172645463325252)
    for _ in range(turns):
        x ^= x << np.uint64(13)
        x ^= x >> np.uint64(7)
        x ^= x << np.uint64(17)
    return int(x)


def work(pool: ThreadPoolExecutor, rates: np.ndarray, steps: int, turns: int) -> dict[str, Callable[[], object]]:
    """An epoch of every model and the loop, each in one thread and in all of the pool."""
    x, y = epochs.problem(sweep.WIDTHS, sweep.BATCH, steps)
    start, epoch = sweep.machines(rates, x, y)
    models = start()
    parts = [models[i::THREADS] for i in range(THREADS)]
    return {
        "models, one thread": lambda: epoch(models),
        "models, two threads": lambda: list(pool.map(epoch, parts)),
        "loop, one thread": lambda: [spin(turns) for _ in range(THREADS)],
        "loop, two threads": lambda: list(pool.map(spin, [turns] * THREADS)),
    }


def measure(
    rates: np.ndarray = sweep.RATES, steps: int = sweep.STEPS, turns: int = TURNS, rounds: int = 11
) -> list[dict[str, Any]]:
    """A row for the models and one for the loop."""
    with ThreadPoolExecutor(THREADS) as pool:
        times = interleave(work(pool, rates, steps, turns), rounds, 0.1, clock=WALL)
    return [_row(what, times) for what in ("models", "loop")]


def cores() -> int:
    """How many this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _row(what: str, times: Times) -> dict[str, Any]:
    one, two = f"{what}, one thread", f"{what}, two threads"
    low, high = times.spread(one, two)
    return {
        "what": what,
        "cores": cores(),
        "ms": times.median(one) * 1e3,
        "two threads": times.ratio(one, two),
        "quartiles": f"{low:.2f} to {high:.2f}",
    }


def table(peers: bool, rounds: int) -> Iterator[dict[str, Any]]:
    """Row after row; no peers here."""
    yield from measure(rounds=rounds)


def verdicts(rows: list[dict[str, Any]]) -> list[str]:
    """The goal, with what was measured and what could be."""
    models, loop = (next(row["two threads"] for row in rows if row["what"] == what) for what in ("models", "loop"))
    if loop < FREE:
        return [f"no goal: two threads gained {loop:.2f}x on a bare loop, the cores were not free"]
    mark = "met   " if models >= GOAL * loop else "MISSED"
    return [f"{mark} two threads: {models:.2f}x one, goal {GOAL:g} of the {loop:.2f}x of a bare loop"]
