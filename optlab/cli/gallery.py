"""`optlab gallery`: every slide figure, its claims measured, and a page that shows them."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from optlab.cli.common import json_option, print_json, quiet_option

if TYPE_CHECKING:
    from optlab.gallery import Made

FAILED_CLAIM = 4


@click.command()
@click.argument("ids", nargs=-1, metavar="[ID]...")
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("gallery"),
    show_default=True,
    help="Folder.",
)
@click.option("--fast", is_flag=True, help="Short animations; the claims are the same.")
@click.option("--jobs", type=click.IntRange(min=1), default=1, show_default=True, help="Figures made at once.")
@click.option("--list", "only_list", is_flag=True, help="List the figures and stop.")
@json_option
@quiet_option
def gallery(ids: tuple[str, ...], out: Path, fast: bool, jobs: int, only_list: bool, as_json: bool, quiet: bool) -> int:
    """Make the figures with these IDs, or all of them, and judge their claims.

    Each picture is written to the folder with an index.html that shows it beside its claims. The exit code is 4 when
    a claim fails.
    """
    from optlab import gallery as figures

    if only_list:
        for id in figures.ids():
            module = figures.figure(id)
            click.echo(f"{id:14} {module.TITLE} [{module.SOURCE}]")
        return 0
    for id in ids:
        figures.figure(id)  # an unknown id stops here, before anything is made
    made: list[Made] = []
    for result in _all(ids or tuple(figures.ids()), out, fast, jobs):
        made.append(result)
        if not quiet:
            passed = sum(v.passed for v in result.verdicts)
            click.echo(f"{result.id:14} {passed}/{len(result.verdicts)} claims hold  {result.seconds:5.1f} s", err=True)
    from optlab.gallery._page import write_page

    page = write_page(made, out)
    failed = [v for m in made for v in m.verdicts if not v.passed]
    if as_json:
        print_json([{"source": m.source, **v.to_dict()} for m in made for v in m.verdicts])
    elif not quiet:
        for verdict in failed:
            click.echo(f"FAILED {verdict.id}: {verdict.claim}\n  {verdict.value} against {verdict.threshold}", err=True)
            if verdict.explanation:
                click.echo(f"  {verdict.explanation}", err=True)
        click.echo(f"{page}")
    return FAILED_CLAIM if failed else 0


def _all(ids: tuple[str, ...], out: Path, fast: bool, jobs: int) -> "Iterator[Made]":
    from optlab.gallery import make

    if jobs == 1 or len(ids) == 1:
        yield from (make(id, out, fast) for id in ids)
        return
    import multiprocessing
    from concurrent.futures import ProcessPoolExecutor

    # spawn: a fork after threads were started may hang
    with ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("spawn")) as pool:
        yield from pool.map(make, ids, [out] * len(ids), [fast] * len(ids))
