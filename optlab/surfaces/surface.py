"""A function of two variables with everything a descent on it needs to know."""

import functools
import inspect
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import FunctionType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from optlab.checks import finite, new_array, whole
from optlab.compiling import A_SURFACE, COMPILE_ERRORS, compile_error
from optlab.errors import ConfigError
from optlab.interrupt import Pace
from optlab_kernels.dual import derive
from optlab_kernels.jit import jit, pointwise

Point = tuple[float, float]
Window = tuple[Point, Point]
Array = NDArray[np.float64]


@dataclass(frozen=True, init=False, eq=False, repr=False)
class Surface:
    """f(x, y), its gradient, and where to look at it.

    Args:
        fn: a plain function of two floats. Written with `np.*` and without branches it takes arrays too.
        gradient: function (x, y) -> (df/dx, df/dy); derived from ``fn`` by dual numbers if not given.
        domain: ((x_low, x_high), (y_low, y_high)), the part that is drawn and searched; f is defined outside too.
        minima: every global minimum (x, y) in the domain; empty if f is unbounded below there or they are not known.
        start: where descents begin; by default a quarter of the way into the domain, its lower left.
        name: the registry's spelling, lower case with hyphens; by default the name of ``fn``.
        title: the name to display.
        source: where the function comes from.
        formula: LaTeX.

    Raises:
        ConfigError: an argument has the wrong shape, is not finite, or is no plain function.
    """

    value: Callable[[Any, Any], Any]
    gradient: Callable[[Any, Any], tuple[Any, Any]]
    domain: Window
    minima: tuple[Point, ...]
    start: Point
    name: str
    title: str
    source: str
    formula: str

    def __init__(
        self,
        fn: Callable[[Any, Any], Any],
        *,
        gradient: Callable[[Any, Any], tuple[Any, Any]] | None = None,
        domain: Sequence[Sequence[float]] = ((-5.0, 5.0), (-5.0, 5.0)),
        minima: Sequence[Sequence[float]] = (),
        start: Sequence[float] | None = None,
        name: str | None = None,
        title: str | None = None,
        source: str = "",
        formula: str = "",
    ) -> None:
        fn = _plain_function("fn", fn)
        window = as_window("domain", domain)
        if name is None:
            name = "surface" if fn.__name__ == "<lambda>" else fn.__name__.strip("_").replace("_", "-").lower()
        (x_low, x_high), (y_low, y_high) = window
        if start is None:
            start = (x_low + 0.25 * (x_high - x_low), y_low + 0.25 * (y_high - y_low))
        fields = {
            "value": pointwise(fn),
            "gradient": derive(fn) if gradient is None else pointwise(_plain_function("gradient", gradient)),
            "domain": window,
            "minima": tuple(as_pair("a minimum", p) for p in _sequence("minima", minima)),
            "start": as_pair("start", start),
            "name": name,
            "title": name.replace("-", " ").capitalize() if title is None else title,
            "source": source,
            "formula": formula,
        }
        for field, content in fields.items():
            object.__setattr__(self, field, content)

    def __repr__(self) -> str:
        return f"Surface({self.name!r}, domain={self.domain}, start={self.start}, minima={self.minima})"

    @property
    def f_min(self) -> float:
        """f at the first minimum; -inf when none is given."""
        return float(self.value(*self.minima[0])) if self.minima else -math.inf

    def __call__(self, x: ArrayLike, y: ArrayLike) -> Any:
        """f at numbers, or at arrays of any shapes that broadcast: elementwise, by the function itself."""
        if np.ndim(x) == np.ndim(y) == 0:
            return self.value(x, y)
        xs, ys = np.broadcast_arrays(np.asarray(x, np.float64), np.asarray(y, np.float64))
        try:
            return self.value(xs, ys) + np.zeros(xs.shape)
        except (TypeError, ValueError) as error:
            raise ConfigError(
                f"{self.name} does not take arrays ({error}): write it with np.* and without branches, or use grid()"
            ) from error

    def grid(
        self, resolution: int = 200, window: Sequence[Sequence[float]] | None = None
    ) -> tuple[Array, Array, Array]:
        """(xs, ys, values) on a square grid, values[j, i] = f(xs[i], ys[j]); compiled, so `math.*` and branches work.

        Args:
            resolution: points along each axis, at least 2.
            window: the part to cover, like ``domain``, which is the default.

        Raises:
            ConfigError: Numba cannot compile the function, or an argument is wrong.
        """
        count = whole(resolution)
        if count is None or count < 2:
            raise ConfigError(f"resolution: expected an integer of at least 2, got {resolution!r}")
        x_range, y_range = self.domain if window is None else as_window("window", window)
        values = new_array(f"resolution={resolution}", count, count)
        xs, ys = np.linspace(*x_range, count), np.linspace(*y_range, count)
        try:
            with np.errstate(all="ignore"):  # with the JIT off, a point where f is not finite would warn
                fill = _tabulate(self.value)
                for first, end in Pace().pieces(count):
                    fill(xs, ys[first:end], values[first:end])
        except COMPILE_ERRORS as error:
            raise compile_error(self.name, error, A_SURFACE) from error
        return xs, ys, values

    def distance(self, points: ArrayLike) -> Array:
        """Euclidean distance of each of the (n, 2) points to the nearest minimum, (n,); inf when none is given."""
        given = np.asarray(points, np.float64)
        if given.ndim != 2 or given.shape[1] != 2:
            raise ConfigError(f"points: expected shape (n, 2), got {given.shape}")
        nearest = np.full(len(given), np.inf)
        for x, y in self.minima:
            nearest = np.minimum(nearest, np.hypot(given[:, 0] - x, given[:, 1] - y))
        return nearest


