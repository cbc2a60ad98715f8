"""An objective by name: one of optlab's with its settings, or a function of the user's."""

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any

from optlab import objectives
from optlab.errors import ConfigError, unknown
from optlab.objectives.objective import Objective
from optlab.search.functions import import_function
from optlab.search.mistakes import Found, Mistakes, shown, under, unknown_key

OBJECTIVES = ("training", "descent", "surface", "svm")


def load_objective(name: str, settings: Mapping[str, Any] | None = None) -> Callable[..., Any]:
    """The objective of a sweep file.

    Args:
        name: ``"training"``, ``"descent"``, ``"surface"``, ``"svm"``, or ``"package.module:function"``.
        settings: its fixed arguments. A class is made with them; a function gets them as keywords.

    Raises:
        ConfigError: it can't be imported or called so; with all unknown settings at once.
        DataError: the data of a training can't be had.

    >>> load_objective("surface", {"name": "beale"})({"x": 3, "y": 0.5})
    0.0
    """
    settings = dict(settings or {})
    if name in OBJECTIVES:
        kind: type[Objective] = getattr(objectives, name)
        made: Callable[..., Any] = _made(name, kind, settings, kind.options())
        return made
    if not isinstance(name, str) or ":" not in name:
        raise unknown("objective", str(name), [*OBJECTIVES, "package.module:function"])
    found: Callable[..., Any] = _imported(name)
    if inspect.isclass(found):
        keyword = inspect.Parameter.VAR_KEYWORD
        taken = inspect.signature(found).parameters.values()
        any_name = any(p.kind is keyword for p in taken)
        made = _made(name, found, settings, list(settings) if any_name else [p.name for p in taken])
        if not callable(made):
            raise Mistakes("the objective", [("objective", f"{name} is a class without __call__")])
        return made
    return functools.partial(found, **settings) if settings else found


def _made(name: str, kind: Callable[..., Any], settings: dict[str, Any], known: list[str]) -> Any:
    found: Found = []
    for key in settings:
        if key not in known:
            unknown_key(found, "settings", key, known)
    needed = inspect.signature(kind).parameters.values()
    for p in needed:
        if p.default is p.empty and p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL) and p.name not in settings:
            found.append((f"settings.{p.name}", f"is missing: {name} needs it"))
    if found:
        raise Mistakes("the objective", found)
    try:
        return kind(**settings)
    except (ConfigError, TypeError) as error:
        text = [("settings", f"are wrong: {error}")]
        raise Mistakes("the objective", under("settings", error) if isinstance(error, Mistakes) else text) from None


def _imported(name: str) -> Any:
    try:
        found = import_function(name)
    except ConfigError as error:
        raise Mistakes("the objective", [("objective", str(error))]) from None
    if not callable(found):
        raise Mistakes("the objective", [("objective", f"{name} is no function, but {shown(found)}")])
    return found
