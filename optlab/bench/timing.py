"""Interleaved timing: every contender once a round, in shuffled order; medians, and medians of per-round ratios.

A machine's speed drifts by tens of percent between seconds; a ratio of two measurements of one round mostly does not.
"""

import gc
import random
import statistics
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

# CPU time of the process: with one thread pinned to one core it is the wall clock without other processes' slices.
CPU = time.process_time
WALL = time.perf_counter  # for what uses several cores, or several processes

Clock = Callable[[], float]
Work = Callable[[], object]
Anew = tuple[Callable[[], Any], Callable[[Any], object]]  # makes what is worked on; works on it


@dataclass(frozen=True)
class Times:
    """Contender -> seconds per call, one entry a round."""

    rounds: Mapping[str, list[float]]

    def median(self, name: str) -> float:
        """Seconds per call."""
        return statistics.median(self.rounds[name])

    def ratios(self, name: str, to: str) -> list[float]:
        """How many times as long ``name`` takes as ``to``, round by round."""
        return [a / b for a, b in zip(self.rounds[name], self.rounds[to], strict=True)]

    def ratio(self, name: str, to: str) -> float:
        """The median of the per-round ratios."""
        return statistics.median(self.ratios(name, to))

    def spread(self, name: str, to: str) -> tuple[float, float]:
        """Quartiles of the per-round ratios."""
        ratios = sorted(self.ratios(name, to))
        n = len(ratios)
        return ratios[n // 4], ratios[(3 * n) // 4 if n > 1 else 0]

    def scaled(self, by: Mapping[str, float]) -> "Times":
        """Those named in ``by`` lengthened by so much: they were cut short because they are slow."""
        return Times({name: [s * by.get(name, 1.0) for s in seconds] for name, seconds in self.rounds.items()})


def _repeat(work: Work, count: int, clock: Clock) -> float:
    began = clock()
    for _ in range(count):
        work()
    return (clock() - began) / count


def _calibrate(work: Work, seconds: float, clock: Clock) -> int:
    """How many calls fill about ``seconds``; also the warm-up, which compiles whatever is compiled on first use."""
    work()
    work()
    count = 1
    while True:
        took = _repeat(work, count, clock) * count
        if took >= 0.5 * seconds:
            return max(1, round(count * seconds / took))
        count = max(2 * count, int(0.8 * count * seconds / max(took, 1e-7)))


def interleave(
    contenders: Mapping[str, Work], rounds: int = 11, seconds: float = 0.02, seed: int = 0, clock: Clock = CPU
) -> Times:
    """Time each contender ``rounds`` times for about ``seconds``, the warm-up outside the clock."""
    counts = {name: _calibrate(work, seconds, clock) for name, work in contenders.items()}
    return in_rounds(lambda name: _repeat(contenders[name], counts[name], clock), contenders, rounds, seed)


def interleave_anew(contenders: Mapping[str, Anew], count: int, rounds: int = 11, clock: Clock = CPU) -> Times:
    """Time ``count`` calls on something new in every round: making it and the first call on it are not counted."""

    def seconds(name: str) -> float:
        start, work = contenders[name]
        made = start()
        work(made)
        return _repeat(lambda: work(made), count, clock)

    for name in contenders:
        seconds(name)
    return in_rounds(seconds, contenders, rounds)


def in_rounds(seconds: Callable[[str], float], names: Iterable[str], rounds: int, seed: int = 0) -> Times:
    """Collect ``seconds(name)`` of every name once a round, in shuffled order."""
    order, shuffle = list(names), random.Random(seed)
    taken: dict[str, list[float]] = {name: [] for name in order}
    gc.collect()
    gc.disable()
    try:
        for _ in range(rounds):
            shuffle.shuffle(order)
            for name in order:
                taken[name].append(seconds(name))
    finally:
        gc.enable()
    return Times(taken)
