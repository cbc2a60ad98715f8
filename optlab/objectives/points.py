"""A surface itself as an objective: the cheapest thing to try a sampler on."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from optlab.checks import check_amount, real
from optlab.errors import ConfigError
from optlab.objectives.objective import Objective, given
from optlab.search.parameters import Float
from optlab.search.space import Space
from optlab.surfaces import Surface, as_surface


class Point(Objective):
    """f(x, y) of a surface, perhaps with N(0, noise²) added.

    Args:
        name: of a surface, or a `Surface`.
        noise: standard deviation; every trial draws its own.

    Raises:
        ConfigError: no such surface; a noise that is negative or not finite.

    >>> import optlab as ol
    >>> beale = ol.objectives.surface("beale")
    >>> beale({"x": 3.0, "y": 0.5}), beale.space()["x"].low
    (0.0, -4.5)
    """

    name = "surface"

    def __init__(self, name: str | Surface, *, noise: float = 0.0) -> None:
        noise = check_amount("noise", noise)
        self.surface, self.noise = as_surface(name), noise
        self.settings = given(name=name, noise=noise or None)

    def __call__(self, params: Mapping[str, Any], trial: Any = None) -> float:
        """f at ``params["x"], params["y"]``."""
        value = float(self.surface.value(float(params["x"]), float(params["y"])))
        if self.noise:
            value += self.noise * float(np.random.default_rng(seed_of(trial)).standard_normal())
        return value

    def space(self) -> Space:
        """The surface's domain."""
        (x0, x1), (y0, y1) = self.surface.domain
        return Space(x=Float(x0, x1), y=Float(y0, y1))

    def known(self, space: Space) -> list[str]:
        """x and y."""
        return ["x", "y"]

    def mistakes(self, space: Space) -> list[tuple[str, str]]:
        """Both coordinates are needed."""
        found = super().mistakes(space)
        missing = [name for name in ("x", "y") if name not in space or space[name].when]
        return found + [(f"space.{name}", "is missing: a point has x and y") for name in missing]

    def begin(self, params: Mapping[str, Any]) -> None:
        """Coordinates are numbers."""
        for name, value in params.items():
            if real(value) is None:
                raise ConfigError(f"{name} is a number")


surface = Point


def seed_of(trial: Any) -> int:
    """The trial's own; 0 without a trial."""
    return 0 if trial is None else int(trial.seed)
