"""`optlab sweep`: search hyperparameters, from a file or from options."""

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from optlab.cli.common import json_option, print_json, quiet_option, tell_people

if TYPE_CHECKING:
    from collections.abc import Callable

    from optlab.search.spec import SweepSpec
    from optlab.search.study import Study

TOO_MANY_FAILED, ON_AN_EDGE = 4, 6


@click.command()
@click.argument("file", required=False, type=click.Path(dir_okay=False, path_type=Path))
@click.option("--objective", help='training, descent, surface, svm, or "package.module:function".')
@click.option("--set", "settings", multiple=True, metavar="NAME=VALUE", help="A fixed argument of the objective.")
@click.option(
    "--param",
    "params",
    multiple=True,
    metavar="NAME=RANGE",
    help='"lr=1e-5..1 log", "hidden=8..64 step 8 int", "rule=sgd,adam", "beta=0.5..0.99 when rule=momentum".',
)
@click.option("--trials", type=click.IntRange(min=0), help="In all, those before a --resume included; 50 by default.")
@click.option("--sampler", help="gp, random, sobol, grid or refine; gp by default.")
@click.option("--seed", type=click.IntRange(min=0), help="Of the sampler and the trials; 0 by default.")
@click.option("--workers", type=click.IntRange(min=1), help="Trials at once.")
@click.option(
    "--batch",
    type=click.IntRange(min=1),
    help="Propose so many together: the same at any --workers (GP: on one kind of processor).",
)
@click.option("--dask", metavar="ADDR", help="Run on this Dask scheduler, tcp://host:port; 'local' starts one here.")
@click.option("--pruner", help="median or halving: stop poor trials early.")
@click.option("--storage", help="The file that keeps the trials; by default FILE.db or sweep.db.")
@click.option("--name", help="Of the study; by default the sweep file's, or its objective's.")
@click.option("--resume", is_flag=True, help="Continue what the storage holds.")
@click.option("--dry-run", is_flag=True, help="Check everything, show the space, and stop.")
@click.option("--max-failures", type=click.IntRange(min=0), help="More failed trials end the sweep with exit code 4.")
@click.option("--timeout", type=click.FloatRange(min=0, min_open=True), help="Seconds for one trial.")
@click.option("--strict-edge", is_flag=True, help="Exit code 6 if the best is at an end of a range.")
@json_option
@quiet_option
def sweep(
    file: Path | None,
    settings: tuple[str, ...],
    params: tuple[str, ...],
    workers: int | None,
    batch: int | None,
    dask: str | None,
    storage: str | None,
    resume: bool,
    dry_run: bool,
    strict_edge: bool,
    as_json: bool,
    quiet: bool,
    **options: Any,
) -> int:
    """Search hyperparameters as FILE says (TOML), or as the options do; options win over the file.

    \b
    optlab sweep sweep.toml --workers 2
    optlab sweep --objective training --set dataset=digits --param "lr=1e-5..1 log" --param rule=sgd,adam

    Every trial is kept in the storage. Ctrl-C finishes what runs and saves; --resume continues. Without parameters,
    the objective's usual ones are searched.
    """
    from optlab.cli.plan import prepare, show_plan
    from optlab.errors import StorageError
    from optlab.search.location import storage_path

    if file is None and options["objective"] is None:
        raise click.UsageError("expected a sweep file, or --objective", click.get_current_context())
    spec, objective = prepare(file, settings, params, options, quiet)
    default = f"{file.stem if file else 'sweep'}.db"
    path = storage_path(next(place for place in (storage, spec.storage, default) if place is not None))
    name = spec.name or (file.stem if file else spec.objective)
    if dry_run:
        show_plan(spec, path, name, as_json)
        return 0
    study = _study(spec, path, name, resume)
    began = time.perf_counter()
    try:
        problem = _run(study, spec, objective, ("dask" if dask == "local" else dask) or workers, batch, quiet)
    except (KeyboardInterrupt, SystemExit):
        if path is not None:
            again = "" if resume else "; continue with: the same command and --resume"
            tell_people(f"optlab: saved {len(study.complete)} complete trials in {path}{again}")
        raise
    except StorageError:
        if path is not None and study.lost():
            _keep(study, path)
        raise
    _tell(study, path, time.perf_counter() - began, as_json, quiet)
    if problem:
        tell_people(f"optlab: {problem}")
    if problem or (study.trials and not study.complete):
        return TOO_MANY_FAILED
    edges = [v for v in study.verdict() if v.id.startswith("edge:") and not v.passed]
    return ON_AN_EDGE if strict_edge and edges else 0


