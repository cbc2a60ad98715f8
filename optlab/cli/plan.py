"""The sweep that a file and options ask for: read, checked as a whole, and shown."""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from optlab.cli.common import print_json, print_table
from optlab.cli.flags import parameter, setting
from optlab.descent.table import Table
from optlab.objectives.load import OBJECTIVES, load_objective
from optlab.search.mistakes import Found, Mistakes, raise_if
from optlab.search.space import Space
from optlab.search.spec import FUNCTION, SweepSpec
from optlab.search.toml import read_toml
from optlab.search.trial import summary
from optlab.viz.study_report import ranged

PROPOSALS = 5  # shown by --dry-run


def prepare(
    file: Path | None, settings: tuple[str, ...], params: tuple[str, ...], options: dict[str, Any], quiet: bool = True
) -> tuple[SweepSpec, Callable[..., Any]]:
    """The sweep and its objective; all mistakes in file and options at once.

    The objective and the sampler's mean may be functions of the user's: they are imported, from this folder too, and
    only where the file or the options name them, whatever a storage says.

    Raises:
        ConfigError: with these.
    """
    where, found = str(file or "the options"), Found()
    data: dict[str, Any] = read_toml(file) if file else {}
    data |= {key: value for key, value in options.items() if value is not None}
    for key, texts, read in (("settings", settings, setting), ("space", params, parameter)):
        if texts and isinstance(data.setdefault(key, {}), dict):
            data[key] = data[key] | dict(read(text, found) for text in texts)

    def attempt(make: Callable[[], Any], heard: bool = True) -> Any:
        try:
            return make()
        except Mistakes as error:
            found.extend(error.found if heard else ())
            return None

    raise_if(found, where)
    title, fixed = data.get("objective"), data.get("settings", {})
    objective: Any = None
    if functions := _functions(data):
        if os.getcwd() not in sys.path:
            sys.path.insert(0, os.getcwd())
        if not quiet:
            click.echo(f"optlab: importing {', '.join(functions)}", err=True)
    if isinstance(title, str) and isinstance(fixed, dict) and (title in OBJECTIVES or FUNCTION.fullmatch(title)):
        objective = attempt(lambda: load_objective(title, fixed))
    if "space" not in data and hasattr(objective, "space"):
        data["space"] = objective.space().to_dict()
    spec: Any = attempt(lambda: SweepSpec.from_dict(data, where))
    space = spec.space if spec else attempt(lambda: Space.from_dict(data.get("space")), heard=False)
    if space is not None and hasattr(objective, "mistakes"):
        found += objective.mistakes(space)
    raise_if(found, where)
    return spec, objective


def _functions(data: dict[str, Any]) -> list[str]:
    """The functions that a sweep names as ``"module:function"``."""
    sampler = data.get("sampler")
    named = [data.get("objective"), sampler.get("mean") if isinstance(sampler, dict) else None]
    return [name for name in named if isinstance(name, str) and FUNCTION.fullmatch(name)]


def show_plan(spec: SweepSpec, path: Path | None, name: str, as_json: bool) -> None:
    """What would be done."""
    first = spec.sampler.propose(range(min(PROPOSALS, spec.trials)), [])
    if as_json:
        print_json({"study": name, "storage": str(path or "memory"), **spec.to_dict(), "first": first})
        return
    rows = {"objective": spec.objective, **spec.settings, "trials": spec.trials, "sampler": repr(spec.sampler)}
    rows |= {"study": name, "storage": str(path or "memory")}
    print_table(Table([{"sweep": key, "": value} for key, value in rows.items()]))
    click.echo()
    print_table(Table([{"parameter": key, "range": ranged(p)} for key, p in spec.space.items()]))
    click.echo("\nIt would begin with")
    for params in first:
        click.echo(f"  {summary(params)}")
