#!/usr/bin/env bash
# Builds the site of docs/ into docs/_build, or a folder given: every figure into gallery/ in it, then the pages that show
# them; a few minutes. With --pages only the pages, quickly: they show the figures that were made into the folder before.
# On a fresh machine as well: makes the environment if it is missing. No network is needed to build or to read it.
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/setup.sh docs
figures=yes
if [ "${1:-}" = --pages ]; then figures=; shift; fi
out=${1:-docs/_build}
if [ -n "$figures" ]; then
  .venv/bin/optlab gallery --jobs 2 --out "$out/gallery" > /dev/null || [ $? = 4 ]  # 4: a claim is false, and explained
fi
.venv/bin/python -m sphinx --quiet --fail-on-warning --keep-going --builder html docs "$out"
echo "$out/index.html"
