"""Tune a rule on a surface by a fixed budget, and report it on starts that it was not tuned on.

Every rule gets the same number of trials. A trial is a point of a scrambled Sobol sequence over the rule's own
hyperparameters: the rate log-uniform in [1e-5, 10], every decay b in [0, 1) by 1 - b log-uniform in [0.001, 0.5].
A rule with more of them has a larger space for the same budget: that is part of what it costs to use.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import qmc

from optlab.checks import check_count, interval
from optlab.descent.descent import Run, descend, generator
from optlab.optim.settings import EVERYTHING, Settings
from optlab.surfaces import Surface

RATE = (1e-5, 10.0)
REST = (1e-3, 0.5)  # 1 - b of a decay b
DECAYS = ("[0, 1)", "[0, 1]")
FIXED = ("dampening", "momentum_dip", "momentum")  # in [0, 1] without being the decay of an average, or an option
TUNING, HELD_OUT, TRIALS, NOISE = 0, 1, 2, 3  # random streams


@dataclass(frozen=True)
class Tuned:
    """The settings that did best, and how they do on starts that played no part in choosing them.

    Attributes:
        settings: kept of ``trials``.
        steps: (starts,) steps to the target, NaN where it was not reached.
        finals: (starts,) the last f - f_min (f on a surface without a minimum), inf where the run diverged.
        diverged: share of the starts.
        edges: what to doubt: a setting that is the lowest or highest that was tried, or that all of them diverged.
    """

    settings: Settings
    trials: int
    steps: np.ndarray
    finals: np.ndarray
    diverged: float
    edges: tuple[str, ...] = ()

    def row(self) -> dict[str, Any]:
        """One line of `Race.table`: medians with quartiles; a start that never arrives counts as infinitely late."""
        arrival = _quartiles(np.where(np.isnan(self.steps), np.inf, self.steps))
        final = _quartiles(self.finals)
        return {
            "settings": repr(self.settings),
            "steps (median)": arrival[1],
            "steps (quartiles)": f"{arrival[0]:.4g} .. {arrival[2]:.4g}",
            "final f - f_min (median)": final[1],
            "final (quartiles)": f"{final[0]:.3g} .. {final[2]:.3g}",
            "reached": float(np.isfinite(self.steps).mean()),
            "diverged": self.diverged,
        }


def _quartiles(values: np.ndarray) -> tuple[float, float, float]:
    """By order statistics: interpolating between a number and inf would give NaN."""
    low, middle, high = np.quantile(values, [0.25, 0.5, 0.75], method="higher")
    return float(low), float(middle), float(high)


def tune_rule(
    surface: Surface,
    settings: Settings,
    trials: int,
    steps: int,
    *,
    starts: int = 16,
    target: float = 1e-3,
    noise: float = 0.0,
    seed: int = 0,
) -> Tuned:
    """The best of ``trials`` settings by the median steps to the target, then by the median final value."""
    trials, starts = check_count("tune", trials, least=1), check_count("starts", starts, least=1)
    seed = check_count("seed", seed)

    def descents(candidate: Settings, stream: int) -> list[Run]:
        # each start has noise of its own, the same for every rule
        seeds = [int(s) for s in np.random.SeedSequence(seed, spawn_key=(stream, NOISE)).generate_state(starts)]
        points = draw_starts(surface, starts, seed, stream)
        return [descend(surface, candidate, p, steps, noise=noise, seed=s) for p, s in zip(points, seeds, strict=True)]

    tried = list(candidates(settings, trials, seed))
    scores = [_score(descents(candidate, TUNING), target) for candidate in tried]
    best = tried[scores.index(min(scores))]
    edges = _edges(best, tried) if min(scores)[1] < np.inf else (f"all {trials} settings diverged",)
    runs = descents(best, HELD_OUT)
    arrivals = [run.steps_to(target) for run in runs]
    return Tuned(
        best,
        trials,
        np.array([np.nan if a is None else a for a in arrivals]),
        np.array([_final(run) for run in runs]),
        float(np.mean([run.status == "diverged" for run in runs])),
        edges,
    )


def _edges(best: Settings, tried: list[Settings]) -> tuple[str, ...]:
    """The hyperparameters whose best value is at an end of those that were tried, as `optlab.search` says it."""
    found = []
    for name in best.hyper._fields:
        values = [getattr(settings.hyper, name) for settings in tried]
        value, low, high = getattr(best.hyper, name), min(values), max(values)
        if low < high and value in (low, high):
            side, way = ("low", "below") if value == low else ("high", "above")
            end = f"is at the {side} end of what was searched: try {name} {way} {value:.3g}"
            found.append(f"the best {name}, {value:.3g}, {end}")
    return tuple(found)


def candidates(settings: Settings, trials: int, seed: int) -> Iterator[Settings]:
    """``settings`` with its rate and decays replaced by each point of a scrambled Sobol sequence."""
    bounds = settings.rule.bounds
    decays = [k for k in settings.hyper._fields if bounds.get(k) in DECAYS and k not in FIXED]
    low, high = interval(bounds.get("lr", EVERYTHING))
    rate = max(RATE[0], low), min(RATE[1], high)
    sobol = qmc.Sobol(1 + len(decays), rng=generator(seed, TRIALS))
    for unit in sobol.random_base2(max(trials - 1, 1).bit_length())[:trials]:
        changes = {"lr": _log_uniform(unit[0], *rate)}
        changes |= {k: 1.0 - _log_uniform(u, *REST) for k, u in zip(decays, unit[1:], strict=True)}
        yield settings.replace(**changes)


def _log_uniform(unit: float, low: float, high: float) -> float:
    return float(min(max(np.exp(np.log(low) + np.log(high / low) * unit), low), high))


def draw_starts(surface: Surface, count: int, seed: int, stream: int) -> np.ndarray:
    """(count, 2): uniform over the surface's domain."""
    (x0, x1), (y0, y1) = surface.domain
    return generator(seed, stream).uniform((x0, y0), (x1, y1), (count, 2))


def _score(runs: list[Run], target: float) -> tuple[float, float]:
    arrivals = [run.steps_to(target) for run in runs]
    return (
        float(np.median([np.inf if a is None else a for a in arrivals])),
        float(np.median([_final(run) for run in runs])),
    )


def _final(run: Run) -> float:
    """The last f - f_min, or f itself on a surface without a minimum."""
    low = run.surface.f_min if run.surface.minima else 0.0
    return float("inf") if run.status == "diverged" else float(run.values[-1] - low)
