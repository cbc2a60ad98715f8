"""Studies in a file: what there is, one of them opened, and how it is told on a terminal or as JSON."""

import json
import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from optlab.cli.common import print_table

if TYPE_CHECKING:
    from optlab.search.study import Study

SHOWN = 8


def names(path: Path) -> dict[str, tuple[str, Any]]:
    """Name -> (direction, space) of every study in a file.

    Raises:
        StorageError: there is no such file, or it is none of optlab's.
    """
    from optlab.errors import StorageError
    from optlab.search.database import Database

    if not os.path.exists(path):
        raise StorageError(f"{path} does not exist; optlab sweep makes such a file")
    database = Database(path)
    try:
        with database.reading():
            rows = database.execute("SELECT name, direction, space FROM study ORDER BY id").fetchall()
    finally:
        database.close()
    return {name: (direction, json.loads(space)) for name, direction, space in rows}


def open_study(path: Path, name: str | None) -> "Study":
    """A study of a file, with the sampler that its last sweep had.

    Raises:
        ConfigError: no study of this name; several and no name.
        StorageError: see `names`.
    """
    from optlab.errors import ConfigError, unknown
    from optlab.search.sampler import sampler_from_dict
    from optlab.search.samplers.random import Random
    from optlab.search.space import Space
    from optlab.search.study import Study

    there = names(path)
    if name is None and len(there) != 1:
        raise ConfigError(f"{path} holds {len(there)} studies; choose one with --name: {', '.join(there) or 'none'}")
    chosen = next(iter(there)) if name is None else name
    if chosen not in there:
        raise unknown("study", chosen, there)
    direction, space = there[chosen]
    study = Study(Space.from_dict(space), Random(), direction, path, chosen)
    sampler = about(study).get("sampler")
    if sampler is not None:
        study.sampler = sampler_from_dict(sampler)
        study.sampler.bind(study.space)
    return study


def record(study: "Study", told: dict[str, Any]) -> None:
    """Write down what a sweep is: `about` reads it."""
    study.describe(told)


def about(study: "Study") -> dict[str, Any]:
    """Objective, settings and sampler of the last sweep; {} for a study that was made otherwise."""
    return study.description


def document(study: "Study") -> dict[str, Any]:
    """Everything that a program wants to know."""
    from collections import Counter

    from optlab.viz.study_report import failures

    best = study.best if study.complete else None
    return {
        "study": study.name,
        **about(study),
        "direction": study.direction,
        "trials": dict(Counter(trial.state for trial in study.trials)),
        "best": None if best is None else {"number": best.number, "value": best.value, "params": best.params},
        "failures": [
            {"count": len(group), "reason": group[0].error, "trials": [t.number for t in group]}
            for group in failures(study)
        ],
        "verdicts": [verdict.to_dict() for verdict in study.verdict()],
        "importance": study.importance(),
    }


def show(study: "Study", extra: dict[str, Any]) -> None:
    """The best, what failed and why, and what to make of it."""
    from optlab.descent.table import Table
    from optlab.search.trial import summary
    from optlab.viz.study_report import counted, failures

    if study.complete:
        best = study.best
        rows = {"value": best.value, **best.params}
        rows |= {"trials": counted(study), **extra}
        print_table(Table([{"best": name, f"trial {best.number}": value} for name, value in rows.items()]))
    else:
        click.echo(f"No trial is complete: {counted(study)}.")
    groups = failures(study)
    if groups:
        click.echo()
        rows_failed = [
            {"trials": len(group), "failed because": group[0].error, "as trial": _trial(group[0], summary)}
            for group in groups[:SHOWN]
        ]
        print_table(Table(rows_failed))
    verdicts = study.verdict()
    if verdicts:
        click.echo()
    for verdict in verdicts:
        text = f"{'ok  ' if verdict.passed else 'NOTE'} {verdict.id}: {verdict.explanation}"
        click.echo(click.wrap_text(text, _width(), subsequent_indent=5 * " ") if sys.stdout.isatty() else text)


def _width() -> int:
    return min(110, shutil.get_terminal_size().columns)


def _trial(trial: Any, summary: Any) -> str:
    return f"{trial.number}: {summary(trial.params)}"
