"""A training run as an objective: any option of `fit`, of the MLP and of the rule is a parameter."""

import functools
import inspect
import re
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import numpy as np

from optlab.checks import check_count
from optlab.data.dataset import Dataset, Part
from optlab.errors import ConfigError, NonFiniteError
from optlab.nn.layers import MLP
from optlab.objectives.objective import Objective
from optlab.objectives.points import seed_of
from optlab.objectives.rules import DEFAULT, options_of, rule_of, rules_of, under_rules, without
from optlab.optim.rules import RULES, as_settings
from optlab.search.arguments import python_entries
from optlab.search.parameters import Choice, Float, Int, Parameter
from optlab.search.space import Space
from optlab.search.trial import Pruned
from optlab.train.callbacks import Each
from optlab.train.config import Config
from optlab.train.recipe import Recipe
from optlab.train.training import Training

MODEL = ("hidden", "layers", "activation", "batch_norm", "dropout", "init")
FIT = tuple(f.name for f in fields(Config) if f.name not in ("rule", "seed", "augment", "norms"))
MEASURES = {"loss": "val_loss", "error": "val_accuracy"}
HIDDEN = 32


class Network(Objective):
    """Train the MLP, and look at the validation rows after each epoch.

    The parameters of a trial are ``rule`` and its options (``lr``, ``beta``, ...), options of `fit` (``batch_size``,
    ``l2``, ``schedule``, ``clip_norm``, ``epochs``, ...) and of the MLP: ``hidden``, the units of a hidden layer, or
    of each as ``"64-32"``; ``layers``, how many of ``hidden`` units; ``activation``, ``dropout``, ``batch_norm``,
    ``init``. Any of them may also be fixed. A trial's seed is that of its weights and of the order of its rows; a
    training that diverges is a failed trial. The sealed test rows are never looked at.

    Args:
        dataset: a name, a file as `optlab train` takes, or a `Dataset`; loaded once.
        epochs: of each training.
        folds: the mean over so many folds of all rows but the test's; None holds the share ``val`` of them out.
        keep: the value after the ``"last"`` epoch, or after the ``"best"``.
        measure: ``"loss"``, or ``"error"``, the share of rows that is classified wrongly.
        val, test, seed: of the split, as in `Dataset.split`; ``test`` None is the data set's own, or 0.15.
        data_dir, dtype: as in `ol.data.load`.
        fixed: parameters that stay.

    Raises:
        ConfigError: with what can't be.
        DataError: the data can't be had.

    >>> import optlab as ol
    >>> objective = ol.objectives.training("digits", epochs=5, rule="adam")
    >>> objective({"lr": 3e-3, "hidden": 32}) < 0.5
    True
    """

    name = "training"

    def __init__(
        self,
        dataset: str | Dataset,
        epochs: int = 20,
        *,
        folds: int | None = None,
        keep: str = "last",
        measure: str = "loss",
        val: float = 0.15,
        test: float | str | None = None,
        seed: int = 0,
        data_dir: str | None = None,
        dtype: str = "float32",
        **fixed: Any,
    ) -> None:
        self.refuse_unknown(fixed)
        for what, value, known in (("keep", keep, ("last", "best")), ("measure", measure, MEASURES)):
            if value not in known:
                raise ConfigError(f"{what} is {' or '.join(map(repr, known))}, got {value!r}")
        given = {"dataset": dataset, "epochs": epochs, "folds": folds, "keep": keep, "measure": measure, "val": val}
        given |= {"test": test, "seed": seed, "data_dir": data_dir, "dtype": dtype}
        usual = inspect.signature(Network).parameters
        self.settings = python_entries({k: v for k, v in given.items() if v != usual[k].default} | fixed)
        self.keep, self.measure, self.dtype = keep, measure, dtype
        self.fixed = {"epochs": epochs, **fixed}
        data, self.parts = parts(dataset, folds, val, test, seed, data_dir, dtype)
        if measure == "error" and not data.classes:
            raise ConfigError("measure='error' is for classes; these data have float targets")
        self.widths = data.x.shape[1], data.outputs
        self.begin({})

    def __call__(self, params: Mapping[str, Any], trial: Any = None) -> float:
        """Train, on each fold."""
        values = []
        for fold, (train, val) in enumerate(self.parts):
            run = self._run(params, seed_of(trial), train, val)
            if trial is not None:
                run.callbacks.append(Each(functools.partial(self._tell, trial, fold * run.epochs)))
            history = run.run()
            if history.status == "stopped":
                raise Pruned
            if history.status == "diverged":
                raise NonFiniteError(f"diverged in {history.reason}" + (f", fold {fold + 1}" if fold else ""))
            curve = self._curve(run)
            values.append(float(np.nanmin(curve)) if self.keep == "best" else float(curve[-1]))
        return float(np.mean(values))

    def _tell(self, trial: Any, first: int, run: Training) -> None:
        trial.report(float(self._curve(run)[-1]), first + run.epoch)
        if trial.should_prune():
            run.stop("pruned")

    def _curve(self, run: Training) -> np.ndarray:
        curve = run.history[MEASURES[self.measure]]
        return 1.0 - curve if self.measure == "error" else curve

    def _run(self, params: Mapping[str, Any], seed: int, train: Part, val: Part) -> Training:
        given = {**self.fixed, **params}
        model = {name: given.pop(name) for name in MODEL if name in given}
        config = {name: given.pop(name) for name in FIT if name in given}
        names = {name for name in params if name in given}  # the trial's own options of the rule
        rule = rule_of({k: params[k] for k in names}, {k: v for k, v in given.items() if k not in names})
        hidden = widths(model.pop("hidden", HIDDEN), model.pop("layers", None))
        mlp = MLP([self.widths[0], *hidden, self.widths[1]], dtype=self.dtype, seed=seed, **model)
        return Training(mlp, train, val, Config(rule, seed=seed, **config))

    def space(self) -> Space:
        """Rule, rate, decay, batch size, width and penalty, as far as they are not fixed."""
        usual: dict[str, Parameter] = {
            "rule": Choice(["sgd", "momentum", "adam"]),
            "lr": Float(1e-5, 1.0, log=True),
            "beta": Float(0.5, 0.99, when={"rule": "momentum"}, limits=(0.0, 1.0)),
            "batch_size": Int(8, 256, log=True),
            "hidden": Int(8, 64, step=8),
            "l2": Float(1e-6, 1e-1, log=True),
        }
        return Space(without(usual, self.fixed))

    @classmethod
    def options(cls) -> list[str]:
        """Also every parameter that may be fixed."""
        return list(dict.fromkeys([*super().options(), *MODEL, *FIT, "rule", *options_of(RULES)]))

    def known(self, space: Space) -> list[str]:
        """The parameters, with the options of the rules that the space can have."""
        return ["rule", *options_of(rules_of(space, self.fixed)), *MODEL, *FIT]

    def parents(self, name: str, space: Space) -> list[dict[str, Any]]:
        """An option of a rule has to work under every rule that it is active with."""
        own = name in ("rule", *MODEL, *FIT)
        return super().parents(name, space) if own else under_rules(name, space, self.fixed)

    def begin(self, params: Mapping[str, Any]) -> None:
        """Everything before the first step."""
        self._run(params, 0, *self.parts[0])


