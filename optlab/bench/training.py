"""Training steps of small networks: the compiled machine and the tape against torch, JAX and scikit-learn.

Every contestant starts from the same weights, sees the same batches in the same order and runs Adam with the same
settings; before anything is timed, their losses must agree. Each round trains new models: after some hundred epochs on
one set of rows the moments of dead units are subnormal numbers, slow for everyone whose compiler does not take them for
zeros. "Of products" is the machine's time over that of the same matrix products alone.
"""

from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any

import numpy as np

from optlab.bench import epochs, products
from optlab.bench.timing import Times, interleave_anew

LARGE, SMALL = [784, 128, 64, 10], [64, 32, 16, 10]
CASES = ((LARGE, 32, 8), (LARGE, 128, 8), (LARGE, 512, 4), (SMALL, 32, 56))
GOALS = {
    (784, 32): {"torch fused": 3.5, "jax scan": 1.3},
    (784, 128): {"torch fused": 2.8, "jax scan": 1.15},
    (784, 512): {"torch fused": 2.3, "jax scan": 1.1},
    (64, 32): {"torch fused": 25.0, "jax scan": 2.0, "scikit-learn": 20.0},
}
MOST = {(784, 32): 1.7, (784, 512): 1.15}  # of the products' time
SAME = 2e-4  # of the first steps' losses, float32
EPOCHS = 10  # in a round


def contestants(widths: list[int], batch: int, steps: int, peers: bool) -> dict[str, epochs.Contestant]:
    """Every library that is installed."""
    makers = {"machine": epochs.machine, "tape": epochs.tape}
    if peers:
        if find_spec("torch"):
            makers["torch fused"] = epochs.torch_eager
        if find_spec("optax"):
            makers["jax scan"] = epochs.jax_scan
        if find_spec("sklearn"):
            makers["scikit-learn"] = epochs.scikit_learn
    x, y = epochs.problem(widths, batch, steps)
    return {name: make(widths, batch, x, y) for name, make in makers.items()}


def race(widths: list[int], batch: int, steps: int, peers: bool = True, rounds: int = 11) -> tuple[Times, list[str]]:
    """Seconds of a step, the products alone among the contestants; and who did other work."""
    racing = contestants(widths, batch, steps, peers)
    losses = {name: epoch(start()) for name, (start, epoch) in racing.items()}
    mine = losses["machine"]
    assert mine is not None
    odd = [name for name, theirs in losses.items() if theirs is not None and np.abs(theirs - mine).max() > SAME]
    bare = products.alone(widths, batch, *epochs.problem(widths, batch, steps))
    times = interleave_anew({**racing, "products": bare}, EPOCHS, rounds)
    return times.scaled(dict.fromkeys(times.rounds, 1 / steps)), odd


def row(widths: list[int], batch: int, times: Times, odd: list[str]) -> dict[str, Any]:
    """Microseconds a step, thousands of samples a second, each other's time over the machine's."""
    each = times.median("machine")
    return {
        "network": "-".join(map(str, widths)),
        "batch": batch,
        "us/step": each * 1e6,
        "k samples/s": batch / each / 1e3,
        **{name: times.ratio(name, "machine") for name in times.rounds if name not in ("machine", "products")},
        "of products": times.ratio("machine", "products"),
        "differs": ", ".join(odd),
    }


def table(peers: bool, rounds: int) -> Iterator[dict[str, Any]]:
    """Row after row."""
    for widths, batch, steps in CASES:
        yield row(widths, batch, *race(widths, batch, steps, peers, rounds))


def verdicts(rows: list[dict[str, Any]]) -> list[str]:
    """The goals, each with what was measured."""
    lines = []
    for row in rows:
        key, name = (int(row["network"].split("-")[0]), row["batch"]), f"{row['network']} batch {row['batch']}"
        for peer, goal in GOALS[key].items():
            if peer in row:
                mark = "met   " if row[peer] >= goal else "MISSED"
                lines.append(f"{mark} {name}: {row[peer]:.2f}x {peer}, goal {goal}x")
        if key in MOST:
            mark = "met   " if row["of products"] <= MOST[key] else "MISSED"
            lines.append(f"{mark} {name}: {row['of products']:.2f}x its products alone, goal at most {MOST[key]}x")
    return lines
