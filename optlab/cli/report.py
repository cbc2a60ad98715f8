"""`optlab report`: what a sweep found, from its file."""

from pathlib import Path

import click

from optlab.cli.common import file_option, json_option, print_json, quiet_option, tell_written


@click.command()
@click.argument("storage")
@click.option("--name", help="Of the study, where the file holds several.")
@file_option("html", "an offline page with all pictures")
@json_option
@quiet_option
def report(storage: str, name: str | None, html: Path | None, as_json: bool, quiet: bool) -> None:
    """Show the best of a sweep, what failed and why, and what to make of it; STORAGE is the file of `optlab sweep`."""
    from optlab.cli.studies import about, document, show
    from optlab.search.study import Study
    from optlab.viz.study_report import proposers, write_study_report

    study = Study.open(storage, name)
    if html is not None:
        tell_written(write_study_report(study, html, {**about(study), "storage": storage}), quiet)
    if as_json:
        print_json({"storage": storage, **document(study)})
    else:
        sampler = {"sampler": text} if (text := proposers(study)) else {}
        show(study, {"study": study.name, **sampler, "storage": storage})
