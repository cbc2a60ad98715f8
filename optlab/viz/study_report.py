"""The report of a study: one page, offline, of what was tried, what was best, and what to make of it."""

import re
from collections.abc import Iterable, Mapping
from html import escape
from pathlib import Path
from typing import Any

from optlab.descent.table import Table, show
from optlab.files import write_whole
from optlab.search.parameters import Choice, Parameter
from optlab.search.study import Study
from optlab.search.trial import Trial, beside, summary
from optlab.viz.page import figure, number, page, pairs, pictures, scrolled, section
from optlab.viz.study_pictures import study_pictures
from optlab.viz.style import own_style

EXPECTED = "What the model expects along each parameter from the best trial on: the median, and a band for 95 %"
TOP = 10  # trials that are listed
REASONS = 20  # of failed trials that are listed
NUMBER = re.compile(r"-?\d+(\.\d+)?(e[+-]?\d+)?")
ENDED_BADLY = ("failed", "crashed", "quarantined")


def write_study_report(study: Study, path: str | Path, about: Mapping[str, Any] | None = None) -> Path:
    """Write the page; the path.

    Args:
        study: with any number of trials, none included.
        path: of the file, made with its folder.
        about: what else to show under "Search": the objective, its settings.

    Raises:
        StorageError: it can't be written.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with own_style():
        write_whole(path, _page(study, dict(about or {})))
    return path


def failures(study: Study) -> list[list[Trial]]:
    """Trials without a value, those with the same reason (but for its numbers) together; the most frequent first."""
    groups: dict[str, list[Trial]] = {}
    for trial in study.trials:
        if trial.state in ENDED_BADLY:
            groups.setdefault(NUMBER.sub("#", str(trial.error)), []).append(trial)
    return sorted(groups.values(), key=len, reverse=True)


def counted(study: Study) -> str:
    """``57 complete, 3 failed``."""
    states = [trial.state for trial in study.trials]
    return ", ".join(f"{states.count(state)} {state}" for state in dict.fromkeys(states)) or "none"


def proposers(study: Study) -> str:
    """``Random(seed=0), GP(initial=10, seed=0) from trial 12 on``; "" where the file does not tell."""
    found = study.samplers()
    return ", ".join(f"{sampler!r} from trial {first} on" if first else repr(sampler) for first, sampler in found)


def ranged(parameter: Parameter) -> str:
    """``1e-05 .. 1, log``, or the values of a choice."""
    if isinstance(parameter, Choice):
        text = ", ".join(map(str, parameter.values))
    else:
        step = None if parameter.step in (None, 1) else f"step {parameter.step:g}"
        extra = ["log" if parameter.log else None, "whole" if parameter.kind == "int" else None, step]
        text = ", ".join([f"{parameter.low:g} .. {parameter.high:g}", *filter(None, extra)])
    conditions = [f"{name} = {_values(wanted)}" for name, wanted in (parameter.when or {}).items()]
    return f"{text} when {' and '.join(conditions)}" if conditions else text


def _values(wanted: Any) -> str:
    return " or ".join(map(str, wanted)) if isinstance(wanted, list | tuple) else str(wanted)


def _page(study: Study, about: dict[str, Any]) -> str:
    drawn, by = study_pictures(study), proposers(study)
    return page(
        f"{study.name}: {len(study.trials)} trials",
        f"<p>{escape(counted(study))}; {escape(study.direction)}{escape(f' with {by}' if by else '')}</p>",
        (number(*entry) for entry in _headline(study)),
        [
            _best(study),
            _verdicts(study),
            pictures("The search", drawn.course),
            section("All parameters at once", "".join(map(figure, drawn.wide)), "wide") if drawn.wide else "",
            pictures(f"Each parameter{f': {drawn.thinned}' if drawn.thinned else ''}", drawn.single, "pictures small"),
            pictures(EXPECTED, drawn.model, "pictures small"),
            section("What the model expects", f"<p>{escape(drawn.left_out)}</p>") if drawn.left_out else "",
            pictures("Two parameters", drawn.both),
            _table("The best trials", _top(study)),
            _failed(study),
            section("Search", pairs(about) + _space(study)),
        ],
    )


def _headline(study: Study) -> Iterable[tuple[str, Any, str]]:
    """Name, value and a note."""
    trials = study.trials
    if study.complete:
        best = study.best
        yield "best value", best.value, f"trial {best.number}"
    yield "trials", len(trials), counted(study)
    bad = sum(trial.state in ENDED_BADLY for trial in trials)
    yield "failed", bad, f"{100 * bad / len(trials):.0f} % of all" if trials else ""
    times = [(trial.started, trial.finished) for trial in trials if trial.finished is not None]
    if times:
        wall = max(end for _, end in times) - min(start for start, _ in times)
        yield "seconds", round(wall, 1), "from the first start to the last end"


def _best(study: Study) -> str:
    if not study.complete:
        return section("Best", "<p>No trial is complete.</p>")
    return section(
        f"Best: trial {study.best.number}", pairs({"value": study.best.value, **beside(study.best.params, ["value"])})
    )


def _verdicts(study: Study) -> str:
    rows = "".join(
        f'<tr><td class="{"status" if v.passed else "alarm"}">{"holds" if v.passed else "note"}</td>'
        f"<td>{escape(v.claim)}</td><td>{escape(v.explanation)}</td></tr>"
        for v in study.verdict()
    )
    return section("What to make of it", f'<table class="ledger"><tbody>{rows}</tbody></table>') if rows else ""


def _top(study: Study) -> list[dict[str, Any]]:
    ranked = sorted(study.complete, key=lambda trial: (study.loss(trial), trial.number))[:TOP]
    rows = [{name: trial.params.get(name) for name in study.space} for trial in ranked]
    return [
        {"trial": trial.number, "value": trial.value, **beside(row, ("trial", "value"))}
        for trial, row in zip(ranked, rows, strict=True)
    ]


def _failed(study: Study) -> str:
    groups = failures(study)
    rows = [
        {
            "trials": len(group),
            "why": f"{group[0].state}: {group[0].error}",
            "as": f"trial {group[0].number}: {summary(group[0].params)}",
        }
        for group in groups[:REASONS]
    ]
    others = groups[REASONS:]
    if others:
        rows.append({"trials": sum(map(len, others)), "why": f"{len(others):,} more reasons", "as": ""})
    return _table("Failed trials, by reason", rows)


def _space(study: Study) -> str:
    return _html("Parameters", [{"parameter": name, "range": ranged(p)} for name, p in study.space.items()])


def _table(heading: str, rows: list[dict[str, Any]]) -> str:
    return section(heading, _html(heading, rows)) if rows else ""


def _html(name: str, rows: list[dict[str, Any]]) -> str:
    head = "".join(f"<th>{escape(column)}</th>" for column in Table(rows).columns)
    body = "".join(f"<tr>{''.join(f'<td>{escape(show(v))}</td>' for v in row.values())}</tr>" for row in rows)
    return scrolled(name, f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>")
