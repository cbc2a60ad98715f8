"""`fit`: train a model on data, and get the curves back."""

import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from optlab import streams
from optlab.data.augment import Augment
from optlab.errors import ConfigError, OptlabError, StorageError
from optlab.locks import exclusive, of_folder
from optlab.nn.module import Module
from optlab.optim.settings import Settings
from optlab.schedules import Schedule
from optlab.train import checkpoint
from optlab.train.callbacks import Callback, CSVLog, Each, EarlyStopping, JSONLog
from optlab.train.config import Config, EngineName
from optlab.train.evaluate import as_part
from optlab.train.history import History
from optlab.train.progress import progress
from optlab.train.training import Training, same, under

# what a manifest can raise that Checkpoint did not write
MALFORMED = (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, RecursionError)


def fit(
    model: Module,
    train: Any,
    val: Any = None,
    rule: Settings | str | None = None,
    *,
    epochs: int | None = None,
    steps: int | None = None,
    batch_size: int | None = None,
    seed: int | None = None,
    schedule: Schedule | str | None = None,
    loss: str | None = None,
    label_smoothing: float | None = None,
    class_weights: Sequence[float] | None = None,
    l1: float | None = None,
    l2: float | None = None,
    clip_norm: float | None = None,
    clip_value: float | None = None,
    augment: Augment | None = None,
    norms: bool | None = None,
    engine: EngineName | None = None,
    callbacks: Sequence[Callback | Callable[[Training], Any]] = (),
    resume: str | Path | None = None,
    verbose: bool | None = None,
) -> History:
    """Train ``model`` on ``train``, looking at ``val`` after each epoch; returns the curves.

    Args:
        model: a `Module` such as ``ol.nn.MLP([64, 32, 10])``; its parameters are changed.
        train: a part of a data set (`Dataset.split`), a data set, or arrays ``(X, y)``.
        val: the same kind of thing, or None.
        rule: settings or a name; Adam if None.
        epochs: passes over the training rows, 20 by default; each in a new random order.
        steps: optimizer steps, which then count instead of ``epochs``; an epoch has rows / batch_size.
        batch_size: rows per step, 32 by default; the last step of an epoch takes what is left.
        seed: of the order of the rows and of augmentation, 0 by default; initial weights and dropout have the model's.
        schedule: of the learning rate (`ol.schedules`); an open one is as long as the training.
        loss: ``"cross_entropy"`` or ``"mse"``; by default what goes with the labels or targets.
        label_smoothing, class_weights: of the cross-entropy.
        l1, l2: penalties added to the loss, over all parameters: l1 sum |w| + l2 / 2 sum w^2.
        clip_norm, clip_value: as in `Optimizer`.
        augment: ``ol.data.Augment(...)``: every epoch sees other versions of the pictures.
        norms: also record the norms of gradient, update and parameters at each step.
        engine: ``"auto"`` runs on the compiled machine where it can and on the tape where not; the history says which
            and why.
        callbacks: `EarlyStopping`, `Checkpoint`, logs, your own, or functions called after each epoch.
        resume: the directory of a `Checkpoint`: continue bit for bit where it stopped. The other options come from
            there; only ``epochs``, ``steps``, ``callbacks`` and ``verbose`` may be given. Callbacks of your own must
            be; those of optlab are made again unless others of their kind are given.
        verbose: True shows the progress, False does not; by default it is shown on a terminal.

    A divergence (a gradient that is not finite) ends the training and is recorded: ``history.status`` is
    ``"diverged"``. Ctrl-C finishes the epoch, saves a checkpoint if there is such a callback, and then raises
    KeyboardInterrupt; the history so far is ``model.history``.

    Raises:
        ConfigError: options that can't be, or that do not fit model and data.
        DataError: NaN or infinities in the data.
        StorageError: a checkpoint can't be written, or there is none to resume; another run writes to the same place.
            Whatever is refused before the first epoch leaves model and files as they were.

    >>> import optlab as ol
    >>> train, val, test = ol.data.load("digits").split(seed=0)
    >>> model = ol.nn.MLP([64, 32, 10], seed=0)
    >>> history = ol.fit(model, train, val, ol.Adam(lr=3e-3), epochs=10)
    >>> history.status, bool(history["val_accuracy"][-1] > 0.9)
    ('finished', True)
    """
    given = {
        "steps": steps, "batch_size": batch_size, "seed": seed, "schedule": schedule, "loss": loss,
        "label_smoothing": label_smoothing, "class_weights": class_weights, "l1": l1, "l2": l2,
        "clip_norm": clip_norm, "clip_value": clip_value, "augment": augment, "norms": norms, "engine": engine,
        "rule": rule, "epochs": epochs,
    }  # fmt: skip
    if not isinstance(model, Module):
        raise ConfigError(f"model is a Module such as ol.nn.MLP([64, 32, 10]), got {model!r}")
    if not isinstance(callbacks, list | tuple) or not all(isinstance(c, Callback) or callable(c) for c in callbacks):
        raise ConfigError(f"callbacks is a list of callbacks and functions, got {callbacks!r}")
    options: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    parts = as_part(train, model), None if val is None else as_part(val, model, trained=False)
    listed = [callback if isinstance(callback, Callback) else Each(callback) for callback in callbacks]
    listed += progress(sys.stderr, verbose)
    with ExitStack() as held:
        if resume is None:
            training = Training(model, *parts, Config(**{"rule": "adam", **options}), listed)
            try:
                training.claim(held)
            except Exception as error:
                training.history.status, training.history.reason = "failed", f"{type(error).__name__}: {error}"
                if model.history is None:  # that of an earlier training is not lost
                    model.history = training.history
                raise
        else:
            training = _resumed(model, parts, Path(resume), options, listed, held)
        model.history, model.directory = training.history, None
        return training.run()


