"""The pictures of a study's report."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import numpy as np

from optlab.search.functions import NamedFunction
from optlab.search.parameters import Choice, Parameter
from optlab.search.space import Space
from optlab.search.study import Study
from optlab.search.trial import Trial
from optlab.viz.evidence import apart, printable, quiet, raster, vector
from optlab.viz.page import Picture
from optlab.viz.study import plot_contour, plot_history, plot_slice, position
from optlab.viz.style import COLORS, MANY_MARKS, off_screen

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from optlab.search.samplers.gp import GP

BEST_LINES, OTHER_LINES = 200, 100  # trials that parallel coordinates can show: with a value, and without
SHADES = 5  # of marks that are drawn as pixels
PAGE_MARKS = 24_000  # in all panels of a figure
FINE = 120  # points of a model's curve
DECADE, FEW_DECADES = 10.0, 300.0  # ratios of the ends of an axis
BAND = 2.0  # standard deviations on either side, as the model scales losses: 95 % of what it expects
ENOUGH = 3  # values from which a model is worth drawing


class Drawn(NamedTuple):
    """What goes under which heading."""

    course: list[Picture]
    wide: list[Picture]
    single: list[Picture]
    model: list[Picture]
    both: list[Picture]
    thinned: str  # how many of the trials the panels of single parameters show; "" if all
    left_out: str = ""  # why the model is not shown


@dataclass(frozen=True)
class Shown:
    """A study whose names and choices Matplotlib sets as they are: no mathematics, no control characters.

    Of its complete trials it has at most ``most``, evenly by number, and the best one.
    """

    study: Study
    most: int | None = None

    @cached_property
    def names(self) -> dict[str, str]:
        """Name -> what is shown; no two alike."""
        return _short(list(self.study.space))

    @cached_property
    def space(self) -> Space:
        """The space of the short names; without conditions, which no picture needs."""
        return Space({self.names[n]: _plain(p) for n, p in self.study.space.items()})

    @cached_property
    def trials(self) -> list[Trial]:
        """All records."""
        return [replace(trial, params=self._params(trial.params)) for trial in self.study.trials]

    @cached_property
    def complete(self) -> list[Trial]:
        """Those with a value, thinned."""
        every = [trial for trial in self.trials if trial.value is not None]
        if self.most is None or len(every) <= self.most:
            return every
        kept = {every[i].number for i in np.linspace(0, len(every) - 1, self.most).astype(int)}
        return [trial for trial in every if trial.number in kept or trial.number == self.best.number]

    def thin(self, most: int) -> "Shown":
        """Return the same with fewer complete trials."""
        fewer = Shown(self.study, most)
        vars(fewer).update(names=self.names, space=self.space, trials=self.trials, best=self.best)  # not made twice
        return fewer

    @property
    def thinned(self) -> str:
        """What to say of it: ``500 of 10,000 complete trials, the best among them``, or nothing."""
        every = len(self.study.complete)
        if len(self.complete) == every:
            return ""
        return f"{len(self.complete):,} of {every:,} complete trials, the best among them"

    @cached_property
    def best(self) -> Trial:
        """The best of them."""
        number = self.study.best.number
        return next(trial for trial in self.trials if trial.number == number)

    @property
    def direction(self) -> str:
        """minimize or maximize."""
        return self.study.direction

    @property
    def name(self) -> str:
        """Of the study."""
        return self.study.name

    def _params(self, params: dict[str, Any]) -> dict[str, Any]:
        return {self.names[name]: self._value(name, value) for name, value in params.items()}

    def _value(self, name: str, value: Any) -> Any:
        old, new = self.study.space[name], self.space[self.names[name]]
        if isinstance(old, Choice) and isinstance(new, Choice):
            return new.values[old.values.index(value)]
        return value


def study_pictures(study: Study) -> Drawn:
    """What a report shows; nothing of a study without a complete trial."""
    if not study.complete:
        return Drawn([], [], [], [], [], "")
    seen = Shown(study)
    like = cast(Study, seen)
    some = seen.thin(max(MANY_MARKS, PAGE_MARKS // len(study.space)))
    shares = {seen.names[name]: share for name, share in study.importance().items()}
    with quiet():
        course = [_history(like), *([_importance(shares)] if any(shares.values()) else [])]
        wide = [_parallel(seen)] if len(seen.space) > 1 else []
        fig = off_screen(1240, 300 * -(-len(seen.space) // 4))
        plot_slice(cast(Study, some), fig)
        for ax in fig.axes:
            _readable(ax, values=True)
        single = apart(fig, {ax.get_xlabel(): ax for ax in fig.axes if ax.get_xlabel()})
        ranked = [n for n in shares or seen.space if not isinstance(seen.space[n], Choice)]
        both = [_contour(seen.thin(MANY_MARKS), *ranked[:2])] if len(ranked) > 1 else []
        left_out = _not_imported(study)
        return Drawn(course, wide, single, [] if left_out else _model(seen), both, some.thinned, left_out)


def _history(study: Study) -> Picture:
    fig = off_screen(560, 340)
    _readable(plot_history(study, fig.add_subplot()), values=True)
    pixels = f"; all {len(study.trials):,} as pixels" if len(study.complete) > MANY_MARKS else ""
    return vector(f"Value of every trial, and the best so far{pixels}", fig)


def _importance(shares: dict[str, float]) -> Picture:
    fig = off_screen(560, 340)
    ax = fig.add_subplot()
    ax.barh(list(shares)[::-1], list(shares.values())[::-1], color=COLORS[0])
    ax.set(xlabel="share of the variance of the value", xlim=(0.0, None))
    ax.grid(alpha=0.3, axis="x")
    return vector("Importance: what each parameter explains by itself", fig)


def _contour(seen: Shown, a: str, b: str) -> Picture:
    fig = off_screen(560, 420)
    _readable(plot_contour(cast(Study, seen), a, b, fig.add_subplot()))
    between = seen.thinned or "the trials"
    return raster(f"Value over {a} and {b}, linear between {between}; the star is the best", fig)


def _parallel(seen: Shown) -> Picture:
    """A line per trial across its parameters; the best are drawn last and darkest, failed ones grey."""
    import matplotlib

    names, fig = list(seen.space), off_screen(980, 380)
    ax = fig.add_subplot()
    every = seen.complete
    complete = sorted(every, key=lambda t: -seen.study.loss(t))[-BEST_LINES:]
    without = [t for t in seen.trials if t.value is None and t.state != "running"]
    ranks = np.linspace(0.0, 1.0, len(complete)) if len(complete) > 1 else [1.0]
    colors = matplotlib.colormaps["viridis_r"](ranks)
    across = np.arange(len(names) + 1)
    for trial in without[:OTHER_LINES]:
        ax.plot(across[:-1], _heights(seen.space, trial), color="0.6", linewidth=0.7, linestyle=":")
    losses = np.array([seen.study.loss(t) for t in complete])
    places = (losses - losses.min()) / max(float(np.ptp(losses)), 1e-300)
    for trial, color, place in zip(complete, colors, places, strict=True):
        ax.plot(across, [*_heights(seen.space, trial), place], color=color, linewidth=0.9, alpha=0.8)
    best = [*_heights(seen.space, seen.best), 0.0]
    ax.plot(across, best, color=COLORS[1], linewidth=2.5, marker="o", markersize=4)
    for x, name in enumerate(names):
        for y, text in _marks(seen.space[name]):
            ax.annotate(text, (x, y), (5, 0), textcoords="offset points", fontsize="small", va="center")
    values = [t.value for t in complete if t.value is not None]
    low, high = (min(values), max(values)) if seen.direction == "minimize" else (max(values), min(values))
    for y, value in ((0.0, low), (1.0, high)):
        ax.annotate(f"{value:.4g}", (len(names), y), (5, 0), textcoords="offset points", fontsize="small", va="center")
    ax.set_xticks(across, [*names, "value"])
    ax.set(yticks=[], xlim=(-0.1, len(names) + 0.45), ylim=(-0.06, 1.06))
    ax.grid(axis="x", color="0.7")
    for side in ax.spines.values():
        side.set_visible(False)
    best_of = f" of the best {BEST_LINES} of {len(every):,}" if len(every) > BEST_LINES else ""
    first_of = f" (the first {OTHER_LINES} of {len(without):,})" if len(without) > OTHER_LINES else ""
    return vector(
        f"A line per trial{best_of}: the stronger the better, orange the best, dotted without a value{first_of}; a gap "
        "where not active",
        fig,
    )


def _model(seen: Shown) -> list[Picture]:
    """What the Gaussian process expects along each parameter from the best point on; [] for other samplers."""
    study = seen.study
    if study.sampler.name != "gp":
        return []
    sampler = cast("GP", study.sampler)
    if len(study.complete) < max(ENOUGH, sampler.initial):
        return []
    known = study.observations()
    posterior, best = sampler.posterior(known), study.best.params
    sign = 1.0 if study.direction == "minimize" else -1.0
    panels: dict[str, Axes] = {}
    fig = off_screen(1240, 300 * -(-len(seen.space) // 4))
    for k, (name, parameter) in enumerate(study.space.items()):
        if isinstance(parameter, Choice) or name not in best:
            continue
        points = np.repeat(study.space.encode(best)[None], FINE, 0)
        points[:, k] = np.linspace(0.0, 1.0, FINE)
        mean, sd = posterior.predict(sampler.lattice.snap(points))
        low, middle, high = (sign * sampler.losses(known, mean + c * sd) for c in (-BAND, 0.0, BAND))
        x = [parameter.value(float(u)) for u in points[:, k]]
        ax = fig.add_subplot(-(-len(seen.space) // 4), 4, len(panels) + 1)
        ax.plot(x, middle, color=COLORS[0])
        ax.fill_between(x, _drawable(low, middle), _drawable(high, middle), color=COLORS[0], alpha=0.2, linewidth=0)
        ax.axvline(best[name], color=COLORS[1], linestyle="--")
        ax.set(xlabel=seen.names[name], ylabel="value")
        if parameter.log:
            ax.set_xscale("log")
        _readable(ax)
        ax.grid(alpha=0.3)
        panels[seen.names[name]] = ax
    return apart(fig, panels)


def _drawable(edge: np.ndarray, middle: np.ndarray) -> np.ndarray:
    """A band's edge, that a long tail may take to infinity, within some spans of the curve."""
    most = BAND * max(float(np.ptp(middle)), 1e-9 * float(np.abs(middle).max()), 1e-300)
    return np.asarray(np.clip(edge, middle.min() - most, middle.max() + most))


