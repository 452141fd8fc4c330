#!/usr/bin/env bash
# clang-tidy over our code with the checks of .clang-tidy, against the release build's commands.
#   tests/tidy.sh [REGEX of paths]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
build=build/release
[ -f $build/compile_commands.json ] || { echo "build first: cmake --preset release" >&2; exit 1; }
log=$build/tidy.log
if run-clang-tidy-19 -quiet -j "$(nproc)" -p $build "${1:-$PWD/(lib|agent|ctl)/.*\.cpp$}" >$log 2>&1; then
  echo "clang-tidy: nothing found"
else
  grep -E -A3 '(error|warning): ' $log | grep -vE '^\[ *[0-9]+/' || cat $log
  exit 1
fi
