#!/usr/bin/env python3
"""Makes the whole gallery and compares how its claims come out with what is known of them.

    python scripts/gallery_check.py [--jobs 2] [--out DIR]

A claim that is false on our data must be listed below and explained by its figure; every other one must hold.
"""

import argparse
import json
import subprocess
import sys
import tempfile

# Claims of the sources that measurement contradicts.
FALSE = frozenset({"wilson-vision", "lr-batch:best", "diminishing:eight", "sparse:noise", "overfit:width"})


def problems(rows: list[dict[str, object]]) -> list[str]:
    """What is not as it should be, a line each."""
    found = []
    for row in rows:
        id, passed = str(row["id"]), row["passed"]
        if passed is not True and id not in FALSE:
            found.append(f"{id} does not hold: {row['claim']} (measured {row['value']}, against {row['threshold']})")
        elif passed is not False and id in FALSE:
            found.append(f"{id} is listed as false and holds: take it off the list and say so in its figure")
        elif passed is False and not row["explanation"]:
            found.append(f"{id} is false and not explained")
    missing = FALSE - {str(row["id"]) for row in rows}
    return [*found, *(f"{id} is listed as false and there is no such claim" for id in sorted(missing))]


def main() -> int:
    """0 if all is as expected."""
    parser = argparse.ArgumentParser(description="Make the gallery and compare its claims with what is known of them.")
    parser.add_argument("--jobs", default="2")
    parser.add_argument("--out", help="keep the pages in this folder")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        out = arguments.out or scratch
        command = [sys.executable, "-m", "optlab", "gallery", "--json", "--jobs", arguments.jobs, "--out", out]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    if done.returncode not in (0, 4):
        return done.returncode
    rows = json.loads(done.stdout)
    found = problems(rows)
    print("\n".join(found) or f"{len(rows)} claims, {len(FALSE)} of them known to be false: all as expected")
    return 1 if found else 0


if __name__ == "__main__":
    raise SystemExit(main())
