"""One minimum and no other trap: what every rule should solve, at its own speed."""

from typing import Any

from optlab.surfaces.surface import Surface

JAMIL_YANG = "Jamil & Yang 2013, arXiv:1308.4008"


def _sphere(x: Any, y: Any) -> Any:
    return x * x + y * y


def _sphere_gradient(x: Any, y: Any) -> tuple[Any, Any]:
    return 2.0 * x, 2.0 * y


def _ellipse(x: Any, y: Any) -> Any:
    return 0.5 * (x * x + 100.0 * (y * y))


def _ellipse_gradient(x: Any, y: Any) -> tuple[Any, Any]:
    return x, 100.0 * y


def _booth(x: Any, y: Any) -> Any:
    a, b = x + 2.0 * y - 7.0, 2.0 * x + y - 5.0
    return a * a + b * b


def _booth_gradient(x: Any, y: Any) -> tuple[Any, Any]:
    a, b = x + 2.0 * y - 7.0, 2.0 * x + y - 5.0
    return 2.0 * a + 4.0 * b, 4.0 * a + 2.0 * b


def _matyas(x: Any, y: Any) -> Any:
    return 0.26 * (x * x + y * y) - 0.48 * (x * y)


def _matyas_gradient(x: Any, y: Any) -> tuple[Any, Any]:
    return 0.52 * x - 0.48 * y, 0.52 * y - 0.48 * x


def _camel(x: Any, y: Any) -> Any:
    xx = x * x
    return xx * (2.0 + xx * (xx / 6.0 - 1.05)) + x * y + y * y


def _camel_gradient(x: Any, y: Any) -> tuple[Any, Any]:
    xx = x * x
    return x * (4.0 + xx * (xx - 4.2)) + y, x + 2.0 * y


SPHERE = Surface(
    _sphere,
    gradient=_sphere_gradient,
    name="sphere",
    domain=((-5.0, 5.0), (-5.0, 5.0)),
    minima=((0.0, 0.0),),
    start=(-4.0, 3.0),
    source=f"{JAMIL_YANG}, sphere function",
    formula="x^2 + y^2",
)
ELLIPSE = Surface(
    _ellipse,
    gradient=_ellipse_gradient,
    name="ellipse",
    domain=((-1.5, 1.5), (-1.5, 1.5)),
    minima=((0.0, 0.0),),
    start=(1.0, 1.0),
    source="a quadratic of condition number 100, along the axes; BBOB f2 (Hansen et al. 2009) without its oscillation",
    formula=r"\frac{1}{2} \left(x^2 + 100 y^2\right)",
)
BOOTH = Surface(
    _booth,
    gradient=_booth_gradient,
    name="booth",
    domain=((-10.0, 10.0), (-10.0, 10.0)),
    minima=((1.0, 3.0),),
    start=(-7.0, -6.0),
    source=f"{JAMIL_YANG}, Booth function",
    formula="(x + 2y - 7)^2 + (2x + y - 5)^2",
)
MATYAS = Surface(
    _matyas,
    gradient=_matyas_gradient,
    name="matyas",
    domain=((-10.0, 10.0), (-10.0, 10.0)),
    minima=((0.0, 0.0),),
    start=(-8.0, 3.0),
    source=f"{JAMIL_YANG}, Matyas function",
    formula="0.26 (x^2 + y^2) - 0.48 xy",
)
THREE_HUMP_CAMEL = Surface(
    _camel,
    gradient=_camel_gradient,
    name="three-hump-camel",
    title="Three-hump camel",
    domain=((-5.0, 5.0), (-5.0, 5.0)),
    minima=((0.0, 0.0),),
    start=(-2.5, 3.0),
    source=f"{JAMIL_YANG}, Camel function, three hump",
    formula=r"2x^2 - 1.05 x^4 + \frac{x^6}{6} + xy + y^2",
)
