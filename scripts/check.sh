#!/usr/bin/env bash
# Everything a change must pass, in order of speed. Runs from any directory, with the Python of the active environment.
set -euo pipefail
cd "$(dirname "$0")/.."

say() { printf '\n== %s\n' "$*"; }

say "format"; ruff format --check .
say "lint"; ruff check .
say "types"; mypy
say "the lock file"; scripts/lock.sh --check
# a process per core, a file at a time; pytest-benchmark objects to company, and the tests do not use it
tests=(python -m pytest -q -n auto --dist loadfile -p no:benchmark)
say "tests, compiled"; "${tests[@]}"
say "tests, with the JIT off"; NUMBA_DISABLE_JIT=1 "${tests[@]}"
say "documentation's examples"; python -m pytest -q -W "ignore:compiled without the disk cache" --doctest-modules optlab kernels/optlab_kernels --doctest-glob="*.md" README.md docs

rm -rf docs/_build  # a page or a picture of yesterday must not hide what is missing today
say "the gallery, every claim judged"; python scripts/gallery_check.py --jobs 2 --out docs/_build/gallery
say "the documentation's site"; python -m sphinx --quiet --fail-on-warning --keep-going --builder html docs docs/_build
say "every link of the site"; python scripts/site_check.py docs/_build

say "the wheel, built and imported from another directory"
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
python -m build --wheel --outdir "$scratch" . > "$scratch/build.log" || { cat "$scratch/build.log"; exit 1; }
python -m pip install --quiet --no-deps --target "$scratch/site" "$scratch"/*.whl
(
  cd "$scratch"
  export PYTHONPATH="$scratch/site" # before the editable install
  python - "$scratch/site" <<'PY'
import optlab, optlab_kernels, pathlib, sys
for module in (optlab, optlab_kernels):
    assert pathlib.Path(module.__file__).is_relative_to(sys.argv[1]), module.__file__
run = optlab.descend("beale", optlab.Adam(lr=0.1), start=(1.0, 1.6), steps=100)
assert abs(run.points[100, 0] - 2.373903) < 1e-6, run
optlab.race("beale", ["sgd", "adam"], steps=20).html("race.html")
print("the wheel works:", run)
PY
  python -m optlab gallery adam-eps --out "$scratch/gallery"
)
say "all checks passed"
