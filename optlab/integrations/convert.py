"""Studies to and from Optuna's storages, trial by trial."""

import datetime
import math
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from optlab.errors import ConfigError, StorageError, unknown

try:
    import optuna
    from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
    from optuna.trial import FrozenTrial, TrialState
except ImportError:
    raise ConfigError("Optuna's studies need Optuna: pip install 'optlab[optuna]'") from None

from optlab.search import Choice, Float, Int, Random, Space, Study, Trial
from optlab.search.parameters import Parameter
from optlab.search.trial import Outcome

JOURNALS = (".log", ".journal")
ENDED = {TrialState.COMPLETE: "complete", TrialState.PRUNED: "pruned", TrialState.FAIL: "failed"}
REASON = "optlab:error"
VALUES = 10  # different values of a parameter that may stand for a condition


def to_optuna(study: Study, storage: str | Path | None = None, name: str | None = None) -> Any:
    """Copy a study into an Optuna storage; returns the ``optuna.Study``.

    Trials that failed, whatever way, become FAIL with the reason among their attributes; running ones are left out.

    Args:
        study: of optlab.
        storage: a file (SQLite, or a journal if it ends with .log or .journal), an address such as
            ``postgresql://...``, or None to keep it in memory.
        name: of the copy; the study's own if None.

    Raises:
        StorageError: the storage can't be had, or already has a study of that name.
    """
    name = name or study.name
    try:
        direction = optuna.study.StudyDirection[study.direction.upper()]
        copy = optuna.create_study(storage=_storage(storage), study_name=name, direction=direction)
    except optuna.exceptions.DuplicatedStudyError:
        raise StorageError(f"{storage} already has a study {name!r}; give another name") from None
    except Exception as error:  # whatever the storage's own library raises
        raise StorageError(f"{storage} can't be used as a storage: {_line(error)}") from error
    distributions = {n: distribution(p) for n, p in study.space.items()}
    copy.add_trials([_frozen(trial, distributions) for trial in study.trials if trial.state != "running"])
    return copy


def from_optuna(storage: str | Path, path: str | Path, name: str | None = None) -> Study:
    """Copy a study of an Optuna storage into an optlab file; returns the study.

    The space is what its trials were drawn from: of a range that changed, the widest. A parameter that some trials
    lack is active under a condition: the choices with which it appears. Trials that failed before they had all their
    parameters are left out.

    Raises:
        ConfigError: no such study, several objectives, or trials that no one space can hold, with the reason.
        StorageError: the storage or the file can't be read or written, or the file already has trials of that study.
    """
    name, directions, trials = _load(storage, name)
    if len(directions) != 1:
        raise ConfigError(f"{name!r} has {len(directions)} objectives; optlab's studies have one")
    trials = [t for t in trials if t.state in ENDED]
    space = space_of([t for t in trials if t.state == TrialState.COMPLETE] or trials)
    if os.path.exists(path) and name in Study.list(path) and Study.open(path, name).trials:  # read only
        raise StorageError(f"{path} already has trials of a study {name!r}")
    mine = Study(space, Random(), directions[0].name.lower(), path, name)
    for trial in trials:
        try:
            params = space.check(trial.params)
        except ConfigError:
            if trial.state == TrialState.COMPLETE:
                raise
            continue
        try:
            outcome = _outcome(trial)
        except (AttributeError, OverflowError, TypeError, ValueError) as error:
            raise StorageError(f"trial {trial.number} of {storage} can't be read: {_line(error)}") from error
        mine.finish(mine.ask(params=params), outcome)
    return mine


def distribution(parameter: Parameter) -> BaseDistribution:
    """Optuna's form of a parameter."""
    if isinstance(parameter, Choice):
        return CategoricalDistribution(parameter.values)
    if isinstance(parameter, Int):
        return IntDistribution(parameter.low, parameter.high, log=parameter.log, step=parameter.step or 1)
    return FloatDistribution(parameter.low, parameter.high, log=parameter.log, step=parameter.step)


def space_of(trials: Sequence[FrozenTrial]) -> Space:
    """The space that these trials come from.

    Raises:
        ConfigError: there are none, or a parameter is of several kinds, or missing where nothing tells why.
    """
    if not trials:
        raise ConfigError("the study has no finished trial, so that its space is not known")
    found: dict[str, list[BaseDistribution]] = {}
    for trial in trials:
        for name, its in trial.distributions.items():
            if its not in found.setdefault(name, []):
                found[name].append(its)
    always = [name for name in found if all(name in t.params for t in trials)]
    conditions = {name: _condition(name, always, trials) for name in found if name not in always}
    return Space({name: _parameter(name, kinds, conditions.get(name)) for name, kinds in found.items()})


