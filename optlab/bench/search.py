"""Searching hyperparameters: our Gaussian process against Sobol, random and Optuna's samplers, in quality and in cost.

Quality: sixteen problems (`problems.suite`), fifty trials, of which the first ten are the same Sobol points for all.
A regret is divided by that of a random point and not counted below 1e-6; the curve is the true value at the lowest
observation so far, noise or not. Contestants are ranked in each cell (problem and seed) by the final regret and by the
mean of its logarithm over trials 11 to 50. Peers keep their defaults.

Cost: CPU time of an ask and a tell with n results in six parameters, on one thread.
"""

import importlib
import time
import warnings
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from typing import Any

import numpy as np

from optlab.bench.problems import Problem, real, suite
from optlab.search.sampler import Observation, Sampler
from optlab.search.samplers.gp import GP
from optlab.search.samplers.random import Random
from optlab.search.samplers.sobol import Sobol, SobolSequence
from optlab.search.space import Choice, Int

Array = np.ndarray
BUDGET, INITIAL, FLOOR = 50, 10, 1e-6
SIZES = (50, 200, 500, 1000)
COLUMNS = "ranks: 1 is best; log10 of regret over that of a random point; behind gp: decades of final regret"
GOALS = {50: 5.0, 200: 10.0, 1000: 50.0}  # milliseconds a suggestion, at most
AHEAD = 1.0  # decades of final regret to Optuna's GP, at least
Ask = Callable[[list[Observation]], dict[str, Any]]
Contestant = Callable[[Problem, int], Ask]


def ours(make: Callable[[int], Sampler]) -> Contestant:
    """One of optlab's samplers, after the shared start."""

    def contestant(problem: Problem, seed: int) -> Ask:
        sampler = make(seed)
        sampler.bind(problem.space)
        return lambda seen: sampler.propose([len(seen)], seen)[0]

    return contestant


def optuna(make: Callable[[Any, int], Any]) -> Contestant:
    """One of Optuna's samplers; it is told the shared start."""

    def contestant(problem: Problem, seed: int) -> Ask:
        library = importlib.import_module("optuna")  # untyped

        library.logging.set_verbosity(library.logging.ERROR)
        study = library.create_study(sampler=make(library.samplers, seed))
        told = 0

        def ask(seen: list[Observation]) -> dict[str, Any]:
            nonlocal told
            for o in seen[told:]:
                if told < INITIAL:
                    study.enqueue_trial(o.params)
                    trial = study.ask()
                    _suggest(trial, problem)
                study.tell(told, o.loss)
                told += 1
            return _suggest(study.ask(), problem)

        return ask

    return contestant


def _suggest(trial: Any, problem: Problem) -> dict[str, Any]:
    params: dict[str, Any] = {}
    for name, p in problem.space.items():
        if p.when and any(params.get(k) != v for k, v in p.when.items()):
            continue
        if isinstance(p, Choice):
            params[name] = trial.suggest_categorical(name, list(p.values))
        else:
            suggest = trial.suggest_int if isinstance(p, Int) else trial.suggest_float
            params[name] = suggest(name, p.low, p.high, log=p.log)
    return params


def contestants(peers: bool) -> dict[str, Contestant]:
    """Every sampler that is installed."""
    found = {"gp": ours(GP), "sobol": ours(Sobol), "random": ours(Random)}
    if peers and find_spec("optuna"):
        found["optuna tpe"] = optuna(lambda kinds, seed: kinds.TPESampler(seed=seed, n_startup_trials=INITIAL))
        if find_spec("torch"):
            found["optuna gp"] = optuna(lambda kinds, seed: kinds.GPSampler(seed=seed, n_startup_trials=INITIAL))
    return found


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


def compare(problems: list[Problem], racing: dict[str, Contestant], seeds: range) -> Iterator[dict[str, Any]]:
    """A cell after the other: problem, seed, contestant, log10 of the final regret, its mean, seconds."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the peers
        for seed in seeds:
            for problem in problems:
                for name, contestant in racing.items():
                    regret, seconds = race(contestant, problem, seed)
                    curve = np.log10(np.maximum(regret, FLOOR))
                    yield {
                        "problem": problem.name,
                        "seed": seed,
                        "sampler": name,
                        "final": float(curve[-1]),
                        "mean": float(curve[INITIAL:].mean()),
                        "within 1e-2": bool(regret[-1] <= 1e-2),
                        "seconds": seconds,
                    }


def summary(cells: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A row per sampler over the cells that all of them have: mean ranks (1 is best), regrets, cost."""
    from scipy.stats import rankdata

    names = list(dict.fromkeys(cell["sampler"] for cell in cells))
    by = {(c["problem"], c["seed"], c["sampler"]): c for c in cells}
    keys = [k for k in dict.fromkeys((c["problem"], c["seed"]) for c in cells) if all((*k, n) in by for n in names)]
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
            "behind gp": (get["final"][:, i] - get["final"][:, 0]).mean(),
            "ms/suggestion": 1e3 * get["seconds"][:, i].mean(),
        }
        for i, name in enumerate(names)
    ]


def cost(contestant: Contestant, n: int, d: int = 6, steps: int = 10) -> float:
    """Median CPU seconds of a suggestion with ``n`` results of a smooth function, the first one left out."""
    weights = np.random.default_rng(3).uniform(0.3, 1.0, d)

    def bowl(x: Array) -> float:
        return float(weights @ (x - 0.4) ** 2 + 0.3 * np.sin(6 * x[0]) * np.cos(4 * x[-1]))

    problem = real("bowl", bowl, 0, 1, d, 0.0)
    even = SobolSequence(d, 0)
    tried = [problem.space.decode(even[i]) for i in range(n)]
    seen = [Observation(i, params, problem.loss(params), "complete") for i, params in enumerate(tried)]
    ask = contestant(problem, 0)
    times = []
    for _ in range(steps + 1):
        clock = time.process_time()
        params = ask(seen)
        times.append(time.process_time() - clock)
        seen.append(Observation(len(seen), params, problem.loss(params), "complete"))
    return float(np.median(times[1:]))


def table(peers: bool, rounds: int) -> Iterator[dict[str, Any]]:
    """Cost by number of results, then a summary of ``rounds`` seeds."""
    racing = contestants(peers)
    for n in SIZES:
        yield {"results": n, "ms/suggestion": 1e3 * cost(racing["gp"], n)}
    yield from summary(list(compare(suite(), racing, range(rounds))))


def verdicts(rows: list[dict[str, Any]]) -> list[str]:
    """The goals, each with what was measured."""
    lines = []
    for row in rows:
        if row.get("results") in GOALS:
            goal, took, n = GOALS[row["results"]], row["ms/suggestion"], row["results"]
            lines.append(f"{_mark(took <= goal)} {n} results: {took:.1f} ms a suggestion, goal at most {goal} ms")
        if row.get("sampler") == "optuna gp":
            lead = row["behind gp"]
            lines.append(f"{_mark(lead >= AHEAD)} {lead:.2f} decades ahead of Optuna's GP, goal {AHEAD}")
    return lines


def _mark(met: bool) -> str:
    return "met   " if met else "MISSED"