def _not_imported(study: Study) -> str:
    mean = getattr(study.sampler, "mean", None)
    if not isinstance(mean, NamedFunction):
        return ""
    return f"Not shown: its mean, {mean.name}, is a function that the file only names, and which was not imported."


def _readable(ax: "Axes", values: bool = False) -> None:
    """Values over more than a decade on a logarithmic axis; of logarithmic ticks no more than fit; small files."""
    from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

    _few_shades(ax)
    low, high = ax.dataLim.intervaly
    if values and low > 0.0 and high > DECADE * low:
        ax.set_yscale("log")
    for axis in (ax.xaxis, ax.yaxis):
        if axis.get_scale() == "log":
            axis.set_minor_formatter(NullFormatter())
            low, high = axis.get_view_interval()
            if high < FEW_DECADES * low:
                axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
                axis.set_major_formatter(StrMethodFormatter("{x:g}"))


def _few_shades(ax: "Axes") -> None:
    """Marks that are drawn as pixels: of few colors, opaque and with hard edges, they compress to a fifth."""
    from matplotlib.collections import PathCollection

    for artist in (*ax.lines, *ax.collections):
        if artist.get_rasterized():
            artist.set(alpha=1.0, antialiased=False)
            if isinstance(artist, PathCollection):
                artist.set(linewidth=0.0, cmap=artist.get_cmap().resampled(SHADES))


def _heights(space: Space, trial: Trial) -> list[float]:
    """Where the trial crosses each axis, from 0 to 1; NaN where the parameter was not active."""
    return [position(p, trial.params[name]) if name in trial.params else np.nan for name, p in space.items()]


def _marks(parameter: Parameter) -> list[tuple[float, str]]:
    if isinstance(parameter, Choice):
        return [(position(parameter, value), str(value)) for value in parameter.values]
    return [(0.0, f"{parameter.low:g}"), (1.0, f"{parameter.high:g}")]


def _plain(parameter: Parameter) -> Parameter:
    if isinstance(parameter, Choice):
        texts = list(map(str, parameter.values))
        if len(set(texts)) < len(texts):
            texts = list(map(repr, parameter.values))  # 1 beside "1"
        return Choice(list(_short(texts).values()))
    return replace(parameter, when=None)


def _short(texts: list[str]) -> dict[str, str]:
    """Text -> at most 16 printable letters, no two alike."""
    found: dict[str, str] = {}
    for i, text in enumerate(texts):
        short = printable(text).strip() or "?"
        found[text] = f"{short[:12]} ~{i}" if short in found.values() else short
    return found
