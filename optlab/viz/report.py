"""The report of a training run: one page, offline, of everything its directory holds."""

import base64
import hashlib
from collections.abc import Iterable, Mapping
from html import escape
from importlib.resources import files
from pathlib import Path
from string import Template
from textwrap import shorten
from typing import Any

from optlab.descent.table import show
from optlab.errors import DataError, StorageError
from optlab.train.history import direction
from optlab.train.rundir import RunDirectory, write
from optlab.viz.evidence import Picture, curves, evidence

PAGE = Template("""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src '$hash'; img-src data:; base-uri \
'none'; form-action 'none'">
<title>$title</title><style>$style</style></head><body>
<header><h1>$title</h1>
<p><span class="status $status">$status</span>$reason</p><p>$path</p></header>
<dl class="numbers">$numbers</dl>
$sections
</body></html>
""")


def write_report(run: RunDirectory | str | Path) -> Path:
    """Write ``report.html`` into a run directory; the path.

    Raises:
        StorageError: it is no run directory, or can't be written to.
    """
    run = run if isinstance(run, RunDirectory) else RunDirectory(run)
    path = run.path / "report.html"
    write(path, _page(run))
    return path


def _page(run: RunDirectory) -> str:
    history, style = run.history, files("optlab.viz").joinpath("report.css").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    try:
        shown = [] if run.best_epoch is None else evidence(run.best(), run.parts[1])
        trouble = ""
    except (DataError, StorageError) as error:  # a report is also what shows that something is gone
        shown, trouble = [], f'<section><p class="alarm">No pictures of the data: {escape(str(error))}</p></section>'
    sections = [_pictures("Curves", curves(history)), _pictures("The best epoch's network", shown), trouble]
    page = PAGE.substitute(
        hash=f"sha256-{digest}",
        style=style,
        title=escape(f"{Path(run.recipe.source['name']).stem}: {run.recipe.config.rule!r}"),
        status=escape(history.status),
        reason=escape(f": {history.reason}" if history.reason else ""),
        path=escape(str(run.path)),
        numbers="".join(_number(*entry) for entry in _headline(run)),
        sections="\n".join([*sections, _seal(run), _recipe(run), _log(run)]),
    )
    return page.encode("utf-8", "replace").decode()  # a file's name may hold what is no character


def _headline(run: RunDirectory) -> Iterable[tuple[str, Any, str]]:
    """Name, value and a note."""
    history, best, held = run.history, run.best_epoch, {}
    if best is not None:
        at = f"epoch {best}" if "val_loss" in history else "last epoch"
        for name in ("val_accuracy", "val_loss", "train_loss"):
            if name in history:
                held[name.removeprefix("val_")] = value = float(history[name][best - 1])
                yield _words(name), _value(name, value), at
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
        return _section("Sealed test set", f"{text}<p>Not opened.</p>")
    rows = "".join(
        "<tr>"
        + "".join(f"<td>{escape(str(cell))}</td>" for cell in (row["time"], row["reason"], _results(row)))
        + f'<td class="alarm">{"forced" if row["forced"] else ""}</td></tr>'
        for row in openings
    )
    head = "<thead><tr><th>opened</th><th>reason</th><th>result</th><th></th></tr></thead>"
    return _section("Sealed test set", f'{text}<table class="ledger">{head}<tbody>{rows}</tbody></table>')


def _results(opening: Mapping[str, Any]) -> str:
    return ", ".join(f"{_words(k)} {_value(k, v)}" for k, v in _result(opening).items()) or "none recorded"


def _result(opening: Mapping[str, Any]) -> dict[str, Any]:
    """A ledger that was edited may hold anything."""
    result = opening.get("result")
    return {k: v for k, v in result.items() if v is not None} if isinstance(result, dict) else {}


def _recipe(run: RunDirectory) -> str:
    recipe = run.recipe.to_dict()
    rows = {"data": recipe["source"], "split": recipe["split"], "model": recipe["model"], **recipe["config"]}
    rows |= {"patience": recipe["patience"], "data sha256": run.digest}
    return _section("Configuration", _pairs({k: v for k, v in rows.items() if not _unused(v)}))


def _unused(value: Any) -> bool:
    """An option that was not used; a seed of 0 was."""
    return value is None or value is False or (isinstance(value, float) and value == 0.0)


def _log(run: RunDirectory) -> str:
    """When it was started and ended, by which command, on which machine."""
    parts = []
    for record in run.log():
        fields = dict(record)
        head = f"{fields.pop('time', '')} {fields.pop('event', '')}"
        parts.append(f"<h3>{escape(head)}</h3>{_pairs({k: v for k, v in fields.items() if v != ''})}")
    return _section("Log", "".join(parts))


def _section(heading: str, content: str, kind: str = "text") -> str:
    return f'<section><h2>{escape(heading)}</h2><div class="{kind}">{content}</div></section>'


def _pictures(heading: str, pictures: list[Picture]) -> str:
    return _section(heading, "".join(map(_figure, pictures)), "pictures") if pictures else ""


def _figure(picture: Picture) -> str:
    source = f"data:{picture.type};base64,{base64.b64encode(picture.content).decode()}"
    look = "lines" if picture.type == "image/svg+xml" else "paper"
    caption = escape(picture.caption)
    return f'<figure><figcaption>{caption}</figcaption><img class="{look}" src="{source}" alt="{caption}"></figure>'


def _number(name: str, value: Any, note: str) -> str:
    value, note = (shorten(text, 60, placeholder="…") for text in (show(value), note))
    return f"<div><dt>{escape(name)}</dt><dd>{escape(value)}<small>{escape(note)}</small></dd></div>"


def _pairs(rows: Mapping[str, Any]) -> str:
    cells = "".join(f"<tr><th>{escape(_words(k))}</th><td>{escape(_text(v))}</td></tr>" for k, v in rows.items())
    return f"<table><tbody>{cells}</tbody></table>"


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{_words(k)} {_text(v)}" for k, v in value.items() if not _unused(v))
    if isinstance(value, list):
        return " ".join(map(_text, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def _value(name: str, value: Any) -> str:
    """Accuracies as percentages."""
    share = isinstance(value, float) and direction(name) < 0
    return f"{100 * value:.2f} %" if share else show(value)


def _words(name: str) -> str:
    return str(name).replace("_", " ")
