"""Optlab's samplers inside Optuna: ``optuna.create_study(sampler=GPSampler(seed=0))``.

A sampler proposes all parameters of a trial together. Which there are it takes from ``space``, or else from the trials
before, as Optuna's own samplers do: those that every finished trial had, with the ranges of the latest. Whatever else
an objective suggests is drawn from a stream of its own, keyed by seed, trial and name. So `RandomSampler` gives the
same trials at any ``n_jobs`` and after any resume; `SobolSampler` and `GridSampler` do once they know the ``space``.
"""

import copy
import math
import threading
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

try:
    from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
    from optuna.samplers import BaseSampler
    from optuna.search_space import IntersectionSearchSpace
    from optuna.study import Study, StudyDirection
    from optuna.trial import FrozenTrial, TrialState
except ImportError:
    raise ImportError("optlab.integrations.optuna needs Optuna: pip install 'optlab[optuna]'") from None

from optlab.errors import ConfigError
from optlab.search import GP, Choice, Float, Grid, Int, Random, Sampler, Sobol, Space
from optlab.search.parameters import Parameter
from optlab.search.sampler import Observation, generator

Distributions = Mapping[str, BaseDistribution]
STATES = {
    TrialState.COMPLETE: "complete",
    TrialState.PRUNED: "pruned",
    TrialState.FAIL: "failed",
    TrialState.RUNNING: "running",
}
STREAM = "optuna"


class OptunaSampler(BaseSampler):
    """Any sampler of optlab.

    Args:
        sampler: it need not be bound to a space.
        space: the distributions that are sampled together; None to take them from the trials.
    """

    def __init__(self, sampler: Sampler, space: Distributions | None = None) -> None:
        self.sampler, self.space = sampler, None if space is None else dict(space)
        self._known = IntersectionSearchSpace()
        self._bound: tuple[str, Sampler] | None = None
        self._lock = threading.Lock()

    def reseed_rng(self) -> None:
        """Nothing: no random stream is shared between trials or workers."""

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """The distributions that are sampled together; those of a single value are no matter of a sampler."""
        known = self._known.calculate(study) if self.space is None else self.space
        return {name: distribution for name, distribution in known.items() if not distribution.single()}

    def sample_relative(self, study: Study, trial: FrozenTrial, search_space: Distributions) -> dict[str, Any]:
        """A value for each of these parameters."""
        self._refuse(study)
        if not search_space:
            return {}
        with self._lock:
            sampler, seen = self._of(search_space), _seen(study, trial, search_space)
            found = sampler.propose([trial.number], seen) or sampler.propose([trial.number], [])
        return {name: theirs(distribution, found[0][name]) for name, distribution in search_space.items()}

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """A draw for a parameter that the trials before do not have."""
        self._refuse(study)
        key = self.sampler.seed + zlib.crc32(param_name.encode())
        u = generator(key, STREAM, trial.number).random()
        return theirs(param_distribution, ours(param_distribution).value(float(u)))

    def _refuse(self, study: Study) -> None:
        """Samplers that learn from the values learn from one."""

    def _of(self, search_space: Distributions) -> Sampler:
        key = repr(search_space)
        if self._bound is None or self._bound[0] != key:
            sampler = copy.copy(self.sampler)
            sampler.bind(Space({name: ours(distribution) for name, distribution in search_space.items()}))
            self._bound = key, sampler
        return self._bound[1]


class GPSampler(OptunaSampler):
    """`optlab.search.GP`: Bayesian optimisation; ``options`` are its own, for one objective."""

    def __init__(self, seed: int = 0, initial: int = 10, *, space: Distributions | None = None, **options: Any) -> None:
        super().__init__(GP(seed, initial, **options), space)

    def _refuse(self, study: Study) -> None:
        self._raise_error_if_multi_objective(study)


