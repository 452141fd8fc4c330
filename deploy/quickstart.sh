#!/usr/bin/env bash
# Builds Simplon and shows it: two agents, a share, an access, a frontend, a websocket through them.
#
#   deploy/quickstart.sh          stays up until Ctrl-C, then removes what it made
#   deploy/quickstart.sh --once   exits 0 when all worked; also without a terminal
#
# Installs missing Debian packages when run as root. A second run reuses the build.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source deploy/packages.sh
source tests/support/stage.sh

once=false
case ${1-} in
  '') [ -t 0 ] && [ -t 1 ] || once=true ;;
  --once) once=true ;;
  -h | --help)
    sed -n '2,7s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
    exit 0
    ;;
  *)
    echo "quickstart: unknown option $1; see --help" >&2
    exit 2
    ;;
esac

stage "packages"
install_packages build
stage "release build (some minutes the first time)"
cmake --preset release -Wno-dev -D SIMPLON_TESTS=OFF
cmake --build --preset release --target simplon-agent simplonctl
bin=$PWD/build/release/bin
PATH=$bin:$PATH

# Everything that this script starts and writes, so that it can take all of it back.
place=$(mktemp -d "${TMPDIR:-/tmp}/simplon.XXXXXX")
started=()
shown=false
clean_up() {
  local code=$? pid
  trap '' INT TERM
  for pid in "${started[@]}"; do kill -TERM "$pid" 2>/dev/null || true; done
  for pid in "${started[@]}"; do wait "$pid" 2>/dev/null || true; done
  if [ "$code" -ne 0 ] && ! $shown; then
    printf '\nquickstart: that did not work (exit %d). The logs:\n' "$code" >&2
    tail -n 15 "$place"/*.log >&2 2>/dev/null || true
  fi
  rm -rf "$place"
  exit "$code"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

bold='' plain=''
if [ -t 1 ]; then bold=$'\e[1m' plain=$'\e[0m'; fi
step() { printf '\n%s# %s%s\n' "$bold" "$*" "$plain"; }
show() { printf '%s$ %s%s\n' "$bold" "$*" "$plain"; }
indent() { sed 's/^/  /'; }

# run COMMAND…: shown, then done, its output indented.
run() {
  show "$@"
  "$@" 2>&1 | indent
}

# start NAME COMMAND…: shown and left running; its output goes to a file.
start() {
  local name=$1
  shift
  show "$@ &"
  "$@" </dev/null >"$place/$name.log" 2>&1 &
  started+=($!)
}

# field JSON-KEY: its value in the `-o json` output on standard input.
field() { sed -n "s/^ *\"$1\": \"\(.*\)\",\{0,1\}$/\1/p" | head -n 1; }

alpha=(simplonctl --state-dir "$place/alpha")
beta=(simplonctl --state-dir "$place/beta")

stage "the tour (state in $place)"
step "An agent on one host. It is its own hub."
start alpha simplon-agent --state-dir "$place/alpha" --agent-name alpha --hub-listen 127.0.0.1:0
run "${alpha[@]}" status --wait 10s

step "An agent on another host (here: another process), invited by the first."
start beta simplon-agent --state-dir "$place/beta" --agent-name beta --hub-listen none
"${beta[@]}" status --wait 10s >/dev/null
show "${alpha[*]} hub invite beta | ${beta[*]} join -"
"${alpha[@]}" hub invite beta 2>"$place/invite.log" | "${beta[@]}" join - 2>&1 | indent
run "${beta[@]}" status --wait 10s

step "A service on beta's host."
show "simplonctl test endpoint --listen 127.0.0.1:0 &"
exec {ready}< <(exec simplonctl test endpoint --listen 127.0.0.1:0 2>"$place/endpoint.log")
started+=($!)
read -r -t 10 line <&"$ready"
echo "  $line"
target=$(grep -oE 'http://[^ /]+' <<<"$line" | head -n 1)

step "Beta shares it as demo, with frontends, too."
run "${beta[@]}" share "$target" --name demo --public

step "On alpha: a local address for it, and a frontend for every public share."
run "${alpha[@]}" access demo
run "${alpha[@]}" frontend --zone localhost --name front
access=$("${alpha[@]}" -o json get demo-access | field url)
front=$("${alpha[@]}" -o json get front | field url)
front=${front/\*/demo}

step "A websocket through the access, then through the frontend."
run simplonctl test websocket "${access#http://}"
run simplonctl test websocket "${front#http://}"

step "What the agents hold now."
run "${alpha[@]}" list
run "${beta[@]}" list

printf '\n%sIt works.%s\n  endpoint  %s\n  access    %s\n  frontend  %s\n' "$bold" "$plain" \
  "$target" "$access" "$front"
shown=true
if $once; then
  exit 0
fi
printf '\nAll stays up: try the URLs in a browser, or\n  export PATH=%s:$PATH SIMPLON_STATE_DIR=%s\n' \
  "$bin" "$place/alpha"
printf '  simplonctl list\nCtrl-C ends it and removes everything.\n'
trap 'printf "\nstopping\n"; exit 0' INT TERM
wait "${started[@]}" || true
echo "quickstart: one of the processes ended by itself" >&2
exit 1
