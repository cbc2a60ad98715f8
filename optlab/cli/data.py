"""`optlab data`: which data sets there are, fetching their files, and checking them."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from optlab import streams
from optlab.cli.common import json_option, print_json, print_table, quiet_option, tell_people

if TYPE_CHECKING:
    from optlab.data.published import Published

folder_option: Callable[[Any], Any] = click.option(
    "--data-dir",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder of the sets' folders; by default $OPTLAB_DATA, then the user's cache.",
)
BAD = 3


@click.group(invoke_without_command=True)
@json_option
@click.pass_context
def data(context: click.Context, as_json: bool) -> None:
    """List the data sets (also: optlab data list), fetch their files, or verify them."""
    if context.invoked_subcommand is None:
        _list(None, as_json)
    elif as_json:
        raise click.UsageError(f"--json goes behind the command: optlab data {context.invoked_subcommand} --json")


@data.command("list")
@folder_option
@json_option
def list_(data_dir: Path | None, as_json: bool) -> None:
    """Names, sizes, and where each set is or how to get it."""
    _list(data_dir, as_json)


@data.command()
@click.argument("name")
@folder_option
@quiet_option
def fetch(name: str, data_dir: Path | None, quiet: bool) -> None:
    """Download the files of a published set over https, each checked by its sha256.

    They go into --data-dir, else into $OPTLAB_DATA, else into the user's cache; needs pip install 'optlab[data]'.
    """
    from optlab.data.fetch import fetch as fetch_files

    entry = _published(name)
    size = sum(file.bytes for file in entry.downloads)
    if quiet or not streams.is_terminal(sys.stderr):
        folder = fetch_files(entry, data_dir)
    else:
        from rich.console import Console
        from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

        columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
        with Progress(*columns, console=Console(stderr=True)) as progress:
            task = progress.add_task(name, total=size)
            folder = fetch_files(entry, data_dir, lambda count: progress.advance(task, count))
    if not quiet:
        tell_people(f"{name} is in {folder}")


@data.command()
@click.argument("name", required=False)
@folder_option
@json_option
def verify(name: str | None, data_dir: Path | None, as_json: bool) -> int:
    """Compare files with their published sha256 and read every set that is there; exits with 3 if one is damaged."""
    from optlab.data.catalogue import DATASETS
    from optlab.data.published import Published, folders
    from optlab.descent.table import Table
    from optlab.errors import DataError

    sets = [_published(name)] if name else [entry for entry in DATASETS.values() if isinstance(entry, Published)]
    rows = [row for entry in sets for row in _checked(entry, data_dir)]
    if name and not rows:
        raise DataError(f"no file of {name} is there to verify: {sets[0].advice(folders(data_dir)[0] / name)}")
    if as_json:
        print_json(rows)
    elif rows:
        shown = {True: "yes", False: "no", None: "-"}
        print_table(Table([{**row, "exact": shown[row["exact"]]} for row in rows]))
        tell_people("\nexact: the contents are those that the authors published, bit for bit")
    else:
        tell_people(f"no published set in {' or '.join(map(str, folders(data_dir)))}")
    return 0 if all(row["state"] == "ok" for row in rows) else BAD


def _checked(entry: "Published", data_dir: Path | None) -> list[dict[str, Any]]:
    """A row per file, and one for reading the whole."""
    from optlab.errors import DataError

    folder = entry.find(data_dir)
    if folder is None:
        return []
    rows = [
        {"set": entry.name, "file": str(path), "state": state, "exact": exact}
        for path, state, exact in entry.verify(folder)
    ]
    state = "ok"
    try:
        entry.load(data_dir)
    except DataError as error:
        state = str(error)
    exact = None if state != "ok" else all(row["exact"] for row in rows)
    return [*rows, {"set": entry.name, "file": f"all {sum(entry.rows)} rows", "state": state, "exact": exact}]


def _published(name: str) -> "Published":
    from optlab.data.catalogue import DATASETS
    from optlab.data.published import Published
    from optlab.errors import ConfigError, unknown

    if name not in DATASETS:
        raise unknown("data set", name, DATASETS)
    entry = DATASETS[name]
    if not isinstance(entry, Published):
        raise ConfigError(f"{name} needs no files: ol.data.load({name!r}) makes it")
    return entry


def _list(data_dir: Path | None, as_json: bool) -> None:
    from optlab.data.catalogue import DATASETS
    from optlab.data.published import Published
    from optlab.descent.table import Table

    rows: list[dict[str, Any]] = []
    for entry in DATASETS.values():
        row: dict[str, Any] = {"set": entry.name}
        if isinstance(entry, Published):
            folder = entry.find(data_dir)
            row |= {"rows": sum(entry.rows), "features": entry.features, "classes": len(entry.classes)}
            row["where"] = f"optlab data fetch {entry.name}" if folder is None else str(folder)
        else:
            row |= {"rows": entry.rows, "features": entry.features, "classes": entry.classes}
            row["where"] = "drawn from a seed, n as wished" if entry.drawn else "comes with scikit-learn"
        rows.append(row)
    if as_json:
        print_json(rows)
    else:
        print_table(Table(rows))
