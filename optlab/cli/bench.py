"""`optlab bench`: speed against the peers that are installed, each table in a process of its own, most on one core."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import click

from optlab.cli.common import hold, json_option, out_option, tell_people

ONE_THREAD = {
    **dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"), "1"),
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1",
    "JAX_PLATFORMS": "cpu",
}
SEARCH = "search"
ONE_CORE = ("kernels", "descents", "gemm", "training", "sweep", SEARCH)  # CPU time
TABLES = (*ONE_CORE[:-1], "threads", "startup", "throughput", SEARCH)
ALL = "all"


def _seeds(context: click.Context, parameter: click.Parameter, text: str | None) -> str | None:
    if text is not None and not re.fullmatch(r"\d+(-\d+)?(,\d+(-\d+)?)*", text):
        raise click.BadParameter(f"seeds as 0-9 or 0,2,5, got {text!r}")
    return text


def _search_options(command: Any) -> Any:
    """What only the search has."""
    for option in (
        click.option("--seeds", callback=_seeds, help="search: seeds of the regrets, as 0-9.  [default: 0-9]"),
        click.option("--methods", help="search: who takes part, as 'gp,random,optuna gp'.  [default: all]"),
        click.option(
            "--problems", help="search: suite, held-out, noisy, mixed, stepped, large, or a name.  [default: suite]"
        ),
        click.option("--done", is_flag=True, help="search: of the peers, only what the cells' file has."),
        click.option("--only", type=click.Choice(("cost", "regret")), help="search: one of its two parts."),
    ):
        command = option(command)
    return command


@click.command()
@click.argument("what", type=click.Choice((*TABLES, ALL)), default=ALL)
@click.option("--peers", is_flag=True, help="Also the libraries to compare with, as far as they are installed.")
@click.option("--rounds", type=click.IntRange(min=1), default=11, show_default=True, help="Interleaved rounds.")
@click.option(
    "--cells",
    type=click.Path(dir_okay=False, path_type=Path),
    help="search: keep the peers' regrets here; what is there is not run again.",
)
@_search_options
@json_option
@out_option
def bench(
    what: str, peers: bool, rounds: int, cells: Path | None, as_json: bool, out: Path | None, **search: Any
) -> int:
    """Measure one table, or all: update kernels, 2-D descents, matrix products, training, a sweep of models in one
    thread and in two, the start of a process, what a study takes besides its objective, and the search for
    hyperparameters: what a suggestion costs, and regret on sixteen problems. Ratios are to peers in the same run:
    torch, JAX with optax, scikit-learn, Optuna, BoTorch, scikit-optimize, bayesian-optimization.

    --out FOLDER keeps a record of each table, FOLDER/TABLE.json, from which the page of benchmarks is made. A table
    that fails does not lose the others, and is made again by its name.

    The kernels take about two minutes, four with --peers; the throughput five; the search three, ten with --peers; the
    others half a minute each, a minute with --peers. The peers' regrets take hours: --cells FILE keeps them,
    `optlab bench search` goes on where it stopped, and `all` takes what is there.
    """
    told = {f"--{name}": value for name, value in search.items() if value not in (None, False)}
    if what != SEARCH and told:
        raise click.UsageError(f"{', '.join(told)}: only for `optlab bench {SEARCH}`")
    if what not in (SEARCH, ALL) and cells is not None:
        raise click.UsageError(f"--cells: only for `optlab bench {SEARCH}` or `{ALL}`")
    if peers and what != SEARCH:
        _need_a_peer()
    if what == ALL:
        told["--done"] = True
    hold(out)
    shared = [*["--peers"] * peers, *["--json"] * as_json, *(["--out", str(out)] if out else [])]
    failed = []
    for table in TABLES if what == ALL else (what,):
        if what == ALL:
            tell_people(f"\n== {table}")
        if table == SEARCH:
            options = [part for name, value in told.items() for part in ([name] if value is True else [name, value])]
            code = _run(table, "optlab.bench.search", [*options, *(["--cells", str(cells)] if cells else []), *shared])
        else:
            code = _run(table, "optlab.bench", [table, "--rounds", str(rounds), *shared])
        if code:
            failed.append(table)
    if failed and what == ALL:
        tell_people(f"Error: {', '.join(failed)} failed, the others did not")
    return 1 if failed else 0


def _run(table: str, module: str, options: list[str]) -> int:
    command = [sys.executable, "-m", module, *options]
    pin = _pin if table in ONE_CORE else None
    return subprocess.run(command, env={**os.environ, **ONE_THREAD}, preexec_fn=pin, check=False).returncode


def _need_a_peer() -> None:
    from importlib.util import find_spec

    from optlab.errors import ConfigError

    if not (find_spec("torch") or find_spec("optax")):
        raise ConfigError("no peer is installed; install them with: pip install 'optlab[peers]'")


def _pin() -> None:
    """Keep the child on one core, the last one it may use: the first one usually serves interrupts."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
