#!/usr/bin/env python3
"""Runs the tests of rows of docs/faults.md with their long counts and prints those rows filled in.

    python scripts/soak.py --list                      # the rows, and how many tests each has
    python scripts/soak.py 1 2 22
    python scripts/soak.py all --out docs/faults.md    # the page with these rows filled in

A test belongs to a row by its marker, pytest.mark.fault(row, cases=how many faults it makes; 1 if not told). The page
holds all else: the fault, what must hold, and what peers were seen to do. Every seed is fixed in its test.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "faults.md"
HEAD = "| row | fault | what must hold | cases | result | s | peers |\n|---|---|---|---|---|---|---|"
LINE = re.compile(r"^\| (\d+) \|.*\|$", re.MULTILINE)


class Row(NamedTuple):
    """A line of the page's table."""

    number: str
    fault: str
    mark: str
    cases: str
    result: str
    seconds: str
    peers: str

    def __str__(self) -> str:
        return f"| {' | '.join(self)} |"


def rows(page: str) -> dict[int, Row]:
    """The table of a page."""
    lines = (match[0].strip("|") for match in LINE.finditer(page))
    return {int(row.number): row for row in (Row(*map(str.strip, line.split("|"))) for line in lines)}


def files(row: int) -> list[Path]:
    """The test files that name a row: only they are imported."""
    marked = re.compile(rf"\bfault\({row}\b")
    return sorted(path for path in (ROOT / "tests").glob("test_*.py") if marked.search(path.read_text("utf-8")))


def run(row: Row, short: bool = False) -> tuple[Row, list[str]]:
    """Make a row's faults; returns it with what came of them, and what its tests said about it."""
    environment = {key: value for key, value in os.environ.items() if key != "OPTLAB_LONG"}
    environment |= {"PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "kernels")])}
    if not short:
        environment["OPTLAB_LONG"] = "1"
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "report.xml")
        options = ["-q", "-p", "no:benchmark", "-o", "timeout=14400", "-o", "junit_logging=system-out"]
        command = [sys.executable, "-m", "pytest", *map(str, files(int(row.number))), "--fault", row.number, *options]
        code = subprocess.run(
            [*command, "--junitxml", str(report)], cwd=ROOT, env=environment, stdout=sys.stderr
        ).returncode
        if not report.exists():
            return row._replace(cases="0", result=f"pytest ended with exit code {code}"), []
        return filled(row, ElementTree.parse(report).getroot(), short)


def filled(row: Row, report: ElementTree.Element, short: bool) -> tuple[Row, list[str]]:
    """A row with the results of pytest's report, and the lines that its tests printed."""
    cases = seconds = 0.0
    said, bad, skipped = [], [], set()
    for case in report.iter("testcase"):
        name, seconds = case.get("name", "?"), seconds + float(case.get("time", 0))
        if (reason := case.find("skipped")) is not None:
            skipped.add((reason.get("message") or "").split("; ")[0])
            continue
        cases += sum(float(p.get("value", 0)) for p in case.iter("property") if p.get("name") == "cases")
        if case.find("failure") is not None or case.find("error") is not None:
            bad.append(name)
        lines = [s for s in (case.findtext("system-out") or "").splitlines() if s and "- Captured " not in s]
        said += [f"{name}: {lines[0]}"] if len(lines) == 1 else []
    result = f"**failed**: {', '.join(bad)}" if bad else "all pass" if cases else "none ran"
    result += "".join(f"; left out: {reason}" for reason in sorted(skipped))
    count = f"{cases:,.0f}" + " (short)" * short
    return row._replace(cases=count, result=result.replace("|", "/"), seconds=f"{seconds:.0f}"), said


def main() -> int:
    """Print the chosen rows; 1 if a test failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", nargs="*", help="numbers of rows, or all")
    parser.add_argument("--list", action="store_true", help="only say which rows there are")
    parser.add_argument("--short", action="store_true", help="the counts of every change instead of the long ones")
    parser.add_argument("--out", type=Path, metavar="FILE", help="write docs/faults.md with these rows filled in")
    options = parser.parse_args()
    page = PAGE.read_text("utf-8")
    known = rows(page)
    if options.list:
        for row in known.values():
            print(f"{row.number:>3}  {row.fault}  ({', '.join(path.name for path in files(int(row.number)))})")
        return 0
    chosen = list(known) if options.rows == ["all"] else [int(text) for text in options.rows if text.isdigit()]
    if not chosen or not known.keys() >= set(chosen) or (options.rows != ["all"] and len(chosen) < len(options.rows)):
        parser.error(f"expected rows from 1 to {max(known)}, or all; got {' '.join(options.rows) or 'nothing'}")
    print(HEAD, flush=True)
    notes = []
    for number in chosen:
        known[number], said = run(known[number], options.short)
        notes += said
        print(known[number], flush=True)
        if options.out:  # after every row: a soak may be stopped
            page = LINE.sub(lambda match: str(known[int(match[1])]), page)
            options.out.write_text(page, "utf-8")
    print("", *notes, sep="\n")
    return int(any("**" in known[number].result or "exit code" in known[number].result for number in chosen))


if __name__ == "__main__":
    sys.exit(main())
