"""A figure that was made, and how a folder remembers its figures, so that making one again keeps the others."""

import dataclasses
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from optlab.files import write_whole
from optlab.gallery._setup import Setup
from optlab.verdict import Verdict

FIGURES, VERDICTS = "figures.json", "verdicts.json"


@dataclass(frozen=True)
class Made:
    """A figure that was made, or the reason why it could not be.

    Attributes:
        id, title, source: what it is and where it was shown.
        text: what it is about, in paragraphs.
        advice: what a reader may change next.
        code: of its module.
        setup: how it was made; the data set is "" for a figure that has none.
        pictures: names of its files, in the order of showing.
        data: name of the file of what was measured.
        verdicts: its claims, judged unless it is a first look.
        error: why it could not be made; "" if it was.
        trace: where that happened.
        seconds: how long it took.
    """

    id: str
    title: str
    source: str = ""
    text: str = ""
    advice: str = ""
    code: str = ""
    setup: Setup = field(default_factory=Setup)
    pictures: tuple[str, ...] = ()
    data: str = ""
    verdicts: tuple[Verdict, ...] = ()
    error: str = ""
    trace: str = ""
    seconds: float = 0.0

    @property
    def false(self) -> list[Verdict]:
        """The claims that do not hold."""
        return [v for v in self.verdicts if v.passed is False]

    def summary(self) -> str:
        """How its claims came out, in words."""
        if self.error:
            return "could not be made"
        n, false = len(self.verdicts), len(self.false)
        claims = f"{n} claim{'s' * (n != 1)}"
        if self.setup.fast:
            return f"{claims}, not judged"
        if false:
            return f"{false} of {claims} {'does' if false == 1 else 'do'} not hold"
        return f"{claims} {'holds' if n == 1 else 'hold'}"

    def rows(self) -> list[dict[str, Any]]:
        """A row per claim, as plain values; one that says so if it could not be made."""
        lost = Verdict(self.id, "the figure can be made", self.error, "no error", False)
        return [{"source": self.source, **v.to_dict()} for v in ([lost] if self.error else self.verdicts)]

    def to_dict(self) -> dict[str, Any]:
        """As plain values that are the same whenever the figure is."""
        kept = {f.name: getattr(self, f.name) for f in dataclasses.fields(self) if f.name not in ("trace", "seconds")}
        return {**kept, "setup": dataclasses.asdict(self.setup), "verdicts": [v.to_dict() for v in self.verdicts]}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """What `to_dict` returned."""
        verdicts = tuple(Verdict(**row) for row in values["verdicts"])
        parts = {"setup": Setup(**values["setup"]), "pictures": tuple(values["pictures"]), "verdicts": verdicts}
        return cls(**{**values, **parts})


def remembered(out: Path) -> list[Made]:
    """The figures of a folder; none if it has none, or a file that can't be read any more."""
    try:
        return [Made.from_dict(values) for values in json.loads((out / FIGURES).read_text(encoding="utf-8"))]
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return []


def remember(made: Iterable[Made], out: Path) -> None:
    """Write ``figures.json``, and ``verdicts.json`` with a row per claim."""
    made = list(made)
    _write(out / FIGURES, [one.to_dict() for one in made])
    _write(out / VERDICTS, [row for one in made for row in one.rows()])


def _write(path: Path, rows: list[dict[str, Any]]) -> None:
    write_whole(path, json.dumps(rows, indent=1, allow_nan=False) + "\n")