@functools.cache
def _tabulate(value: Callable[[Any, Any], Any]) -> Callable[[Array, Array, Array], None]:
    @jit
    def fill(xs: Array, ys: Array, values: Array) -> None:
        for j in range(ys.size):
            for i in range(xs.size):
                values[j, i] = value(xs[i], ys[j])

    return fill


def _plain_function(what: str, fn: Any) -> Any:
    fn = getattr(fn, "py_func", fn)  # a user's own njit function: the Python behind it
    if not isinstance(fn, FunctionType):
        raise ConfigError(f"{what}: expected a plain function of two floats (def or lambda), got {fn!r}")
    try:
        inspect.signature(fn).bind(0.0, 0.0)
    except TypeError:
        raise ConfigError(
            f"{what}: expected a function of two floats, got {fn.__name__}{inspect.signature(fn)}; write it as f(x, y)"
        ) from None
    return fn


def _sequence(what: str, given: Any) -> Sequence[Any]:
    if isinstance(given, str) or not isinstance(given, Sequence | np.ndarray):
        raise ConfigError(f"{what}: expected a list of pairs (x, y), got {given!r}")
    return given  # type: ignore[return-value]


def as_pair(what: str, given: Any) -> Point:
    """Two finite numbers; a ConfigError names ``what`` otherwise."""
    try:
        first, second = given
    except (TypeError, ValueError):
        first = second = None
    x, y = finite(first), finite(second)
    if x is None or y is None:
        raise ConfigError(f"{what}: expected two finite numbers, got {given!r}")
    return x, y


def as_window(what: str, given: Any) -> Window:
    """Two increasing pairs of finite numbers; a ConfigError names ``what`` otherwise."""
    try:
        x_range, y_range = given
    except (TypeError, ValueError):
        raise ConfigError(f"{what}: expected ((x_low, x_high), (y_low, y_high)), got {given!r}") from None
    for axis, (low, high) in (("x", as_pair(f"{what} x", x_range)), ("y", as_pair(f"{what} y", y_range))):
        if not low < high:
            raise ConfigError(f"{what} {axis}: expected low < high, got ({low}, {high}); exchange them")
    return as_pair(what, x_range), as_pair(what, y_range)
