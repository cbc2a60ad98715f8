"""The trials as a file for others."""

import csv
import importlib.util
import json
import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TextIO

from optlab.errors import ConfigError
from optlab.files import replacing
from optlab.search.trial import beside
from optlab.spreadsheet import inert

if TYPE_CHECKING:
    from optlab.search.study import Study
    from optlab.search.trial import Trial

FIELDS = ("number", "state", "value", "error", "seed", "started", "finished", "starts")
Path = str | os.PathLike[str]


def rows(study: "Study") -> list[dict[str, Any]]:
    """A flat dictionary per trial; a parameter that has the name of a column is called ``params.NAME``."""
    return [
        {field: getattr(trial, field) for field in FIELDS}
        | beside({name: trial.params.get(name) for name in study.space}, FIELDS)
        for trial in study.trials
    ]


def to_csv(study: "Study", path: Path, spreadsheet_safe: bool) -> None:
    """`Study.to_csv`; what isn't there is empty, floats are exact."""
    table = rows(study)
    lines = [list(table[0]) if table else [*FIELDS, *beside(dict.fromkeys(study.space), FIELDS)]]
    lines += [list(row.values()) for row in table]
    with _writing(path) as file:
        csv.writer(file).writerows(map(inert, lines) if spreadsheet_safe else lines)


def to_json(study: "Study", path: Path) -> None:
    """`Study.to_json`."""
    content = {
        "study": study.name,
        "direction": study.direction,
        "space": study.space.to_dict(),
        "sampler": study.description.get("sampler"),
        "trials": [_record(trial) for trial in study.trials],
    }
    with _writing(path) as file:
        json.dump(content, file, indent=1, allow_nan=False)


def _record(trial: "Trial") -> dict[str, Any]:
    reports = [[step, value if math.isfinite(value) else None] for step, value in trial.reports]
    return {field: getattr(trial, field) for field in FIELDS} | {"params": trial.params, "reports": reports}


def to_parquet(study: "Study", path: Path) -> None:
    """`Study.to_parquet`; a choice between texts and numbers becomes a column of texts.

    Raises:
        ConfigError: neither pyarrow nor polars is installed.
    """
    table = rows(study)
    columns = {name: _one_type([row[name] for row in table]) for name in (table[0] if table else FIELDS)}
    arrow, polars = (importlib.util.find_spec(name) is not None for name in ("pyarrow", "polars"))
    if not arrow and not polars:
        raise ConfigError("to_parquet needs pyarrow or polars: pip install 'optlab[parquet]'")
    with _writing(path, binary=True) as file:
        if arrow:
            table_of = importlib.import_module("pyarrow").table
            importlib.import_module("pyarrow.parquet").write_table(table_of(columns), file)
        else:
            importlib.import_module("polars").DataFrame(columns).write_parquet(file)


def _one_type(values: list[Any]) -> list[Any]:
    kinds = {type(value) for value in values if value is not None}
    if kinds <= {int, float} and len(kinds) == 2:
        return [None if value is None else float(value) for value in values]
    return values if len(kinds) < 2 else [None if value is None else str(value) for value in values]


@contextmanager
def _writing(path: Path, binary: bool = False) -> "Iterator[TextIO | Any]":
    with (
        replacing(path) as draft,
        draft.open("wb") if binary else draft.open("w", newline="", encoding="utf-8") as file,
    ):
        yield file
