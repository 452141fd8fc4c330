#!/usr/bin/env bash
# Makes build/venv, the Python environment of the end-to-end tests; at once when it is there already.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
wanted=tests/e2e/requirements.txt
venv=build/venv
cmp -s $wanted $venv/installed.txt && exit 0
mkdir -p build
exec 9>build/venv.lock
flock 9
cmp -s $wanted $venv/installed.txt && exit 0
python3 -m venv --clear $venv
$venv/bin/python -m pip install --quiet --disable-pip-version-check -r $wanted
cp $wanted $venv/installed.txt
