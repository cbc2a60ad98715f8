#!/usr/bin/env bash
# Measures everything against the peers that are installed and makes docs/benchmarks.md with its pictures: about half an
# hour on a machine that does nothing else. On a fresh machine as well: makes the environment if it is missing.
#
#   scripts/benchmarks.sh [--cells FILE] [TABLE ...]    all tables, or those named; then the baseline, and the page
#   scripts/benchmarks.sh --render                      the page and its pictures from benchmarks/records alone
#
# PYTHON, the environment of most tables, and SEARCH_PYTHON, that of the search, are pythons that have the peers of
# their tables installed; without them it is .venv beside this folder. --cells FILE has the regrets of the search's
# peers; they take hours: optlab bench search --peers --only regret --cells FILE
set -euo pipefail
cd "$(dirname "$0")/.."
records=benchmarks/records
kind=dev
if [ "${1:-}" = --render ]; then kind=run; fi
if [ -z "${PYTHON:-}" ]; then
  scripts/setup.sh "$kind"
  PYTHON=.venv/bin/python
fi
search=${SEARCH_PYTHON:-$PYTHON}
render() { "$PYTHON" -m optlab.bench.page "$records" docs/benchmarks.md; }
if [ "$kind" = run ]; then render; exit; fi

cells=()
if [ "${1:-}" = --cells ]; then cells=(--cells "$(realpath "$2")"); shift 2; fi
tables=("$@")
if [ $# = 0 ]; then tables=(kernels descents gemm training sweep threads startup throughput search ratios); fi

unset OPENBLAS_CORETYPE OPENBLAS_L2_SIZE  # everyone's BLAS chooses its kernels by the processor
failed=()
for table in "${tables[@]}"; do
  printf '\n== %s, %s\n' "$table" "$(date +%T)"
  case $table in
    search) "$search" -m optlab bench search --peers --done "${cells[@]}" --out "$records" ;;
    ratios) "$PYTHON" -m pytest benchmarks/test_ratios.py -q --benchmark-only --benchmark-json=benchmarks/baseline.json ;;
    *) "$PYTHON" -m optlab bench "$table" --peers --out "$records" ;;
  esac || failed+=("$table")
done
render
if [ ${#failed[@]} != 0 ]; then
  echo "failed: ${failed[*]}; again with: scripts/benchmarks.sh ${failed[*]}" >&2
  exit 1
fi
