"""`optlab bench`: speed against the peers that are installed, in a process of its own, most tables on one core."""

import os
import subprocess
import sys

import click

from optlab.cli.common import json_option

ONE_THREAD = {
    **dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"), "1"),
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1",
    "JAX_PLATFORMS": "cpu",
}
ONE_CORE = ("kernels", "descents", "gemm", "training", "sweep")  # CPU time
ALL = (*ONE_CORE, "threads", "startup")
NAMED = "search"  # minutes a round: only when asked for


@click.command()
@click.argument("what", type=click.Choice((*ALL, NAMED)), required=False)
@click.option("--peers", is_flag=True, help="Also torch, optax/JAX and scikit-learn, as far as they are installed.")
@click.option("--rounds", type=click.IntRange(min=1), default=11, show_default=True, help="Interleaved rounds.")
@json_option
def bench(what: str | None, peers: bool, rounds: int, as_json: bool) -> int:
    """Measure update kernels, 2-D descents, matrix products, training, a sweep of models in one thread and in two,
    the start of a process, or all of these: ratios to peers in the same run. Or the search for hyperparameters: regret
    on sixteen problems, a round being one seed.

    The kernels take about a minute, three with --peers, the sweep one with --peers; the others half a minute each.
    """
    if peers:
        _need_a_peer()
    for table in (what,) if what else ALL:
        command = [sys.executable, "-m", "optlab.bench", table, "--rounds", str(rounds)]
        command += ["--peers"] * peers + ["--json"] * as_json
        pin = _pin if table in (*ONE_CORE, NAMED) else None
        code = subprocess.run(command, env={**os.environ, **ONE_THREAD}, preexec_fn=pin, check=False).returncode
        if code:
            return code
    return 0


def _need_a_peer() -> None:
    from importlib.util import find_spec

    from optlab.errors import ConfigError

    if not (find_spec("torch") or find_spec("optax")):
        raise ConfigError("no peer is installed; install them with: pip install 'optlab[peers]'")


def _pin() -> None:
    """Keep the child on one core, the last one it may use: the first one usually serves interrupts."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
