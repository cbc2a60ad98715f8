"""`python -m optlab.bench WHAT`: one table in this process. `optlab bench` starts it with one thread, on one core where
the table's clock is CPU time."""

import argparse
import json
import sys
from types import ModuleType
from typing import Any

from optlab.bench import descents, gemm, kernels, startup, sweep, threads, training
from optlab.descent.table import Table
from optlab.health import machine
from optlab.health import threads as pools

TABLES: dict[str, ModuleType] = {
    "kernels": kernels,
    "descents": descents,
    "gemm": gemm,
    "training": training,
    "sweep": sweep,
    "threads": threads,
    "startup": startup,
}


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
    options = parser.parse_args()
    module = TABLES[options.what]
    rows = []
    for row in module.table(options.peers, options.rounds):
        rows.append(row)
        print(".", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    clock = getattr(module, "CLOCK", "CPU time")
    goals = module.verdicts(rows)
    if options.json:
        print(json.dumps({"machine": machine(), "threads": pools(), "clock": clock, "rows": rows, "goals": goals}))
        return
    print(f"{machine()}\nthreads: {pools()}; {clock}, {options.rounds} interleaved rounds, medians")
    print(
        getattr(module, "COLUMNS", "columns of names: their time over optlab's, the median of the per-round ratios")
        + "\n"
    )
    print(_aligned(rows))
    print("\n" + "\n".join(goals))


if __name__ == "__main__":
    main()
