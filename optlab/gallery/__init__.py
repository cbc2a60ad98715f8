"""The gallery: one small module per figure, each with a claim that is measured on the figure's own data.

A figure module reads as a lesson from top to bottom:

``TITLE``, ``SOURCE``, ``TRY``
    the heading, where the figure was shown, and what a reader may change next;
``DATA``
    only of figures that train on pictures: their data set unless another is asked for;
``run(setup) -> data``
    settings and runs, through the public API;
``judge(data) -> list[Verdict]``
    the claims, measured on the data;
``draw(data, out) -> list[Path]``
    the pictures, drawn from the same data.

A module's name is the figure's id with underscores for hyphens; whatever starts with an underscore is no figure.
"""

import importlib
import inspect
import pkgutil
import time
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from optlab.errors import unknown
from optlab.gallery._setup import Setup
from optlab.verdict import Verdict


@dataclass(frozen=True)
class Made:
    """A figure that was made."""

    id: str
    title: str
    source: str
    text: str
    code: str
    pictures: list[Path]
    verdicts: list[Verdict]
    seconds: float


def ids() -> list[str]:
    """All figures, in the order of their names."""
    names = (module.name for module in pkgutil.iter_modules(__path__))
    return [name.replace("_", "-") for name in names if not name.startswith("_")]


def figure(id: str) -> ModuleType:
    """The module of a figure.

    Raises:
        ConfigError: there is none of that id.
    """
    if id not in ids():
        raise unknown("figure", id, ids())
    return importlib.import_module(f"optlab.gallery.{id.replace('-', '_')}")


def make(id: str, out: Path, setup: Setup | None = None) -> Made:
    """Run, judge and draw one figure into the folder ``out``."""
    module = figure(id)
    out.mkdir(parents=True, exist_ok=True)
    began = time.perf_counter()
    data = module.run(setup or Setup())
    verdicts = module.judge(data)
    pictures = module.draw(data, out)
    return Made(
        id,
        module.TITLE,
        module.SOURCE,
        inspect.cleandoc(module.__doc__ or ""),
        inspect.getsource(module),
        pictures,
        verdicts,
        time.perf_counter() - began,
    )


def main(id: str) -> int:
    """What ``python -m optlab.gallery.NAME`` does: the figure into ``./gallery``, its verdicts on stdout."""
    made = make(id, Path("gallery"))
    for v in made.verdicts:
        print(f"{'pass' if v.passed else 'FAIL'}  {v.id}: {v.claim} ({v.value}, {v.threshold})")
    for picture in made.pictures:
        print(f"wrote {picture}")
    return 0 if all(v.passed for v in made.verdicts) else 4
