#!/usr/bin/env bash
# Makes build/autobahn, a Python 2.7 environment with the suite's `wstest`; at once when it is there
# already. Exit code 3 where this machine has no Python 2.7: that is for the caller to skip.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
wanted=tests/autobahn/requirements.txt
venv=build/autobahn

# Run, not looked up: a version manager's shim exists whether it leads anywhere or not.
python2=
for version in "${PYENV_VERSION:-}" 2.7.18; do
  if PYENV_VERSION=$version python2.7 -c '' 2>/dev/null; then
    python2=$(PYENV_VERSION=$version python2.7 -c 'import sys; print(sys.executable)')
    break
  fi
done
if [ -z "$python2" ]; then
  echo "no Python 2.7 here" >&2
  exit 3
fi

mkdir -p build
exec 9>build/autobahn.lock
flock 9
cmp -s $wanted $venv/installed.txt && exit 0
rm -rf $venv build/virtualenv
# The last virtualenv that makes environments of Python 2.7.
python3 -m venv build/virtualenv
build/virtualenv/bin/pip install --quiet --disable-pip-version-check 'virtualenv==20.21.1'
build/virtualenv/bin/virtualenv --quiet --python "$python2" $venv
$venv/bin/pip install --quiet --disable-pip-version-check --no-python-version-warning -r $wanted
$venv/bin/wstest --help >/dev/null
cp $wanted $venv/installed.txt
