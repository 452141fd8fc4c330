# shellcheck shell=bash
# The one list of Debian 12 packages, for quickstart.sh, tests/run.sh and .ci/run. To be sourced.
#
#   install_packages build tests checks   installs what is missing of those groups, or says what to
#                                         install and returns 1 when it may not (no root)

packages_build=(
  cmake ninja-build clang-19 libstdc++-12-dev mold ccache pkg-config dpkg-dev file
  libboost1.81-dev libssl-dev libgrpc++-dev libprotobuf-dev protobuf-compiler
  protobuf-compiler-grpc libabsl-dev libspdlog-dev libsqlite3-dev libsodium-dev libcli11-dev
  libyaml-cpp-dev nlohmann-json3-dev
)
packages_tests=(
  libgtest-dev libgmock-dev libclang-rt-19-dev llvm-19 python3-venv curl openssl nodejs node-ws
  git mmdebstrap nginx-light haproxy slowhttptest apache2-bin nghttp2-client
  chromium chromium-sandbox
)
packages_checks=(clang-format-19 clang-tidy-19 clang-tools-19)

# Those of the named groups that are not installed, one a line.
missing_packages() {
  local group
  for group in "$@"; do
    local -n names="packages_$group"
    local name
    for name in "${names[@]}"; do
      [ "$(dpkg-query -W -f='${db:Status-Status}' "$name" 2>/dev/null)" = installed ] ||
        printf '%s\n' "$name"
    done
  done
}

install_packages() {
  local missing
  mapfile -t missing < <(missing_packages "$@")
  [ ${#missing[@]} -eq 0 ] && return 0
  if [ "$(id -u)" -ne 0 ]; then
    printf 'missing packages; as root:\n  apt-get update && apt-get install %s\n' "${missing[*]}" >&2
    return 1
  fi
  export DEBIAN_FRONTEND=noninteractive
  local apt=(apt-get -y -q -o Dpkg::Use-Pty=0 -o Acquire::Retries=3)
  "${apt[@]}" update &&
    "${apt[@]}" install --no-install-recommends "${missing[@]}"
}
