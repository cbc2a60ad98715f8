"""Names of a package that are loaded when first used, so that importing the package is cheap."""

import importlib
import sys
from collections.abc import Callable, Mapping
from typing import Any


def lazily(package: str, homes: Mapping[str, str]) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """``__getattr__`` and ``__dir__`` (PEP 562) of a package whose names live in these modules.

    A name whose home is the submodule of that name stands for what the module has under it, or for the module itself.
    """

    def get(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        home = importlib.import_module(homes[name])
        itself = home.__name__ == f"{package}.{name}" and not hasattr(home, name)
        value = home if itself else getattr(home, name)
        setattr(sys.modules[package], name, value)
        return value

    return get, lambda: list(vars(sys.modules[package])["__all__"])
