"""Who searched better: ranks over the cells that all have, differences to ours over those that a peer has."""

from typing import Any

import numpy as np

from optlab.bench.search_cells import Cell

REFERENCE = "gp"


def ranks(cells: list[Cell]) -> list[dict[str, Any]]:
    """A row per sampler over the cells that all of them have: mean ranks (1 is best), regrets, cost."""
    from scipy.stats import rankdata

    by = _by_key(cells)
    names, keys = _shared(cells)
    if not keys:
        return []
    wanted = ("final", "mean", "seconds", "within 1e-2")
    get = {what: np.array([[by[*k, n][what] for n in names] for k in keys], float) for what in wanted}
    final, mean = rankdata(get["final"], axis=1).mean(0), rankdata(get["mean"], axis=1).mean(0)
    return [
        {
            "sampler": name,
            "cells": len(keys),
            "rank final": final[i],
            "rank mean": mean[i],
            "log10 final": get["final"][:, i].mean(),
            "log10 mean": get["mean"][:, i].mean(),
            "within 1e-2": get["within 1e-2"][:, i].mean(),
            "ms/suggestion": 1e3 * get["seconds"][:, i].mean(),
        }
        for i, name in enumerate(names)
    ]


def pairs(cells: list[Cell]) -> list[dict[str, Any]]:
    """A row per other sampler over all cells that it has: decades behind ours with the standard error, and how often
    it ends ahead of ours (a tie is half)."""
    by = _by_key(cells)
    rows = []
    for name in dict.fromkeys(cell["sampler"] for cell in cells if cell["sampler"] != REFERENCE):
        both = [
            (cell, by[key, seed, REFERENCE])
            for (key, seed, sampler), cell in by.items()
            if sampler == name and (key, seed, REFERENCE) in by
        ]
        if both:
            final, mean = (np.array([cell[what] - own[what] for cell, own in both]) for what in ("final", "mean"))
            rows.append(
                {
                    "to gp": name,
                    "cells": len(both),
                    "seeds": len({cell["seed"] for cell, _ in both}),
                    "behind, final": final.mean(),
                    "± final": _error(final),
                    "behind, mean": mean.mean(),
                    "± mean": _error(mean),
                    "ahead of gp": float(((final < 0) + 0.5 * (final == 0)).mean()),
                    "within 1e-2": float(np.mean([cell["within 1e-2"] for cell, _ in both])),
                    "gp's": float(np.mean([own["within 1e-2"] for _, own in both])),
                }
            )
    return rows


def medians(cells: list[Cell]) -> list[dict[str, Any]]:
    """A row per problem: the median of log10 of the final regret of every sampler."""
    found: dict[str, dict[str, list[float]]] = {}
    for cell in cells:
        found.setdefault(cell["problem"], {}).setdefault(cell["sampler"], []).append(cell["final"])
    return [
        {"problem": problem, **{name: float(np.median(finals)) for name, finals in by.items()}}
        for problem, by in found.items()
    ]


def curves(cells: list[Cell]) -> list[dict[str, Any]]:
    """A row per sampler over the cells that all of them have: log10 of the regret after every trial, the median and
    its interval of at least 95% by order statistics (Conover 1999, 3.2), which asks nothing of the distribution."""
    from scipy.stats import binom

    by = _by_key(cells)
    names, keys = _shared(cells)
    k = int(binom.ppf(0.025, len(keys), 0.5))  # the k-th smallest and largest
    rows = []
    for name in names if k else ():
        ordered = np.sort([by[*key, name]["curve"] for key in keys], axis=0)
        between = {"low": ordered[k - 1], "median": np.median(ordered, axis=0), "high": ordered[-k]}
        rows.append({"sampler": name, "cells": len(keys)} | {what: line.tolist() for what, line in between.items()})
    return rows


def _shared(cells: list[Cell]) -> tuple[list[str], list[tuple[str, int]]]:
    """The samplers, and the problems and seeds that every one of them has."""
    names, by = list(dict.fromkeys(cell["sampler"] for cell in cells)), _by_key(cells)
    return names, [
        k for k in dict.fromkeys((c["problem"], c["seed"]) for c in cells) if all((*k, n) in by for n in names)
    ]


def _by_key(cells: list[Cell]) -> dict[tuple[str, int, str], Cell]:
    return {(c["problem"], c["seed"], c["sampler"]): c for c in cells}


def _error(differences: np.ndarray) -> float | None:
    n = len(differences)
    return float(differences.std(ddof=1) / np.sqrt(n)) if n > 1 else None
