"""Ready objectives for a search: a descent, a training run, a surface, scikit-learn's SVC."""

from typing import TYPE_CHECKING

from optlab.lazy import lazily

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
__getattr__, __dir__ = lazily(__name__, _HOME)
