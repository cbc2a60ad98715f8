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

A module's name is the figure's id with underscores for hyphens; whatever starts with an underscore is no figure. The
names that figures take from here are `Setup`, `parts` (the rows of a data set), `line` (the look of a curve), `save`
(pictures) and `main`, by which a figure runs alone.
"""

import importlib
import inspect
import pkgutil
import time
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import NoReturn

from optlab.errors import unknown
from optlab.gallery._made import Made
from optlab.gallery._pictures import line, save
from optlab.gallery._setup import Setup, parts
from optlab.gallery._topics import in_order
from optlab.locks import exclusive, of_folder

__all__ = ["FAILED_CLAIM", "Made", "Setup", "figure", "ids", "line", "main", "make", "parts", "save"]

FAILED_CLAIM = 4  # the exit code


def ids() -> list[str]:
    """All figures, in the order of the documents."""
    names = (module.name for module in pkgutil.iter_modules(__path__))
    return in_order({name.replace("_", "-") for name in names if not name.startswith("_")})


def figure(id: str) -> ModuleType:
    """The module of a figure.

    Raises:
        ConfigError: there is none of that id.
    """
    if id not in ids():
        raise unknown("figure", id, ids())
    return importlib.import_module(f"optlab.gallery.{id.replace('-', '_')}")


def make(id: str, out: Path, *, fast: bool = False, data: str | None = None, seed: int = 0) -> Made:
    """Run, judge and draw one figure into the folder ``out``, and write its data there.

    Args:
        id: of the figure.
        out: made if it is missing.
        fast: a first look: smaller sizes, and no claim is judged.
        data: data set of a figure that trains on pictures; its own if None.
        seed: of all randomness.
    """
    import scipy.linalg  # noqa: F401 - its BLAS is limited too only if it is there already
    from threadpoolctl import threadpool_limits

    from optlab.gallery._data import write_data
    from optlab.viz.style import own_style

    module = figure(id)
    trains = hasattr(module, "DATA")
    setup = Setup(fast, data or module.DATA, seed) if trains else Setup(fast, seed=seed)
    out.mkdir(parents=True, exist_ok=True)
    began = time.perf_counter()
    with threadpool_limits(1):  # sums in the same order, and so the same bytes, on any machine and beside other figures
        found = module.run(setup)
        verdicts = module.judge(found)
        with own_style():
            pictures = module.draw(found, out)
    file = write_data(found, out / f"{id}.npz")
    return Made(
        id=id,
        title=module.TITLE,
        source=module.SOURCE,
        text=inspect.cleandoc(module.__doc__ or ""),
        advice=inspect.cleandoc(getattr(module, "TRY", "")),
        code=inspect.getsource(module),
        setup=setup if trains else replace(setup, data=""),
        pictures=tuple(path.name for path in pictures),
        data=file.name,
        verdicts=tuple(v.unjudged() if fast else v for v in verdicts),
        seconds=time.perf_counter() - began,
    )


def main(id: str) -> NoReturn:
    """What ``python -m optlab.gallery.NAME`` does: the figure into ``./gallery``, and its verdicts on stdout."""
    out = Path("gallery")
    with exclusive(of_folder(out), f"the folder {out}"):
        made = make(id, out)
    for v in made.verdicts:
        print(f"{v.word}  {v.id}: {v.claim} ({v.value}, {v.threshold})")
        if v.passed is False:
            print(f"  {v.explanation}")
    for name in (*made.pictures, made.data):
        print(f"wrote {out / name}")
    raise SystemExit(FAILED_CLAIM if made.false else 0)
