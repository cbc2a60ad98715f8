"""A study as text on a terminal, or as JSON."""

import shutil
import sys
from typing import TYPE_CHECKING, Any

import click

from optlab import streams
from optlab.cli.common import print_table, visible

if TYPE_CHECKING:
    from optlab.search.study import Study

SHOWN = 8


def about(study: "Study") -> dict[str, Any]:
    """Objective, settings and sampler, as far as the file tells."""
    told = study.description
    return {key: told[key] for key in ("objective", "settings", "sampler") if key in told}


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
    from optlab.search.trial import beside, summary
    from optlab.viz.study_report import counted, failures

    if study.complete:
        best = study.best
        rest = {"trials": counted(study), **extra}
        rows = {"value": best.value, **beside(best.params, ("value", *rest)), **rest}
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
        if others := groups[SHOWN:]:
            click.echo(f"{sum(map(len, others)):,} trials more failed for {len(others):,} other reasons.")
    verdicts = study.verdict()
    if verdicts:
        click.echo()
    for verdict in verdicts:
        text = visible(f"{'ok  ' if verdict.passed else 'NOTE'} {verdict.id}: {verdict.explanation}")
        click.echo(
            click.wrap_text(text, _width(), subsequent_indent=5 * " ") if streams.is_terminal(sys.stdout) else text
        )


def _width() -> int:
    return min(110, shutil.get_terminal_size().columns)


def _trial(trial: Any, summary: Any) -> str:
    return f"{trial.number}: {summary(trial.params)}"
