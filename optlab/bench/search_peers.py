"""Who takes part in the search: our samplers and those of other libraries, which keep their defaults.

A contestant is made for a problem and a seed, and then asked again and again with all results so far. All begin with
the same ten points. A peer without logarithmic scales searches the logarithms; one without conditions searches all
parameters, the inactive ones being told at the middle of their range; one without integers is rounded.
"""

import importlib
import itertools
import math
from collections.abc import Callable
from importlib.metadata import version
from importlib.util import find_spec
from typing import Any

import numpy as np

from optlab.bench.problems import Problem
from optlab.search.sampler import Observation, Sampler
from optlab.search.samplers.gp import GP
from optlab.search.samplers.random import Random
from optlab.search.samplers.sobol import Sobol
from optlab.search.space import Choice, Int, Space
from optlab.search.study import Study

INITIAL = 10
Params = dict[str, Any]
Ask = Callable[[list[Observation]], Params]
Contestant = Callable[[Problem, int], Ask]


def ours(make: Callable[[int], Sampler]) -> Contestant:
    """One of optlab's samplers in a study, which is told the shared start."""

    def contestant(problem: Problem, seed: int) -> Ask:
        study = Study(problem.space, make(seed))

        def begin() -> tuple[Any, Params]:
            trial = study.ask()
            return trial, trial.params

        return _in_turn(begin, lambda params: study.ask(params=params), study.tell)

    return contestant


def optuna(make: Callable[[Any, int], Any]) -> Contestant:
    """One of Optuna's samplers; it is told the shared start."""

    def contestant(problem: Problem, seed: int) -> Ask:
        library = importlib.import_module("optuna")  # untyped, as all of these
        library.logging.set_verbosity(library.logging.ERROR)
        study = library.create_study(sampler=make(library.samplers, seed))

        def begin() -> tuple[Any, Params]:
            trial = study.ask()
            return trial, _suggest(trial, problem.space)

        def given(params: Params) -> Any:
            study.enqueue_trial(params)
            return begin()[0]

        return _in_turn(begin, given, study.tell)

    return contestant


def _in_turn(
    ask: Callable[[], tuple[Any, Params]], given: Callable[[Params], Any], tell: Callable[[Any, float | None], object]
) -> Ask:
    """Tell what is new; points that were not proposed are given as trials of one's own."""
    trials: list[Any] = []
    told = 0

    def again(seen: list[Observation]) -> Params:
        nonlocal told
        for o in seen[told:]:
            if told == len(trials):
                trials.append(given(o.params))
            tell(trials[told], o.loss)
            told += 1
        trial, params = ask()
        trials.append(trial)
        return params

    return again


def _suggest(trial: Any, space: Space) -> Params:
    params: Params = {}
    for name, p in space.items():
        if p.when and any(params.get(k) != v for k, v in p.when.items()):
            continue
        if isinstance(p, Choice):
            params[name] = trial.suggest_categorical(name, list(p.values))
        else:
            suggest = trial.suggest_int if isinstance(p, Int) else trial.suggest_float
            params[name] = suggest(name, p.low, p.high, log=p.log)
    return params


def botorch(problem: Problem, seed: int) -> Ask:
    """`SingleTaskGP`, `LogExpectedImprovement` and `optimize_acqf` in the unit cube, as in BoTorch's introduction."""
    torch, models = importlib.import_module("torch"), importlib.import_module("botorch.models")
    acquisition, optim = importlib.import_module("botorch.acquisition"), importlib.import_module("botorch.optim")
    fit, mlls = importlib.import_module("botorch.fit"), importlib.import_module("gpytorch.mlls")
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    space = problem.space
    sizes = {k: len(p.values) for k, p in enumerate(space.values()) if isinstance(p, Choice)}
    bounds = torch.tensor([[0.0] * len(space), [float(sizes.get(k, 2) - 1) for k in range(len(space))]]).double()
    codes = [
        dict(zip(sizes, map(float, c), strict=True)) for c in itertools.product(*(range(n) for n in sizes.values()))
    ]

    def encode(params: Params) -> np.ndarray:
        u = space.encode(params)
        for k, n in sizes.items():
            u[k] = min(int(u[k] * n), n - 1)
        return u

    def decode(u: np.ndarray) -> Params:
        for k, n in sizes.items():
            u[k] = (round(u[k]) + 0.5) / n
        return space.decode(np.clip(u, 0.0, 1.0))

    def ask(seen: list[Observation]) -> Params:
        x = torch.tensor(np.array([encode(o.params) for o in seen]))
        y = -torch.tensor([[o.loss] for o in seen]).double()
        model = models.MixedSingleTaskGP(x, y, cat_dims=list(sizes)) if sizes else models.SingleTaskGP(x, y)
        fit.fit_gpytorch_mll(mlls.ExactMarginalLogLikelihood(model.likelihood, model))
        gain, options = acquisition.LogExpectedImprovement(model, best_f=y.max()), {"num_restarts": 10}
        if sizes:
            found, _ = optim.optimize_acqf_mixed(gain, bounds, 1, fixed_features_list=codes, raw_samples=512, **options)
        else:
            found, _ = optim.optimize_acqf(gain, bounds, 1, raw_samples=512, **options)
        return decode(found[0].detach().numpy())

    return ask


