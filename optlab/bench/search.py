"""`optlab bench search`: finding hyperparameters against other libraries, in quality and in cost.

Quality: fifty trials on each problem and seed (`search_cells`), ranked (`search_ranks`). Cost: CPU time of a suggestion
by the number of results (`search_cost`), and of the first one after a resume (`search_resume`). Who takes part:
`search_peers`.
"""

import argparse
import json
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from optlab import streams
from optlab.bench import families
from optlab.bench import search_cost as cost
from optlab.bench import search_resume as resume
from optlab.bench.problems import Problem, held_out, suite
from optlab.bench.record import Record, record, write
from optlab.bench.search_cells import Cell, compare
from optlab.bench.search_peers import PEERS, Contestant, contestants, missing
from optlab.bench.search_ranks import curves, medians, pairs, ranks
from optlab.descent.table import Table
from optlab.errors import OptlabError, unknown

SETS: dict[str, Callable[[], list[Problem]]] = {
    "suite": suite,
    "held-out": held_out,
    "noisy": lambda: [p for p in suite() + held_out() if p.noise],
    "mixed": families.mixed,
    "stepped": families.stepped,
    "large": families.large,
}
Rows = list[dict[str, Any]]
LEGEND = "ranks: 1 is best; log10 of the regret over that of a random point, after all trials and as the mean after ten"
MILLISECONDS = {50: 5.0, 200: 10.0, 1000: 50.0, 2000: 150.0}  # a suggestion, at most
TIMES = 20.0  # as fast as Optuna's GP, at least
EXPONENT = 2.0  # of a suggestion's time in the number of results, at most
AHEAD = {"optuna gp": 1.0, "botorch": 1.3}  # decades of final regret, at least


def problems(chosen: str) -> list[Problem]:
    """Those of a set, or one by its name.

    Raises:
        ConfigError: neither.
    """
    if chosen in SETS:
        return SETS[chosen]()
    known = {p.name: p for p in suite() + held_out()}
    if chosen not in known:
        raise unknown("set of problems", chosen, [*SETS, *known])
    return [known[chosen]]


def racers(names: str | None, peers: bool) -> dict[str, Contestant]:
    """Those named, between commas; else all that are installed.

    Raises:
        ConfigError: one is no contestant here.
    """
    every = contestants(peers)
    for name in names.split(",") if names else ():
        if name not in every:
            raise unknown("contestant (peers take part with --peers, when they are installed)", name, every)
    return {name: every[name] for name in names.split(",")} if names else every


def costs(racing: dict[str, Contestant]) -> Rows:
    """A row per number of results; Ctrl-C ends them early."""
    rows: Rows = []
    try:
        for n in cost.SIZES:
            entrants = cost.entrants(racing, n, rows[-1] if rows else {})
            rows.append(cost.row(n, cost.measure(entrants, n)))
            _dot()
    except KeyboardInterrupt:
        streams.write(sys.stderr, " stopped")
    return rows


def resumed() -> Rows:
    """A row per number of results in the file; Ctrl-C ends them early."""
    rows: Rows = []
    try:
        for row in resume.rows():
            rows.append(row)
            _dot()
    except KeyboardInterrupt:
        print(" stopped", end="", file=sys.stderr)
    return rows


def goals_of_cost(rows: Rows) -> list[str]:
    """Each with what was measured."""
    lines = []
    for row in rows:
        n, took = row["results"], row[cost.OURS]
        if n in MILLISECONDS:
            goal = MILLISECONDS[n]
            lines.append(f"{_mark(took <= goal)} {n} results: {took:.1f} ms a suggestion, goal at most {goal} ms")
        if f"{cost.THEIRS} x" in row:
            times = row[f"{cost.THEIRS} x"]
            lines.append(f"{_mark(times >= TIMES)} {n} results: {times:.1f} times as fast as Optuna's GP, goal {TIMES}")
    b = cost.exponent(rows, cost.OURS)
    if b is not None:
        lines.append(f"{_mark(b <= EXPONENT)} time grows as results^{b:.2f} from 200 on, goal at most {EXPONENT}")
    return lines


