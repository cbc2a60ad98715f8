"""The one-liner."""

from collections.abc import Callable, Mapping
from typing import Any

from optlab.search.sampler import sampler_class
from optlab.search.space import Parameter, Space
from optlab.search.study import Study


def minimize(
    objective: Callable[..., Any],
    space: Space | Mapping[str, Parameter],
    sampler: str = "gp",
    trials: int = 50,
    seed: int = 0,
) -> Study:
    """Run ``objective(params)`` on ``trials`` points of ``space`` and return the study.

    Raises:
        ConfigError: no such sampler, or one that can't sample this space.

    >>> from optlab.search import Float
    >>> study = minimize(lambda params: (params["x"] - 0.3) ** 2, {"x": Float(0, 1)}, sampler="sobol", trials=32)
    >>> abs(study.best.params["x"] - 0.3) < 0.05
    True
    """
    study = Study(space if isinstance(space, Space) else Space(space), sampler_class(sampler)(seed=seed))
    study.run(objective, trials=trials)
    return study
