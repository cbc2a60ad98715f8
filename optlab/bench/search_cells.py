"""The races of the search: one cell is a problem, a seed and a contestant, fifty trials long.

The first ten points are the same for all. A regret is divided by that of a random point and not counted below 1e-6;
the curve is the true value at the lowest observation so far, noise or not.
"""

import json
import time
import warnings
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from optlab.bench.problems import Problem
from optlab.bench.search_peers import INITIAL, Contestant, release
from optlab.search.sampler import Observation
from optlab.search.samplers.sobol import SobolSequence

Array = np.ndarray
Cell = dict[str, Any]
BUDGET, FLOOR, CLOSE = 50, 1e-6, 1e-2


def race(contestant: Contestant, problem: Problem, seed: int, budget: int = BUDGET) -> tuple[Array, float]:
    """The normalised regret after each trial ``(budget,)``, and CPU seconds per suggestion of the model."""
    start = SobolSequence(len(problem.space), seed)
    rng = np.random.default_rng(777 + seed)
    ask = contestant(problem, seed)
    seen: list[Observation] = []
    true: list[float] = []
    losses: list[float] = []
    spent = 0.0
    for n in range(budget):
        clock = time.process_time()
        params = problem.space.decode(start[n]) if n < INITIAL else ask(seen)
        spent += (time.process_time() - clock) * (n > INITIAL)  # the first one may compile
        true.append(problem.loss(params))
        loss = true[-1] + (problem.noise * rng.standard_normal() if problem.noise else 0.0)
        losses.append(loss)
        seen.append(Observation(n, params, loss, "complete"))
    best = [int(np.argmin(losses[: n + 1])) for n in range(budget)]
    regret = np.maximum(np.array(true)[best] - problem.least, 0.0) / problem.scale
    return regret, spent / (budget - INITIAL - 1)


def compare(
    problems: Iterable[Problem],
    racing: Mapping[str, Contestant],
    seeds: Iterable[int],
    path: Path | None = None,
    only_done: bool = False,
) -> Iterator[Cell]:
    """Every cell, one after the other.

    Cells of peers that ``path`` has are not run again, and those that are run are added to it: a line of JSON each.
    They are known by problem, its scale (which changes with the function), seed, and the peer's release. Our own are
    always run: they take milliseconds, and no version says what code they came from. With ``only_done`` no peer is run.
    """
    done = {} if path is None else _read(path)
    known = list(problems)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the peers
        for seed in seeds:
            for problem in known:
                for name, contestant in racing.items():
                    key = [problem.name, problem.scale, seed, name, release(name)]
                    if (curve := done.get(json.dumps(key))) is None:
                        if only_done and release(name):
                            continue
                        regret, seconds = race(contestant, problem, seed)
                        curve = {"seconds": seconds, "regret": [float(f"{r:.5g}") for r in regret]}
                        if path is not None and release(name):
                            _append(path, {"key": key, **curve})
                    yield _cell(problem.name, seed, name, **curve)


def _cell(problem: str, seed: int, sampler: str, seconds: float, regret: list[float]) -> Cell:
    """Log10 of the final regret, and its mean over the trials after the start: the area under the curve."""
    curve = np.log10(np.maximum(regret, FLOOR))
    return {
        "problem": problem,
        "seed": seed,
        "sampler": sampler,
        "final": float(curve[-1]),
        "mean": float(curve[INITIAL:].mean()),
        "within 1e-2": regret[-1] <= CLOSE,
        "seconds": seconds,
        "curve": curve,
    }


def _read(path: Path) -> dict[str, dict[str, Any]]:
    found = {}
    for line in path.read_text().splitlines() if path.exists() else ():
        try:
            cell = json.loads(line)
        except ValueError:  # a run was killed while it wrote this one
            continue
        found[json.dumps(cell.pop("key"))] = cell
    return found


def _append(path: Path, cell: Mapping[str, Any]) -> None:
    with path.open("a+b") as file:
        file.seek(max(0, file.seek(0, 2) - 1))
        torn = file.read(1) not in (b"", b"\n")
        file.write(("\n" * torn + json.dumps(cell) + "\n").encode())
