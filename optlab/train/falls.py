"""Whether noisy losses fall below where they began, more than chance makes them: a rank test."""

from math import sqrt

import numpy as np

FEWEST_LOSSES = 6  # at the start, and in a window that is compared with it
# Of the largest of all windows: noise reaches it in at most 3 of 100 sweeps of 20 to 5,000 losses, whatever its
# distribution (tests/test_flat_or_edge.py counts them).
FALL_Z = 3.2
FIRST_Z = 2.33  # of the first window alone: 1 in 100


def fall_z(losses: np.ndarray, size: int) -> np.ndarray:
    """Return how far each window of ``size`` later losses lies below the first ``size``: z of the Mann-Whitney test.

    With U the number of pairs (early, late) whose late one is lower, a tie counting half:
    z = (U - size^2 / 2) / sqrt(size^2 (2 size + 1) / 12). Ranks alone count, so neither a spike, nor a loss that blows
    up, nor the distribution of the noise changes what chance makes of it. Empty if there are fewer than two windows.

    Source: Mann & Whitney, Ann. Math. Statist. 18, 1947.

    >>> fall_z(np.array([5.0, 6.0, 7.0, 1.0, 2.0, 3.0]), 3).round(2)
    array([1.96])
    """
    early, late = np.sort(losses[:size]), losses[size:]
    if len(late) < size:
        return np.zeros(0)
    below, up_to = np.searchsorted(early, late, "left"), np.searchsorted(early, late, "right")
    lower = size - 0.5 * (below + up_to)  # early losses that each late one is below
    pairs = np.convolve(lower, np.ones(size), "valid")
    return np.asarray((pairs - size**2 / 2) / sqrt(size**2 * (2 * size + 1) / 12))


def falls(losses: np.ndarray, size: int) -> bool:
    """Whether some of ``losses`` lie below the first ``size`` of them by more than chance would bring about.

    Either a window of `fall_z` does (where few losses allow no z of `FALL_Z`, one that is below all early losses), or
    each of the first ``size + 1`` losses is lower than the one before: there is no noise to stand out from.
    """
    most = size**2 / 2 / sqrt(size**2 * (2 * size + 1) / 12)
    stands_out = fall_z(losses, size).max(initial=0.0) >= min(FALL_Z, most - 1e-9)
    return bool(stands_out or (len(losses) > size and (np.diff(losses[: size + 1]) < 0.0).all()))
