#!/usr/bin/env bash
# The whole Autobahn suite, cases 1 to 13, through a tunnel and directly. Takes 20 to 60 minutes and
# says every half minute how far it is; part of the nightly preset (ctest --preset nightly).
#
#     tests/autobahn/run.sh [BUILD_DIR] [--write]
#
# BUILD_DIR is build/release unless given, and must be of the sources as they are. With --write the
# result becomes tests/autobahn/whole.json, with the date and the engine (tests/conformance/engine.py),
# which docs/conformance.md shows; without, it must be that.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
build=build/release
mode=all
for argument in "$@"; do
  case $argument in
    --write) mode=write ;;
    *) build=$argument ;;
  esac
done
tests/e2e/environment.sh
SIMPLON_AUTOBAHN=$mode SIMPLON_BUILD_DIR=$build PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 \
  exec build/venv/bin/python -m pytest -q -ra -s --tb=short -p no:cacheprovider tests/e2e/test_autobahn.py
