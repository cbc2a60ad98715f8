"""Many valleys: where a descent ends depends on where it starts."""

from typing import Any

import numpy as np

from optlab.surfaces.surface import Surface

JAMIL_YANG = "Jamil & Yang 2013, arXiv:1308.4008"
SFU = "Surjanovic & Bingham, Virtual Library of Simulation Experiments (sfu.ca/~ssurjano)"
TAU = 2.0 * np.pi
ROOT2 = 1.4142135623730951


def _himmelblau(x: Any, y: Any) -> Any:
    a, b = x * x + y - 11.0, x + y * y - 7.0
    return a * a + b * b


def _himmelblau_gradient(x: Any, y: Any) -> tuple[Any, Any]:
    a, b = x * x + y - 11.0, x + y * y - 7.0
    return 4.0 * (x * a) + 2.0 * b, 2.0 * a + 4.0 * (y * b)


def _camel(x: Any, y: Any) -> Any:
    xx, yy = x * x, y * y
    return xx * (4.0 + xx * (xx / 3.0 - 2.1)) + x * y + yy * (4.0 * yy - 4.0)


def _camel_gradient(x: Any, y: Any) -> tuple[Any, Any]:
    xx, yy = x * x, y * y
    return x * (8.0 + xx * (2.0 * xx - 8.4)) + y, x + y * (16.0 * yy - 8.0)


def _goldstein_price(x: Any, y: Any) -> Any:
    u, v = x + y + 1.0, 2.0 * x - 3.0 * y
    p = 19.0 - 14.0 * (x + y) + 3.0 * ((x + y) * (x + y))
    q = 18.0 - 16.0 * v + 3.0 * (v * v)
    a, b = 1.0 + u * u * p, 30.0 + v * v * q
    return a * b


def _goldstein_price_gradient(x: Any, y: Any) -> tuple[Any, Any]:
    u, v = x + y + 1.0, 2.0 * x - 3.0 * y
    p = 19.0 - 14.0 * (x + y) + 3.0 * ((x + y) * (x + y))
    q = 18.0 - 16.0 * v + 3.0 * (v * v)
    a, b = 1.0 + u * u * p, 30.0 + v * v * q
    da = u * (2.0 * p + u * (6.0 * (x + y) - 14.0))  # da/dx = da/dy
    db = v * (2.0 * q + v * (6.0 * v - 16.0))  # along v
    return da * b + 2.0 * (a * db), da * b - 3.0 * (a * db)


def _branin(x: Any, y: Any) -> Any:
    w = y + x * (10.0 / TAU - 5.1 / (TAU * TAU) * x) - 6.0
    return w * w + (10.0 - 2.5 / TAU) * np.cos(x) + 10.0


def _branin_gradient(x: Any, y: Any) -> tuple[Any, Any]:
    w = y + x * (10.0 / TAU - 5.1 / (TAU * TAU) * x) - 6.0
    return 2.0 * w * (10.0 / TAU - 10.2 / (TAU * TAU) * x) - (10.0 - 2.5 / TAU) * np.sin(x), 2.0 * w


def _easom(x: Any, y: Any) -> Any:
    u, v = x - np.pi, y - np.pi
    return -np.cos(x) * np.cos(y) * np.exp(-(u * u + v * v))


def _easom_gradient(x: Any, y: Any) -> tuple[Any, Any]:
    u, v = x - np.pi, y - np.pi
    e = np.exp(-(u * u + v * v))
    return (
        np.cos(y) * e * (np.sin(x) + 2.0 * u * np.cos(x)),
        np.cos(x) * e * (np.sin(y) + 2.0 * v * np.cos(y)),
    )


def _styblinski_tang(x: Any, y: Any) -> Any:
    xx, yy = x * x, y * y
    return 0.5 * (xx * (xx - 16.0) + 5.0 * x + yy * (yy - 16.0) + 5.0 * y)


def _styblinski_tang_gradient(x: Any, y: Any) -> tuple[Any, Any]:
    xx, yy = x * x, y * y
    return x * (2.0 * xx - 16.0) + 2.5, y * (2.0 * yy - 16.0) + 2.5


