"""The best trials, and whether they stand at an end of what was tried."""

import math
from collections.abc import Iterable, Sequence
from typing import Any

from optlab.search.parameters import Float, Int
from optlab.search.sampler import Observation

NEAR = 0.01  # share of a range, on its own scale, that counts as its end


def best_trials(seen: Iterable[Observation]) -> list[Observation]:
    """All complete trials with the lowest finite loss; more than one on a tie."""
    finished = [t for t in seen if t.state == "complete" and t.loss is not None and math.isfinite(t.loss)]
    lowest = min((t.loss for t in finished if t.loss is not None), default=math.nan)
    return [t for t in finished if t.loss == lowest]


def end_reached(parameter: Float | Int, values: Sequence[float], low: float, high: float, near: float = NEAR) -> int:
    """-1 if all ``values`` stand at ``low``, 1 if all at ``high``, 0 otherwise; low to high is what was searched."""
    start, stop = parameter.position(low), parameter.position(high)
    if not values or stop <= start:
        return 0
    shares = [(parameter.position(v) - start) / (stop - start) for v in values]
    return (min(shares) >= 1.0 - near) - (max(shares) <= near)


def values_of(name: str, trials: Iterable[Observation]) -> list[Any]:
    """The values of one parameter in the trials where it is active."""
    return [t.params[name] for t in trials if name in t.params]
