"""Scikit-learn's support vector classifier as an objective: its kernel, C, gamma and whatever else it takes."""

import inspect
from collections.abc import Mapping
from typing import Any

import numpy as np

from optlab.data.dataset import Dataset
from optlab.errors import ConfigError
from optlab.objectives.networks import parts
from optlab.objectives.objective import Objective, given
from optlab.search.arguments import python_entries
from optlab.search.parameters import Choice, Float, Parameter
from optlab.search.space import Space
from optlab.search.trial import Pruned

KERNELS = ("linear", "poly", "rbf", "sigmoid")


class Vectors(Objective):
    """The share of rows that `sklearn.svm.SVC` gets wrong, the mean over folds.

    The parameters of a trial are those of SVC: ``kernel``, ``C``, ``gamma``, ``degree``, ``coef0``, ... It has no
    randomness: equal parameters give equal values. The sealed test rows are never looked at.

    Args:
        dataset: a name, a file as `optlab train` takes, or a `Dataset`; loaded once, standardised by each
            training part.
        folds: of cross-validation.
        rows: use so many only, each class with its share.
        test, seed: of the split and the folds; ``test`` None is the data set's own, or 0.15.
        data_dir: as in `ol.data.load`.
        fixed: parameters that stay.

    Raises:
        ConfigError: with what can't be.
        DataError: the data can't be had.

    >>> import optlab as ol
    >>> objective = ol.objectives.svm("digits", rows=300)
    >>> objective({"kernel": "rbf", "C": 10.0, "gamma": 0.01}) < 0.1
    True
    """

    name = "svm"

    def __init__(
        self,
        dataset: str | Dataset,
        folds: int = 3,
        *,
        rows: int | None = None,
        test: float | str | None = None,
        seed: int = 0,
        data_dir: str | None = None,
        **fixed: Any,
    ) -> None:
        self.refuse_unknown(fixed)
        own = given(dataset=dataset, folds=folds, rows=rows, test=test, seed=seed or None, data_dir=data_dir)
        self.settings = python_entries(own | fixed)
        self.fixed = fixed
        data, pairs = parts(dataset, folds, 0, test, seed, data_dir, "float64", rows)
        if not data.classes:
            raise ConfigError("SVC is for classes; these data have float targets")
        self.pairs = [((train.x, train.y), (held.x, held.y)) for train, held in pairs]
        self.begin({})

    def __call__(self, params: Mapping[str, Any], trial: Any = None) -> float:
        """Fit and count, on each fold."""
        wrong = []
        for fold, (train, (x, y)) in enumerate(self.pairs, 1):
            model = self._model(params).fit(*train)
            wrong.append(float(np.mean(model.predict(x) != y)))
            if trial is not None and fold < len(self.pairs):
                trial.report(float(np.mean(wrong)), fold)
                if trial.should_prune():
                    raise Pruned
        return float(np.mean(wrong))

    def _model(self, params: Mapping[str, Any]) -> Any:
        from sklearn.svm import SVC

        return SVC(**{"cache_size": 200, **self.fixed, **params})

    def space(self) -> Space:
        """Kernel, C and, but for a linear kernel, gamma."""
        curved = ["rbf", "poly"]
        usual: dict[str, Parameter] = {
            "kernel": Choice(["rbf", "poly", "linear"]),
            "C": Float(1e-2, 1e3, log=True),
            "gamma": Float(1e-5, 1.0, log=True, when=None if "kernel" in self.fixed else {"kernel": curved}),
        }
        return Space({name: p for name, p in usual.items() if name not in self.fixed})

    @classmethod
    def options(cls) -> list[str]:
        """Also every parameter of SVC."""
        return [*super().options(), *svc_parameters()]

    def known(self, space: Space) -> list[str]:
        """SVC's own."""
        return svc_parameters()

    def begin(self, params: Mapping[str, Any]) -> None:
        """Have scikit-learn check the parameters, on two rows."""
        try:
            self._model(params).fit([[0.0], [1.0]], [0, 1])
        except (ValueError, TypeError) as error:
            raise ConfigError(str(error)) from None


svm = Vectors


def svc_parameters() -> list[str]:
    """What SVC can be made with, but for what changes no prediction."""
    from sklearn.svm import SVC

    return [
        name for name in inspect.signature(SVC).parameters if name not in ("probability", "verbose", "random_state")
    ]
