"""400 random settings of a small network, trained once per process: several figures read the same table."""

import functools
from dataclasses import dataclass
from typing import Any

import numpy as np

import optlab as ol
from optlab.data.dataset import Part
from optlab.gallery._network import fit, mlp
from optlab.gallery._setup import DIGITS, Setup, parts
from optlab.search import Choice, Float, Int, Random, Space, Study

TRIALS, FAST_TRIALS, EPOCHS = 400, 40, 15
SPACE = Space(
    lr=Float(1e-4, 10.0, log=True),
    log2_batch=Int(3, 8),
    layers=Int(1, 3),
    log2_width=Int(3, 7),
    momentum=Choice([0.0, 0.5, 0.9, 0.95]),
    l2=Float(1e-6, 1e-2, log=True),
)


@dataclass(frozen=True)
class Table:
    """One row per setting.

    Attributes:
        study: of the validation accuracy, to be maximised; row i is its trial i.
        params: of each setting, as `SPACE` has them.
        right_val, right_test: (n, rows) whether each row is classified rightly after the last epoch; of a network that
            diverged, as it then was.
    """

    study: Study
    params: list[dict[str, Any]]
    right_val: np.ndarray
    right_test: np.ndarray

    @property
    def val_accuracy(self) -> np.ndarray:
        """(n,): share of validation rows, 0 to 1."""
        return np.asarray(self.right_val.mean(1))

    @property
    def test_accuracy(self) -> np.ndarray:
        """(n,): share of test rows, 0 to 1."""
        return np.asarray(self.right_test.mean(1))


def few_parts(setup: Setup) -> tuple[Part, Part, Part]:
    """`parts`, but of any data set no more training rows than the digits have: 400 trainings are many."""
    rows, val, test = parts(setup)
    return rows if len(rows) <= DIGITS[0] else rows.take(DIGITS[0]), val, test


def train(params: dict[str, Any], seed: int, rows: Part) -> ol.nn.Module:
    """A network of these ``params`` of `SPACE`, trained for 15 epochs on ``rows``."""
    model = mlp(rows, seed, (2 ** params["log2_width"],) * params["layers"])
    rule = ol.Momentum(lr=params["lr"], beta=params["momentum"])
    batch = 2 ** params["log2_batch"]
    fit(model, rows, None, rule, epochs=EPOCHS, batch_size=batch, l2=params["l2"], seed=seed)
    return model


def right(model: ol.nn.Module, rows: Part) -> np.ndarray:
    """(rows,): which the network classifies rightly."""
    return np.asarray(model.predict(rows).argmax(1) == rows.y)


@functools.cache
def settings(setup: Setup) -> Table:
    """The table of `setup`: 400 settings drawn by `Random` from `SPACE`; 40 for a first look."""
    rows, val, test = few_parts(setup)
    on_val, on_test = [], []

    def objective(params: dict[str, Any], trial: Any) -> float:
        model = train(params, trial.seed, rows)
        on_val.append(right(model, val))
        on_test.append(right(model, test))
        return float(on_val[-1].mean())

    study = Study(SPACE, Random(seed=setup.seed), direction="maximize")
    study.run(objective, trials=FAST_TRIALS if setup.fast else TRIALS)
    return Table(study, [trial.params for trial in study.trials], np.array(on_val), np.array(on_test))


def expected_best(values: np.ndarray, n: Any) -> np.ndarray:
    """(k,): the expected maximum of n draws with replacement from ``values``, for k numbers n (Dodge et al. 2019)."""
    places = np.arange(len(values) + 1) / len(values)
    return np.asarray(np.diff(places ** np.asarray(n)[:, None], axis=1) @ np.sort(values))
