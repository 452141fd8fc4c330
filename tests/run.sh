#!/usr/bin/env bash
# Installs what the tests need, builds the release preset, runs every test. Ends with ctest's own
# closing lines; non-zero if anything failed.   tests/run.sh [-R REGEX and other options of ctest]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source deploy/packages.sh
source tests/support/stage.sh

stage "packages"
install_packages build tests
stage "configure and build: release"
build_preset release
stage "Python environment of the end-to-end tests"
tests/e2e/environment.sh
stage "tests: release"
ctest --preset release -j2 --no-tests=error --output-junit conformance/unit.xml "$@"
