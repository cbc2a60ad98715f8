"""What a finished study is worth: edges, the gain of more trials, the gap to the test value."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from optlab.search.edges import edge_verdicts
from optlab.verdict import Verdict, at_most

if TYPE_CHECKING:
    from optlab.search.study import Study

FEW = 8  # complete trials below which nothing is said about more of them
WORTH = 0.05  # of the distance from the median to the best value


def verdicts(study: "Study", test: float | None) -> list[Verdict]:
    """`Study.verdict`."""
    seen = study.observations()
    found = edge_verdicts(study.space, seen, study.sampler.ranges(seen))
    losses = np.array([study.loss(trial) for trial in study.complete])
    if len(losses) >= FEW:
        found.append(_gain_verdict(losses))
    if test is not None and len(losses):
        found.append(_gap_verdict(study, losses, test))
    return found


def _gain_verdict(losses: np.ndarray) -> Verdict:
    n, gain = len(losses), expected_gain(losses)
    spread = float(np.median(losses) - losses.min())
    text = (
        f"{n} more trials are expected to gain about {gain:.3g}. Estimated from the {n} complete trials as if in "
        "random order: the mean gain of the last doubling, times its ratio to the gain of the doubling before (at "
        "most 1). A sampler that learns may gain more, one that has converged less."
    )
    claim = f"as many trials again would gain little (at most {WORTH:.0%} of what the search gained on its median)"
    return at_most("gain", claim, gain, WORTH * spread, text)


def expected_gain(losses: Sequence[float] | np.ndarray) -> float:
    """How much better the best of 2n trials is expected to be than the best of these n.

    With E(m) the mean best of m of the n, drawn without replacement, and g = E(n/2) - E(n), h = E(n/4) - E(n/2):
    ``g * min(1, g / h)``.

    >>> round(expected_gain([0.1 * i for i in range(64)]), 3)
    0.051
    """
    n = len(losses)
    last, half, quarter = (expected_best(losses, m) for m in (n, n // 2, n // 4))
    g, h = half - last, quarter - half
    return g * min(1.0, g / h) if g > 1e-12 * abs(quarter) and h > 0.0 else 0.0


def expected_best(losses: Sequence[float] | np.ndarray, m: int) -> float:
    """The mean best of m of n losses, drawn without replacement: Σᵢ v₍ᵢ₎ C(n - i, m - 1) / C(n, m).

    Source: Dodge et al., "Show your work", EMNLP 2019, there with replacement.

    >>> expected_best([1.0, 2.0, 3.0], 2)
    1.3333333333333333
    """
    values = sorted(float(value) for value in losses)
    n, total, chance = len(values), 0.0, m / len(values)  # chance that the i-th smallest is the best of the m
    for i, value in enumerate(values):
        total += chance * value
        chance *= (n - i - m) / (n - i - 1) if n - i > 1 else 0.0
    return total


def _gap_verdict(study: "Study", losses: np.ndarray, test: float) -> Verdict:
    sign = 1.0 if study.direction == "minimize" else -1.0
    gap = sign * test - float(losses.min())
    text = (
        "the best of many validation values is too good by selection; more than what the search gained on its median "
        "trial means that it fitted the validation set"
    )
    claim = "the test value is worse than the best validation value by less than the search gained on its median"
    return at_most("gap", claim, gap, float(np.median(losses) - losses.min()), text)
