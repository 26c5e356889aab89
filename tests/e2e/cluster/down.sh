#!/usr/bin/env bash
# Takes a cluster of up.sh away, half-started ones too: its processes, namespaces, cgroups and files.
#
#   down.sh [--dir DIR]
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
source "$cluster_dir/machine.sh"

DIR=$(default_dir cluster)
case ${1:-} in
--dir) DIR=${2:?"--dir needs a folder"} ;;
--api-only) DIR=$(default_dir api) ;;
'') ;;
*) fail "unknown option \"$1\"; see the head of \"$0\"" ;;
esac
[ -d "$DIR" ] || { echo "cluster: nothing to take away at \"$DIR\""; exit 0; }
[ -d "$DIR/logs" ] || fail "\"$DIR\" is not a folder of up.sh"

stopped() {
  [ -z "$(recorded_processes)" ]
}

# The kernel takes a dead namespace's devices away a little later.
wire_gone() {
  ! ip link show "$host_device" >/dev/null 2>&1
}

# Nothing of a test cluster is worth saving: no component is given time to say goodbye. With
# the machine's first process the kernel ends all others that are in it.
stop_processes() {
  local pid name
  recorded_processes | while read -r pid name; do
    kill -KILL "$pid" 2>/dev/null || true
  done
  wait_for 30 "the end of the processes" stopped
}

take_away() {
  stop_processes
  if [ -d "$DIR/machine" ]; then
    ip link delete "$host_device" 2>/dev/null || true
    wait_for 30 "the end of $host_device" wire_gone
    wait_for 30 "the end of the cgroups" remove_cgroups
  fi
  rm -rf "$DIR"
}

step "taken away" take_away
