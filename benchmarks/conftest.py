"""Every record says where it was measured. Run with: python -m pytest benchmarks --benchmark-only."""

import os
import warnings

# Before anything starts a thread pool: one thread each, as the comparisons assume.
for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ.setdefault(name, "1")
os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1")

import pytest  # noqa: E402
from ratio import GROUP  # noqa: E402

from optlab.health import machine, threads  # noqa: E402


def pytest_configure(config):
    """Another machine is what ratios are compared with: nothing to warn of."""
    warnings.filterwarnings("ignore", "Benchmark machine_info is different")


@pytest.hookimpl(optionalhook=True)
def pytest_benchmark_update_machine_info(config, machine_info):
    machine_info["optlab"] = machine()
    machine_info["threads"] = threads()
    machine_info.pop("node", None)  # a host's name is nobody's business
    machine_info.get("cpu", {}).pop("flags", None)


@pytest.hookimpl(optionalhook=True, tryfirst=True)
def pytest_benchmark_scale_unit(config, unit, benchmarks, best, worst, sort):
    """Ratios as they are: the heading becomes "time in fastest peer's"."""
    if benchmarks[0]["group"] == GROUP:
        return "fastest peer'" if unit == "seconds" else "", 1.0
    return None


@pytest.hookimpl(optionalhook=True)
def pytest_benchmark_update_json(config, benchmarks, output_json):
    """Of ratios, four digits and no single rounds: the baseline is small."""
    for kept in output_json["benchmarks"]:
        if kept["group"] == GROUP:
            kept["stats"].pop("data", None)
            kept["stats"].update({k: float(f"{v:.4g}") for k, v in kept["stats"].items() if isinstance(v, float)})
