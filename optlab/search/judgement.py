"""What a finished study is worth: edges, the gain of more trials, the gap to the test value, what mattered."""

import math
from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from optlab.search.edges import edge_verdicts
from optlab.verdict import Verdict, at_most

if TYPE_CHECKING:
    from optlab.search.study import Study

FEW = 8  # complete trials below which nothing is said about more of them
WORTH = 0.05  # of the distance from the median to the best value
BINS = 16  # at most, per parameter
FENCE = 1.5  # interquartile ranges above the upper quartile: what is worse counts as just bad (Tukey)


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


def importance(study: "Study") -> dict[str, float]:
    """First-order shares of variance, Var(E[y | x]) / Var(y), of each parameter, largest first; {} if too few trials.

    The values of a parameter are sorted into at most 16 bins of equal counts (a Choice by value, "not active" a bin of
    its own); the share is corrected for chance (ε²: no parameter gets a share for having many bins) and cut at 0.
    Losses far above the rest are pulled in to Tukey's fence. Interactions show as what is missing to 1. It is exact for
    parameters drawn independently (random, Sobol, grid); a sampler that crowds around the best says less.

    Source: Kelley, PNAS 21 (1935) for ε²; Hutter et al., ICML 2014, for the question.
    """
    complete = study.complete
    losses = np.array([study.loss(trial) for trial in complete])
    if len(losses) < FEW:
        return {}
    q1, q3 = np.percentile(losses, [25, 75])
    y = np.minimum(losses, q3 + FENCE * (q3 - q1)) if q3 > q1 else losses
    shares = {
        column.name: _share(_groups([t.params.get(column.name) for t in complete], column.kind == "choice"), y)
        for column in study.space.columns
    }
    return dict(sorted(shares.items(), key=lambda item: -item[1]))


def _groups(values: Sequence[object], choice: bool) -> np.ndarray:
    """A bin number for each value."""
    labels: list[Hashable]
    active = np.array([value is not None for value in values])
    if choice or len({v for v in values if v is not None}) <= BINS:
        labels = [repr(value) for value in values]
    else:
        numbers = np.array([value for value in values if value is not None], dtype=np.float64)
        bins = max(2, min(BINS, math.isqrt(len(numbers))))
        edges = np.quantile(numbers, np.arange(1, bins) / bins)
        placed = iter(np.searchsorted(edges, numbers, side="right").tolist())
        labels = [next(placed) if here else -1 for here in active]
    return np.unique(np.array([str(label) for label in labels]), return_inverse=True)[1]


def _share(groups: np.ndarray, y: np.ndarray) -> float:
    """ε² = (SS between - (k - 1) MS within) / SS total."""
    counts = np.bincount(groups)
    means = np.bincount(groups, y) / counts
    total = float(((y - y.mean()) ** 2).sum())
    between = float((counts * (means - y.mean()) ** 2).sum())
    n, k = len(y), len(counts)
    if total <= 0.0 or k == 1 or n <= k:
        return 0.0
    within = max(0.0, total - between) / (n - k)
    return max(0.0, (between - (k - 1) * within) / total)
