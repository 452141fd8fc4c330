# shellcheck shell=bash
# Headings with elapsed time, and how a preset is built. To be sourced by scripts at the root.

# A child script goes on with its parent's clock.
export SIMPLON_STARTED=${SIMPLON_STARTED:-$EPOCHSECONDS}
# Debian's ccache, told that a clone in another folder is the same source.
export CCACHE_BASEDIR=$PWD CCACHE_NOHASHDIR=1
export CCACHE_SLOPPINESS=${CCACHE_SLOPPINESS:-pch_defines,time_macros}

stage() {
  local seconds=$((EPOCHSECONDS - SIMPLON_STARTED))
  printf '\n==== [%02d:%02d] %s\n' $((seconds / 60)) $((seconds % 60)) "$*"
}

# build_preset PRESET [TARGET…]: with the tests, whatever the tree was configured with before.
build_preset() {
  local preset=$1 targets=()
  shift
  [ $# -eq 0 ] || targets=(--target "$@")
  cmake --preset "$preset" -Wno-dev -D SIMPLON_TESTS=ON
  cmake --build --preset "$preset" "${targets[@]}"
}