def _ackley(x: Any, y: Any) -> Any:
    r = np.sqrt(0.5 * (x * x + y * y))
    cone, ripple = np.exp(-0.2 * r), np.exp(0.5 * (np.cos(TAU * x) + np.cos(TAU * y)))
    return 20.0 * (1.0 - cone) + (np.e - ripple)


def _ackley_gradient(x: Any, y: Any) -> tuple[Any, Any]:
    r = np.sqrt(0.5 * (x * x + y * y))
    cone, ripple = np.exp(-0.2 * r), np.exp(0.5 * (np.cos(TAU * x) + np.cos(TAU * y)))
    k = 2.0 * cone / (r + (r == 0.0))  # the tip of the cone has no gradient: 0 there
    return k * x + np.pi * ripple * np.sin(TAU * x), k * y + np.pi * ripple * np.sin(TAU * y)


def _rastrigin(x: Any, y: Any) -> Any:
    return 20.0 + x * x - 10.0 * np.cos(TAU * x) + y * y - 10.0 * np.cos(TAU * y)


def _rastrigin_gradient(x: Any, y: Any) -> tuple[Any, Any]:
    return 2.0 * x + 10.0 * TAU * np.sin(TAU * x), 2.0 * y + 10.0 * TAU * np.sin(TAU * y)


def _levy(x: Any, y: Any) -> Any:
    u, v = 0.25 * (x - 1.0), 0.25 * (y - 1.0)  # w - 1 in the source
    s, t, r = np.sin(np.pi * u), np.sin(np.pi * u + 1.0), np.sin(TAU * v)
    return s * s + u * u * (1.0 + 10.0 * (t * t)) + v * v * (1.0 + r * r)


def _levy_gradient(x: Any, y: Any) -> tuple[Any, Any]:
    u, v = 0.25 * (x - 1.0), 0.25 * (y - 1.0)
    s, t, r = np.sin(np.pi * u), np.sin(np.pi * u + 1.0), np.sin(TAU * v)
    du = TAU * (s * np.cos(np.pi * u) + 10.0 * (u * u) * (t * np.cos(np.pi * u + 1.0))) + 2.0 * u * (
        1.0 + 10.0 * (t * t)
    )
    dv = 2.0 * v * (1.0 + r * r) + 2.0 * TAU * (v * v) * (r * np.cos(TAU * v))
    return 0.25 * du, 0.25 * dv


def _griewank(x: Any, y: Any) -> Any:
    z = y / ROOT2
    return 1.0 + (x * x + y * y) / 4000.0 - np.cos(x) * np.cos(z)


def _griewank_gradient(x: Any, y: Any) -> tuple[Any, Any]:
    z = y / ROOT2
    return x / 2000.0 + np.sin(x) * np.cos(z), y / 2000.0 + np.cos(x) * np.sin(z) / ROOT2


