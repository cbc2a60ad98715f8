"""Between what ends a parameter makes sense at all: what its range and its ``limits`` say, and what its name means."""

import math
import re

from optlab.search.parameters import Choice, Float, Int, Parameter

EVERYTHING = (-math.inf, math.inf)
# Words of names, and what they count or measure: from 1 on, from 0 to 1, above 0.
COUNTS = re.compile(
    "batch|channels|components|depth|dim|embedding|epochs|estimators|experts|filters|folds|heads|hidden|iter|iterations"
    "|kernel|layers?|leaf|leaves|neighbors|neurons|nodes|rounds|steps|trees|units|width"
)
SHARES = re.compile(
    "bagging|beta|colsample|drop|dropout|fraction|momentum|prob|probability|quantile|rho|smoothing|subsample"
)
SCALES = re.compile("alpha|c|decay|eps|epsilon|gamma|l1|l2|lambda|lr|rate|reg|sigma|temperature|tol|tolerance|wd")


def natural_limits(name: str, parameter: Parameter) -> tuple[float, float] | None:
    """Return the ends beyond which there is nothing to search; None where nothing tells.

    A parameter's ``limits`` are that. Otherwise words of its name may tell: there is less than one layer nowhere, and
    no dropout above 1; a range that goes beyond what its name means knows better. A linear range that starts at 0 is
    taken for one of a quantity that can't be negative, and an Int with ``log`` can't go below 1.

    >>> natural_limits("n_layers", Int(1, 8)), natural_limits("dropout", Float(0, 0.5)), natural_limits("x", Int(1, 8))
    ((1.0, inf), (0.0, 1.0), None)
    """
    if isinstance(parameter, Choice):
        return EVERYTHING
    if parameter.limits is not None:
        return parameter.limits
    low, high = _by_name(name, parameter) or EVERYTHING
    if not low <= parameter.low < parameter.high <= high:
        low, high = EVERYTHING
    if parameter.low == 0 or (isinstance(parameter, Int) and parameter.log and parameter.low == 1):
        low = float(parameter.low)
    return None if (low, high) == EVERYTHING else (low, high)


def _by_name(name: str, parameter: Float | Int) -> tuple[float, float] | None:
    words = re.findall(r"[a-z]+[12]?", re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower())
    words += [word.rstrip("12") for word in words]
    if any(word.startswith("log") for word in words):  # the quantity's logarithm, whose ends are others
        return None
    if isinstance(parameter, Int):
        return (1.0, math.inf) if any(map(COUNTS.fullmatch, words)) else None
    if any(map(SHARES.fullmatch, words)):
        return 0.0, 1.0
    if any(map(SCALES.fullmatch, words)) and (parameter.log or parameter.high > 1.0):
        return 0.0, math.inf
    return None