training = Network


def parts(
    dataset: str | Dataset,
    folds: int | None,
    val: float,
    test: float | str | None,
    seed: int,
    data_dir: str | None,
    dtype: str,
    rows: int | None = None,
) -> tuple[Dataset, list[tuple[Part, Part]]]:
    """The data and the pairs (training, validation) to learn from; without the test rows.

    Raises:
        ConfigError: the split can't be.
        DataError: the data can't be had.
    """
    split = {"val": val if folds is None else 0, "test": test, "seed": seed}
    recipe = Recipe({"name": dataset, "data_dir": data_dir}, split, {"dtype": dtype}, Config(as_settings(DEFAULT)))
    data = dataset if isinstance(dataset, Dataset) else recipe.data()
    train, held, _ = recipe.parts(data)
    if rows is not None:
        train = train.take(rows, seed)
    if folds is not None:
        return data, train.folds(folds, seed)
    if not len(held):
        raise ConfigError("val=0 leaves no rows to look at; give a share, or folds=3")
    return data, [(train, held)]


def widths(hidden: Any, layers: Any = None) -> list[int]:
    """The units of each hidden layer: ``32``, ``[64, 32]`` or ``"64-32"``; ``layers`` repeats a single number.

    Raises:
        ConfigError: it reads like none of these.

    >>> widths(32), widths("64-32"), widths(16, 3), widths(16, 0)
    ([32], [64, 32], [16, 16, 16], [])
    """
    if isinstance(hidden, str) and re.fullmatch(r"\d+(\D\d+)*", hidden):
        hidden = [int(units) for units in re.findall(r"\d+", hidden)]
    units = [check_count("hidden", width, 1) for width in (hidden if isinstance(hidden, list | tuple) else [hidden])]
    if layers is None:
        return units
    if len(units) != 1:
        raise ConfigError(f"layers repeats one width; hidden={hidden!r} has {len(units)}")
    return units * check_count("layers", layers)
