"""Pictures: what every plot function promises, hard cases that must draw without a warning, and GIFs pixel by pixel."""

import itertools

import matplotlib as mpl
import numpy as np
import pytest
from conftest import JIT, SHRINK
from figures import nothing_global as nothing_global
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from PIL import Image

import optlab as ol
from optlab.gallery import _published
from optlab.viz.animate import trails, write_gif
from optlab.viz.contour import levels, plot_path, plot_paths, plot_surface
from optlab.viz.curves import plot_effective_lr, plot_loss, plot_state
from optlab.viz.style import COLORS, looks, off_screen

mpl.use("agg")
STEPS = 60


def flat(x, y):
    return 1.0


def half(x, y):
    return np.log(x) + 1.0 / y


def nowhere(x, y):
    return np.log(-1.0 - x * x) + y


RUN = ol.descend("beale", ol.Adam(lr=0.1), steps=STEPS)
RACE = ol.race("beale", [ol.Adam(lr=0.1), ol.SGD(lr=1.0), ol.RMSProp()], steps=STEPS)
BASIN = ol.basin("himmelblau", ol.Momentum(lr=0.01), 20 if JIT else 4, 200 // SHRINK)
AXES = {
    "plot_surface": lambda ax=None: plot_surface(RUN.surface, ax=ax),
    "plot_path": lambda ax=None: plot_path(RUN, ax=ax),
    "plot_paths": lambda ax=None: plot_paths(RACE.runs, ax=ax, colors={"Adam": "red"}, lines=5, resolution=20),
    "plot_loss": lambda ax=None: plot_loss(RACE.runs, ax=ax, colors={"Adam": "red"}),
    "plot_state": lambda ax=None: plot_state(RUN, "v", ax=ax),
    "plot_effective_lr": lambda ax=None: plot_effective_lr(RUN, ax=ax),
    "Run.plot": RUN.plot,
    "Run.plot_loss": RUN.plot_loss,
    "Run.plot_state": lambda ax=None: RUN.plot_state("m", ax=ax, corrected=True),
    "Run.plot_effective_lr": RUN.plot_effective_lr,
    "Race.plot": RACE.plot,
    "Race.plot_loss": RACE.plot_loss,
    "Basin.plot": BASIN.plot,
}
FIGURES = {"Run.plot_panels": RUN.plot_panels, "Race.plot_panels": RACE.plot_panels}
HARD = {
    "diverged at once": lambda: ol.race("beale", ["momentum(lr=1)", "sgd(lr=100)"], steps=9),
    "not finite where it starts": lambda: ol.race(half, ["sgd"], start=(-1.0, 1.0), steps=9),
    "partly finite": lambda: ol.race(half, ["adam"], start=(2.0, 2.0), steps=9),
    "nowhere finite": lambda: ol.race(nowhere, ["adam"], steps=9),
    "one step": lambda: ol.race("beale", ["adam", "sgd"], steps=1),
    "no steps": lambda: ol.race("beale", ["sgd", "adam"], steps=0),
    "no minima": lambda: ol.race("saddle", ["sgd", "sgd(lr=5)", "adam"], steps=9),
    "constant": lambda: ol.race(flat, ["sgd", "adam"], steps=9),
    "at rest": lambda: ol.race("beale", ["adam(lr=0)"], steps=9),
    "at the minimum": lambda: ol.race("sphere", ["adam", "lion"], start=(0, 0), steps=9),
    "more than colours": lambda: ol.race("sphere", {f"a{i}": ol.SGD(lr=i / 20) for i in range(10)}, steps=9),
    "odd labels": lambda: ol.race("sphere", {"$x_1": ol.SGD(lr=0.1), "_hidden": ol.SGD(lr=0.2)}, steps=9),
    "all rules": lambda: ol.race("beale", list(ol.RULES), steps=9),
}


def draw(figure):
    figure.canvas.draw()


@pytest.mark.parametrize("plot", AXES.values(), ids=list(AXES))
def test_axes_are_taken_or_made(plot):
    own = Figure().add_subplot()
    assert plot(ax=own) is own
    made = plot()
    assert made.figure is not own.figure
    for ax in (own, made):
        draw(ax.figure)
        assert ax.get_xlabel()
        assert ax.get_ylabel()
        assert len(ax.figure.axes) == 1


@pytest.mark.parametrize("plot", FIGURES.values(), ids=list(FIGURES))
def test_figures_are_taken_or_made(plot):
    own = Figure(layout="constrained")
    assert plot(own) is own
    made = plot()
    for figure in (own, made):
        draw(figure)
        assert all(ax.get_xlabel() and ax.get_ylabel() for ax in figure.axes)


def test_panels_show_everything():
    assert len(RUN.plot_panels().axes) == 3 + 2
    assert [ax.get_ylabel() for ax in RUN.plot_panels().axes][2:] == ["|step| / |gradient|", "m", "v"]
    assert len(ol.descend("beale", "sgd", steps=2).plot_panels().axes) == 3
    assert len(RACE.plot_panels().axes) == 2


@pytest.mark.parametrize("make", HARD.values(), ids=list(HARD))
def test_hard_cases_draw_without_a_warning(make):
    """The race, and everything of its last run."""
    race = make()
    draw(race.plot_panels())
    *_, last = race.runs.values()
    draw(last.plot_panels())
    for slot in last.corrected:
        draw(last.plot_state(slot, corrected=True).figure)


@pytest.mark.parametrize("surface", ["saddle", flat, "sphere"])
def test_hard_basins_draw_without_a_warning(surface):
    draw(ol.basin(surface, ol.SGD(lr=0.1), 5, 10).plot().figure)
    draw(ol.basin(surface, ol.SGD(lr=0.0), 2, 0, window=((1, 2), (1, 2))).plot().figure)


def test_axes_are_logarithmic_where_they_should_be():
    assert RUN.plot_loss().get_yscale() == "log"
    assert RUN.plot_effective_lr().get_yscale() == "log"
    assert RUN.plot_state("v").get_yscale() == "log"
    assert RUN.plot_state("m").get_yscale() == "linear", "it changes sign"
    assert ol.descend("saddle", "sgd", steps=3).plot_loss().get_yscale() == "symlog"
    assert all(ax.get_xscale() == "linear" for ax in RUN.plot_panels().axes)


def test_lines_are_the_data():
    x, y = RUN.plot_loss().lines[0].get_data()
    np.testing.assert_array_equal(x, np.arange(STEPS + 1))
    np.testing.assert_array_equal(y, RUN.values)  # f_min = 0 on Beale
    for i, line in enumerate(RUN.plot_effective_lr().lines[:2]):
        np.testing.assert_array_equal(line.get_ydata(), RUN.effective_lr[:, i])
    for i, line in enumerate(RUN.plot_state("m").lines):
        np.testing.assert_array_equal(line.get_ydata(), RUN.state["m"][:, i])
    halo, path, *_ = RUN.plot().lines[1:]
    np.testing.assert_array_equal(path.get_xydata(), RUN.points)
    np.testing.assert_array_equal(halo.get_xydata(), RUN.points)


def test_diverged_runs_are_named_so_and_do_not_flatten_the_others():
    for ax in (RACE.plot(), RACE.plot_loss()):
        assert [t.get_text() for t in ax.get_legend().get_texts()] == ["Adam", "SGD (diverged)", "RMSProp"]
    low, high = RACE.plot_loss().get_ylim()
    shown = np.concatenate([RACE.runs[label].values for label in ("Adam", "RMSProp")])
    assert shown.min() / 100 < low < shown.min()
    assert shown.max() < high < 1e4 * shown.max()


def test_another_slot_is_refused():
    with pytest.raises(ol.ConfigError, match=r"unknown slot 'w'.* Known: m, v"):
        RUN.plot_state("w")
    with pytest.raises(ol.ConfigError, match="unknown corrected slot 'v'"):
        ol.descend("beale", "momentum", steps=1).plot_state("v", corrected=True)


@pytest.mark.parametrize("surface", ol.SURFACES.values(), ids=list(ol.SURFACES))
def test_contour_levels_increase_and_share_the_area(surface):
    _, _, values = surface.grid(100 // SHRINK)
    at = levels(values, 30)
    assert (np.diff(at) > 0).all()
    assert values.min() <= at[0]
    assert at[-1] <= values.max()
    if len(at) == 30 and JIT:
        between = np.histogram(values, [-np.inf, *at, np.inf])[0] / values.size
        np.testing.assert_allclose(between, 1 / 31, atol=0.02)


def test_contour_levels_of_flat_and_broken_surfaces():
    assert levels(np.ones((5, 5)), 30).tolist() == [1.0]
    assert levels(np.full((5, 5), np.nan), 30).size == 0
    assert np.isfinite(levels(np.array([1.0, np.inf, 2.0, np.nan]), 3)).all()


def test_looks_differ():
    many = looks(map(str, range(32)))
    assert len({(look.color, str(look.dash)) for look in many.values()}) == 32
    assert [many[str(i)].color for i in range(8)] == list(COLORS)


def test_a_basin_is_painted_by_minimum():
    window = ((-2.0, 2.0), (-2.0, 2.0))
    wells = ol.Surface(lambda x, y: (x * x - 1) ** 2 + y * y, minima=[(-1, 0), (1, 0)], domain=window)
    basin = ol.basin(wells, ol.SGD(lr=0.05), 8, 100, target=0.1)
    ax = basin.plot()
    image = ax.images[0].get_array()
    assert image.shape == (8, 8, 3)
    # tints of a colour lie on the line from white to it
    for columns, color in ((slice(0, 4), COLORS[0]), (slice(4, 8), COLORS[1])):
        speed = (1 - image[:, columns]) / (1 - np.array(to_rgb(color)))
        np.testing.assert_allclose(speed, speed[..., :1] * np.ones(3), atol=1e-12)
        assert (speed >= 0.25 - 1e-12).all()
    labels = [t.get_text() for t in ax.get_legend().get_texts()]
    assert labels == ["(-1, 0): 50.0%", "(1, 0): 50.0%"]


# --- animations -------------------------------------------------------------------------------------------------------


def frames_of(path):
    """(frames as RGB arrays, size, durations, loop) by Pillow."""
    with Image.open(path) as image:
        frames, durations = [], []
        for i in range(image.n_frames):
            image.seek(i)
            frames.append(np.array(image.convert("RGB")))
            durations.append(image.info["duration"])
        return frames, image.size, durations, image.info["loop"]


def hexes(frame):
    return set(map(tuple, frame.reshape(-1, 3).tolist()))


def rgb(color):
    return tuple(round(255 * part) for part in to_rgb(color))


def test_gif(tmp_path):
    path = RACE.animate(tmp_path / "race.gif", size=(310, 240), milliseconds=50)
    assert path == tmp_path / "race.gif"
    frames, size, durations, loop = frames_of(path)
    assert (len(frames), size, loop) == (STEPS + 1, (310, 240), 0)
    assert set(durations) == {50}
    assert {rgb(look.color) for look in looks(RACE.runs).values()} <= hexes(frames[-1])
    assert all((a != b).any() for a, b in itertools.pairwise(frames))


def test_gif_colours_are_exact(tmp_path):
    colors = {"Adam": "#123456", "SGD": "#fedcba", "RMSProp": "red"}
    frames, *_ = frames_of(RACE.animate(tmp_path / "race.gif", colors=colors, frames=3))
    assert {rgb(color) for color in colors.values()} <= hexes(frames[-1])


def test_gif_options_of_figures_do_not_matter(tmp_path):
    with mpl.rc_context({"figure.dpi": 72, "figure.figsize": (1, 1), "savefig.dpi": 10, "lines.linewidth": 9}):
        _, size, *_ = frames_of(RACE.animate(tmp_path / "race.gif", frames=2))
    assert size == (620, 480)


@pytest.mark.parametrize(
    ("frames", "count"), [(None, STEPS + 1), (1, 1), (2, 2), (10, 10), (STEPS + 1, STEPS + 1), (500, STEPS + 1)]
)
def test_gif_frame_count(tmp_path, frames, count):
    got, *_ = frames_of(RACE.animate(tmp_path / "race.gif", frames=frames, size=(124, 96)))
    assert len(got) == count


@pytest.mark.parametrize("name", ["at rest", "constant", "diverged at once", "no steps", "no minima", "nowhere finite"])
def test_gif_has_a_frame_per_step_even_where_nothing_moves(tmp_path, name):
    race = HARD[name]()
    frames, *_, durations, _ = frames_of(race.animate(tmp_path / "race.gif", size=(310, 240)))
    steps = next(iter(race.runs.values())).steps
    assert len(frames) == len(durations) == steps + 1
    assert set(durations) == {40}


@pytest.mark.parametrize("surface", ["beale", flat])
def test_gif_keeps_frames_that_are_the_same(tmp_path, surface):
    """Without a counter of steps: Pillow would merge them."""
    race = ol.race(surface, ["adam(lr=0)"], steps=9)
    fig = off_screen(200, 150)
    ax = plot_surface(race.surface, fig.add_subplot())
    artists, update = trails(ax, race.runs)
    frames, *_ = frames_of(write_gif(fig, artists, update, 10, tmp_path / "still.gif", 40))
    assert len(frames) == 10
    assert max(np.any(a != b, axis=2).sum() for a, b in itertools.pairwise(frames)) == 1, "one pixel of the margin"


def test_long_runs_get_200_frames(tmp_path):
    race = ol.race("beale", ["adam"], steps=1000)
    frames, *_ = frames_of(race.animate(tmp_path / "race.gif", size=(124, 96)))
    assert len(frames) == 200


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("race.png", {}, "an animation is written as .gif, got 'race.png'"),
        ("race", {}, "written as .gif, got 'race'"),
        ("race.gif", {"frames": 0}, "frames is a whole number >= 1, got 0"),
        ("race.gif", {"frames": 2.5}, "frames is a whole number >= 1, got 2.5"),
        ("race.gif", {"window": 3}, "window: expected"),
    ],
)
def test_gif_mistakes_are_explained(tmp_path, name, options, message):
    with pytest.raises(ol.ConfigError, match=message):
        RACE.animate(tmp_path / name, **options)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not JIT, reason="400 x 400 points of the background take a while without the compiler")
def test_the_published_look(tmp_path):
    from optlab.gallery import contours

    rules = {label: contours.RULES[label] for label in _published.COLORS}
    race = ol.race("beale", rules, start=contours.START, steps=_published.FRAMES - 1)
    frames, size, durations, loop = frames_of(_published.contours(race.runs, tmp_path / "contours.gif"))
    assert (len(frames), size, set(durations), loop) == (199, (620, 480), {40}, 0)
    assert {rgb(color) for color in _published.COLORS.values()} <= hexes(frames[-1])


@pytest.mark.skipif(not JIT, reason="the same code as above")
def test_the_published_saddle(tmp_path):
    from optlab.gallery import saddle

    rules = {label: saddle.RULES[label] for label in _published.COLORS}
    race = ol.race("steep-saddle", rules, start=saddle.START, steps=_published.FRAMES - 1)
    frames, size, durations, _ = frames_of(_published.saddle(race.runs, tmp_path / "saddle.gif", frames=20))
    assert (len(frames), size, set(durations)) == (20, (620, 480), {40})
