"""The pictures of a training run's report: curves, confusions, first weights, the worst mistakes."""

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from optlab.data.dataset import Part
from optlab.train.history import History
from optlab.viz.style import off_screen

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from optlab.nn.layers import MLP

CONFUSABLE = 40  # classes: a matrix of more is too fine to read
LONGEST = 16  # letters of a class's name in a picture
SHORT = 3  # letters of a class's name that fit above a small picture


class Picture(NamedTuple):
    """What the page embeds."""

    caption: str
    content: bytes
    type: str


def curves(history: History) -> list[Picture]:
    """The panels of `plot_history`, a picture each: side by side on a desk, one below the other on a phone."""
    from optlab.viz.training import plot_history

    if not history.epochs:
        return []
    figure = plot_history(history, off_screen(960, 760))
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    panels, shown = figure.axes, []
    for panel in panels:
        for other in panels:
            other.set_visible(other is panel)
        box = panel.get_tightbbox()
        assert box is not None
        box = box.padded(4).transformed(figure.dpi_scale_trans.inverted())
        caption = f"{panel.get_ylabel()} by {panel.get_xlabel()}".capitalize()
        shown.append(_vector(caption, figure, bbox_inches=box))
    return shown


def evidence(model: "MLP", part: Part) -> list[Picture]:
    """What the best network makes of the validation rows."""
    from optlab.train.evaluate import predict
    from optlab.viz.training import plot_confusion, plot_weights, plot_worst

    shown, data = [], part.data
    names = tuple(map(_printable, data.classes))
    part = replace(part, data=replace(data, classes=names))
    with _quiet():
        if len(part) and names:
            outputs = predict(model, part)
            if len(names) <= CONFUSABLE:
                pairs = part.y * len(names) + outputs.argmax(1)
                matrix = np.bincount(pairs, minlength=len(names) ** 2).reshape(len(names), -1)
                fig = off_screen(520, 520)
                plot_confusion(matrix, names, fig.add_subplot())
                shown.append(_vector("Confusions on the validation rows", fig))
            if data.image is not None:
                across, side = (4, 85) if max(map(len, names)) <= SHORT else (3, 150)  # few pixels: readable titles
                fig = off_screen(across * side, int(1.25 * across * side))
                plot_worst(part, outputs, across**2, fig)
                shown.append(_raster("Validation pictures whose true class got the least probability", fig))
        if data.image is not None:
            fig = plot_weights(model, data.image, fig=off_screen(400, 460))
            shown.append(_raster("Weights of the first layer, a picture per unit", fig))
    return shown


def _vector(caption: str, figure: "Figure", **options: Any) -> Picture:
    import matplotlib

    file = io.BytesIO()
    with matplotlib.rc_context({"svg.hashsalt": "optlab"}):  # the same run, the same file
        figure.savefig(file, format="svg", transparent=True, metadata={"Date": None, "Creator": None}, **options)
    return Picture(caption, file.getvalue(), "image/svg+xml")


def _raster(caption: str, figure: "Figure") -> Picture:
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=200, facecolor="white")
    return Picture(caption, file.getvalue(), "image/png")


def _printable(name: str) -> str:
    """A name that Matplotlib sets as it is and SVG can hold: one line, short, no mathematics."""
    short = "".join(c if c.isprintable() else " " for c in name[:LONGEST])
    return short.replace("$", r"\$")


@contextmanager
def _quiet() -> Iterator[None]:
    """A name in letters that the font lacks is no trouble of the user's."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        yield