def _resumed(
    model: Module,
    parts: tuple[Any, Any],
    directory: Path,
    options: dict[str, Any],
    callbacks: list[Callback],
    held: ExitStack,
) -> Training:
    fixed = sorted(set(options) - {"epochs", "steps"})
    if fixed:
        raise ConfigError(f"a resumed run keeps its settings; leave out {', '.join(fixed)}")
    for callback in callbacks:
        if isinstance(callback, checkpoint.Checkpoint) and callback.directory.absolute() != directory.absolute():
            raise ConfigError(f"a resumed run stays in its directory {directory}, got Checkpoint({callback.directory})")
    lock = of_folder(directory)
    if checkpoint.numbers(directory):  # before it is read: what is read must stay the newest
        held.enter_context(exclusive(lock, f"the run directory {directory}"))
    saved = checkpoint.last(directory)
    before = model.state_dict()
    try:
        instead = {"steps": None} if "epochs" in options else {}
        config = Config.from_dict({**saved.rest["config"], **instead, **options})
        callbacks += _made_again(saved.rest, {type(callback).__name__ for callback in callbacks}, directory)
        same(model, saved.rest["model"])
        arrays = saved.arrays(model=before)
        model.load_state_dict(under("model/", arrays))  # first: the machine's plan holds the seeds of dropout
        training = Training(model, *parts, config, callbacks)
        training.restore(arrays, saved.rest)
        training.claim(held, lock)
    except Exception as error:
        model.load_state_dict(before)
        if isinstance(error, MALFORMED) and not isinstance(error, OptlabError):
            raise StorageError(f"{saved} holds what Checkpoint does not write: {error!r}") from error
        raise
    if options:
        training.stopped = None  # asked to go on
    return training


def _made_again(rest: dict[str, Any], given: set[str], directory: Path) -> list[Callback]:
    """The callbacks of the run whose kind is not given anew.

    A checkpoint may be somebody else's, so that a log is only written where the run is: no file elsewhere is replaced
    because a manifest names it.
    """
    again: list[Callback] = []
    for name, options in rest["callbacks"].items():
        kind = name.rpartition("-")[0]
        if kind in given or options is None:
            continue
        if kind == checkpoint.Checkpoint.__name__:
            again.append(checkpoint.Checkpoint(directory, **options))
        elif kind == EarlyStopping.__name__:
            again.append(EarlyStopping(**options))
        for log in (CSVLog, JSONLog):
            if kind == log.__name__:
                path = _inside(directory, Path(options["path"]), rest.get("directory"))
                if path is None:
                    where = f"wrote to {options['path']}, outside {directory}"
                    streams.warn(f"the run's {log.__name__} {where}: give it again", stacklevel=4)
                else:
                    again.append(log(path))
    return again


def _inside(directory: Path, path: Path, before: str | None) -> Path | None:
    """Return where a log of the run is now, for the directory may have been moved; None if it is not inside."""
    for base in (Path(before) if before else directory, directory):
        if path.absolute().is_relative_to(base.absolute()):
            here = directory / path.absolute().relative_to(base.absolute())
            return here if here.resolve().is_relative_to(directory.resolve()) else None
    return None
