#!/usr/bin/env bash
# Makes the environment .venv beside this folder, with optlab in it (editable). With the argument `dev` also everything
# that tests, lint and types need, with `docs` what the site needs. Does nothing that is done already, so it can stand in
# front of every command. Where OPTLAB_LOCKED is set, `dev` takes the versions of requirements.lock and checks their hashes.
set -euo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-python3}
kind=${1:-run}
stamp=".venv/.optlab-$kind"

if [ ! -x .venv/bin/python ]; then
  "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
    echo "optlab needs Python 3.11 or newer, this is $("$python" --version); set PYTHON=python3.x" >&2
    exit 2
  }
  "$python" -m venv .venv
fi
[ "$stamp" -nt pyproject.toml ] && [ "$stamp" -nt requirements.lock ] && exit 0
.venv/bin/python -m pip install --quiet --upgrade 'pip>=25.1'  # 25.1 knows dependency groups
if [ "$kind" = dev ] && [ -n "${OPTLAB_LOCKED:-}" ]; then
  .venv/bin/python -m pip install --quiet --require-hashes --requirement requirements.lock
  .venv/bin/python -m pip install --quiet --no-deps --no-build-isolation --editable .
  .venv/bin/python -m pip install --quiet --group torch
  exec touch "$stamp"
fi
.venv/bin/python -m pip install --quiet --editable .
if [ "$kind" = dev ]; then
  .venv/bin/python -m pip install --quiet --group test --group lint --group oracles --group torch --group browser --group docs
elif [ "$kind" = docs ]; then
  .venv/bin/python -m pip install --quiet --group docs
fi
touch "$stamp"
