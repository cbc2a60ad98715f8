"""A table in a text file: numbers in columns, one of them the label; every mistake is told by line and column."""

import csv
import itertools
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import numpy as np

from optlab.errors import DataError

LONGEST = 1 << 20  # bytes of a line
NUMBER = re.compile(r"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*", re.ASCII)  # less than float() takes: no 1_0, no nan


def read_csv(path: Path, label: str | int, header: bool | None, dtype: str) -> tuple[np.ndarray, np.ndarray]:
    """x (n, columns - 1) and the labels (n,) as Python strings: in NumPy's, each would take as much as the longest.

    Fields are separated by the first of tab, semicolon and comma that the first line has. ``header`` says whether that
    line holds names; None: it does if none of its fields, but for the label, is a number.
    """
    table = _rows(path)
    _, first = next(table, (1, []))
    if len(first) < 2:
        _refuse(path, f"line 1 has {len(first)} columns, expected a label and at least one number, as in 5.1,3.5,yes")
    column = _label_column(path, label, first, header)
    if header is None:
        header = not any(NUMBER.fullmatch(field) for i, field in enumerate(first) if i != column)
    if not header:
        table = _rows(path)
    # Room for the rows: one per line, but a field takes two bytes, so that a wide first line can't claim much.
    x = np.empty((min(_count_lines(path), (path.stat().st_size + 1) // (2 * len(first))), len(first) - 1), dtype)
    labels: list[str] = []
    largest = float(np.finfo(dtype).max)
    for line, row in table:
        if len(row) != len(first):
            _refuse(path, f"line {line} has {len(row)} columns, expected {len(first)} as in line 1")
        text = row.pop(column).strip()
        if not text:
            _refuse(path, f"line {line}, column {column + 1} is empty, expected a label")
        names = first[:column] + first[column + 1 :] if header else []
        x[len(labels)] = _numbers(row, largest) or _one_by_one(path, line, row, column, names, largest)
        labels.append(text)
    return x[: len(labels)], np.array(labels, dtype=object)


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


def _one_by_one(path: Path, line: int, fields: list[str], column: int, names: list[str], largest: float) -> list[float]:
    for i, field in enumerate(fields):
        where = f"line {line}, column {i + 1 + (i >= column)}{f' ({names[i]!r})' if names else ''}"
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
