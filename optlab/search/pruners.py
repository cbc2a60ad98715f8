"""When to stop a trial early: its reports are compared with those of other trials at the same step.

What is pruned depends on the order in which trials run, so a sweep with a pruner repeats at one worker only.
"""

import math
from bisect import bisect_left
from collections import defaultdict
from statistics import median
from typing import Any

from optlab.checks import check_count
from optlab.errors import ConfigError, unknown
from optlab.search.trial import Trial


class Pruner:
    """Hears of every report in the order it is made; losses are to be minimised."""

    def poor(self, number: int, step: int, loss: float) -> bool:
        """Take a report, and say whether its trial should stop."""
        raise NotImplementedError

    def ended(self, number: int, complete: bool) -> None:
        """A trial has ended."""


class Median(Pruner):
    """Stops a trial whose best value up to a step is worse than the median at that step of the complete trials.

    The value of a complete trial at a step is the mean of its reports up to there.

    Source: Golovin et al., "Google Vizier", KDD 2017, section 3.2.

    Args:
        startup: complete trials with a value at the step that are needed first, >= 1.
        warmup: the step before which nothing stops, >= 0.
    """

    def __init__(self, startup: int = 5, warmup: int = 0) -> None:
        self.startup, self.warmup = check_count("startup", startup, 1), check_count("warmup", warmup)
        self._reports: dict[int, list[tuple[int, float]]] = defaultdict(list)
        self._means: dict[int, list[float]] = defaultdict(list)

    def poor(self, number: int, step: int, loss: float) -> bool:
        """Take a report, and say whether its trial should stop."""
        mine = self._reports[number]
        mine.append((step, loss))
        others = self._means.get(step, ())
        if step < self.warmup or len(others) < self.startup:
            return False
        best = min((value for _, value in mine if not math.isnan(value)), default=math.inf)
        return best > median(others)

    def ended(self, number: int, complete: bool) -> None:
        """Complete trials are what others are held against."""
        total = 0.0
        for count, (step, loss) in enumerate(self._reports.pop(number, ()), 1):
            total += loss
            if complete and not math.isnan(total):
                self._means[step].append(total / count)


class Halving(Pruner):
    """Asynchronous successive halving: at the steps r, r η, r η², ... only the best of every η go on.

    A trial stops at a rung if it is not among the best ``max(1, ⌊n/η⌋)`` of the n that have reached it so far. It is
    never paused and taken up again, so this is the stopping variant of the source's algorithm 2.

    Source: Li et al., "A System for Massively Parallel Hyperparameter Tuning", MLSys 2020, algorithm 2.

    Args:
        first: the step r of the first rung, >= 1.
        factor: η, >= 2.
    """

    def __init__(self, first: int = 1, factor: int = 4) -> None:
        self.first, self.factor = check_count("first", first, 1), check_count("factor", factor, 2)
        self._rungs: dict[int, list[float]] = defaultdict(list)
        self._reached: dict[int, int] = defaultdict(int)

    def poor(self, number: int, step: int, loss: float) -> bool:
        """Take a report, and say whether its trial should stop."""
        rung = self._reached[number]
        if step < self.first * self.factor**rung:
            return False
        while step >= self.first * self.factor ** (rung + 1):
            rung += 1  # a trial that reports seldom may pass several at once
        self._reached[number] = rung + 1
        values, mine = self._rungs[rung], math.inf if math.isnan(loss) else loss
        rank = bisect_left(values, mine)
        values.insert(rank, mine)
        return rank >= max(1, len(values) // self.factor)

    def ended(self, number: int, complete: bool) -> None:
        """Its values stay on their rungs."""
        self._reached.pop(number, None)


PRUNERS: dict[str, type[Pruner]] = {"median": Median, "halving": Halving}


def as_pruner(pruner: Any) -> Pruner | None:
    """A pruner by name, or as it is.

    Raises:
        ConfigError: it is none.
    """
    if pruner is None or isinstance(pruner, Pruner):
        return pruner
    if not isinstance(pruner, str):
        raise ConfigError(f"pruner= takes 'median', 'halving' or a Pruner; got {pruner!r}")
    if pruner not in PRUNERS:
        raise unknown("pruner", pruner, PRUNERS)
    return PRUNERS[pruner]()


def replay(pruner: Pruner, trial: Trial, sign: float) -> None:
    """Tell a pruner of an earlier trial."""
    for step, value in trial.reports:
        pruner.poor(trial.number, step, sign * value)
    pruner.ended(trial.number, trial.state == "complete")
