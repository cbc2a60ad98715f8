#!/usr/bin/env python3
"""Installs optlab and nothing else into a new environment, and prints what it downloads as a Markdown table.

    python scripts/install_check.py [--limit 160]

Only wheels are taken, so that nothing is compiled. Afterwards a race, a training and a search run in that environment.
Exit code 1 if a package has no wheel, torch is among them, the downloads exceed the limit (in MB) or a run fails.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
MB = 1e6
USES = """
import optlab as ol
from optlab.search import GP, Float, Space, Study

ol.race("beale", ["sgd", "adam"], steps=20).html("race.html")
train, val, test = ol.data.load("digits").split(seed=0)
history = ol.fit(ol.nn.MLP([64, 16, 10], seed=0), train, val, ol.Adam(lr=0.01), epochs=3)
study = Study(Space(x=Float(-1, 1)), GP(seed=0, initial=4), storage="study.db")
study.run(lambda params: params["x"] ** 2, trials=12)
study.html("study.html")
print(f"it runs: validation accuracy {history['val_accuracy'][-1]:.3f}, best of a search {study.best.value:.1e}")
"""


def downloads(folder: Path) -> list[tuple[str, str, int]]:
    """Package, version and bytes of what lies there, largest first."""
    found = [(*path.name.split("-")[:2], path.stat().st_size) for path in folder.glob("*.whl")]
    return sorted(found, key=lambda one: -one[2])


def main() -> int:
    """0 if it holds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--limit", type=float, default=160.0, metavar="MB")
    limit = parser.parse_args().limit
    with tempfile.TemporaryDirectory() as scratch:
        wheels, env = Path(scratch, "wheels"), Path(scratch, "env")
        venv.create(env, with_pip=True)
        python = str(env / ("Scripts" if os.name == "nt" else "bin") / "python")
        pip = [python, "-m", "pip", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, "wheel", "--no-deps", "--wheel-dir", scratch, str(ROOT)], check=True)
        [ours] = map(str, Path(scratch).glob("optlab-*.whl"))
        subprocess.run([*pip, "download", "--only-binary", ":all:", "--dest", str(wheels), ours], check=True)
        subprocess.run([*pip, "install", "--no-index", "--find-links", str(wheels), ours], check=True)
        rows = downloads(wheels)
        total = sum(size for *_, size in rows) / MB
        print("| package | version | MB |\n|---|---|---|")
        for name, version, size in rows:
            print(f"| {name} | {version} | {size / MB:.1f} |")
        print(f"| {len(rows)} packages | | {total:.1f} |", flush=True)
        environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
        done = subprocess.run([python, "-c", USES], cwd=scratch, env=environment)
    names = {name for name, *_ in rows}
    return int(total > limit or "torch" in names or done.returncode != 0)


if __name__ == "__main__":
    sys.exit(main())
