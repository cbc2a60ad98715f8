"""Animated GIFs: the background is drawn once, each frame adds the trails so far."""

import itertools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from optlab.checks import check_count
from optlab.errors import ConfigError
from optlab.files import replacing
from optlab.viz.contour import plot_surface
from optlab.viz.style import looks, off_screen, own_style

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from optlab.descent.descent import Run

FRAMES = 200  # about 8 s at 25 frames a second; longer runs skip steps
COLOURS = 200  # of a GIF's 256 for the picture at large; the trails' own colours come on top, exact


@own_style()
def animate(
    runs: "Mapping[str, Run]",
    path: Path,
    *,
    window: Sequence[Sequence[float]] | None = None,
    frames: int | None = None,
    milliseconds: int = 40,
    size: tuple[int, int] = (620, 480),
    colors: Mapping[str, str] | None = None,
) -> Path:
    """Write the paths of several runs as a looping GIF, one disc and one trail per run.

    Args:
        window: ((x low, x high), (y low, y high)); the surface's domain if None.
        frames: how many, evenly spread over the steps; one per step, at most 200, if None.
        milliseconds: per frame.
        size: pixels.
        colors: label -> colour, in place of the usual ones.

    Raises:
        ConfigError: the suffix is not ``.gif``, or no frame was asked for.
    """
    if frames is not None:
        frames = check_count("frames", frames, least=1)
    first = next(iter(runs.values()))
    fig = off_screen(*size)
    ax = fig.add_subplot()
    plot_surface(first.surface, ax, window=window)
    steps = np.arange(first.steps + 1)
    count = min(len(steps), FRAMES) if frames is None else frames
    shown = np.unique(np.linspace(0, first.steps, count).round().astype(int))
    artists, update = trails(ax, runs, colors)
    ax.legend(loc="upper right", fontsize="small", framealpha=0.9)
    counter = ax.text(0.02, 0.02, "", transform=ax.transAxes, fontsize="small", bbox={"color": "white", "alpha": 0.8})

    def frame(i: int) -> None:
        update(int(shown[i]))
        counter.set_text(f"step {shown[i]}")

    return write_gif(fig, [*artists, counter], frame, len(shown), path, milliseconds)


def trails(
    ax: "Axes",
    runs: "Mapping[str, Run]",
    colors: Mapping[str, str] | None = None,
    height: Callable[..., Any] | None = None,
) -> "tuple[list[Artist], Callable[[int], None]]":
    """A trail and a disc per run on ``ax``, and the function that moves them to a step.

    ``height(x, y)`` lifts them onto a surface in 3-D axes.
    """
    lines: dict[str, Any] = {}
    discs: dict[str, Any] = {}
    for label, (usual, _, marker) in looks(runs).items():
        color = (colors or {}).get(label, usual)
        nothing: list[Any] = [[]] * (2 if height is None else 3)
        note = " (diverged)" if runs[label].status == "diverged" else ""
        (lines[label],) = ax.plot(*nothing, color=color, linewidth=2.0, label=label + note, zorder=6)
        (discs[label],) = ax.plot(
            *nothing, color=color, marker=marker, markersize=8, markeredgecolor="white", linestyle="none", zorder=7
        )

    def update(step: int) -> None:
        for label, run in runs.items():
            x, y = run.points[: min(step + 1, run.rows)].T
            data = (x, y) if height is None else (x, y, height(x, y))
            for artist, part in ((lines[label], data), (discs[label], tuple(v[-1:] for v in data))):
                artist.set_data(part[0], part[1])
                if height is not None:
                    artist.set_3d_properties(part[2])

    return [*lines.values(), *discs.values()], update


@own_style()
def write_gif(
    fig: "Figure", moving: "Sequence[Artist]", update: Callable[[int], None], frames: int, path: Path, milliseconds: int
) -> Path:
    """Render ``frames`` pictures, redrawing only the ``moving`` artists, into a looping GIF.

    The palette is that of the last frame, where every trail is in full, so that colours do not flicker.
    """
    from matplotlib.colors import to_rgb
    from matplotlib.lines import Line2D
    from PIL import Image

    path = Path(path)
    if path.suffix.lower() != ".gif":
        raise ConfigError(f"an animation is written as .gif, got {path.name!r}")
    canvas: Any = fig.canvas
    for artist in moving:
        artist.set_animated(True)
    canvas.draw()
    fig.set_layout_engine("none")  # a moving trail must not move the axes
    background = canvas.copy_from_bbox(fig.bbox)

    def picture(i: int) -> Any:
        update(i)
        canvas.restore_region(background)
        for artist in sorted(moving, key=lambda a: a.get_zorder()):
            fig.draw_artist(artist)
        return Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")

    palette = picture(frames - 1).quantize(COLOURS)
    exact = {to_rgb(artist.get_color()) for artist in moving if isinstance(artist, Line2D)}
    own = np.array([(*color, 1.0) for color in sorted(exact)]) * 255
    usual = (palette.getpalette() or [])[: 3 * COLOURS]
    colors = [*usual, *own[:, :3].round().astype(int).ravel().tolist()]
    palette.putpalette(colors)

    def reduced(i: int) -> Any:
        full = picture(i)
        indices = np.array(full.quantize(palette=palette, dither=Image.Dither.NONE))
        pixels = np.asarray(canvas.buffer_rgba()).view(np.uint32)[..., 0]
        for index, code in enumerate(own.round().astype(np.uint8).view(np.uint32)[:, 0], len(usual) // 3):
            indices[pixels == code] = index  # Pillow's nearest colour is only near
        image = Image.frombytes("P", full.size, indices.tobytes())
        image.putpalette(colors)
        return image

    images = [reduced(i) for i in range(frames)]
    for before, after in itertools.pairwise(images):
        if before.tobytes() == after.tobytes():  # Pillow would drop it, and the frame count would not be the steps'
            after.putpixel((0, 0), (before.getpixel((0, 0)) + 1) % (len(usual) // 3))
    with replacing(path) as draft:
        images[0].save(
            draft, save_all=True, append_images=images[1:], duration=milliseconds, loop=0, optimize=True, disposal=1
        )
    return path
