"""`optlab train`: a small network on a data set, with everything that happened kept in a run directory."""

import sys
from contextlib import suppress
from pathlib import Path
from shlex import join, quote
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from optlab.cli.common import json_option, print_json, print_table, quiet_option, tell_people
from optlab.cli.recipe import make_recipe, recipe_options

if TYPE_CHECKING:
    from optlab.train.rundir import RunDirectory

WITH_RESUME = {"resume", "as_json", "quiet", "verbose"}


@click.command()
@click.argument("dataset", required=False)
@click.option("--lr", type=float, help="Learning rate; by default the rule's. optlab lr-find suggests one.")
@click.option("--epochs", type=click.IntRange(min=1), default=20, show_default=True)
@click.option("--schedule", help="Of the learning rate: cosine, 'one-cycle(max_lr=0.01)', ...")
@click.option("--patience", type=click.IntRange(min=0), help="Stop after so many epochs without a lower val loss.")
@recipe_options
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    help="The run directory; by default runs/DATASET-TIME-XXXX.",
)
@click.option(
    "--resume",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="RUN",
    help="Continue bit for bit where this run stopped; its own options stay.",
)
@json_option
@quiet_option
@click.pass_context
def train(
    context: click.Context,
    /,
    dataset: str | None,
    out: Path | None,
    resume: Path | None,
    as_json: bool,
    quiet: bool,
    **options: Any,
) -> None:
    """Train a network on DATASET: a name (see `optlab data`), or a .csv, .tsv, .npy or .npz file.

    The run directory gets what repeats the run, the curves, checkpoints and report.html. Ctrl-C finishes the epoch and
    saves; a divergence is a result and ends with exit code 0.
    """
    from optlab.errors import ConfigError
    from optlab.train.rundir import RunDirectory
    from optlab.viz.report import write_report

    if resume is not None:
        given = [p for p in context.params if context.get_parameter_source(p) is not ParameterSource.DEFAULT]
        others = [p for p in given if p not in WITH_RESUME]
        if others:
            names = sorted("DATASET" if p == "dataset" else f"--{p.replace('_', '-')}" for p in others)
            raise ConfigError(f"a resumed run keeps its data and options; leave out {', '.join(names)}")
        run = RunDirectory(resume)
    elif dataset is None:
        raise click.UsageError("expected a DATASET such as digits, or --resume RUN", context)
    else:
        run = RunDirectory.new(make_recipe(dataset, norms=True, **options), out)
    try:
        run.train(_session(), verbose=not quiet)
    except (KeyboardInterrupt, SystemExit):
        if run.written:
            write_report(run)
            with suppress(OSError):  # the terminal hung up
                tell_people(f"optlab: saved; continue with: optlab train --resume {quote(str(run.path))}")
        raise
    report = write_report(run)
    if as_json:
        curves = {name: value for name, value in run.history.to_dict().items() if name != "steps"}
        print_json({"run": str(run.path), "report": str(report), "best_epoch": run.best_epoch, "history": curves})
    elif not quiet:
        _show(run, report)


def _session() -> dict[str, Any]:
    import optlab
    from optlab.health import machine

    return {"command": join(["optlab", *sys.argv[1:]]), "optlab": optlab.__version__, "machine": machine()}


def _show(run: "RunDirectory", report: Path) -> None:
    """How it went, and what can be done next."""
    from optlab.descent.table import Table

    history, best = run.history, run.best_epoch
    rows = [
        ("status", f"{history.status}{f': {history.reason}' if history.reason else ''}"),
        ("epochs", history.epochs),
    ]
    if best is not None:
        rows += [("best epoch", best)]
        rows += [(name.replace("_", " "), float(history[name][best - 1])) for name in history if name != "lr"]
    rows += [
        ("seconds", float(sum(history.seconds))),
        ("engine", f"{history.engine}{f': {history.why}' if history.why else ''}"),
        ("report", report),
    ]
    print_table(Table([{"run": name, str(run.path): value} for name, value in rows]))
    if best is not None and not run.openings():
        tell_people(f'\nAt the very end, once: optlab evaluate {quote(str(run.path))} --unseal "final table"')
