"""What every picture shares: colours that colour-blind people can tell apart, each with its own dash and marker."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NamedTuple

# Okabe & Ito, "Color Universal Design", 2008; the yellow, unreadable on white, comes last.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#F0E442")
# The same on a dark background: the two blues change places, because the first is what most figures use and the darker
# one drowns there; black turns white.
DARK_COLORS = ("#56B4E9", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#0072B2", "#FFFFFF", "#F0E442")
DASHES: tuple[Any, ...] = ("-", (0, (5, 1.5)), (0, (1, 1)), (0, (5, 1, 1, 1)))
DPI = 100  # of an animation
IN_FILES = {"svg.hashsalt": "optlab"}  # the same figure, the same bytes
_for_file = ContextVar("_for_file", default=False)
MANY_MARKS = 500  # in a figure: more are drawn as pixels where a file would hold an element for each of them
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")


class Look(NamedTuple):
    """How one line is drawn."""

    color: str
    dash: Any
    marker: str


def looks(labels: Iterable[str]) -> dict[str, Look]:
    """Label -> look; after eight colours they repeat with another dash."""
    n = len(COLORS)
    return {
        label: Look(COLORS[i % n], DASHES[(i + i // n) % len(DASHES)], MARKERS[i % len(MARKERS)])
        for i, label in enumerate(labels)
    }


def axes(ax: Any = None, size: tuple[float, float] = (6.4, 4.8)) -> Any:
    """``ax``, or the axes of a new figure that pyplot does not hold on to."""
    if ax is not None:
        return ax
    return figure(size=size).add_subplot()


def figure(fig: Any = None, size: tuple[float, float] = (6.4, 4.8)) -> Any:
    """``fig``, or a new one: under a notebook's or a window's back end it shows as usual, elsewhere nothing leaks."""
    if fig is not None:
        return fig
    import matplotlib

    if _for_file.get() or matplotlib.get_backend().lower() in {"agg", "pdf", "svg", "ps"}:
        return _agg(size)
    from matplotlib import pyplot

    try:
        return pyplot.figure(figsize=size, layout="constrained")
    except ImportError:  # the back end that matplotlibrc names is not there, or needs a display
        return _agg(size)


@contextmanager
def own_style() -> Iterator[None]:
    """Draw and save a file of ours: by Matplotlib's defaults, whatever the user's matplotlibrc, and without a window.

    Figures in the user's own axes, or shown by the user's back end, keep the user's style.
    """
    import matplotlib.style

    token = _for_file.set(True)
    try:
        with matplotlib.style.context(["default", IN_FILES]):
            yield
    finally:
        _for_file.reset(token)


def off_screen(width: int, height: int) -> Any:
    """A figure of so many pixels that is never shown, whatever the back end and the user's dpi."""
    return _agg((width / DPI, height / DPI), dpi=DPI)


def _agg(size: tuple[float, float], **options: Any) -> Any:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    new = Figure(figsize=size, layout="constrained", **options)
    FigureCanvasAgg(new)
    return new
