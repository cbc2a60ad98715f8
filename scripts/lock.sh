#!/usr/bin/env bash
# Writes the lock file anew: the newest versions of everything that tests and documentation use, with their hashes, for
# every Python and system that optlab runs on. With --check it only compares: exit code 1 if pyproject.toml asks for
# something that the file does not have. scripts/setup.sh installs from it where OPTLAB_LOCKED is set, as CI does.
set -euo pipefail
cd "$(dirname "$0")/.."
lock=requirements.lock
groups=(--group test --group lint --group oracles --group browser --group docs)
options=(pyproject.toml "${groups[@]}" --universal --python-version 3.11 --generate-hashes --no-annotate --quiet)
options+=(--custom-compile-command "scripts/lock.sh")
if [ "${1:-}" != --check ]; then
  rm -f "$lock"
  exec uv pip compile "${options[@]}" --output-file "$lock"
fi
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cp "$lock" "$scratch/$lock"  # versions that are there stay, as long as they fit
uv pip compile "${options[@]}" --output-file "$scratch/$lock"
diff <(grep -oE '^[a-zA-Z0-9._-]+==[^ ]+' "$lock") <(grep -oE '^[a-zA-Z0-9._-]+==[^ ]+' "$scratch/$lock") || {
  echo "$lock is not what pyproject.toml asks for: run scripts/lock.sh" >&2
  exit 1
}
