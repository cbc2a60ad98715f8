"""Every picture in two forms: PNG to look at, SVG to print; the same bytes for the same figure."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DOTS = 130  # per inch


def save(figure: "Figure", out: Path, name: str) -> list[Path]:
    """Write ``out/name.png`` and ``out/name.svg``."""
    import matplotlib

    paths = [out / f"{name}.png", out / f"{name}.svg"]
    with matplotlib.rc_context({"svg.hashsalt": "optlab"}):
        figure.savefig(paths[0], dpi=DOTS)
        figure.savefig(paths[1], metadata={"Date": None, "Creator": None})
    return paths
