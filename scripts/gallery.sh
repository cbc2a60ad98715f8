#!/usr/bin/env bash
# Reproduces every figure of the slides into ./gallery, on a fresh machine too: makes the environment if it is missing.
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/setup.sh
exec .venv/bin/optlab gallery "$@"
