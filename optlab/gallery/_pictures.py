"""Every picture in two forms: PNG to look at, SVG to print; the same bytes for the same figure."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from optlab.files import replacing
from optlab.viz.style import COLORS, DASHES

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DOTS = 130  # per inch


def save(figure: "Figure", out: Path, name: str) -> list[Path]:
    """Write ``out/name.png`` and ``out/name.svg``."""
    paths = [out / f"{name}.png", out / f"{name}.svg"]
    with replacing(paths[0]) as draft:
        figure.savefig(draft, dpi=DOTS)
    with replacing(paths[1]) as draft:
        figure.savefig(draft, metadata={"Date": None, "Creator": None})
    return paths


def line(i: int) -> dict[str, Any]:
    """Colour and dash of the i-th line of a picture: either tells it from the others."""
    return {"color": COLORS[i], "linestyle": DASHES[i % len(DASHES)]}


def plain_numbers(ax: "Axes") -> None:
    """0.3 and not 3 x 10^-1 along a logarithmic axis of about one decade."""
    from matplotlib.ticker import StrMethodFormatter

    for set_formatter in (ax.yaxis.set_major_formatter, ax.yaxis.set_minor_formatter):
        set_formatter(StrMethodFormatter("{x:g}"))
