"""The functions of two variables that descents run on, by name."""

from collections.abc import Callable
from typing import Any

from optlab.errors import unknown
from optlab.surfaces import bowls, multimodal, saddles, valleys
from optlab.surfaces.surface import Surface

SURFACES: dict[str, Surface] = {
    surface.name: surface
    for family in (bowls, saddles, valleys, multimodal)
    for surface in vars(family).values()
    if isinstance(surface, Surface)
}

__all__ = ["SURFACES", "Surface", "as_surface"]


def as_surface(given: Surface | str | Callable[[Any, Any], Any]) -> Surface:
    """The surface that ``given`` names or is; a plain function of two floats becomes one with a derived gradient.

    Raises:
        ConfigError: no surface has this name, or a surface cannot be made of it.
    """
    if isinstance(given, Surface):
        return given
    if isinstance(given, str):
        if given not in SURFACES:
            raise unknown("surface", given, SURFACES)
        return SURFACES[given]
    return Surface(given)
