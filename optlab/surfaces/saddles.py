"""Points where the gradient vanishes and nothing is solved: which rules leave, and how soon.

All are unbounded below: they have no minima.
"""

from typing import Any

from optlab.surfaces.surface import Surface


def _saddle(x: Any, y: Any) -> Any:
    return x * x - y * y


def _saddle_gradient(x: Any, y: Any) -> tuple[Any, Any]:
    return 2.0 * x, -2.0 * y


def _steep_saddle(x: Any, y: Any) -> Any:
    return 5.0 * (x * x) - y * y


def _steep_saddle_gradient(x: Any, y: Any) -> tuple[Any, Any]:
    return 10.0 * x, -2.0 * y


def _monkey_saddle(x: Any, y: Any) -> Any:
    return x * (x * x - 3.0 * (y * y))


def _monkey_saddle_gradient(x: Any, y: Any) -> tuple[Any, Any]:
    return 3.0 * (x * x - y * y), -6.0 * (x * y)


SADDLE = Surface(
    _saddle,
    gradient=_saddle_gradient,
    name="saddle",
    domain=((-2.0, 2.0), (-2.0, 2.0)),
    start=(1.5, 0.01),
    source="the hyperbolic paraboloid; the start is just off its ridge y = 0, which no rule leaves by itself",
    formula="x^2 - y^2",
)
STEEP_SADDLE = Surface(
    _steep_saddle,
    gradient=_steep_saddle_gradient,
    name="steep-saddle",
    domain=((-1.0, 0.95), (-2.0, 0.95)),
    start=(0.25, -1e-6),
    source="Alec Radford's saddle point animation (cs231n, opt1.gif), recovered from its picture",
    formula="5x^2 - y^2",
)
MONKEY_SADDLE = Surface(
    _monkey_saddle,
    gradient=_monkey_saddle_gradient,
    name="monkey-saddle",
    domain=((-2.0, 2.0), (-2.0, 2.0)),
    start=(1.5, 0.01),
    source="Hilbert & Cohn-Vossen, Anschauliche Geometrie, 1932: a degenerate saddle, whose Hessian is 0",
    formula="x^3 - 3xy^2",
)
