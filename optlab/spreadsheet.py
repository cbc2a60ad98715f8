"""CSV files that a spreadsheet opens: a text is a text there, and no formula."""

from collections.abc import Iterable
from typing import Any

FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")  # what a cell begins with that Excel, LibreOffice or Sheets evaluates


def inert(row: Iterable[Any]) -> list[Any]:
    """Return the cells with an apostrophe before every text that would be run; numbers stay as they are.

    >>> inert(["=HYPERLINK(A1)", "adam", "-5", -5.0, None])
    ["'=HYPERLINK(A1)", 'adam', "'-5", -5.0, None]
    """
    return [f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value for value in row]
