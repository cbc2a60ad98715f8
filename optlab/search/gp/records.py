"""From the records of a search to numbers that a Gaussian process can take, whatever the records hold.

Losses are brought to [0, 1] by powers of two (`frexp`) and a subtraction, both exact: losses times 2^k give the same
bits, and 1e-300 and 1e300 are nothing special. Points and standardised losses are then kept to 40 binary digits, far
below the noise floor, so that a shift of the losses or other units of a parameter leave them as they are too.
"""

from dataclasses import dataclass

import numpy as np

Array = np.ndarray
GRAIN = 2.0**40
ABSURD = 1000.0  # median - best, times this, is as bad as a loss gets: a diverged 1e30 would flatten all the others
FAILED = 1.25  # times the worst above the best: what a failure counts as


@dataclass(frozen=True)
class Data:
    """Observations with repeats merged: exact for normal noise, whose likelihood sees a group's mean and spread only.

    Attributes:
        points: ``(d, m)``, all different, in the order of their first appearance.
        values: ``(m,)`` means.
        counts: ``(m,)``.
        spread: sum of squares around the groups' means.
    """

    points: Array
    values: Array
    counts: Array
    spread: float

    @property
    def total(self) -> int:
        """Observations."""
        return int(self.counts.sum())

    def append(self, point: Array, value: float) -> "Data":
        """With one more observation, at a point that is new."""
        points = np.ascontiguousarray(np.column_stack([self.points, point]))
        return Data(points, np.append(self.values, value), np.append(self.counts, 1.0), self.spread)


@dataclass(frozen=True)
class Groups:
    """Which observations are at the same point: ``index (n,)`` of the group of each, ``first (m,)`` of each group."""

    index: Array
    first: Array

    def data(self, points: Array, values: Array) -> Data:
        """Merge ``points (n, d)`` and ``values (n,)``."""
        kept = np.ascontiguousarray(points[self.first].T)
        if len(self.first) == len(points):
            return Data(kept, values, np.ones(len(values)), 0.0)
        means, counts, spread = self.merge(values[None])
        return Data(kept, means[0], counts, float(spread[0]))

    def merge(self, values: Array) -> tuple[Array, Array, Array]:
        """Of ``values (k, n)``: means ``(k, m)``, counts ``(m,)``, spreads ``(k,)``."""
        member = (self.index == np.arange(len(self.first))[:, None]).astype(float)
        counts = member.sum(1)
        means = values @ member.T / counts
        return means, counts, ((values - means[:, self.index]) ** 2).sum(1)


def group(points: Array) -> Groups:
    """Find the repeats among ``points (n, d)``."""
    seen: dict[bytes, int] = {}
    index = np.array([seen.setdefault(row.tobytes(), len(seen)) for row in np.ascontiguousarray(points)], int)
    first = np.full(len(seen), len(points))
    np.minimum.at(first, index, np.arange(len(points)))
    return Groups(index, first)


def snap(values: Array) -> Array:
    """Keep 40 digits after the binary point."""
    return np.round(values * GRAIN) / GRAIN


def standardize(losses: Array) -> tuple[Array, float]:
    """``losses (n,)``, at least one finite, to mean 0 and variance 1; and what 1 was in losses (or inf).

    Those that are not finite become a little worse than the worst finite one.
    """
    good = np.isfinite(losses)
    y = losses[good]
    first = int(np.frexp(np.abs(y).max())[1]) + 1
    y = np.ldexp(y, -first)
    y = y - y.min()
    if np.median(y) > 0.0:
        y = np.minimum(y, ABSURD * np.median(y))
    second = int(np.frexp(y.max())[1])
    y = np.ldexp(y, -second)
    out = np.full(len(losses), FAILED * y.max() if y.max() > 0.0 else 1.0)
    out[good] = y
    sd = float(out.std())
    if sd == 0.0:
        return np.zeros(len(losses)), np.inf
    with np.errstate(over="ignore", under="ignore"):
        unit = float(np.ldexp(sd, first + second))
    return snap((out - out.mean()) / sd), unit
