"""A table on disk: what was measured, where, with which versions and threads, and by which command.

One file of JSON per table. Numbers are kept to four digits: no clock tells more.
"""

import json
import os
import sys
from collections.abc import Iterable, Mapping
from datetime import date
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from optlab.errors import DataError
from optlab.files import write_whole
from optlab.health import machine, threads
from optlab.plain import plain

Record = dict[str, Any]
DIGITS = 4
ENVIRONMENT = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE", "OMP_NUM_THREADS", "NUMBA_NUM_THREADS", "XLA_FLAGS")
CORE = ("numpy", "numba", "llvmlite", "scipy")
# What is imported -> its package.
PEERS = {
    "torch": "torch",
    "jax": "jax",
    "optax": "optax",
    "sklearn": "scikit-learn",
    "optuna": "optuna",
    "botorch": "botorch",
    "gpytorch": "gpytorch",
    "skopt": "scikit-optimize",
    "bayes_opt": "bayesian-optimization",
}


def record(
    table: str, options: Iterable[str], clock: str, found: Mapping[str, Any], peers: Iterable[str] = ()
) -> Record:
    """``found`` with where and how it was measured, to be made when the measuring is done.

    Peers are those that this process has imported, and the packages named in ``peers``, which took part elsewhere.
    """
    took_part = {*peers, *(package for module, package in PEERS.items() if module in sys.modules)}
    return {
        "table": table,
        "command": " ".join(["optlab bench", table, *options]),
        "date": date.today().isoformat(),
        "machine": machine(),
        "processor": _processor(),
        "caches": _caches(),
        "versions": _versions([*CORE, *sorted(took_part)]),
        "threads": threads(),
        "BLAS": _blas(),
        "environment": {name: os.environ[name] for name in ENVIRONMENT if name in os.environ},
        "clock": clock,
        **plain(found, DIGITS),
    }


def write(made: Record, folder: Path) -> Path:
    """``folder/TABLE.json``, whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{made['table']}.json"
    return write_whole(path, _lines(made))


def read(folder: Path) -> dict[str, Record]:
    """Table -> its record.

    Raises:
        DataError: there is none, or a file is not one.
    """
    records = {}
    for path in sorted(folder.glob("*.json")):
        try:
            made = json.loads(path.read_text(encoding="utf-8"))
            records[made["table"]] = made
        except (ValueError, KeyError, TypeError):
            raise DataError(f"{path} is no record of `optlab bench`; make it anew or remove it") from None
    if not records:
        raise DataError(f"no records in {folder}; make them with: optlab bench all --peers --out {folder}")
    return records


def _lines(made: Record) -> str:
    """A line per entry, and per row of a list: so that a change of one row is a change of one line."""
    entries = []
    for key, value in made.items():
        rows = (
            ",\n  ".join(json.dumps(row, ensure_ascii=False, allow_nan=False) for row in value)
            if isinstance(value, list)
            else ""
        )
        text = f"[\n  {rows}\n ]" if rows else json.dumps(value, ensure_ascii=False, allow_nan=False)
        entries.append(f" {json.dumps(key)}: {text}")
    return "{\n" + ",\n".join(entries) + "\n}\n"


def _versions(packages: Iterable[str]) -> dict[str, str]:
    found = {"python": sys.version.split()[0]}
    for name in packages:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found


def _blas() -> list[str]:
    from threadpoolctl import threadpool_info

    pools = [p for p in threadpool_info() if p["user_api"] == "blas"]
    return sorted(
        f"{p['internal_api']} {p['version']}, {p.get('architecture', 'unknown')} kernels, threads: {p['num_threads']}"
        for p in pools
    )


def _processor() -> str:
    """As Linux names it; elsewhere ``machine`` has to do."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return ""
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), "")


def _caches() -> dict[str, int]:
    """Level -> bytes of the data caches, where Linux tells."""
    found = {}
    for index in sorted(Path("/sys/devices/system/cpu/cpu0/cache").glob("index*")):
        level, kind, size = ((index / name).read_text().strip() for name in ("level", "type", "size"))
        if kind != "Instruction":
            found[f"L{level}"] = int(size.removesuffix("K")) * 1024
    return found
