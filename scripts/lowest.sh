#!/usr/bin/env bash
# Runs the tests that touch every dependency with the lowest versions that pyproject.toml allows, in an environment of
# its own, .venv-lowest. A bound that is too low fails here, not at a user's.
set -euo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-python3}
uv venv --quiet --allow-existing --python "$python" .venv-lowest
uv pip install --quiet --python .venv-lowest --resolution lowest-direct --group test .
uv pip list --quiet --python .venv-lowest | grep -iE '^(numpy|numba|scipy|matplotlib|pillow|click|rich|threadpoolctl|scikit-learn) '
# Old releases of Matplotlib and their newer dependencies warn each other; that is between them.
exec .venv-lowest/bin/python -m pytest -q -n auto --dist loadfile -p no:benchmark -W ignore::DeprecationWarning \
  tests/test_face.py tests/test_cli.py tests/test_viz.py tests/test_study.py tests/test_sklearn.py "$@"