def skopt(problem: Problem, seed: int) -> Ask:
    """scikit-optimize's `Optimizer`, which is what its `gp_minimize` runs."""
    library, kinds = importlib.import_module("skopt"), importlib.import_module("skopt.space")
    space = problem.space

    def dimension(p: Any) -> Any:
        if isinstance(p, Choice):
            return kinds.Categorical(list(p.values))
        kind = kinds.Integer if isinstance(p, Int) else kinds.Real
        return kind(p.low, p.high, prior="log-uniform" if p.log else "uniform")

    optimizer = library.Optimizer([dimension(p) for p in space.values()], "GP", random_state=seed)
    told = 0

    def ask(seen: list[Observation]) -> Params:
        nonlocal told
        points = [[o.params.get(name, p.value(0.5)) for name, p in space.items()] for o in seen[told:]]
        if points:
            optimizer.tell(points, [o.loss for o in seen[told:]])
        told = len(seen)
        found = [getattr(value, "item", lambda value=value: value)() for value in optimizer.ask()]
        return _active(space, dict(zip(space, found, strict=True)))

    return ask


def bayes_opt(problem: Problem, seed: int) -> Ask:
    """bayesian-optimization, which maximises."""
    library, space = importlib.import_module("bayes_opt"), problem.space

    def bounds(p: Any) -> Any:
        if isinstance(p, Choice):
            return tuple(map(str, p.values))
        return (
            (math.log10(p.low), math.log10(p.high)) if p.log else (p.low, p.high, int if isinstance(p, Int) else float)
        )

    def theirs(p: Any, value: Any) -> Any:
        return str(value) if isinstance(p, Choice) else math.log10(value) if p.log else value

    def back(p: Any, value: Any) -> Any:
        if isinstance(p, Choice):
            return p.values[list(map(str, p.values)).index(str(value))]
        value = min(max(10.0 ** float(value) if p.log else float(value), p.low), p.high)
        return round(value) if isinstance(p, Int) else value

    optimizer = library.BayesianOptimization(
        f=None,
        pbounds={name: bounds(p) for name, p in space.items()},
        random_state=seed,
        verbose=0,
        allow_duplicate_points=True,
    )
    told = 0

    def ask(seen: list[Observation]) -> Params:
        nonlocal told
        for o in seen[told:]:
            point = {name: theirs(p, o.params.get(name, p.value(0.5))) for name, p in space.items()}
            optimizer.register(params=point, target=-float(o.loss or 0.0))
        told = len(seen)
        found = optimizer.suggest()
        return _active(space, {name: back(p, found[name]) for name, p in space.items()})

    return ask


def _active(space: Space, params: Params) -> Params:
    active = space.active(params)
    return {name: value for name, value in params.items() if name in active}


OURS: dict[str, Contestant] = {"gp": ours(GP), "sobol": ours(Sobol), "random": ours(Random)}
# Contestant -> its package, what is imported, and how it is made.
PEERS: dict[str, tuple[str, tuple[str, ...], Contestant]] = {
    "optuna gp": (
        "optuna",
        ("optuna", "torch"),
        optuna(lambda kinds, seed: kinds.GPSampler(seed=seed, n_startup_trials=INITIAL)),
    ),
    "optuna tpe": (
        "optuna",
        ("optuna",),
        optuna(lambda kinds, seed: kinds.TPESampler(seed=seed, n_startup_trials=INITIAL)),
    ),
    "botorch": ("botorch", ("botorch",), botorch),
    "scikit-optimize": ("scikit-optimize", ("skopt",), skopt),
    "bayesian-optimization": ("bayesian-optimization", ("bayes_opt",), bayes_opt),
}


def contestants(peers: bool) -> dict[str, Contestant]:
    """Every sampler that is installed."""
    return OURS | {n: make for n, (_, needs, make) in PEERS.items() if peers and all(map(find_spec, needs))}


def missing() -> list[str]:
    """The packages that would take part if they were installed."""
    return sorted({need for _, needs, _ in PEERS.values() for need in needs if not find_spec(need)})


def release(name: str) -> str:
    """The package and version of a contestant; "" of our own, which change from day to day."""
    return f"{PEERS[name][0]} {version(PEERS[name][0])}" if name in PEERS else ""
