"""Quasi-random search: trial n is point n of one scrambled Sobol sequence."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from optlab.errors import ConfigError
from optlab.search.sampler import Observation, Sampler, generator
from optlab.search.space import Space

MAX_COLUMNS = 21201  # of the direction numbers that SciPy has
FIRST = 64  # a power of two, which the sequence is balanced at


class SobolSequence:
    """A scrambled Sobol sequence whose points are had by number.

    Source: Owen, "Scrambling Sobol and Niederreiter-Xing points", J. Complexity 14, 1998, as in `scipy.stats.qmc`.

    Args:
        columns: the dimension, 1 to 21,201.
        seed: of the scrambling.
    """

    def __init__(self, columns: int, seed: int) -> None:
        from scipy.stats import qmc

        self._engine = qmc.Sobol(columns, scramble=True, rng=generator(seed, "sobol", 0))
        self._points = np.empty((0, columns))

    def __getitem__(self, number: int) -> np.ndarray:
        """Point ``number`` in [0, 1), shape (columns,)."""
        while number >= len(self._points):
            more = self._engine.random(max(FIRST, len(self._points)))
            self._points = np.concatenate([self._points, more])
        point: np.ndarray = self._points[number]
        return point


class Sobol(Sampler):
    """Trial n is point n of a scrambled Sobol sequence, which fills the space more evenly than random draws.

    >>> from optlab.search.space import Float, Space
    >>> sampler = Sobol(seed=0)
    >>> sampler.bind(Space(lr=Float(0, 1)))
    >>> sorted(int(4 * p["lr"]) for p in sampler.propose([0, 1, 2, 3], []))
    [0, 1, 2, 3]
    """

    name = "sobol"

    def bind(self, space: Space) -> None:
        """Take the space; it has at most 21,201 parameters."""
        if len(space) > MAX_COLUMNS:
            raise ConfigError(f"Sobol samples at most {MAX_COLUMNS} parameters, this space has {len(space)}")
        super().bind(space)
        self._sequence = SobolSequence(len(space), self.seed)

    def propose(self, numbers: Sequence[int], seen: Sequence[Observation]) -> list[dict[str, Any]]:
        """A point per number."""
        return [self.space.decode(self._sequence[n]) for n in numbers]
