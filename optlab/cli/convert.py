"""`optlab convert`: a study to Optuna's storage, or from it."""

from pathlib import Path

import click

from optlab.cli.common import quiet_option


@click.command()
@click.argument("source")
@click.option("--to", "to", type=click.Choice(["optuna"]), help="SOURCE is a file of `optlab sweep`.")
@click.option("--from", "of", type=click.Choice(["optuna"]), help="SOURCE is a storage of Optuna's.")
@click.option("--out", help="Where the copy goes; a file, or an address for Optuna.  [default: beside SOURCE]")
@click.option("--name", help="Of the study, where SOURCE holds several.")
@quiet_option
def convert(source: str, to: str | None, of: str | None, out: str | None, name: str | None, quiet: bool) -> None:
    """Copy a study to Optuna (--to optuna) or from it (--from optuna), trial by trial.

    A file is SQLite, or a journal if its name ends with .log or .journal; Optuna also takes addresses such as
    postgresql://user@host/name.
    """
    if (to is None) == (of is None):
        raise click.UsageError("give either --to optuna or --from optuna")
    from optlab.integrations.convert import from_optuna, to_optuna

    if to is not None:
        from optlab.search.location import storage_path
        from optlab.search.study import Study

        study = Study.open(source, name)
        out = out or str((storage_path(source) or Path("study")).with_suffix(".optuna.db"))
        trials = len(to_optuna(study, out).trials)
        left = len(study.trials) - trials
    else:
        out = out or f"{Path(source).stem if '://' not in source else name or 'study'}.optlab.db"
        study = from_optuna(source, out, name)
        trials, left = len(study.trials), 0
    if not quiet:
        note = f"; {left} still running, left out" if left else ""
        click.echo(f"{out}: study {study.name!r}, {trials} trials{note}")