HIMMELBLAU = Surface(
    _himmelblau,
    gradient=_himmelblau_gradient,
    name="himmelblau",
    domain=((-5.0, 5.0), (-5.0, 5.0)),
    minima=(
        (3.0, 2.0),
        (-2.805118086952745, 3.131312518250573),
        (-3.779310253377747, -3.2831859912861696),
        (3.5844283403304917, -1.8481265269644036),
    ),
    start=(0.0, -4.0),
    source="Himmelblau, Applied Nonlinear Programming, 1972",
    formula="(x^2 + y - 11)^2 + (x + y^2 - 7)^2",
)
SIX_HUMP_CAMEL = Surface(
    _camel,
    gradient=_camel_gradient,
    name="six-hump-camel",
    title="Six-hump camel",
    domain=((-3.0, 3.0), (-2.0, 2.0)),
    minima=((0.08984201310031806, -0.7126564030207396), (-0.08984201310031806, 0.7126564030207396)),
    start=(-1.5, -1.2),
    source=f"{JAMIL_YANG}, Camel function, six hump",
    formula=r"\left(4 - 2.1 x^2 + \frac{x^4}{3}\right) x^2 + xy + (4y^2 - 4) y^2",
)
GOLDSTEIN_PRICE = Surface(
    _goldstein_price,
    gradient=_goldstein_price_gradient,
    name="goldstein-price",
    title="Goldstein-Price",
    domain=((-2.0, 2.0), (-2.0, 2.0)),
    minima=((0.0, -1.0),),
    start=(-1.0, 1.0),
    source=f"Goldstein & Price, Mathematics of Computation 25, 1971; {JAMIL_YANG}",
    formula=(
        r"\left[1 + (x + y + 1)^2 (19 - 14x + 3x^2 - 14y + 6xy + 3y^2)\right]"
        r"\left[30 + (2x - 3y)^2 (18 - 32x + 12x^2 + 48y - 36xy + 27y^2)\right]"
    ),
)
BRANIN = Surface(
    _branin,
    gradient=_branin_gradient,
    name="branin",
    domain=((-5.0, 10.0), (0.0, 15.0)),
    minima=((-np.pi, 12.275), (np.pi, 2.275), (3.0 * np.pi, 2.475)),
    start=(5.5, 12.0),
    source=f"Branin, IBM Journal of Research and Development 16, 1972; {SFU}",
    formula=(
        r"\left(y - \frac{5.1}{4\pi^2} x^2 + \frac{5}{\pi} x - 6\right)^2"
        r" + 10 \left(1 - \frac{1}{8\pi}\right) \cos x + 10"
    ),
)
EASOM = Surface(  # the literature's [-100, 100]^2 is flat to the last bit but for this part
    _easom,
    gradient=_easom_gradient,
    name="easom",
    domain=((-10.0, 10.0), (-10.0, 10.0)),
    minima=((np.pi, np.pi),),
    start=(2.0, 4.0),
    source=f"{JAMIL_YANG}, Easom function; its domain there is [-100, 100]^2",
    formula=r"-\cos x \cos y \, \exp\left(-(x - \pi)^2 - (y - \pi)^2\right)",
)
STYBLINSKI_TANG = Surface(
    _styblinski_tang,
    gradient=_styblinski_tang_gradient,
    name="styblinski-tang",
    title="Styblinski-Tang",
    domain=((-5.0, 5.0), (-5.0, 5.0)),
    minima=((-2.903534027771177, -2.903534027771177),),
    start=(4.5, 0.5),
    source=f"Styblinski & Tang, Neural Networks 3, 1990; {JAMIL_YANG}",
    formula=r"\frac{1}{2} \left(x^4 - 16x^2 + 5x + y^4 - 16y^2 + 5y\right)",
)
ACKLEY = Surface(
    _ackley,
    gradient=_ackley_gradient,
    name="ackley",
    domain=((-5.0, 5.0), (-5.0, 5.0)),
    minima=((0.0, 0.0),),
    start=(-3.3, 2.6),
    source=f"Ackley, A Connectionist Machine for Genetic Hillclimbing, 1987; {SFU}",
    formula=(
        r"-20 \exp\left(-0.2 \sqrt{\frac{x^2 + y^2}{2}}\right)"
        r" - \exp\left(\frac{\cos 2\pi x + \cos 2\pi y}{2}\right) + 20 + e"
    ),
)
RASTRIGIN = Surface(
    _rastrigin,
    gradient=_rastrigin_gradient,
    name="rastrigin",
    domain=((-5.12, 5.12), (-5.12, 5.12)),
    minima=((0.0, 0.0),),
    start=(-3.3, 2.6),
    source=SFU,
    formula=r"20 + x^2 - 10 \cos 2\pi x + y^2 - 10 \cos 2\pi y",
)
LEVY = Surface(
    _levy,
    gradient=_levy_gradient,
    name="levy",
    domain=((-10.0, 10.0), (-10.0, 10.0)),
    minima=((1.0, 1.0),),
    start=(-8.0, 6.0),
    source=SFU,
    formula=(
        r"\sin^2 \pi w + (w - 1)^2 \left(1 + 10 \sin^2(\pi w + 1)\right) + (z - 1)^2 \left(1 + \sin^2 2\pi z\right),"
        r"\; w = 1 + \frac{x - 1}{4}, \; z = 1 + \frac{y - 1}{4}"
    ),
)
GRIEWANK = Surface(
    _griewank,
    gradient=_griewank_gradient,
    name="griewank",
    domain=((-10.0, 10.0), (-10.0, 10.0)),
    minima=((0.0, 0.0),),
    start=(-7.0, 5.5),
    source=f"{SFU}, where the domain is [-600, 600]^2 and the ripples cannot be seen",
    formula=r"1 + \frac{x^2 + y^2}{4000} - \cos x \cos \frac{y}{\sqrt{2}}",
)
