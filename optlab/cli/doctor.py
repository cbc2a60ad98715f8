"""`optlab doctor`: what this machine runs, and whether the compiled code is right on it."""

import click

from optlab.cli.common import json_option, print_json


@click.command()
@json_option
def doctor(as_json: bool) -> int:
    """Show versions, threads, BLAS and the cache, and check compiled results against NumPy.

    Exits with 1 when a check fails.
    """
    from optlab.health import examine

    report = examine()
    if as_json:
        print_json(report)
    else:
        for section, entries in report.items():
            click.echo(click.style(section, bold=True))
            for key, value in entries.items():
                click.echo(f"  {key:22} {value}")
    return 0 if all(str(v).startswith("ok") for v in report["checks"].values()) else 1
