"""The pictures of a training run's report: curves, confusions, first weights, the worst mistakes."""

import io
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from optlab.data.dataset import Part
from optlab.train.history import History
from optlab.viz.page import Picture
from optlab.viz.style import off_screen

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from optlab.nn.layers import MLP

CONFUSABLE = 40  # classes: a matrix of more is too fine to read
LONGEST = 16  # letters of a class's name in a picture
EMBEDDED_DPI = 120  # of what is no vector in a picture of vectors
SHORT = 3  # letters of a class's name that fit above a small picture


def curves(history: History) -> list[Picture]:
    """The panels of `plot_history`, a picture each: side by side on a desk, one below the other on a phone."""
    from optlab.viz.training import plot_history

    if not history.epochs:
        return []
    figure = plot_history(history, off_screen(960, 760))
    panels = figure.axes
    return apart(figure, {f"{ax.get_ylabel()} by {ax.get_xlabel()}".capitalize(): ax for ax in panels})


def apart(figure: "Figure", panels: "Mapping[str, Axes]") -> list[Picture]:
    """Caption -> panel of one figure as a picture each."""
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    shown = []
    for caption, panel in panels.items():
        for other in figure.axes:
            other.set_visible(other is panel)
        box = panel.get_tightbbox()
        assert box is not None
        box = box.padded(4).transformed(figure.dpi_scale_trans.inverted())
        shown.append(vector(caption, figure, bbox_inches=box))
    return shown


def evidence(model: "MLP", part: Part) -> list[Picture]:
    """What the best network makes of the validation rows."""
    from optlab.train.evaluate import predict
    from optlab.viz.training import plot_confusion, plot_weights, plot_worst

    shown, data = [], part.data
    names = tuple(map(printable, data.classes))
    part = replace(part, data=replace(data, classes=names))
    with quiet():
        if len(part) and names:
            outputs = predict(model, part)
            if len(names) <= CONFUSABLE:
                pairs = part.y * len(names) + outputs.argmax(1)
                matrix = np.bincount(pairs, minlength=len(names) ** 2).reshape(len(names), -1)
                fig = off_screen(520, 520)
                plot_confusion(matrix, names, fig.add_subplot())
                shown.append(vector("Confusions on the validation rows", fig))
            if data.image is not None:
                across, side = (4, 85) if max(map(len, names)) <= SHORT else (3, 150)  # few pixels: readable titles
                fig = off_screen(across * side, int(1.25 * across * side))
                plot_worst(part, outputs, across**2, fig)
                shown.append(raster("Validation pictures whose true class got the least probability", fig))
        if data.image is not None:
            fig = plot_weights(model, data.image, fig=off_screen(400, 460))
            shown.append(raster("Weights of the first layer, a picture per unit", fig))
    return shown


def vector(caption: str, figure: "Figure", **options: Any) -> Picture:
    """The figure as SVG on a transparent ground, the same bytes for the same figure."""
    file = io.BytesIO()
    options |= {"transparent": True, "metadata": {"Date": None, "Creator": None}, "dpi": EMBEDDED_DPI}
    figure.savefig(file, format="svg", **options)
    return Picture(caption, file.getvalue(), "image/svg+xml")


def raster(caption: str, figure: "Figure") -> Picture:
    """The figure as PNG on white."""
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=200, facecolor="white")
    return Picture(caption, file.getvalue(), "image/png")


def printable(name: str) -> str:
    """A name that Matplotlib sets as it is and SVG can hold: one line, short, no mathematics."""
    short = "".join(c if c.isprintable() else " " for c in name[:LONGEST])
    return short.replace("$", r"\$")


@contextmanager
def quiet() -> Iterator[None]:
    """A name in letters that the font lacks is no trouble of the user's."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        yield
