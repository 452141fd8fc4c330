#!/usr/bin/env bash
# The whole Autobahn suite, cases 1 to 13, through a tunnel and directly. Takes many minutes; part of
# the nightly preset (ctest --preset nightly). Needs a build: BUILD_DIR, default build/release.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
tests/e2e/environment.sh
SIMPLON_AUTOBAHN=all SIMPLON_BUILD_DIR=${1:-build/release} PYTHONDONTWRITEBYTECODE=1 \
  exec build/venv/bin/python -m pytest -q -ra --tb=short -p no:cacheprovider tests/e2e/test_autobahn.py
