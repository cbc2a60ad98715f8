"""`optlab evaluate`: the sealed test set of a run, opened once."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from optlab.cli.common import json_option, print_json, print_table, quiet_option, tell_people

if TYPE_CHECKING:
    from optlab.train.evaluate import Score


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--unseal", metavar="REASON", help="Why the test set is opened now; the run's ledger keeps it.")
@click.option("--force", is_flag=True, help="Open it again; the table and the report say so.")
@json_option
@quiet_option
def evaluate(run: Path, unseal: str | None, force: bool, as_json: bool, quiet: bool) -> None:
    """Evaluate the best checkpoint of RUN on its test set, which opens once: a second time exits with 7."""
    from optlab.descent.table import Table
    from optlab.errors import ConfigError, SealError
    from optlab.train.evaluate import score
    from optlab.train.rundir import RunDirectory
    from optlab.viz.report import write_report

    if unseal is None:
        raise ConfigError('the test set opens once, at the very end; say why it is now: --unseal "final table"')
    directory = RunDirectory(run)
    model, (_, val, test) = directory.best(), directory.parts
    if not len(test):
        raise ConfigError(f"{run} kept no rows for a test; train with --test 0.15")
    try:
        tested = model.evaluate(test, unseal, force=force)
    except SealError as error:
        raise SealError(str(error).replace("force=True", "--force")) from None
    directory.note("test set opened", reason=unseal, forced=force)
    openings, problems = directory.openings(), directory.ledger().verify()
    marks = [f"opening {len(openings)}"] * (len(openings) > 1) + ["forced"] * bool(openings[-1]["forced"])
    rows = [_row(", ".join(["test", *marks]), tested)]
    if len(val):
        held = score(model, val)
        rows = [_row("validation", held), *rows, {"part": "test - validation", "rows": None, **_gap(tested, held)}]
    report = write_report(directory)
    for problem in problems:
        tell_people(f"optlab: the ledger was changed by hand: {problem}")
    if as_json:
        print_json({"run": str(run), "scores": rows, "openings": openings, "ledger": problems, "report": str(report)})
    elif not quiet:
        print_table(Table(rows), f"{run}, epoch {directory.best_epoch} of {directory.history.epochs}")
        tell_people(f"\n{report}")


def _row(part: str, score: "Score") -> dict[str, Any]:
    return {"part": part, "rows": score.rows, "loss": score.loss, "accuracy": score.accuracy}


def _gap(tested: "Score", held: "Score") -> dict[str, Any]:
    accuracy = None if tested.accuracy is None or held.accuracy is None else tested.accuracy - held.accuracy
    return {"loss": tested.loss - held.loss, "accuracy": accuracy}
