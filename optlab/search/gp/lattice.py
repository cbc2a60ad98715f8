"""A search space as the process sees it: which points of the unit cube are the same trial.

Every point is moved to the middle of its cell before the covariance sees it: an integer or a choice then has one place,
not an interval on which the model would be wrong (Garrido-Merchan & Hernandez-Lobato 2020), and a parameter that is not
active stands at 0.5, so that it makes no difference.
"""

import itertools
import math
from functools import cached_property
from typing import Any

import numpy as np

from optlab.search.gp.records import snap
from optlab.search.space import Int, Parameter, Space

Array = np.ndarray
FEW = 8  # levels: up to here no gradient is followed along a column, and no box cuts it
SMALL = 1024  # points of a space that are tried all


class Lattice:
    """The cells of a space.

    Attributes:
        d: columns.
        choices: the columns without an order.
        coarse: ``(d,)``, those with few levels or without an order.
    """

    def __init__(self, space: Space) -> None:
        self.space, self.d = space, len(space)
        self.choices = [k for k, column in enumerate(space.columns) if column.kind == "choice"]
        self.levels = [column.levels for column in space.columns]
        self.coarse = np.array([(n is not None and n <= FEW) or k in self.choices for k, n in enumerate(self.levels)])
        self.discrete = [k for k, n in enumerate(self.levels) if n is not None]
        self._column = {name: k for k, name in enumerate(space)}
        self._conditions = [(name, p) for name, p in space.items() if p.when]

    def snap(self, points: Array) -> Array:
        """``points (m, d)`` of the cube, each in the middle of its cell."""
        out = points.copy()
        for k, p in enumerate(self.space.values()):
            out[:, k] = _middle(p, points[:, k])
        active: dict[str, Array] = {}
        for name, _ in self._conditions:
            out[~self._active(name, out, active), self._column[name]] = 0.5
        return snap(out)

    def _active(self, name: str, points: Array, known: dict[str, Array]) -> Array:
        if name not in known:
            known[name] = np.ones(len(points), bool)
            for parent, wanted in (self.space[name].when or {}).items():
                values = wanted if isinstance(wanted, list | tuple) else [wanted]
                places = [self.space[parent].unit(value) for value in values]
                at = points[:, self._column[parent], None]
                known[name] &= (np.abs(at - places) < 1e-12).any(1) & self._active(parent, points, known)
        return known[name]

    @cached_property
    def everything(self) -> Array | None:
        """All points ``(m, d)`` of a small space, else None."""
        if None in self.levels or math.prod(n or 1 for n in self.levels) > SMALL:
            return None
        columns = [[p.unit(v) for v in _values(p)] for p in self.space.values()]
        return np.unique(self.snap(np.array(list(itertools.product(*columns)))), axis=0)

    def neighbours(self, point: Array) -> Array:
        """One step away from ``point (d,)`` in one discrete column, or at any other value of a choice."""
        found = []
        for k in self.discrete:
            p, n = list(self.space.values())[k], self.levels[k]
            value = p.value(float(point[k]))
            if k in self.choices:
                others = [v for v in p.values if v != value]  # type: ignore[union-attr]
            else:
                step = p.step or (1 if isinstance(p, Int) else 0)  # type: ignore[union-attr]
                others = [v for v in (value - step, value + step) if p.low - step / 2 < v < p.high + step / 2]  # type: ignore[union-attr]
            for other in others[: n or 0]:
                near = point.copy()
                near[k] = p.unit(other)
                found.append(near)
        return self.snap(np.array(found)) if found else np.zeros((0, self.d))


def _values(p: Parameter) -> list[Any]:
    """All values of a discrete parameter."""
    n = p.levels or 0
    if isinstance(p, Int):
        return [p.low + (p.step or 1) * i for i in range(n)]
    return [p.value((i + 0.5) / n) for i in range(n)]


def _middle(p: Parameter, u: Array) -> Array:
    """`Parameter.unit` of `Parameter.value`, for a whole column."""
    if p.levels is None:
        return u
    if isinstance(p, Int) and p.log:
        start = math.log(p.low - 0.5)
        width = math.log(p.high + 0.5) - start
        value = np.clip(np.floor(np.exp(start + u * width) + 0.5), p.low, p.high)
        return np.asarray((np.log(value) - start) / width)
    return np.asarray((np.minimum(np.floor(u * p.levels), p.levels - 1) + 0.5) / p.levels)