def goals_of_regret(ranked: Rows, paired: Rows) -> list[str]:
    """Each with what was measured."""
    lines = []
    for row in paired:
        if row["to gp"] in AHEAD:
            name, lead, error = row["to gp"], row["behind, final"], row["± final"] or float("nan")
            goal = AHEAD[name]
            lines.append(f"{_mark(lead >= goal)} {lead:.2f} ± {error:.2f} decades ahead of {name}, goal {goal}")
    others = [row for row in ranked if row["sampler"] != cost.OURS]
    own = next((row for row in ranked if row["sampler"] == cost.OURS), None)
    for what in ("rank final", "rank mean"):
        if own is not None and others:
            best = min(others, key=lambda row: row[what])
            text = f"{what} {own[what]:.2f}, the best other {best['sampler']} {best[what]:.2f}, goal ahead of it"
            lines.append(f"{_mark(own[what] < best[what])} {text}")
    return lines


def _mark(met: bool) -> str:
    return "met   " if met else "MISSED"


def _dot() -> None:
    streams.write(sys.stderr, ".")


def report(o: argparse.Namespace) -> Record:
    """Everything that the options ask for. Ctrl-C ends the races early: what is finished is reported."""
    racing, racecourse = racers(o.methods, o.peers), problems(o.problems)  # what is wrong with them is told first
    found: dict[str, Any] = {"goals": [], "missing": missing() if o.peers else []}
    if o.only != "regret":
        found["cost"] = costs(racing)
        found["exponents"] = {name: cost.exponent(found["cost"], name) for name in racing}
        found["resume"] = resumed() if cost.OURS in racing else []
        found["goals"] += goals_of_cost(found["cost"]) + resume.goals(found["resume"])
    if o.only != "cost":
        finished: list[Cell] = []
        try:
            for cell in compare(racecourse, racing, seeds_of(o.seeds), o.cells, o.done):
                finished.append(cell)
                _dot()
        except KeyboardInterrupt:
            streams.write(sys.stderr, " stopped")
        found["ranks"], found["pairs"] = ranks(finished), pairs(finished)
        found |= {"medians": medians(finished), "curves": curves(finished)}
        found["goals"] += goals_of_regret(found["ranks"], found["pairs"])
    took_part = {PEERS[name][0] for name in racing if name in PEERS}
    return record("search", _told(o), "CPU time", found, took_part)


def _told(o: argparse.Namespace) -> list[str]:
    """The options that make a difference; the file of the cells may be called anything."""
    flags = [*["--peers"] * o.peers, *["--cells FILE"] * bool(o.cells), *["--done"] * o.done]
    values = {name: getattr(o, name) for name in ("seeds", "methods", "problems", "only")}
    return flags + [f"--{name} {shlex.quote(value)}" for name, value in values.items() if value is not None]


def seeds_of(text: str) -> list[int]:
    """``0-2,5`` is 0, 1, 2, 5.

    >>> seeds_of("0-2,5")
    [0, 1, 2, 5]
    """
    found: list[int] = []
    for part in text.split(","):
        low, _, high = part.partition("-")
        found += range(int(low), int(high or low) + 1)
    return found


def main() -> None:
    """Print machine, tables and goals; or all of it as JSON."""
    parser = argparse.ArgumentParser(prog="optlab bench search", description=main.__doc__)
    parser.add_argument("--peers", action="store_true")
    parser.add_argument("--seeds", default="0-9")
    parser.add_argument("--methods")
    parser.add_argument("--problems", default="suite")
    parser.add_argument("--cells", type=Path)
    parser.add_argument("--done", action="store_true")
    parser.add_argument("--only", choices=("cost", "regret"))
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--out", type=Path)
    o = parser.parse_args()
    try:
        found = report(o)
    except OptlabError as error:
        sys.exit(f"Error: {error}")
    streams.write(sys.stderr, "\n")
    if o.out is not None:
        write(found, o.out)
    if o.json:
        print(json.dumps(found))
        return
    print(f"{found['machine']}\nthreads: {found['threads']}; {found['clock']}\n{LEGEND}")
    if found["missing"]:
        print(f"not installed, so not compared: {', '.join(found['missing'])}")
    for rows in (found.get(what) for what in ("cost", "resume", "ranks", "pairs", "medians")):
        if rows:
            print(f"\n{_aligned(rows)}")
    print("\n" + "\n".join(found["goals"]))


def _aligned(rows: Rows) -> Table:
    keys = list(dict.fromkeys(key for row in rows for key in row))
    return Table([{key: row.get(key) for key in keys} for row in rows])


if __name__ == "__main__":
    main()
