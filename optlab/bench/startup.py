"""From `import` to a trained network in a fresh process, next to what importing a peer takes; wall clock.

Each process reports the time since its first statement, so that Python's own start and end are in nobody's figure. The
first process of each kind is not counted: what is compiled and read from disk is warm afterwards.
"""

import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any

from optlab.bench.timing import Times, in_rounds

CLOCK = "wall clock"
EPOCH = """
import optlab as ol
from optlab import nn
from optlab.data.digits import digits
from optlab.train.machine import Machine
data = digits()
model = nn.MLP([64, 32, 10], seed=0)
trainer = Machine(model, ol.Optimizer(model.parameters(), ol.Adam(lr=1e-3)), batch_size=32)
trainer.epoch(data.x, data.y)
"""
OURS = "optlab, digits trained"
STATEMENTS = {OURS: EPOCH, "import optlab": "import optlab", "import numba": "import numba"}
PEERS = ("torch", "jax")
GOAL = 1.2  # seconds


def packages(peers: bool) -> list[str]:
    """What is imported in processes of their own."""
    return [name for name in PEERS if peers and find_spec(name)]


def seconds(statements: str) -> float:
    """What a fresh process says that these took."""
    script = f"import time\nbegan = time.perf_counter()\n{statements}\nprint(time.perf_counter() - began)"
    done = subprocess.run([sys.executable, "-c", script], stdout=subprocess.PIPE, check=True, text=True)
    return float(done.stdout)


def measure(statements: dict[str, str], rounds: int) -> Times:
    """Fresh processes in turn."""
    for warm in statements.values():
        seconds(warm)
    return in_rounds(lambda name: seconds(statements[name]), statements, rounds)


def table(peers: bool, rounds: int) -> Iterator[dict[str, Any]]:
    """Row after row."""
    times = measure(STATEMENTS | {f"import {name}": f"import {name}" for name in packages(peers)}, rounds)
    for name in times.rounds:
        low, high = min(times.rounds[name]), max(times.rounds[name])
        row = {"what": name, "s": times.median(name), "range": f"{low:.2f} to {high:.2f}"}
        yield row | {"over optlab": times.ratio(name, OURS)}


def verdicts(rows: list[dict[str, Any]]) -> list[str]:
    """The goals, each with what was measured."""
    took = {row["what"]: row["s"] for row in rows}
    limits = {f"goal at most {GOAL} s": GOAL}
    if "import torch" in took:
        limits[f"goal less than import torch, {took['import torch']:.2f} s"] = took["import torch"]
    return [
        f"{'met   ' if took[OURS] < most else 'MISSED'} {OURS}: {took[OURS]:.2f} s, {goal}"
        for goal, most in limits.items()
    ]
