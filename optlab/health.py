"""What there is to know about an installation: versions, processor, threads, BLAS, compiled code, self-checks."""

import importlib.metadata
import os
import platform
import sys
import warnings
from pathlib import Path
from typing import Any

import numba
import numpy as np

import optlab
from optlab.optim.rules import RULES
from optlab_kernels.cache import CacheWarning
from optlab_kernels.fuse import fuse
from optlab_kernels.gemm import choice
from optlab_kernels.reference import on_arrays

PACKAGES = ("numpy", "numba", "llvmlite", "scipy", "matplotlib", "pillow", "click", "rich")
MISSING = "not installed"
PEERS = ("torch", "jax", "optax", "keras")
VARIABLES = ("NUMBA_", "OMP_", "OPENBLAS_", "MKL_", "OPTLAB_")


def examine() -> dict[str, dict[str, Any]]:
    """Section -> entry -> value; every entry of ``checks`` begins with ok or FAILED."""
    return {
        "optlab": {"version": optlab.__version__, "python": sys.version.split()[0], "platform": platform.platform()},
        "packages": {name: _version(name) for name in PACKAGES},
        "peers": {name: _version(name) for name in PEERS},
        "processor": _processor(),
        "blas": _blas(),
        "gemm": _gemm(),
        "environment": {k: v for k, v in sorted(os.environ.items()) if k.startswith(VARIABLES)} or {"-": "nothing set"},
        "cache": _cache(),
        "checks": _checks(),
    }


def machine() -> str:
    """One line for the head of a benchmark: processor and versions."""
    cpu = _processor()
    versions = [f"{n} {_version(n)}" for n in (*PACKAGES[:3], *PEERS) if _version(n) != MISSING]
    cores = f"{cpu['logical cores']} cores"
    return f"{cpu['name']} ({cpu['instructions']}), {cores}; python {platform.python_version()}, {', '.join(versions)}"


def threads() -> str:
    """Every thread pool of this process, and the cores it may use."""
    from threadpoolctl import threadpool_info

    pools = [
        f"{p['user_api']} ({Path(p['filepath']).name.split('-')[0]}) {p['num_threads']}" for p in threadpool_info()
    ]
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    numbas = numba.config.NUMBA_NUM_THREADS
    return f"numba {numbas}, {', '.join(pools) or 'no BLAS or OpenMP pool'}; {cores} of {os.cpu_count()} cores"


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return MISSING


def _processor() -> dict[str, Any]:
    import llvmlite.binding as llvm

    features = dict(llvm.get_host_cpu_features())
    widest = next((name for name in ("avx512f", "avx2", "neon", "sse2") if features.get(name)), "generic")
    return {
        "name": f"{platform.processor() or platform.machine()} {llvm.get_host_cpu_name()}",
        "instructions": widest,
        "logical cores": os.cpu_count(),
        "numba threads": numba.config.NUMBA_NUM_THREADS,
        "jit": "off (NUMBA_DISABLE_JIT)" if numba.config.DISABLE_JIT else "on",
    }


def _blas() -> dict[str, Any]:
    from threadpoolctl import threadpool_info

    pools = {
        Path(p["filepath"]).name: f"{p['num_threads']} threads, {p.get('architecture', 'unknown')} kernels"
        for p in threadpool_info()
    }
    return pools or {"-": "none loaded"}


def _gemm() -> dict[str, str]:
    """Which matrix product is used, and why."""
    try:
        found = {dtype: choice(dtype) for dtype in ("float32", "float64")}
    except ValueError as error:
        return {"choice": f"FAILED: {error}"}
    return {dtype: f"{c.way} ({c.form}): {c.reason}" for dtype, c in found.items()}


def _cache() -> dict[str, Any]:
    if numba.config.DISABLE_JIT:
        return {"state": "not used: the JIT is off"}
    folder = getattr(getattr(fuse(RULES["sgd"].rule), "_cache", None), "cache_path", None)
    if folder is None:
        return {"state": "none: nothing is kept on disk, every process compiles afresh"}
    files = list(Path(folder).glob("*.nbc"))
    return {
        "folder": folder,
        "writable": os.access(folder if os.path.isdir(folder) else os.path.dirname(folder), os.W_OK),
        "functions": len(files),
        "megabytes": round(sum(f.stat().st_size for f in files) / 1e6, 2),
        "damaged": len(list(Path(folder).glob("*.damaged"))),
    }


def _checks() -> dict[str, str]:
    """Each rule's compiled float32 step against the same functions on NumPy arrays."""
    with warnings.catch_warnings(record=True) as trouble:
        warnings.simplefilter("always", CacheWarning)
        result = {f"{name} step": _same(name) for name in RULES}
    result["cache"] = f"FAILED: {trouble[0].message}" if trouble else "ok"
    return result


def _same(name: str) -> str:
    settings = RULES[name]()
    rule, hyper = settings.variant, settings.hyper
    rng = np.random.default_rng(0)
    arena = rng.standard_normal((2 + len(rule.slots), 1001)).astype(np.float32)
    for i, slot in enumerate(rule.slots):
        arena[2 + i] = rule.start(slot, hyper)
    want, control = arena.copy(), settings.control(0, 1001)
    on_arrays(rule, want, control.copy())
    fuse(rule)(arena, control)
    return "ok, equal to NumPy bit for bit" if np.array_equal(arena, want) else "FAILED: differs from NumPy"
