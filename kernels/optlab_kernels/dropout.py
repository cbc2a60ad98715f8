"""Dropout's mask: random numbers by counter, so that element i of step t is the same whoever draws it, and when.

SplitMix64 as a function of its counter: z = key + (i + 1) 0x9e3779b97f4a7c15, then two multiply-xorshift rounds.
Source: Steele, Lea & Flood, OOPSLA 2014, figure 17; counters in place of state: Salmon et al., SC 2011.
"""

import numpy as np

from optlab_kernels.jit import jit, pointwise

GOLDEN = np.uint64(0x9E3779B97F4A7C15)
FIRST, SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
S30, S27, S31, S11 = np.uint64(30), np.uint64(27), np.uint64(31), np.uint64(11)
ONE = np.uint64(1)
UNIT = 2.0**-53


@pointwise
def mix(z: np.uint64) -> np.uint64:
    """The finaliser: every bit of the input changes half of the output."""
    z = (z ^ (z >> S30)) * FIRST
    z = (z ^ (z >> S27)) * SECOND
    return z ^ (z >> S31)


@pointwise
def uniform(key: np.uint64, i: np.uint64) -> float:
    """The i-th number of the stream ``key``, in [0, 1)."""
    return float(mix(key + (i + ONE) * GOLDEN) >> S11) * UNIT


@jit
def dropout_mask(mask: np.ndarray, seed: int, step: int, p: float) -> None:
    """Fill ``mask`` (n, features) with 0, with probability ``p``, or else 1 / (1 - p): inverted dropout.

    Source: Srivastava et al., JMLR 15, 2014, section 10 for the scaling while training.
    """
    key = mix(mix(np.uint64(seed) + GOLDEN) + np.uint64(step))
    kept = mask.dtype.type(1.0 / (1.0 - p))
    dropped = mask.dtype.type(0.0)
    columns = mask.shape[1]
    for i in range(mask.shape[0]):
        for j in range(columns):
            mask[i, j] = kept if uniform(key, np.uint64(i * columns + j)) >= p else dropped
