"""One recorded descent: the run of a rule on a surface, with everything that happened inside."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from optlab.checks import check_amount, check_count, new_array
from optlab.compiling import A_RULE, A_SURFACE, COMPILE_ERRORS, compile_error
from optlab.descent import export
from optlab.errors import ConfigError
from optlab.interrupt import Pace
from optlab.optim.rules import as_settings
from optlab.optim.settings import Settings
from optlab.surfaces import Surface, as_surface
from optlab.surfaces.surface import as_pair
from optlab_kernels.rules import RULES as BUILT_IN
from optlab_kernels.trajectory import GX, GY, STATE, VALUE, X, Y, trajectory

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Status = Literal["converged", "diverged", "running"]
FAR = 1e6  # a run has diverged when it is this many domains away
PIECE = 4096  # rows of noise drawn at once
FIRST_STEPS = 512  # in the first compiled call: short even on a surface a thousand times as slow as Beale
FLAT = 1e-10  # gradient norm at which a run counts as converged


@dataclass(frozen=True, eq=False)
class Run:
    """A descent of ``steps`` steps; row t of each array belongs to the point x_t, the rows after a divergence are NaN.

    Attributes:
        surface: where.
        settings: of which rule.
        record: (steps + 1, 5 + 2 slots), all that the compiled loop wrote; the properties are views of it.
        rows: how many rows were reached.
        noise, seed: standard deviation of the gradient noise, and its seed.
        tol: how close to the minimum's value counts as converged.
    """

    surface: Surface
    settings: Settings
    record: np.ndarray
    rows: int
    noise: float
    seed: int
    tol: float

    @property
    def steps(self) -> int:
        """The number of steps asked for."""
        return len(self.record) - 1

    @property
    def points(self) -> np.ndarray:
        """(steps + 1, 2): x_0 ... x_steps."""
        return self.record[:, X : Y + 1]

    @property
    def values(self) -> np.ndarray:
        """(steps + 1,): f(x_t)."""
        return self.record[:, VALUE]

    @property
    def gradients(self) -> np.ndarray:
        """(steps + 1, 2): the gradient used at x_t, noise included, weight decay not."""
        return self.record[:, GX : GY + 1]

    @cached_property
    def state(self) -> dict[str, np.ndarray]:
        """Slot -> (steps + 1, 2): after step t; row 0 is the state before the first step."""
        slots = self.settings.variant.slots
        return {name: self.record[:, [STATE + i, STATE + len(slots) + i]] for i, name in enumerate(slots)}

    @cached_property
    def corrected(self) -> dict[str, np.ndarray]:
        """Slot -> (steps + 1, 2): moments over 1 - b^t, as Adam uses them; NaN at t = 0; empty if not corrected."""
        hyper = self.settings.hyper
        if not getattr(hyper, "bias_correction", True):
            return {}
        t = np.arange(self.steps + 1)[:, None]
        decays = self.settings.variant.unbiased.items()
        with np.errstate(invalid="ignore"):
            return {slot: self.state[slot] / (1.0 - float(getattr(hyper, decay)) ** t) for slot, decay in decays}

    @cached_property
    def effective_lr(self) -> np.ndarray:
        """(steps, 2): |x_{t+1} - x_t| / |g_t| per coordinate; NaN where the gradient is 0."""
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            rate: np.ndarray = np.abs(np.diff(self.points, axis=0)) / np.abs(self.gradients[:-1])
        rate[self.gradients[:-1] == 0.0] = np.nan
        return rate

    @cached_property
    def distances(self) -> np.ndarray:
        """(steps + 1,): distance of x_t to the nearest minimum; inf on a surface without one."""
        return np.asarray(self.surface.distance(self.points))

    @cached_property
    def status(self) -> Status:
        """``"diverged"``: not finite or outside 1e6 domains; ``"converged"``: minimal or flat; else ``"running"``."""
        x, y = self.points[self.rows - 1]
        if self.rows <= self.steps or not (inside(self.surface, x, y) and np.isfinite(self.values[-1])):
            return "diverged"
        if self.values[-1] - self.surface.f_min <= self.tol or np.hypot(*self.gradients[-1]) <= FLAT:
            return "converged"
        return "running"

    def steps_to(self, target: float) -> int | None:
        """The first t with f(x_t) - f_min <= ``target``, or None."""
        with np.errstate(invalid="ignore"):  # -inf above -inf
            return _first(self.values - self.surface.f_min <= target)

    def steps_within(self, radius: float) -> int | None:
        """The first t at which x_t is within ``radius`` of a minimum, or None."""
        return _first(self.distances <= radius)

    @property
    def label(self) -> str:
        """How the run is called in a legend."""
        return repr(self.settings)

    def to_dict(self) -> dict[str, Any]:
        """Everything as numbers, strings and lists; NaN and infinities are None, so that it is valid JSON."""
        return export.to_dict(self)

    def save(self, path: str | Path) -> Path:
        """Write the record as ``.csv``, ``.npz`` or ``.json``, by the suffix."""
        return export.save(self, Path(path))

    def plot(self, ax: "Axes | None" = None, **options: Any) -> "Axes":
        """The path over the contours of the surface."""
        from optlab.viz.contour import plot_path

        return plot_path(self, ax=ax, **options)

    def plot_loss(self, ax: "Axes | None" = None, **options: Any) -> "Axes":
        """f - f_min against the step."""
        from optlab.viz.curves import plot_loss

        return plot_loss({self.label: self}, ax=ax, **options)

    def plot_state(self, slot: str, ax: "Axes | None" = None, **options: Any) -> "Axes":
        """One slot against the step, a line per coordinate."""
        from optlab.viz.curves import plot_state

        return plot_state(self, slot, ax=ax, **options)

    def plot_effective_lr(self, ax: "Axes | None" = None, **options: Any) -> "Axes":
        """The effective learning rate against the step, a line per coordinate."""
        from optlab.viz.curves import plot_effective_lr

        return plot_effective_lr(self, ax=ax, **options)

    def plot_panels(self, fig: "Figure | None" = None) -> "Figure":
        """Path, loss, every slot and the effective learning rate in one figure."""
        from optlab.viz.curves import plot_panels

        return plot_panels(self, fig=fig)

    def __repr__(self) -> str:
        last = self.rows - 1
        x, y = self.points[last]
        return (
            f"Run({self.settings!r} on {self.surface.name}: {self.status} after {last} steps "
            f"at ({x:.6g}, {y:.6g}), f = {self.values[last]:.6g})"
        )


def descend(
    surface: Any,
    rule: Settings | type[Settings] | str,
    start: Any = None,
    steps: int = 300,
    *,
    noise: float = 0.0,
    seed: int = 0,
    tol: float = 1e-8,
) -> Run:
    """Record a descent: x_{t+1} = rule(x_t, grad f(x_t) + noise).

    Args:
        surface: a name, an `optlab.Surface`, or a function of two floats.
        rule: settings such as ``ol.Adam(lr=0.1)``, or a name.
        start: (x, y); the surface's own if None.
        steps: how many, at least 0.
        noise: standard deviation of the Gaussian noise added to each gradient coordinate.
        seed: of the noise.
        tol: f - f_min at which the run counts as converged.

    Raises:
        ConfigError: an unknown name, a start that is not two finite numbers, a negative number.

    >>> import optlab as ol
    >>> ol.descend("beale", ol.Adam(lr=0.1), start=(1.0, 1.6), steps=100).steps_to(0.2)
    87
    """
    surface, settings = as_surface(surface), as_settings(rule)
    begin = surface.start if start is None else as_pair("start", start)
    steps, seed = check_count("steps", steps), check_count("seed", seed)
    noise, tol = check_amount("noise", noise), check_amount("tol", tol)
    variant = settings.variant
    slots = len(variant.slots)
    record = new_array(f"a record of {steps} steps", steps + 1, STATE + 2 * slots)
    record[0, X], record[0, Y] = begin
    initial = [variant.start(s, settings.hyper) for s in variant.slots]
    record[0, STATE:] = [*initial, *initial]
    plain = not (noise or settings.weight_decay)
    if not plain:
        record[:, GX : GY + 1] = 0.0
    if noise:
        random = generator(seed)
        for part in np.array_split(record, len(record) // PIECE + 1):  # a long run needs its record, nothing besides
            part[:, GX : GY + 1] = noise * random.standard_normal((len(part), 2))
    run, rows = trajectory(variant, surface.value, surface.gradient, plain), 0
    control, box = settings.control(), _box(surface)
    try:
        with np.errstate(all="ignore"):  # with the JIT off, a divergence would warn
            for first, end in Pace(FIRST_STEPS).pieces(steps + 1):
                rows = run(record, control, box, first, end)
                if rows < end:
                    break
    except COMPILE_ERRORS as error:
        raise uncompilable(settings, surface, error) from error
    record[rows:] = np.nan
    return Run(surface, settings, record, rows, noise, seed, tol)


def uncompilable(settings: Settings, surface: Surface, error: Exception) -> ConfigError:
    """Names the rule where it is a user's own, else the surface."""
    if settings.name in BUILT_IN:
        return compile_error(surface.name, error, A_SURFACE)
    return compile_error(f"{settings.name} on {surface.name}", error, f"{A_RULE}; of the surface, {A_SURFACE}")


def generator(seed: int, *stream: int) -> np.random.Generator:
    """A counter-based generator of its own for each seed and stream: adding a stream changes no other."""
    return np.random.Generator(np.random.Philox(np.random.SeedSequence(seed, spawn_key=stream)))


def _box(surface: Surface) -> np.ndarray:
    """(x low, x high, y low, y high), FAR domains around the middle of the domain."""
    return np.array([side for low, high in surface.domain for side in _stretch(low, high)])


def _stretch(low: float, high: float) -> tuple[float, float]:
    middle, half = 0.5 * (low + high), 0.5 * (high - low)
    return middle - FAR * half, middle + FAR * half


def inside(surface: Surface, x: Any, y: Any) -> Any:
    """Whether (x, y), numbers or arrays, is no further away than a run may be."""
    x_low, x_high, y_low, y_high = _box(surface)
    return (x_low <= x) & (x <= x_high) & (y_low <= y) & (y <= y_high)


def _first(hits: np.ndarray) -> int | None:
    return int(np.argmax(hits)) if hits.any() else None
