"""Matrix products at the sizes of training: our tile against `np.dot` in compiled code, and `torch.matmul`.

Both of ours are called from compiled loops, as training does, so that small sizes compare products, not Python calls;
torch's only way in is a Python call. SciPy's OpenBLAS, which Numba calls, picks its kernels by processor, or by
`OPENBLAS_CORETYPE`: where the environment sets that, a second process measures everything again without it.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any

import numpy as np

from optlab.bench.timing import Work, interleave
from optlab_kernels.gemm import choice, host_form, nn, tn
from optlab_kernels.jit import jit

# (product, m, k, n): the layers of 784-128-64-10 and 64-32-16-10, widths padded, and their gradients.
SIZES = (
    *(("nn", m, 784, 128) for m in (32, 128, 512)),
    ("nn", 512, 128, 64),
    ("nn", 32, 64, 32),
    ("nn", 32, 32, 16),
    *(("tn", 784, batch, 128) for batch in (32, 128, 512)),
    ("tn", 64, 32, 32),
    ("tn", 32, 32, 16),
)
DOUBLE = (("nn", 512, 784, 128), ("nn", 32, 64, 32), ("tn", 784, 512, 128))
PEAK = ("nn", 512, 784, 128), 190.0  # GFLOP/s to reach there in float32 with AVX-512
KERNELS = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")
COUNT = 2e7  # floating point operations of one timed call


@jit
def _nn(a: np.ndarray, b: np.ndarray, c: np.ndarray, count: int) -> None:
    for _ in range(count):
        nn(a, b, c)


@jit
def _tn(a: np.ndarray, b: np.ndarray, c: np.ndarray, count: int) -> None:
    for _ in range(count):
        tn(a, b, c)


@jit
def _dot(a: np.ndarray, b: np.ndarray, c: np.ndarray, count: int) -> None:
    for _ in range(count):
        np.dot(a, b, c)


def measure(
    size: tuple[str, int, int, int],
    dtype: Any = np.float32,
    peers: bool = True,
    rounds: int = 11,
    seconds: float = 0.02,
) -> dict[str, Any]:
    """One row: microseconds, GFLOP/s, and the others' time over ours."""
    product, m, k, n = size
    rng = np.random.default_rng(0)
    a = rng.standard_normal((k, m) if product == "tn" else (m, k)).astype(dtype)
    b = rng.standard_normal((k, n)).astype(dtype)
    left = a.T if product == "tn" else a
    ours, theirs = np.zeros((2, m, n), dtype)
    count = max(1, round(COUNT / (2 * m * n * k)))
    run = _tn if product == "tn" else _nn
    work: dict[str, Work] = {
        "optlab": lambda: run(a, b, ours, count),
        "np.dot": lambda: _dot(left, b, theirs, count),
    }
    if peers and find_spec("torch"):
        work["torch"] = _torch(left, b, count)
    times = interleave(work, rounds)
    took = times.median("optlab") / count
    form = choice(np.dtype(dtype).name).form
    return {
        "product": product,
        "m x k x n": f"{m}x{k}x{n}",
        "dtype": np.dtype(dtype).name,
        "by": form,
        "us": took * 1e6,
        "GFLOP/s": 2 * m * n * k / took / 1e9,
        **{name: times.ratio(name, "optlab") for name in work if name != "optlab"},
        "BLAS kernels": _blas_kernels(),
        "differs": "" if np.allclose(ours, theirs, rtol=0, atol=k * np.finfo(dtype).eps * 10) else "np.dot",
    }


def _torch(a: np.ndarray, b: np.ndarray, count: int) -> Work:
    import torch

    x, y = torch.from_numpy(a), torch.from_numpy(b)
    out = torch.empty((a.shape[0], b.shape[1]), dtype=x.dtype)
    torch.set_num_threads(1)

    def work() -> None:
        for _ in range(count):
            torch.matmul(x, y, out=out)

    return work


def _blas_kernels() -> str:
    from threadpoolctl import threadpool_info

    found = {str(p.get("architecture")) for p in threadpool_info() if p["internal_api"] == "openblas"}
    return ", ".join(sorted(found)) or "unknown"


def table(peers: bool, rounds: int) -> Iterator[dict[str, Any]]:
    """Row after row, in this environment and then with OpenBLAS's own choice of kernels."""
    for size in SIZES:
        yield measure(size, np.float32, peers, rounds)
    for size in DOUBLE:
        yield measure(size, np.float64, peers, rounds)
    if any(name in os.environ for name in KERNELS):
        free = {name: value for name, value in os.environ.items() if name not in KERNELS}
        command = [sys.executable, "-m", "optlab.bench", "gemm", "--json", "--rounds", str(rounds)]
        done = subprocess.run(command + ["--peers"] * peers, env=free, stdout=subprocess.PIPE, check=True, text=True)
        yield from json.loads(done.stdout)["rows"]


def verdicts(rows: list[dict[str, Any]]) -> list[str]:
    """The goals, each with what was measured; they are for AVX-512."""
    if host_form() != "avx512":
        return ["no goals: they are for the AVX-512 tile"]
    lines = []
    for row in rows:
        name = f"{row['product']} {row['m x k x n']} {row['dtype']} ({row['BLAS kernels']})"
        lines.append(_line(name, f"{row['np.dot']:.2f}x np.dot", row["np.dot"], 1.0))
        (product, m, k, n), goal = PEAK
        if (row["product"], row["m x k x n"], row["dtype"]) == (product, f"{m}x{k}x{n}", "float32"):
            lines.append(_line(name, f"{row['GFLOP/s']:.0f} GFLOP/s", row["GFLOP/s"], goal))
    return lines


def _line(name: str, measured: str, value: float, goal: float) -> str:
    return f"{'met   ' if value >= goal else 'MISSED'} {name}: {measured}, goal {goal:g}"
