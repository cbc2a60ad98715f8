"""`optlab gallery`: every slide figure, its claims measured, and pages that show them."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from optlab import streams
from optlab.cli.common import hold, json_option, print_json, quiet_option, seed_option, tell_people

if TYPE_CHECKING:
    from optlab.gallery._made import Made

DATA = ("digits", "mnist", "fashion-mnist", "cifar-10", "glyphs", "shapes")
BUG = 1


@click.command()
@click.argument("ids", nargs=-1, metavar="[ID]...")
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("gallery"),
    show_default=True,
    help="Folder.",
)
@click.option("--fast", is_flag=True, help="A first look: smaller sizes, claims measured and not judged.")
@click.option("--jobs", type=click.IntRange(min=1), default=1, show_default=True, help="Figures made at once.")
@click.option("--data", type=click.Choice(DATA), help="Data set of the figures that train on pictures.")
@seed_option
@click.option("--list", "only_list", is_flag=True, help="List the figures and stop.")
@json_option
@quiet_option
@click.pass_context
def gallery(
    context: click.Context,
    ids: tuple[str, ...],
    out: Path,
    fast: bool,
    jobs: int,
    data: str | None,
    seed: int,
    only_list: bool,
    as_json: bool,
    quiet: bool,
) -> int:
    """Make the figures with these IDs, or all of them, and judge their claims.

    The folder gets an index.html, a page, pictures and the data of each figure, and verdicts.json. A claim that does
    not hold is explained and gives exit code 4; a figure that can't be made is reported and gives exit code 1.
    """
    from optlab import gallery as figures
    from optlab.gallery._all import make_all

    if only_list:
        _list(as_json)
        return 0
    chosen = _chosen(ids)
    if data is not None:
        from optlab.gallery._setup import Setup, parts

        parts(Setup(data=data))  # what can't be had stops here, before anything is made
    hold(out)
    made: dict[str, Made] = {}
    try:
        with _progress(len(chosen), quiet) as tell:
            for one in make_all(chosen, out, jobs, fast=fast, data=data, seed=seed):
                made[one.id] = one
                tell(one)
                if one.trace and context.find_root().params["debug"]:
                    tell_people(one.trace)
    finally:  # after Ctrl-C too: what there is
        page = _write([made[id] for id in chosen if id in made], out)
    if as_json:
        print_json([row for id in chosen for row in made[id].rows()])
    elif not quiet:
        click.echo(page)
    if any(one.error for one in made.values()):
        return BUG
    return figures.FAILED_CLAIM if any(one.false for one in made.values()) else 0


def _chosen(ids: tuple[str, ...]) -> list[str]:
    """The figures asked for, each once, in the documents' order; an unknown id stops here."""
    from optlab.errors import unknown
    from optlab.gallery import ids as known

    every = known()
    for id in ids:
        if id not in every:
            raise unknown("figure", id, every)
    return [id for id in every if id in ids or not ids]


def _list(as_json: bool) -> None:
    from optlab.gallery import ids
    from optlab.gallery._topics import topic_of

    rows = [{"id": id, **_heading(id), "topic": topic_of(id)} for id in ids()]
    if as_json:
        print_json(rows)
    else:
        for row in rows:
            click.echo(f"{row['id']:18} {row['title']} [{row['source']}]")


def _heading(id: str) -> dict[str, str]:
    from optlab.gallery import figure

    try:
        return {"title": figure(id).TITLE, "source": figure(id).SOURCE}
    except Exception as error:  # one that is being written must not hide the others
        return {"title": f"can't be read: {type(error).__name__}: {error}", "source": ""}


def _write(made: "list[Made]", out: Path) -> Path:
    """The pages, with the figures that were made into this folder before; the path of the index."""
    from optlab.gallery import ids
    from optlab.gallery._made import remember, remembered
    from optlab.gallery._page import write_pages

    known = {one.id: one for one in (*remembered(out), *made)}
    every = [known[id] for id in ids() if id in known]
    page = write_pages(every, out)
    remember(every, out)
    return page


@contextmanager
def _progress(total: int, quiet: bool) -> "Iterator[Callable[[Made], None]]":
    """A line per figure, and on a terminal a bar below them, on stderr."""
    if quiet:
        yield lambda made: None
        return
    if not streams.is_terminal(sys.stderr):
        yield lambda made: tell_people("\n".join(_lines(made)))
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
    from rich.text import Text

    console = Console(stderr=True, soft_wrap=True, highlight=False)
    columns = (TextColumn("figure"), MofNCompleteColumn(), BarColumn(20), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("", total=total)

        def tell(made: "Made") -> None:
            for line in _lines(made):
                console.print(Text(line))
            bar.advance(task)

        yield tell


def _lines(made: "Made") -> Iterator[str]:
    yield f"{made.id:18} {made.summary():32} {made.seconds:6.1f} s"
    if made.error:
        yield f"  {made.error}"
    for verdict in made.false:
        yield f"  FALSE {verdict.id}: {verdict.claim}"
        yield f"    measured {verdict.value}, held against {verdict.threshold}"
        if verdict.explanation:
            yield f"    {verdict.explanation}"
