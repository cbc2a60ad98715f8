"""Whether the best trial stands at an end of what was searched, and which way to search on.

"Be careful with best values on border" (CS231n, "Hyperparameter optimization"): such a best is no best yet.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from optlab.search.best import best_trials, end_reached, values_of
from optlab.search.natural import EVERYTHING, natural_limits
from optlab.search.parameters import Choice, Float, Int
from optlab.search.sampler import Observation
from optlab.search.space import Space
from optlab.verdict import Verdict


def edge_verdicts(
    space: Space, trials: Sequence[Observation], ranges: Mapping[str, tuple[float, float]] | None = None
) -> list[Verdict]:
    """A verdict per numeric parameter, ``"edge:lr"``: its best value is interior; none if no trial is complete.

    A best value within 1% of an end of the range, on the scale of the range, stands there. It is no alarm if that
    end is the parameter's own limit (`optlab.search.natural`), if equally good trials stand elsewhere, or if only one
    value was tried. Where nothing tells whether there is anything beyond the end, the advice says "if". A Choice has no
    ends.

    Args:
        space: of the search.
        trials: all trials.
        ranges: what was searched of each range, where less than all of it (`Sampler.ranges`).

    >>> space = Space(lr=Float(1e-5, 1, log=True))
    >>> losses = {1e-5: 0.1, 1e-3: 0.2, 1e-1: 0.4}
    >>> trials = [Observation(i, {"lr": lr}, loss, "complete") for i, (lr, loss) in enumerate(losses.items())]
    >>> edge_verdicts(space, trials)[0].explanation
    'the best lr, 1e-05, is at the low end of what was searched: extend lr below 1e-05'
    """
    best = best_trials(trials)
    ranges = ranges or {}
    if not best:
        return []
    return [
        _verdict(name, parameter, trials, best, ranges.get(name, (parameter.low, parameter.high)))
        for name, parameter in space.items()
        if not isinstance(parameter, Choice)
    ]


def _verdict(
    name: str,
    parameter: Float | Int,
    trials: Sequence[Observation],
    best: Sequence[Observation],
    searched: tuple[float, float],
) -> Verdict:
    low, high = searched
    values = values_of(name, best)
    end = end_reached(parameter, values, low, high) if len(values) == len(best) else 0
    limits = natural_limits(name, parameter)
    lowest, highest = limits or EVERYTHING
    passed, value = True, values[0] if values else None
    if value is None:
        text = f"{name} is not active in the best trial"
    elif len(set(values_of(name, trials))) == 1:
        text = f"{name} was {value:g} in every trial"
    elif not end:
        others = f", and {len(best) - 1} more are as good" if len(best) > 1 else ""
        text = f"the best {name}, {value:g}, is interior{others}"
    elif (low <= lowest) if end < 0 else (high >= highest):
        text = f"the best {name}, {value:g}, is at {name}'s own limit, beyond which there is nothing to search"
    else:
        side, way, bound = ("low", "below", low) if end < 0 else ("high", "above", high)
        text = f"the best {name}, {value:g}, is at the {side} end of what was searched: extend {name} {way} {bound:g}"
        positive = parameter.log and end < 0  # there is always something between 0 and the low end
        if limits is None and bound in (parameter.low, parameter.high) and not positive:
            text += f", if {name} can be {'smaller' if end < 0 else 'larger'}"
        passed = False
    threshold: Any = f"inside ({low:g}, {high:g})"
    return Verdict(f"edge:{name}", f"the best {name} is not at an end of its range", value, threshold, passed, text)