class RandomSampler(OptunaSampler):
    """`optlab.search.Random`: every parameter by itself, so that trials do not depend on the workers."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__(Random(seed))

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """None."""
        return {}


class SobolSampler(OptunaSampler):
    """`optlab.search.Sobol`: trial n is point n of a scrambled sequence."""

    def __init__(self, seed: int = 0, *, space: Distributions | None = None) -> None:
        super().__init__(Sobol(seed), space)


class GridSampler(OptunaSampler):
    """`optlab.search.Grid`: every combination once; ``options`` are its own, axes included.

    With a ``space`` the study is stopped when nothing is left; without one the grid begins again.
    """

    def __init__(self, *, space: Distributions | None = None, **options: Any) -> None:
        super().__init__(Grid(**options), space)

    def after_trial(self, study: Study, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None) -> None:
        """Stop when the grid is done."""
        if self.space is None:
            return
        search_space = self.infer_relative_search_space(study, trial)
        seen = _seen(study, trial, search_space)
        if params := _params(trial, search_space):
            loss = _loss(study, state, values)
            seen.append(Observation(trial.number, params, loss, STATES.get(state, "failed")))
        with self._lock:
            over = not self._of(search_space).propose([trial.number + 1], sorted(seen, key=lambda o: o.number))
        if over and not any(o.loss is None for o in seen):
            try:
                study.stop()
            except RuntimeError:  # asked and told by hand: there is no loop to stop
                return


def ours(distribution: BaseDistribution) -> Parameter:
    """The parameter of a distribution; a categorical one is a choice of positions.

    Raises:
        ConfigError: it is none of Optuna's three kinds.
    """
    if isinstance(distribution, CategoricalDistribution):
        return Choice(list(range(len(distribution.choices))))
    if isinstance(distribution, IntDistribution):
        step = None if distribution.log or distribution.step == 1 else distribution.step
        return Int(distribution.low, distribution.high, log=distribution.log, step=step)
    if isinstance(distribution, FloatDistribution):
        return Float(distribution.low, distribution.high, log=distribution.log, step=distribution.step)
    raise ConfigError(f"a distribution is a float, an int or a categorical one, got {distribution!r}")


def theirs(distribution: BaseDistribution, value: Any) -> Any:
    """A value of `ours` as Optuna has it."""
    if isinstance(distribution, CategoricalDistribution):
        return distribution.choices[value]
    kind = int if isinstance(distribution, IntDistribution) else float
    return kind(value)


def _seen(study: Study, trial: FrozenTrial, search_space: Distributions) -> list[Observation]:
    """The other trials that have these parameters, within these ranges."""
    found = []
    for other in study.get_trials(deepcopy=False):
        if other.number == trial.number or other.state not in STATES:
            continue
        if params := _params(other, search_space):
            loss = _loss(study, other.state, other.values)
            found.append(Observation(other.number, params, loss, STATES[other.state]))
    return found


def _params(trial: FrozenTrial, search_space: Distributions) -> dict[str, Any]:
    """Its parameters as ours; {} if it lacks one, or has one that is out of its range now."""
    params = {}
    for name, distribution in search_space.items():
        if name not in trial.params:
            return {}
        value = trial.params[name]
        if isinstance(distribution, CategoricalDistribution):
            places = [i for i, choice in enumerate(distribution.choices) if choice is value or choice == value]
            if not places:
                return {}
            value = places[0]
        found: list[tuple[str, str]] = []
        params[name] = ours(distribution).normalised(value, name, found)
        if found:
            return {}
    return params


def _loss(study: Study, state: TrialState, values: Sequence[float] | None) -> float | None:
    """To be minimised; None of a trial that runs, NaN of one without a value. Several objectives are not compared."""
    if state == TrialState.RUNNING:
        return None
    if state != TrialState.COMPLETE or not values:
        return math.nan
    if len(values) > 1:
        return 0.0
    return -float(values[0]) if study.directions[0] == StudyDirection.MAXIMIZE else float(values[0])
