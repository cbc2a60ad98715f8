"""Every record says where it was measured. Run with: python -m pytest benchmarks --benchmark-only."""

import os

# Before anything starts a thread pool: one thread each, as the comparisons assume.
for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ.setdefault(name, "1")
os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1")

import pytest  # noqa: E402

from optlab.health import machine, threads  # noqa: E402


@pytest.hookimpl(optionalhook=True)
def pytest_benchmark_update_machine_info(config, machine_info):
    machine_info["optlab"] = machine()
    machine_info["threads"] = threads()