def _study(spec: "SweepSpec", path: Path | None, name: str, resume: bool) -> "Study":
    """The study, new or continued.

    Raises:
        ConfigError: it is there already and shall not be resumed, or is another sweep's.
    """
    from optlab.cli.progress import Watched
    from optlab.cli.studies import about
    from optlab.errors import ConfigError

    there = path is not None and os.path.exists(path) and name in Watched.list(path)
    if resume and not there:
        raise ConfigError(f"there is nothing to resume: {path or 'memory'} holds no study {name!r}")
    told = {"objective": spec.objective, "settings": spec.settings, "sampler": spec.sampler.to_dict()}
    before: dict[str, Any] = {}
    if there and path is not None:
        earlier = Watched.open(path, name)  # only to read it: what is refused changes no byte of the file
        if (done := len(earlier.trials)) and not resume:
            raise ConfigError(
                f"{path} holds study {name!r} with {done} trials: "
                "--resume continues it; --storage or --name begins another"
            )
        before = about(earlier)
    for key in ("objective", "settings"):
        if key in before and before[key] != told[key]:
            text = f"{path} holds study {name!r} with {key} {before[key]!r}, here {told[key]!r}"
            raise ConfigError(f"{text}: values could not be compared; --name begins another")
    study = Watched(spec.space, spec.sampler, spec.direction, path, name)
    if before != told:
        study.describe(told)
    return study


def _run(
    study: Any, spec: "SweepSpec", objective: "Callable[..., Any]", executor: Any, batch: int | None, quiet: bool
) -> str:
    """Run what is left; why it ended early, if it did for failed trials."""
    from optlab.cli.progress import progress
    from optlab.search.trial import TrialError

    ended = [trial for trial in study.trials if trial.state != "running"]
    failed = sum(trial.state in ("failed", "crashed") for trial in ended)
    most = spec.max_failures
    with progress(study, spec.trials, len(ended), quiet):
        try:
            study.run(
                objective,
                max(0, spec.trials - len(ended)),
                executor=None if executor == 1 else executor,
                retries=spec.retries,
                timeout=spec.timeout,
                max_failures=None if most is None else max(0, most - failed),
                pruner=spec.pruner,
                batch=batch,
                total=spec.trials,
            )
        except TrialError as error:
            bad = sum(trial.state in ("failed", "crashed") for trial in study.trials)
            if most is None or bad <= most:
                raise
            return str(error)
    return (
        f"{failed} trials had failed before, more than --max-failures={most}"
        if most is not None and failed > most
        else ""
    )


def _keep(study: "Study", path: Path) -> None:
    """Save what is known of a study whose file is gone, beside it."""
    from shlex import quote

    names = (path.with_stem(f"{path.stem}-kept{end}") for end in ("", *(f"-{n}" for n in range(2, 1000))))
    kept = study.copy(next(name for name in names if not os.path.lexists(name)))
    again = f"continue with: --storage {quote(str(kept))} --resume"
    click.echo(f"optlab: all trials are kept in {kept}; {again}", err=True)


def _tell(study: "Study", path: Path | None, seconds: float, as_json: bool, quiet: bool) -> None:
    from shlex import quote

    from optlab.cli.studies import document, show

    storage = str(path or "memory")
    if as_json:
        print_json({"storage": storage, "seconds": seconds, **document(study)})
        return
    show(study, {"seconds": round(seconds, 2), "storage": storage})
    if not quiet and path is not None:
        tell_people(f"\nAs a page: optlab report {quote(str(path))} --html report.html")
