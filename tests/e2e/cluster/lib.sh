# What the cluster's scripts share. Sourced, not run.

cluster_dir=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$cluster_dir/tools/lib.sh"

# The machine's addresses. Only the host and the machine itself can reach them.
host_address=10.213.0.1
node_address=10.213.0.2
service_range=10.96.0.0/16
api_service_address=10.96.0.1
dns_address=10.96.0.10
pod_range=10.244.0.0/16
node_pod_range=10.244.0.0/24
node_name=searchop-node
# The host's end of the wire, and the cgroup that all pods are under.
host_device=searchop0
cgroup_name=searchop

default_dir() {
  echo "${TMPDIR:-/tmp}/searchop-$1"
}

fail() {
  echo "cluster: $*" >&2
  exit 1
}

# step LABEL COMMAND…: runs the command and tells how long it took.
step() {
  local label=$1 start=${EPOCHREALTIME/./} took
  shift
  "$@"
  took=$((${EPOCHREALTIME/./} - start))
  printf 'cluster: %-34s %4d.%01d s\n' "$label" $((took / 1000000)) $((took / 100000 % 10))
}

# wait_for SECONDS WHAT COMMAND…: until the command succeeds.
wait_for() {
  local deadline=$((SECONDS + $1)) what=$2
  shift 2
  until "$@" >/dev/null 2>&1; do
    [ $SECONDS -lt $deadline ] || fail "\"$what\" was not ready in time; the logs are in \"$DIR/logs\""
    sleep 0.1
  done
}

# A pid alone may name a later process: the start time tells them apart. Empty once it has ended.
process_start() {
  # The command's name, in parentheses, may hold spaces; what follows it does not.
  sed 's/.*) //' "/proc/$1/stat" 2>/dev/null | awk '$1 != "Z" {print $20}'
}

# The machine has pids of its own, and so a file of its own.
record_process() {
  echo "$1 $2 $(process_start "$2")" >>"${PROCESSES:-$DIR/processes}"
}

# daemon NAME COMMAND…: starts a process that outlives this script, in a session of its own.
daemon() {
  local name=$1
  shift
  setsid "$@" >"$DIR/logs/$name.log" 2>&1 </dev/null &
  record_process "$name" $!
  disown
}

# recorded_processes: "pid name" of each recorded process that is still the one that was started.
recorded_processes() {
  local name pid start
  [ -f "$DIR/processes" ] || return 0
  while read -r name pid start; do
    [ -n "$start" ] && [ "$(process_start "$pid")" = "$start" ] && echo "$pid $name"
  done <"$DIR/processes"
  return 0
}

use_tools() {
  local tool
  for tool in "$@"; do
    [ -d "$(tool_folder "$tool")" ] || fail "\"$tool\" is not built; run \"tests/e2e/cluster/tools/build.sh $tool\""
    PATH=$(tool_folder "$tool"):$PATH
  done
  export PATH
}
