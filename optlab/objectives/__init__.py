"""Ready objectives for a search: a descent, a training run, a surface, scikit-learn's SVC."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from optlab.objectives.descents import descent as descent
    from optlab.objectives.load import load_objective as load_objective
    from optlab.objectives.networks import training as training
    from optlab.objectives.objective import Objective as Objective
    from optlab.objectives.points import surface as surface
    from optlab.objectives.vectors import svm as svm

_HOME = {
    "Objective": "optlab.objectives.objective",
    "descent": "optlab.objectives.descents",
    "load_objective": "optlab.objectives.load",
    "surface": "optlab.objectives.points",
    "svm": "optlab.objectives.vectors",
    "training": "optlab.objectives.networks",
}
__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'optlab.objectives' has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
