"""What commands share: options, and output for people or for programs."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from optlab import streams
from optlab.files import check_writable, replacing
from optlab.locks import exclusive, of_folder
from optlab.plain import plain

if TYPE_CHECKING:
    from optlab.descent.table import Table

Decorator = Callable[[Any], Any]

json_option: Decorator = click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
seed_option: Decorator = click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)


def _remember(context: click.Context, parameter: click.Parameter, verbose: bool) -> None:
    if verbose:
        context.find_root().obj["verbose"] = True


def quiet_option(command: Any) -> Any:
    """``-q`` and ``-v``."""
    quiet = click.option("-q", "--quiet", is_flag=True, help="Errors only.")
    text = "Also the time taken, and what was compiled."
    verbose = click.option("-v", "--verbose", is_flag=True, expose_value=False, callback=_remember, help=text)
    return quiet(verbose(command))


out_option: Decorator = click.option(
    "--out", type=click.Path(file_okay=False, path_type=Path), help="Folder for what is written; made if missing."
)


def hold(out: Path | None) -> None:
    """Hold a folder until the command ends, so that no other one mixes its files with this one's.

    Raises:
        StorageError: another process writes there, or it can't be made.
    """
    if out is not None:
        click.get_current_context().with_resource(exclusive(of_folder(out), f"the folder {out}"))


def file_option(suffix: str, what: str) -> Decorator:
    """Return an option ``--png FILE`` and the like; what can't be written is refused before any work is done."""

    def check(context: click.Context, parameter: click.Parameter, path: Path | None) -> Path | None:
        if path is not None and path.suffix.lower() != f".{suffix}":
            raise click.BadParameter(f"a file named like FILE.{suffix}, got {path.name!r}")
        if path is not None:
            check_writable(path)
        return path

    kind = click.Path(dir_okay=False, path_type=Path)
    return click.option(f"--{suffix}", type=kind, callback=check, help=f"Write {what}.")


def print_json(document: Any) -> None:
    """The one document, on stdout; NaN and infinities are None."""
    click.echo(json.dumps(plain(document), indent=2, allow_nan=False))


def visible(text: str) -> str:
    """The text with control characters as Python writes them: a name out of a file commands no terminal.

    >>> visible("red" + chr(27)) == "red" + chr(92) + "x1b"
    True
    """
    return "".join(c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode() for c in text)


def print_table(table: "Table", title: str | None = None) -> None:
    """In colour and fitted to the terminal; plain columns when the output goes elsewhere."""
    if not streams.is_terminal(sys.stdout):
        click.echo(visible((f"{title}\n" if title else "") + str(table)))
        return
    from rich.console import Console
    from rich.table import Table as RichTable
    from rich.text import Text

    head, *rows = table.cells()
    view = RichTable(title=title, title_justify="left")
    for name in head:
        view.add_column(Text(visible(name)), overflow="fold")
    for row in rows:
        view.add_row(*(Text(visible(cell)) for cell in row))
    Console().print(view)


def prepared(path: Path) -> Path:
    """``path`` with its folder made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def tell_people(text: str) -> None:
    """Print a line on stderr, for whoever reads it: a command does its work with or without readers."""
    streams.write(sys.stderr, f"{visible(text)}\n")


def tell_written(path: Path, quiet: bool = False) -> None:
    """Say where a file went, on stderr: stdout is for data."""
    if not quiet:
        tell_people(f"wrote {path}")


def save_picture(draw: Callable[[], Any], path: Path) -> Path:
    """Write the figure, or the figure of the axes, that ``draw`` makes, at a size fit for a slide."""
    from optlab.viz.style import own_style

    with own_style(), replacing(prepared(path)) as draft:
        drawn = draw()
        getattr(drawn, "figure", drawn).savefig(draft, dpi=150)
    return path
