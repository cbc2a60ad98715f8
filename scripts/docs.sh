#!/usr/bin/env bash
# Builds the site of docs/ into docs/_build, or a folder given; with --gallery, every figure into gallery/ in it too.
# On a fresh machine as well: makes the environment if it is missing. No network is needed to build or to read it.
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/setup.sh docs
gallery=
if [ "${1:-}" = --gallery ]; then gallery=yes; shift; fi
out=${1:-docs/_build}
.venv/bin/python -m sphinx --quiet --fail-on-warning --keep-going --builder html docs "$out"
if [ -n "$gallery" ]; then .venv/bin/optlab gallery --out "$out/gallery"; fi
echo "$out/index.html"
