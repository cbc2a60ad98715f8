"""Who runs trials with nothing in them: a study of optlab or of Optuna, in memory or in a file.

In every file a result that was told survives a power cut. Ours waits for the disk once a trial, at its result: a claim
that is lost is made again. Optuna's SQLite, at its default settings, waits in each of its transactions (the trial, each
parameter, the result), its journal at each line.
"""

import multiprocessing
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from optlab.search.samplers.random import Random
from optlab.search.space import Float, Space
from optlab.search.study import Study

OURS, THEIRS, JOURNAL = "optlab", "optuna", "optuna journal"
Results = list[tuple[dict[str, Any], float | None]]  # parameters and value of every trial
Contestant = tuple[Callable[[int], object], Callable[[], Results]]  # runs so many trials more; what the study holds


def entrants(peers: bool, files: bool) -> list[str]:
    """Who takes part."""
    return [OURS, THEIRS, *[JOURNAL] * files] if peers and find_spec("optuna") else [OURS]


def total(params: dict[str, float]) -> float:
    """The objective."""
    return sum(params.values())


def contestant(name: str, columns: int, path: Path | None) -> Contestant:
    """A study of parameters between 0 and 1, without ``path`` in memory; the one in the file, if there is one."""
    if name == OURS:
        ours = our_study(columns, path)
        return lambda trials: ours.run(total, trials), lambda: [(t.params, t.value) for t in ours.trials]
    theirs, names = their_study(name, path), _names(columns)

    def objective(trial: Any) -> float:
        return total({name: trial.suggest_float(name, 0.0, 1.0) for name in names})

    return (
        lambda trials: theirs.optimize(objective, n_trials=trials),
        lambda: [(t.params, t.value) for t in theirs.get_trials(deepcopy=False)],  # a copy takes twenty times as long
    )


def our_study(columns: int, path: Path | None) -> Study:
    """With random search."""
    return Study(Space({name: Float(0.0, 1.0) for name in _names(columns)}), Random(seed=0), storage=path)


def their_study(name: str, path: Path | None) -> Any:
    """With random search."""
    import optuna
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    storage: Any = None
    if path is not None:
        storage = JournalStorage(JournalFileBackend(str(path))) if name == JOURNAL else f"sqlite:///{path}"
    sampler = optuna.samplers.RandomSampler(seed=0)
    return optuna.create_study(storage=storage, sampler=sampler, study_name="study", load_if_exists=True)


def ends(name: str, columns: int, path: Path, trials: int, processes: int) -> list[float]:
    """When each trial ended, in seconds, if so many processes share the work.

    Ours evaluate what one driver claims and records; Optuna's are drivers of one file, as it is meant to be used.
    """
    if name == OURS:
        study = our_study(columns, path)
        study.run(total, trials, executor=processes)
        return [t.finished for t in study.trials if t.finished is not None]
    study = their_study(name, path)  # makes the tables before the drivers come
    context = multiprocessing.get_context("spawn")
    together = context.Barrier(processes)
    task = (name, columns, path, trials // processes, together)
    workers = [context.Process(target=drive, args=task) for _ in range(processes)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return [t.datetime_complete.timestamp() for t in study.get_trials(deepcopy=False) if t.datetime_complete]


def drive(name: str, columns: int, path: Path, trials: int, together: Any) -> None:
    """What one of Optuna's processes does, once all are ready."""
    run, _ = contestant(name, columns, path)
    together.wait()
    run(trials)


def _names(columns: int) -> list[str]:
    return [f"x{i}" for i in range(columns)]
