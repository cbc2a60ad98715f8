"""A small table: rows as dictionaries, printed in columns."""

from dataclasses import dataclass
from html import escape
from typing import Any


def show(value: Any) -> str:
    """A cell: four significant digits, a dash for what never happened."""
    if value is None:
        return "-"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


@dataclass(frozen=True)
class Table:
    """Rows with the same keys; ``rows`` is the data, ``str`` the text, notebooks show HTML."""

    rows: list[dict[str, Any]]

    @property
    def columns(self) -> list[str]:
        """The keys of the rows."""
        return list(self.rows[0]) if self.rows else []

    def cells(self) -> list[list[str]]:
        """The heading and the rows as text."""
        return [self.columns, *([show(v) for v in row.values()] for row in self.rows)]

    def __len__(self) -> int:
        return len(self.rows)

    def __str__(self) -> str:
        lines = self.cells()
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        return "\n".join("  ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)).rstrip() for line in lines)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        head, *body = self.cells()
        rows = "".join(f"<tr>{''.join(f'<td>{escape(c)}</td>' for c in line)}</tr>" for line in body)
        return f"<table><tr>{''.join(f'<th>{escape(c)}</th>' for c in head)}</tr>{rows}</table>"
