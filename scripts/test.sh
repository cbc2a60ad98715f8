#!/usr/bin/env bash
# Runs the checks on a fresh machine too: makes the environment if it is missing.
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/setup.sh dev
PATH="$PWD/.venv/bin:$PATH" exec scripts/check.sh "$@"
