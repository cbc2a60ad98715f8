"""Grid search: every combination once; on request grown past its edges, and refined around the best."""

import math
from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any

from optlab.checks import boolean, whole
from optlab.search.arguments import python_entries
from optlab.search.axes import MAX_POINTS, axis_bounds, axis_values, tidy, value_at
from optlab.search.best import best_trials, end_reached, values_of
from optlab.search.mistakes import Found, Mistakes, raise_if, shown, unknown_key
from optlab.search.parameters import Choice
from optlab.search.sampler import Observation, Sampler
from optlab.search.space import Space

Axes = dict[str, list[Any]]
Points = dict[str, dict[str, Any]]  # by key


class Grid(Sampler):
    """Every combination of the values on the axes, each once, in order; trials that had one already count.

    ``Grid(lr=[1e-3, 1e-2, 1e-1], hidden=4)``: an axis is a list of values, or how many values evenly spaced over the
    parameter's range; all other parameters get ``points`` values (a Choice, and a range of fewer values, all of its).
    An inactive parameter takes no part: 4 C x 4 gamma of which one kernel of two has gamma are 20 points.

    With ``extend``, when all points are done and the best lies at an end of an axis, the axis grows there by its own
    spacing (the last ratio on a log scale, the last difference on a linear one), until the best is interior or the
    end of the space, or of ``bounds``, or the parameter's own limit is reached. Finished points are kept. With
    ``refine`` = k, k values on either side of the best then divide the gaps to its neighbours, for one parameter at a
    time.

    Args:
        axes: the axes as a dictionary, for names that are options of this class.
        points: how many values on an axis that is not given, from 1.
        extend: whether to grow.
        bounds: name -> (low, high), how far to grow; within the space.
        refine: how many values to add between the best and each of its neighbours.
        seed: kept; nothing here is random.

    Raises:
        ConfigError: a wrong option or axis; in `bind` also a value outside the space, a value twice, or more than
            100,000 points.

    Source: Wilson et al., "The marginal value of adaptive gradient methods", NeurIPS 2017, section 4.1.

    >>> from optlab.search.space import Choice, Float, Space
    >>> grid = Grid(lr=[0.01, 0.1])
    >>> grid.bind(Space(rule=Choice(["sgd", "adam"]), lr=Float(1e-5, 1, log=True)))
    >>> grid.propose(range(10), [])[:3]
    [{'rule': 'sgd', 'lr': 0.01}, {'rule': 'sgd', 'lr': 0.1}, {'rule': 'adam', 'lr': 0.01}]
    """

    name = "grid"

    def __init__(
        self,
        axes: Mapping[str, Any] | None = None,
        *,
        points: int = 5,
        extend: bool = False,
        bounds: Mapping[str, Any] | None = None,
        refine: int = 0,
        seed: int = 0,
        **more: Any,
    ) -> None:
        super().__init__(seed)
        found: Found = []
        named: dict[str, Any] = {"axes": {} if axes is None else axes, "bounds": {} if bounds is None else bounds}
        for key, mapping in named.items():
            if not isinstance(mapping, Mapping):
                found.append((key, f"must be a dictionary by parameter, got {shown(mapping)}"))
        for key, value, least in (("points", points, 1), ("refine", refine, 0)):
            count = whole(value)
            if count is None or not least <= count <= MAX_POINTS:
                found.append((key, f"must be a whole number from {least} to {MAX_POINTS}, got {shown(value)}"))
        if boolean(extend) is None:
            found.append(("extend", f"must be True or False, got {shown(extend)}"))
        raise_if(found, "Grid")
        self.axes = python_entries({**named["axes"], **more})
        self.bounds = python_entries(named["bounds"])
        self.points, self.extend, self.refine = int(points), bool(extend), int(refine)

    def options(self) -> dict[str, Any]:
        """Axes, points, extend, bounds and refine."""
        grown = {"extend": self.extend, "bounds": self.bounds, "refine": self.refine}
        return {"axes": self.axes, "points": self.points, **grown}

    def bind(self, space: Space) -> None:
        """Take the space and lay the axes out."""
        found: Found = []
        for key, mapping in (("axes", self.axes), ("bounds", self.bounds)):
            for name in mapping:
                if name not in space:
                    unknown_key(found, key, name, space)
        start = {
            name: axis_values(self.axes.get(name, self.points), parameter, f"axes.{name}", found)
            for name, parameter in space.items()
        }
        bounds = {
            name: axis_bounds(self.bounds.get(name), parameter, f"bounds.{name}", found)
            for name, parameter in space.items()
        }
        raise_if(found, "Grid")
        super().bind(space)
        self._start, self._reach = start, bounds
        self._points = _combinations(space, start)
        self._keys: list[str] = []

    def propose(self, numbers: Sequence[int], seen: Sequence[Observation]) -> list[dict[str, Any]]:
        """The next points that no trial has had; none while a growing grid waits for running trials."""
        points, _ = self._grown(seen)
        had = set(self._keys)
        rest = (dict(point) for key, point in points.items() if key not in had)
        return list(islice(rest, len(numbers)))

    def ranges(self, seen: Sequence[Observation]) -> dict[str, tuple[float, float]]:
        """The ends of the axes as far as they have grown."""
        _, axes = self._grown(seen)
        return {n: (min(a), max(a)) for n, a in axes.items() if not isinstance(self.space[n], Choice)}

    def _grown(self, seen: Sequence[Observation]) -> tuple[Points, Axes]:
        """The points so far and the axes: the first ones, grown as often as the trials before decide."""
        self._remember(seen)
        points, axes = self._points, self._start
        if not self.extend and not self.refine:
            return points, axes
        had = set(self._keys)
        running = {key for key, trial in zip(self._keys, seen, strict=True) if trial.state == "running"}
        trials = dict(zip(reversed(self._keys), reversed(seen), strict=True))  # the first of those at one point
        while points.keys() <= had and not points.keys() & running:
            best = best_trials(trials[key] for key in points)
            longer = self._longer(axes, best) if self.extend else axes
            if longer == axes:
                finer = self._finer(axes, best[0].params) if best and self.refine else {}
                return points | finer, axes
            axes = longer
            points = points | _combinations(self.space, axes)
        return points, axes

    def _remember(self, seen: Sequence[Observation]) -> None:
        """The key of each trial; parameters never change, so those of the last call stand."""
        known = len(self._keys)
        if known > len(seen) or (known and self._keys[-1] != _key(seen[known - 1].params)):
            self._keys = []
        self._keys += [_key(trial.params) for trial in seen[len(self._keys) :]]

    def _longer(self, axes: Axes, best: list[Observation]) -> Axes:
        longer = dict(axes)
        for name, axis in axes.items():
            parameter = self.space[name]
            if isinstance(parameter, Choice):
                continue
            ordered = sorted(axis)
            end = end_reached(parameter, values_of(name, best), ordered[0], ordered[-1], near=0.0)
            if end:
                last, before = (ordered[0], ordered[1]) if end < 0 else (ordered[-1], ordered[-2])
                low, high = self._reach[name]
                step = last * (last / before) if parameter.log else last + (last - before)
                value = tidy(parameter, min(max(step, low), high))
                if (value - last) * end > 0:
                    longer[name] = [*axis, value]
        return longer

    def _finer(self, axes: Axes, best: dict[str, Any]) -> Points:
        points = {}
        for name, centre in best.items():
            parameter = self.space[name]
            if isinstance(parameter, Choice):
                continue
            middle = parameter.position(centre)
            around = sorted(axes[name])
            below, above = [v for v in around if v < centre], [v for v in around if v > centre]
            for neighbour in below[-1:] + above[:1]:
                far = parameter.position(neighbour)
                for i in range(1, self.refine + 1):
                    value = value_at(parameter, middle + (far - middle) * i / (self.refine + 1))
                    point = {**best, name: value}
                    if self.space.active(point) == best.keys():
                        points[_key(point)] = point
        return points


def _key(params: Mapping[str, Any]) -> str:
    return repr(sorted(params.items()))  # a text, whose hash Python keeps


def _combinations(space: Space, axes: Axes) -> Points:
    """Every distinct combination of active values, the last axis fastest."""
    partial: list[dict[str, Any]] = [{}]
    for name in space.parents_first:
        longer = []
        for point in partial:
            if space.holds(name, point):
                longer += [{**point, name: value} for value in axes[name]]
            else:
                longer.append(point)
            if len(longer) > MAX_POINTS:
                total = math.prod(len(axis) for axis in axes.values())
                text = f"has up to {total:,} points, more than {MAX_POINTS:,}; use fewer values or another sampler"
                raise Mistakes("Grid", [("", text)])
        partial = longer
    return {_key(point): {name: point[name] for name in space if name in point} for point in partial}