def _parameter(name: str, kinds: list[BaseDistribution], when: dict[str, Any] | None) -> Parameter:
    first = kinds[0]
    if all(isinstance(kind, CategoricalDistribution) for kind in kinds):
        return Choice(list(dict.fromkeys(v for kind in kinds for v in kind.choices)), when=when)  # type: ignore[attr-defined]
    like = {(type(kind), getattr(kind, "log", None), getattr(kind, "step", None)) for kind in kinds}
    if len(like) > 1 or not isinstance(first, FloatDistribution | IntDistribution):
        raise ConfigError(f"parameter {name!r} is of several kinds: {', '.join(map(str, kinds))}")
    low, high = min(kind.low for kind in kinds), max(kind.high for kind in kinds)  # type: ignore[attr-defined]
    if low == high:
        return Choice([low], when=when)
    if isinstance(first, IntDistribution):
        step = None if first.log or first.step == 1 else first.step
        return Int(low, high, log=first.log, step=step, when=when)
    return Float(low, high, log=first.log, step=first.step, when=when)


def _condition(name: str, parents: Iterable[str], trials: Sequence[FrozenTrial]) -> dict[str, Any]:
    """The parent whose values tell whether a trial has this parameter."""
    for parent in parents:
        there = {t.params[parent] for t in trials if name in t.params}
        missing = {t.params[parent] for t in trials if name not in t.params}
        chosen = all(isinstance(t.distributions[parent], CategoricalDistribution) for t in trials)
        if chosen and not there & missing and len(there) <= VALUES:
            return {parent: sorted(there, key=repr)}
    raise ConfigError(f"parameter {name!r} is missing in some trials, and no choice tells in which")


def _frozen(trial: Trial, distributions: dict[str, BaseDistribution]) -> FrozenTrial:
    state = {"complete": TrialState.COMPLETE, "pruned": TrialState.PRUNED}.get(trial.state, TrialState.FAIL)
    attributes: dict[str, Any] = {"optlab:number": trial.number, "optlab:seed": trial.seed}
    if state == TrialState.FAIL:
        attributes[REASON] = f"{trial.state}: {trial.error}"
    frozen = optuna.create_trial(
        state=state,
        value=trial.value,
        params=trial.params,
        distributions={name: distributions[name] for name in trial.params},
        intermediate_values=dict(trial.reports),
        user_attrs=attributes,
    )
    frozen.datetime_start, frozen.datetime_complete = _when(trial.started), _when(trial.finished)
    return frozen


def _outcome(trial: FrozenTrial) -> Outcome:
    reports = tuple(sorted((int(step), float(value)) for step, value in trial.intermediate_values.items()))
    if trial.state == TrialState.COMPLETE:
        value = float(trial.values[0])
        if math.isfinite(value):
            return Outcome("complete", value, None, reports)
        return Outcome("failed", None, f"returned {value}; expected a finite number", reports)
    if trial.state == TrialState.PRUNED:
        return Outcome("pruned", None, "stopped early", reports)
    return Outcome("failed", None, str(trial.user_attrs.get(REASON, "failed under Optuna")), reports)


def _when(seconds: float | None) -> datetime.datetime | None:
    """Optuna's times are local and without a zone."""
    return None if seconds is None or math.isnan(seconds) else datetime.datetime.fromtimestamp(seconds)


def _load(storage: str | Path, name: str | None) -> tuple[str, list[Any], list[FrozenTrial]]:
    """A study's name, directions and trials."""
    if "://" not in str(storage) and not Path(storage).is_file():
        raise StorageError(f"{storage} does not exist")
    with _reading(storage):
        opened = optuna.storages.get_storage(_storage(storage))  # checked once; that takes longer than the reading
        names = optuna.get_all_study_names(opened)
    if name is None and len(names) != 1:
        raise ConfigError(f"{storage} holds {len(names)} studies; choose one by its name: {', '.join(names) or 'none'}")
    if name is not None and name not in names:
        raise unknown("study", name, names)
    with _reading(storage):
        study = optuna.load_study(study_name=name or names[0], storage=opened)
        return study.study_name, study.directions, study.get_trials(deepcopy=False)


@contextmanager
def _reading(storage: str | Path) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # whatever the storage's own library raises
        raise StorageError(f"{storage} can't be read as a storage of Optuna's: {_line(error)}") from error


def _storage(storage: str | Path | None) -> Any:
    if storage is None or "://" in str(storage):
        return storage
    if Path(storage).suffix in JOURNALS:
        from optuna.storages import JournalStorage
        from optuna.storages.journal import JournalFileBackend

        return JournalStorage(JournalFileBackend(str(storage)))
    return f"sqlite:///{Path(storage).absolute()}"


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
