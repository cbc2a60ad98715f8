"""`python -m optlab.bench WHAT`: one table in this process. `optlab bench` starts it with one thread, on one core where
the table's clock is CPU time."""

import argparse
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from optlab import streams
from optlab.bench import descents, gemm, kernels, startup, sweep, threads, throughput, training
from optlab.bench.record import record, write
from optlab.descent.table import Table

TABLES: dict[str, ModuleType] = {
    "kernels": kernels,
    "descents": descents,
    "gemm": gemm,
    "training": training,
    "sweep": sweep,
    "threads": threads,
    "startup": startup,
    "throughput": throughput,
}
COLUMNS = "columns of names: their time over optlab's, the median of the per-round ratios"


def _aligned(rows: list[dict[str, Any]]) -> Table:
    keys = list(dict.fromkeys(key for row in rows for key in row))
    used = [key for key in keys if any(row.get(key) not in (None, "") for row in rows)]
    return Table([{key: row.get(key) for key in used} for row in rows])


def main() -> None:
    """Print the machine, the table and the goals; or all of it as JSON."""
    parser = argparse.ArgumentParser(prog="python -m optlab.bench", description=main.__doc__)
    parser.add_argument("what", choices=TABLES)
    parser.add_argument("--peers", action="store_true")
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    module = TABLES[options.what]
    rows = []
    for row in module.table(options.peers, options.rounds):
        rows.append(row)
        streams.write(sys.stderr, ".")
    streams.write(sys.stderr, "\n")
    columns = getattr(module, "COLUMNS", COLUMNS)
    found = {"rounds": options.rounds, "columns": columns, "rows": rows, "goals": module.verdicts(rows)}
    told = [*["--peers"] * options.peers, f"--rounds {options.rounds}"]
    elsewhere = module.packages(options.peers) if hasattr(module, "packages") else []
    made = record(options.what, told, getattr(module, "CLOCK", "CPU time"), found, elsewhere)
    if options.out is not None:
        write(made, options.out)
    if options.json:
        print(json.dumps(made))
        return
    print(
        f"{made['machine']}\nthreads: {made['threads']}; {made['clock']}, {options.rounds} interleaved rounds, medians"
    )
    print(f"{columns}\n")
    print(_aligned(rows))
    print("\n" + "\n".join(made["goals"]))


if __name__ == "__main__":
    main()
