"""A table in a text file: numbers in columns, one of them the label; every mistake is told by line and column."""

import csv
import itertools
import math
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn

import numpy as np

from optlab import streams
from optlab.data.checks import STEPS, converted
from optlab.errors import DataError

LONGEST = 1 << 20  # bytes of a line
NUMBER = re.compile(r"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*", re.ASCII)  # less than float() takes: no 1_0, no nan

INDEX = re.compile(r"(unnamed: \d+(\.\d+)*|index)?", re.IGNORECASE)  # what writers call a column of row numbers


def read_csv(
    path: Path, label: str | int, header: bool | None, dtype: str, index: bool | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """x (n, features) and the labels (n,) as Python strings: in NumPy's, each would take as much as the longest.

    Fields are separated by the first of tab, semicolon and comma that the first line has. ``header`` says whether that
    line holds names; None: it does if none of its fields, but for the label, is a number. ``index`` is as in `read`.
    """
    table = _rows(path)
    _, first = next(table, (1, []))
    if len(first) < 2:
        _refuse(path, f"line 1 has {len(first)} columns, expected a label and at least one number, as in 5.1,3.5,yes")
    target = _label_column(path, label, first, header)
    if index and target == 0:
        _refuse(path, "column 1 can't be both the label and, by index=True, the numbers of the rows")
    left_out = [target, 0] if index else [target]
    if header is None:
        header = not any(NUMBER.fullmatch(field) for i, field in enumerate(first) if i not in left_out)
    if not header:
        table = _rows(path)
    kept = [i for i in range(len(first)) if i not in left_out]
    names = [first[i].strip() for i in kept] if header else []
    # Room for the rows: one per line, but a field takes two bytes, so that a wide first line can't claim much. In
    # float64: what the text says is judged before its precision is dropped.
    x = np.empty((min(_count_lines(path), (path.stat().st_size + 1) // (2 * len(first))), len(kept)))
    labels: list[str] = []
    largest = float(np.finfo(dtype).max)
    for line, row in table:
        if len(row) != len(first):
            _refuse(path, f"line {line} has {len(row)} columns, expected {len(first)} as in line 1")
        text = row[target].strip()
        if not text:
            _refuse(path, f"line {line}, column {target + 1} is empty, expected a label")
        for i in left_out:  # the label first: nothing stands before an index
            del row[i]
        x[len(labels)] = _numbers(row, largest) or _one_by_one(path, line, row, _namer(kept, names), largest)
        labels.append(text)
    x = x[: len(labels)]
    if index is None and len(x):
        kept, names, x = _without_index(path, kept, names, x)
    column = _namer(kept, names)
    _refuse_long_numbers(path, x, column)
    try:
        ready = converted(x, np.dtype(dtype), "x", column)
    except DataError as error:
        _refuse(path, str(error))
    return ready, np.array(labels, dtype=object)


def _namer(kept: list[int], names: list[str]) -> Callable[[int], str]:
    return lambda i: f"column {kept[i] + 1}" + (f" ({names[i]!r})" if names else "")


def _refuse_long_numbers(path: Path, x: np.ndarray, column: Callable[[int], str]) -> None:
    """Refuse whole numbers that float64 made alike, as identifiers of 19 digits that begin with the same ones are."""
    if not len(x):
        return
    low, high = x.min(0), x.max(0)
    reach = np.maximum(np.abs(low), np.abs(high))
    for i in np.flatnonzero((reach >= 2.0**53) & (high / STEPS - low / STEPS < np.spacing(reach))):
        _refuse(
            path,
            f"{column(int(i))} holds numbers near {reach[i]:g} that float64 can't tell apart; leave the column out",
        )


def _without_index(
    path: Path, kept: list[int], names: list[str], x: np.ndarray
) -> tuple[list[int], list[str], np.ndarray]:
    """Leave out the columns that only number the rows, as pandas and R write them, and say so."""
    found = [i for i, name in enumerate(names) if _numbers_the_rows(name, x[:, i])]
    if not found or len(found) == len(names):
        return kept, names, x
    which = ", ".join(map(_namer(kept, names), found))
    streams.warn(f"{path}: {which} numbers the rows and is left out; index=False keeps it", stacklevel=4)
    rest = [i for i in range(len(names)) if i not in found]
    return [kept[i] for i in rest], [names[i] for i in rest], x[:, rest]


def _numbers_the_rows(name: str, values: np.ndarray) -> bool:
    """Whether a column without a name holds different whole numbers, or one named index counts from 0 or 1."""
    if not INDEX.fullmatch(name) or (values != np.trunc(values)).any() or values.min() < 0:
        return False
    if name.lower() == "index":
        return values[0] in (0, 1) and bool((np.diff(values) == 1).all())
    return len(np.unique(values)) == len(values)


def _rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Line numbers and fields; blank lines may only end the file."""
    lines = _lines(path)
    first = next(lines, "")
    separator = next((s for s in "\t;," if s in first), ",")
    rows = csv.reader(itertools.chain([first], lines), delimiter=separator, strict=True)
    blank = 0
    try:
        for row in rows:
            if not row:
                blank = blank or rows.line_num
            elif blank:
                _refuse(path, f"line {blank} is blank and rows follow it; delete it")
            else:
                yield rows.line_num, row
    except csv.Error as error:
        _refuse(path, f"line {rows.line_num}: {error}")


def _lines(path: Path) -> Iterator[str]:
    try:
        with path.open("rb") as file:
            number = 0
            while line := file.readline(LONGEST + 1):
                number += 1
                if len(line) > LONGEST:
                    _refuse(path, f"line {number} is longer than {LONGEST} bytes")
                if 0 in line:
                    _refuse(path, f"line {number} has a NUL at byte {line.index(0)}, expected text in UTF-8")
                yield line.decode("utf-8-sig" if number == 1 else "utf-8")
    except UnicodeDecodeError as error:
        _refuse(path, f"line {number} is not UTF-8 at byte {error.start}: save the table as UTF-8")
    except OSError as error:
        _refuse(path, f"can't be read: {error.strerror}")


def _count_lines(path: Path) -> int:
    with path.open("rb") as file:
        return 1 + sum(piece.count(b"\n") for piece in iter(lambda: file.read(LONGEST), b""))


def _label_column(path: Path, label: str | int, first: list[str], header: bool | None) -> int:
    if isinstance(label, str):
        names = [name.strip() for name in first]
        if header is False or names.count(label) != 1:
            found = f"its first line is {', '.join(map(repr, names[:20]))}"
            _refuse(path, f"expected one column named {label!r}; {found}")
        return names.index(label)
    if not -len(first) <= label < len(first):
        _refuse(path, f"has {len(first)} columns and none with number {label}, counted from 0")
    return label % len(first)


def _numbers(fields: list[str], largest: float) -> list[float] | None:
    """All of them, or None if one needs a closer look."""
    text = "".join(fields)
    if "_" in text or not text.isascii():
        return None
    try:
        values = list(map(float, fields))
    except ValueError:
        return None
    return values if math.isfinite(sum(values)) and -largest <= min(values) and max(values) <= largest else None


def _one_by_one(path: Path, line: int, fields: list[str], column: Callable[[int], str], largest: float) -> list[float]:
    for i, field in enumerate(fields):
        where = f"line {line}, {column(i)}"
        if not NUMBER.fullmatch(field):
            hint = "; if line 1 holds names: header=True" if line == 1 else ""
            _refuse(path, f"{where} is {_short(field)}, expected a number{hint}")
        if abs(float(field)) > largest:
            _refuse(path, f"{where} is {_short(field)}, larger than {largest:g}")
    return list(map(float, fields))


def _short(field: str) -> str:
    return repr(field if len(field) <= 40 else field[:40] + "...") if field.strip() else "empty"


def _refuse(path: Path, problem: str) -> NoReturn:
    raise DataError(f"{path}: {problem}")
