"""`optlab bench`: speed against the peers that are installed, in a process of its own, most tables on one core."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import click

from optlab.cli.common import json_option

ONE_THREAD = {
    **dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"), "1"),
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1",
    "JAX_PLATFORMS": "cpu",
}
ONE_CORE = ("kernels", "descents", "gemm", "training", "sweep")  # CPU time
ALL = (*ONE_CORE, "threads", "startup")
SEARCH = "search"  # an hour with peers: only when asked for


def _seeds(context: click.Context, parameter: click.Parameter, text: str | None) -> str | None:
    if text is not None and not re.fullmatch(r"\d+(-\d+)?(,\d+(-\d+)?)*", text):
        raise click.BadParameter(f"seeds as 0-9 or 0,2,5, got {text!r}")
    return text


def _search_options(command: Any) -> Any:
    """What only the search has."""
    file = click.Path(dir_okay=False, path_type=Path)
    for option in (
        click.option("--seeds", callback=_seeds, help="search: seeds of the regrets, as 0-9.  [default: 0-9]"),
        click.option("--methods", help="search: who takes part, as 'gp,random,optuna gp'.  [default: all]"),
        click.option(
            "--problems", help="search: suite, held-out, noisy, mixed, stepped, large, or a name.  [default: suite]"
        ),
        click.option(
            "--cells", type=file, help="search: keep the peers' regrets here; what is there is not run again."
        ),
        click.option("--done", is_flag=True, help="search: of the peers, only what the cells' file has."),
        click.option("--only", type=click.Choice(("cost", "regret")), help="search: one of its two parts."),
        click.option("--plot", type=file, help="search: a picture of the cost, as cost.png."),
    ):
        command = option(command)
    return command


@click.command()
@click.argument("what", type=click.Choice((*ALL, SEARCH)), required=False)
@click.option("--peers", is_flag=True, help="Also torch, optax/JAX and scikit-learn, as far as they are installed.")
@click.option("--rounds", type=click.IntRange(min=1), default=11, show_default=True, help="Interleaved rounds.")
@_search_options
@json_option
def bench(what: str | None, peers: bool, rounds: int, as_json: bool, **search: Any) -> int:
    """Measure update kernels, 2-D descents, matrix products, training, a sweep of models in one thread and in two,
    the start of a process, or all of these: ratios to peers in the same run. Or the search for hyperparameters: what a
    suggestion costs, and regret on sixteen problems; with --peers Optuna, BoTorch, scikit-optimize and
    bayesian-optimization.

    The kernels take about a minute, three with --peers, the sweep one with --peers; the others half a minute each. The
    search takes two minutes; with --peers hours, which --cells FILE spreads over several runs.
    """
    told = {f"--{name}": value for name, value in search.items() if value not in (None, False)}
    if what == SEARCH:
        options = [part for name, value in told.items() for part in ([name] if value is True else [name, str(value)])]
        return _run("optlab.bench.search", [*options, *["--peers"] * peers, *["--json"] * as_json], one_core=True)
    if told:
        raise click.UsageError(f"{', '.join(told)}: only for `optlab bench {SEARCH}`")
    if peers:
        _need_a_peer()
    for table in (what,) if what else ALL:
        options = [table, "--rounds", str(rounds), *["--peers"] * peers, *["--json"] * as_json]
        if code := _run("optlab.bench", options, table in ONE_CORE):
            return code
    return 0


def _run(module: str, options: list[str], one_core: bool) -> int:
    command = [sys.executable, "-m", module, *options]
    pin = _pin if one_core else None
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
