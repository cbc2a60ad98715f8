"""The report of a training run: one page, offline, of everything its directory holds."""

from collections.abc import Callable, Iterable, Mapping
from html import escape
from pathlib import Path
from typing import Any

from optlab.descent.table import show
from optlab.errors import OptlabError
from optlab.files import write_whole
from optlab.train.history import direction
from optlab.train.rundir import RunDirectory
from optlab.viz.evidence import curves, evidence
from optlab.viz.page import Picture, number, page, pairs, pictures, section, unused, words
from optlab.viz.style import own_style


def write_report(run: RunDirectory | str | Path) -> Path:
    """Write ``report.html`` into a run directory; the path.

    Raises:
        StorageError: it is no run directory, or can't be written to.
    """
    run = run if isinstance(run, RunDirectory) else RunDirectory(run)
    path = run.path / "report.html"
    with own_style():
        write_whole(path, _page(run))
    return path


def _page(run: RunDirectory) -> str:
    history = run.history
    shown, trouble = _drawn("the curves", lambda: curves(history))
    best, more = _drawn("the data", lambda: [] if run.best_epoch is None else evidence(run.best(), run.parts[1]))
    trouble = f"<section>{trouble}{more}</section>" if trouble or more else ""
    status, reason = escape(history.status), escape(f": {history.reason}" if history.reason else "")
    return page(
        f"{Path(run.recipe.source['name']).stem}: {run.recipe.config.rule!r}",
        f'<p><span class="status {status}">{status}</span>{reason}</p><p>{escape(str(run.path))}</p>',
        (number(*entry) for entry in _headline(run)),
        [
            pictures("Curves", shown),
            pictures("The best epoch's network", best),
            trouble,
            _seal(run),
            _recipe(run),
            _log(run),
        ],
    )


def _drawn(what: str, draw: Callable[[], list[Picture]]) -> tuple[list[Picture], str]:
    """The pictures, or why there are none: a report also shows that something is gone, and numbers need no pictures."""
    try:
        return draw(), ""
    except Exception as error:
        reason = str(error) if isinstance(error, OptlabError) else f"{type(error).__name__}: {error}"
        return [], f'<p class="alarm">No pictures of {what}: {escape(reason)}</p>'


def _headline(run: RunDirectory) -> Iterable[tuple[str, Any, str]]:
    """Name, value and a note."""
    history, best, held = run.history, run.best_epoch, {}
    if best is not None:
        at = f"epoch {best}" if "val_loss" in history else "last epoch"
        for name in ("val_accuracy", "val_loss", "train_loss"):
            if name in history:
                held[name.removeprefix("val_")] = value = float(history[name][best - 1])
                yield words(name), _value(name, value), at
    openings = run.openings()
    if not openings:
        yield "test", "sealed", "not opened"
    else:
        result, often = _result(openings[-1]), f"opened {len(openings)} times" if len(openings) > 1 else "opened once"
        scores = {k: result[k] for k in ("accuracy", "loss") if isinstance(result.get(k), float)}
        yield from ((f"test {k}", _value(k, value), often) for k, value in scores.items())
        yield from ((f"gap in {k}", f"{v - held[k]:+.4g}", "test − validation") for k, v in scores.items() if k in held)
    yield "epochs", history.epochs, f"of {run.recipe.config.epochs}"
    yield "seconds", f"{sum(history.seconds):.2f}", "of training"
    yield "engine", history.engine or "-", history.why


def _seal(run: RunDirectory) -> str:
    """Every opening of the test set, and whether somebody changed the ledger."""
    openings, problems = run.openings(), run.ledger().verify()
    alarms = [f"Opened {len(openings)} times: it is a validation set now."] * (len(openings) > 1)
    alarms += [f"The ledger was changed by hand: {problem}." for problem in problems]
    text = "".join(f'<p class="alarm">{escape(alarm)}</p>' for alarm in alarms)
    if not openings:
        return section("Sealed test set", f"{text}<p>Not opened.</p>")
    rows = "".join(
        "<tr>"
        + "".join(f"<td>{escape(str(cell))}</td>" for cell in (row["time"], row["reason"], _results(row)))
        + f'<td class="alarm">{"forced" if row["forced"] else ""}</td></tr>'
        for row in openings
    )
    head = "<thead><tr><th>opened</th><th>reason</th><th>result</th><th></th></tr></thead>"
    return section("Sealed test set", f'{text}<table class="ledger">{head}<tbody>{rows}</tbody></table>')


def _results(opening: Mapping[str, Any]) -> str:
    return ", ".join(f"{words(k)} {_value(k, v)}" for k, v in _result(opening).items()) or "none recorded"


def _result(opening: Mapping[str, Any]) -> dict[str, Any]:
    """A ledger that was edited may hold anything."""
    result = opening.get("result")
    return {k: v for k, v in result.items() if v is not None} if isinstance(result, dict) else {}


def _recipe(run: RunDirectory) -> str:
    recipe = run.recipe.to_dict()
    rows = {"data": recipe["source"], "split": recipe["split"], "model": recipe["model"], **recipe["config"]}
    rows |= {"patience": recipe["patience"], "data sha256": run.digest}
    return section("Configuration", pairs({k: v for k, v in rows.items() if not unused(v)}))


def _log(run: RunDirectory) -> str:
    """When it was started and ended, by which command, on which machine."""
    parts = []
    for record in run.log():
        fields = dict(record)
        head = f"{fields.pop('time', '')} {fields.pop('event', '')}"
        parts.append(f"<h3>{escape(head)}</h3>{pairs({k: v for k, v in fields.items() if v != ''})}")
    return section("Log", "".join(parts))


def _value(name: str, value: Any) -> str:
    """Accuracies as percentages."""
    share = isinstance(value, float) and direction(name) < 0
    return f"{100 * value:.2f} %" if share else show(value)
