"""A steep descent into a long flat floor: what momentum and per-coordinate rates were invented for."""

from typing import Any

import numpy as np

from optlab.surfaces.surface import Surface

JAMIL_YANG = "Jamil & Yang 2013, arXiv:1308.4008"


def _valley(x: Any, y: Any) -> Any:
    u, v = x + y, x - y
    return 0.25 * (u * u + 100.0 * (v * v))


def _valley_gradient(x: Any, y: Any) -> tuple[Any, Any]:
    u, v = x + y, x - y
    return 0.5 * (u + 100.0 * v), 0.5 * (u - 100.0 * v)


def _rosenbrock(x: Any, y: Any) -> Any:
    a, b = 1.0 - x, y - x * x
    return a * a + 100.0 * (b * b)


def _rosenbrock_gradient(x: Any, y: Any) -> tuple[Any, Any]:
    a, b = 1.0 - x, y - x * x
    return -2.0 * a - 400.0 * (x * b), 200.0 * b


def _beale(x: Any, y: Any) -> Any:
    p, q, r = y - 1.0, y * y - 1.0, y * y * y - 1.0
    a, b, c = 1.5 + x * p, 2.25 + x * q, 2.625 + x * r
    return a * a + b * b + c * c


def _beale_gradient(x: Any, y: Any) -> tuple[Any, Any]:
    p, q, r = y - 1.0, y * y - 1.0, y * y * y - 1.0
    a, b, c = 1.5 + x * p, 2.25 + x * q, 2.625 + x * r
    return 2.0 * (a * p + b * q + c * r), x * (2.0 * a + 4.0 * (b * y) + 6.0 * (c * (y * y)))


def _mccormick(x: Any, y: Any) -> Any:
    u, v = x + y, x - y
    return np.sin(u) + v * v - 1.5 * x + 2.5 * y + 1.0


def _mccormick_gradient(x: Any, y: Any) -> tuple[Any, Any]:
    u, v = x + y, x - y
    return np.cos(u) + 2.0 * v - 1.5, np.cos(u) - 2.0 * v + 2.5


VALLEY = Surface(
    _valley,
    gradient=_valley_gradient,
    name="valley",
    domain=((-5.0, 5.0), (-5.0, 5.0)),
    minima=((0.0, 0.0),),
    start=(-4.0, -3.0),
    source="the ellipse turned by 45 degrees (condition number 100), where a rate per coordinate cannot help",
    formula=r"\frac{1}{4} \left((x + y)^2 + 100 (x - y)^2\right)",
)
ROSENBROCK = Surface(
    _rosenbrock,
    gradient=_rosenbrock_gradient,
    name="rosenbrock",
    domain=((-2.0, 2.0), (-1.0, 3.0)),
    minima=((1.0, 1.0),),
    start=(-1.2, 1.0),
    source="Rosenbrock, The Computer Journal 3, 1960, with its start",
    formula="(1 - x)^2 + 100 (y - x^2)^2",
)
BEALE = Surface(
    _beale,
    gradient=_beale_gradient,
    name="beale",
    domain=((-4.5, 4.5), (-4.5, 4.5)),
    minima=((3.0, 0.5),),
    start=(1.0, 1.5),
    source=f"{JAMIL_YANG}, Beale function; the surface of Alec Radford's contour animation (cs231n, opt2.gif)",
    formula="(1.5 - x + xy)^2 + (2.25 - x + xy^2)^2 + (2.625 - x + xy^3)^2",
)
MCCORMICK = Surface(
    _mccormick,
    gradient=_mccormick_gradient,
    name="mccormick",
    title="McCormick",
    domain=((-1.5, 4.0), (-3.0, 4.0)),
    minima=((-0.5471975511965976, -1.5471975511965976),),  # (1/2, -1/2) - pi/3; lower ones follow outside the domain
    start=(3.0, 2.0),
    source=f"McCormick, Mathematical Programming 10, 1976; {JAMIL_YANG}, McCormick function",
    formula=r"\sin(x + y) + (x - y)^2 - 1.5x + 2.5y + 1",
)
