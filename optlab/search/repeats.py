"""The best parameters again, under new seeds: one lucky run is no result."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from optlab.checks import check_count
from optlab.errors import ConfigError
from optlab.search.sampler import STREAMS
from optlab.search.trial import Live, TrialError, evaluate, wants_trial

if TYPE_CHECKING:
    from optlab.search.study import Study

LEVEL = 0.95


@dataclass(frozen=True)
class Repeats:
    """Values of one setting under several seeds.

    Attributes:
        params: the setting.
        values: one per seed.
        mean: of them.
        low, high: the 95 % interval of the mean by Student's t.
    """

    params: dict[str, Any]
    values: tuple[float, ...]
    mean: float
    low: float
    high: float


def repeat(study: "Study", objective: Callable[..., Any], n: int) -> Repeats:
    """`Study.repeat`: the objective gets trials with the best parameters and seeds of their own.

    Raises:
        ConfigError: fewer than 2 repeats, or an objective that takes no trial and so can't see a seed.
        TrialError: one of them fails.
    """
    from scipy import stats

    n = check_count("n=, the repeats of an interval,", n, 2)
    if not wants_trial(objective):
        raise ConfigError("a repeat needs objective(params, trial) that uses trial.seed; else all repeats are the same")
    best, values = study.best, []
    for i in range(n):
        sequence = np.random.SeedSequence(study.sampler.seed, spawn_key=(STREAMS["trial"], best.number, i))
        live = Live(best.number, dict(best.params), int(sequence.generate_state(1)[0]))
        outcome = evaluate(objective, live, both=True)
        if outcome.value is None:
            raise TrialError(f"repeat {i} of trial {best.number} did not complete: {outcome.error}")
        values.append(outcome.value)
    mean = float(np.mean(values))
    half = float(stats.t.ppf(0.5 + LEVEL / 2, n - 1) * stats.sem(values)) if len(set(values)) > 1 else 0.0
    return Repeats(best.params, tuple(values), mean, mean - half, mean + half)
