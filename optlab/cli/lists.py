"""`optlab rules` and `optlab surfaces`: what there is, and one of them in full."""

from typing import Any

import click

from optlab.cli.common import json_option, print_json, print_table, tell_people


@click.command()
@click.argument("name", required=False)
@json_option
def rules(name: str | None, as_json: bool) -> None:
    """List the update rules, or show the equations, options and conventions of one."""
    from optlab.descent.table import Table
    from optlab.errors import unknown
    from optlab.optim.rules import RULES

    if name is not None and name not in RULES:
        raise unknown("rule", name, RULES)
    about: dict[str, dict[str, Any]] = {
        kind.rule.name: {
            "title": kind.title,
            "slots": list(kind.rule.slots),
            "defaults": {**kind().to_dict()},
            "intervals": dict(kind.rule.bounds),
            "conventions": {k: dict(v) for k, v in kind.rule.conventions.items()},
        }
        for kind in RULES.values()
    }
    if as_json:
        print_json(about if name is None else about[name])
    elif name is None:
        rows = [
            {"rule": key, "slots": " ".join(entry["slots"]) or "-", "settings": _short(entry)}
            for key, entry in about.items()
        ]
        print_table(Table(rows))
        tell_people("\nOne in full: optlab rules adam")
    else:
        click.echo(f"{RULES[name].title}\n\n{(RULES[name].__doc__ or '').strip()}\n")
        for convention, changes in about[name]["conventions"].items():
            click.echo(f"convention {convention}: {', '.join(f'{k}={v}' for k, v in changes.items())}")


def _short(entry: dict[str, Any]) -> str:
    flags = (False, 0.0)
    shown = {k: v for k, v in entry["defaults"].items() if k not in {"convention"} and v not in flags}
    return f"{entry['title']}({', '.join(f'{k}={v}' for k, v in shown.items())})"


@click.command()
@click.argument("name", required=False)
@json_option
def surfaces(name: str | None, as_json: bool) -> None:
    """List the 2-D surfaces, or show the formula, domain and minima of one."""
    from optlab.descent.table import Table
    from optlab.errors import unknown
    from optlab.surfaces import SURFACES

    if name is not None and name not in SURFACES:
        raise unknown("surface", name, SURFACES)
    about = {
        key: {
            "title": s.title,
            "formula": s.formula,
            "domain": [list(side) for side in s.domain],
            "minima": [list(m) for m in s.minima],
            "f_min": s.f_min,
            "start": list(s.start),
            "source": s.source,
        }
        for key, s in SURFACES.items()
    }
    if as_json:
        print_json(about if name is None else about[name])
    elif name is None:
        rows = [
            {
                "surface": key,
                "domain": " x ".join(f"[{low:g}, {high:g}]" for low, high in s.domain),
                "minima": len(s.minima),
                "f_min": s.f_min,
                "start": f"({s.start[0]:g}, {s.start[1]:g})",
            }
            for key, s in SURFACES.items()
        ]
        print_table(Table(rows))
        tell_people("\nOne in full: optlab surfaces beale")
    else:
        for key, value in about[name].items():
            click.echo(f"{key:8} {value}")
