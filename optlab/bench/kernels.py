"""Update kernels: one step over n float32 parameters, against the peers and the memory's ceiling."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from optlab.bench.peers import contenders
from optlab.bench.roofline import bytes_moved, ceiling
from optlab.bench.timing import Times, interleave
from optlab.optim.rules import RULES
from optlab.optim.settings import Settings

SIZES = (100, 1000, 10_000, 100_000, 1_000_000, 10_000_000)
# What Adam is to reach: peer -> n -> how many times as fast.
GOALS = {
    "torch fused": {100: 10.0, 10_000: 7.0, 1_000_000: 1.7, 10_000_000: 0.95},
    "optax": {100: 8.0, 10_000: 6.0, 1_000_000: 2.0, 10_000_000: 1.3},
}
# Contenders known to end elsewhere after as many operations.
ELSEWHERE = {
    ("adagrad", "optax"),  # epsilon under the root shows where gradients are tiny
    ("nadam", "optax"),  # no momentum schedule
    ("nesterov", "torch foreach"),  # adds to the gradient in place
}
SAME = 1e-3  # largest difference to a peer after three steps, relative to the steps: conventions differ by epsilons


def entrants() -> list[Settings]:
    """Every rule with its defaults, and Nesterov's momentum; decay off, so that all do the same work."""
    plain = [kind(weight_decay=0.0) for kind in RULES.values() if kind.__module__ == "optlab"]
    return [*plain, RULES["momentum"](nesterov=True)]


def label(settings: Settings) -> str:
    """A row's name."""
    return "nesterov" if getattr(settings.hyper, "nesterov", False) else settings.name


def race(settings: Settings, n: int, peers: bool = True, rounds: int = 11) -> tuple[Times, list[str]]:
    """Every library's step and the ceiling, and who did other work and should not have."""
    rng = np.random.default_rng(0)
    p, g = rng.standard_normal((2, n)).astype(np.float32)
    racing = contenders(settings, p, g, peers)
    odd = [name for name in _disagreeing(racing, p) if (label(settings), name) not in ELSEWHERE]
    work = {name: step for name, (step, _) in racing.items()}
    work["ceiling"] = ceiling(len(settings.variant.slots), n, np.dtype(np.float32))
    return interleave(work, rounds), odd


def row(settings: Settings, n: int, times: Times, odd: list[str]) -> dict[str, Any]:
    """Microseconds, gigabytes a second, share of the ceiling, and each peer's time over ours; float32."""
    mine = times.median("optlab")
    ratios = {name: times.ratio(name, "optlab") for name in times.rounds if name not in ("optlab", "ceiling")}
    best = min((r for name, r in ratios.items() if name != "numpy"), default=None)
    return {
        "rule": label(settings),
        "n": n,
        "us": mine * 1e6,
        "GB/s": bytes_moved(len(settings.variant.slots), n, 4) / mine / 1e9,
        "of ceiling": times.ratio("ceiling", "optlab"),
        **ratios,
        "best peer": best,
        "differs": ", ".join(odd),
    }


def _disagreeing(racing: dict[str, Any], p: np.ndarray) -> list[str]:
    """Contenders whose parameters after three steps are not ours: a benchmark must compare equal work."""
    for step, _ in racing.values():
        for _ in range(3):
            step()
    mine = racing["optlab"][1]() - p
    size = float(np.abs(mine).max())
    return [name for name, (_, result) in racing.items() if np.abs(result() - p - mine).max() > SAME * size]


def table(peers: bool, rounds: int, sizes: tuple[int, ...] = SIZES) -> Iterator[dict[str, Any]]:
    """Row after row."""
    for settings in entrants():
        for n in sizes:
            yield row(settings, n, *race(settings, n, peers, rounds))


def verdicts(rows: list[dict[str, Any]]) -> list[str]:
    """The goals, each with what was measured."""
    lines = []
    for row in rows:
        large = row["n"] >= 1e7
        if row["rule"] == "adam":
            goals = {peer: sizes[row["n"]] for peer, sizes in GOALS.items() if peer in row and row["n"] in sizes}
            lines += [_line(row, f"{row[peer]:.2f}x {peer}", row[peer], goal) for peer, goal in goals.items()]
        elif row["best peer"] is not None:  # ahead of it, or a tie where the memory is the limit
            lines.append(_line(row, f"{row['best peer']:.2f}x the best peer", row["best peer"], 0.95 if large else 1.0))
        if large:
            lines.append(_line(row, f"{row['of ceiling']:.2f} of the ceiling", row["of ceiling"], 0.9))
    return lines


def _line(row: dict[str, Any], measured: str, value: float, goal: float) -> str:
    mark = "met   " if value >= goal else "MISSED"
    return f"{mark} {row['rule']} n = {row['n']:,}: {measured}, goal {goal}"
