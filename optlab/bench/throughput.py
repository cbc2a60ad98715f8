"""What a sweep takes besides its objective, next to Optuna: random search for a sum of parameters.

In memory CPU time is measured. With files, where a result waits for the disk, it is the wall clock; all files stand in
one directory (`TMPDIR`), and the same rounds time one wait for that disk. Long studies are run in processes of their
own, whose memory is looked at before and after.
"""

import json
import math
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from optlab.bench.throughput_peers import OURS, THEIRS, contestant, ends, entrants
from optlab.bench.timing import CPU, WALL, Clock, Times, in_rounds

CLOCK = "CPU time in memory, wall clock with files"
COLUMNS = (
    "ms: of optlab, a trial or the opening; columns of names: their time over optlab's, medians of per-round ratios"
)
SHORT, FILED, MANY = 1000, 10, 10_000  # trials: a round in memory, in files, and of a long study
SHARED, PROCESSES, TURNS = 30, 2, 3  # trials of two processes, and the rounds of them: each takes seconds to begin
WIDE = 6  # parameters
WARM = 5  # trials before the clock
DISK = "one wait"
MEMORY, FILE, REOPENED = "in memory", "SQLite, durable", "reopened"
MOST_MS, TIMES, MOST_MB, MOST_S = 0.1, 5.0, 50.0, 1.0  # goals


def _seconds(work: Callable[[], object], clock: Clock) -> float:
    began = clock()
    work()
    return clock() - began


def race(columns: int, trials: int, rounds: int, peers: bool, paths: dict[str, Path] | None = None) -> Times:
    """Seconds a trial; a round is so many trials more in the study of everyone, in these files or in memory."""
    clock = WALL if paths else CPU
    runs = {
        name: contestant(name, columns, paths[name] if paths else None)[0]
        for name in entrants(peers, files=bool(paths))
    }
    for run in runs.values():
        run(WARM)

    def taken(name: str) -> float:
        if paths and name == DISK:
            return wait(paths[DISK])
        return _seconds(lambda: runs[name](trials), clock) / trials

    return in_rounds(taken, [*runs, *[DISK] * bool(paths)], rounds)


def wait(path: Path) -> float:
    """Seconds until 4 kB more are on the disk."""
    with path.open("ab") as file:
        file.write(bytes(4096))
        file.flush()
        return _seconds(lambda: os.fsync(file.fileno()), WALL)


def sharing(trials: int, rounds: int, peers: bool, directory: Path) -> Times:
    """Seconds a trial when processes share the work, each time in a new file."""
    new = count()

    def taken(name: str) -> float:
        return pace(ends(name, WIDE, directory / f"shared{next(new)}", trials, PROCESSES))

    return in_rounds(taken, entrants(peers, files=True), rounds)


def pace(moments: list[float]) -> float:
    """Seconds a trial, from when trials ended: of the second half, when all processes have begun."""
    late = sorted(moments)[len(moments) // 2 :]
    return (late[-1] - late[0]) / (len(late) - 1)


def reopening(paths: dict[str, Path], rounds: int) -> Times:
    """Seconds from these files to the lists of their trials."""
    return in_rounds(lambda name: _seconds(lambda: contestant(name, WIDE, paths[name])[1](), WALL), paths, rounds)


def long(name: str, path: Path | None, trials: int) -> dict[str, float]:
    """Seconds a trial in a process of its own, and the megabytes that it grows by."""
    script = f"from optlab.bench import throughput; throughput.grow({name!r}, {path and str(path)!r}, {trials})"
    done = subprocess.run([sys.executable, "-c", script], stdout=subprocess.PIPE, check=True, text=True)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def grow(name: str, path: str | None, trials: int) -> None:
    """What `long` runs: the answer goes to stdout."""
    contestant(name, WIDE, None)[0](WARM)
    run, _ = contestant(name, WIDE, Path(path) if path else None)
    before = resident()
    took = _seconds(lambda: run(trials), WALL if path else CPU)
    print(json.dumps({"s": took / trials, "MB": resident() - before}))


def resident() -> float:
    """Megabytes of memory of this process; NaN without /proc."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        return math.nan
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def table(peers: bool, rounds: int) -> Iterator[dict[str, Any]]:
    """Row after row."""
    for columns in (1, WIDE):
        yield _row(MEMORY, columns, SHORT, race(columns, SHORT, rounds, peers))
    yield _long_row(MEMORY, None, entrants(peers, files=False))
    with TemporaryDirectory() as place:
        directory = Path(place)
        paths = {name: directory / name for name in (*entrants(peers, files=True), DISK)}
        yield _row(FILE, WIDE, FILED, race(WIDE, FILED, rounds, peers, paths))
        del paths[DISK]
        yield _row(
            f"{FILE}, {PROCESSES} processes", WIDE, SHARED, sharing(SHARED, min(rounds, TURNS), peers, directory)
        )
        yield _row(REOPENED, WIDE, WARM + rounds * FILED, reopening(paths, rounds))
        yield _long_row(FILE, directory / "long", [OURS])
        yield _row(REOPENED, WIDE, MANY, reopening({OURS: directory / "long"}, rounds))


def _row(what: str, columns: int, trials: int, times: Times) -> dict[str, Any]:
    took = times.median(OURS)
    found: dict[str, Any] = {"what": what, "parameters": columns, "trials": trials, "ms": took * 1e3}
    if what != REOPENED:
        found["trials/s"] = 1 / took
    for name in times.rounds:
        if name != OURS:
            found[name] = times.ratio(name, OURS)
    if THEIRS in times.rounds:
        low, high = times.spread(THEIRS, OURS)
        found["quartiles"] = f"{low:.2f} to {high:.2f}"
    return found


def _long_row(what: str, path: Path | None, racing: list[str]) -> dict[str, Any]:
    took = {name: long(name, path, MANY) for name in racing}
    ours = took[OURS]
    found = {"what": what, "parameters": WIDE, "trials": MANY, "ms": ours["s"] * 1e3, "trials/s": 1 / ours["s"]}
    found["MB"] = ours["MB"]
    if THEIRS in took:
        found |= {THEIRS: took[THEIRS]["s"] / ours["s"], f"{THEIRS} MB": took[THEIRS]["MB"]}
    return found


def verdicts(rows: list[dict[str, Any]]) -> list[str]:
    """The goals, each with what was measured."""
    lines = []
    for row in rows:
        what, ms, size = row["what"], row["ms"], f"{row['trials']:,} trials"
        if what == MEMORY:
            told = f"{what}, d = {row['parameters']}, {size}: {ms:.3f} ms a trial"
            lines.append(_line(ms <= MOST_MS, f"{told}, goal at most {MOST_MS:g} ms"))
        if what == FILE and THEIRS in row:
            lines.append(_line(row[THEIRS] >= TIMES, f"{what}: {row[THEIRS]:.1f}x {THEIRS}, goal {TIMES:g}x"))
        if math.isfinite(row.get("MB", math.nan)):
            told = f"{what}, {size}: {row['MB']:.1f} MB more"
            lines.append(_line(row["MB"] < MOST_MB, f"{told}, goal less than {MOST_MB:g} MB"))
        if what == REOPENED and row["trials"] >= MANY:
            lines.append(_line(ms < 1e3 * MOST_S, f"{what}, {size}: {ms / 1e3:.2f} s, goal less than {MOST_S:g} s"))
    return lines


def _line(met: bool, text: str) -> str:
    return f"{'met   ' if met else 'MISSED'} {text}"
