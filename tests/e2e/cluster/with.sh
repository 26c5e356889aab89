#!/usr/bin/env bash
# Runs a command with a cluster of its own, and takes the cluster away whatever happens.
#
#   with.sh [OPTION OF up.sh]… -- COMMAND…
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
dir=$(mktemp -d "${TMPDIR:-/tmp}/searchop-run.XXXXXX")/cluster
options=(--dir "$dir")
while [ "${1:?"say -- and a command"}" != -- ]; do
  options+=("$1")
  shift
done
shift

take_away() {
  "$here/down.sh" --dir "$dir"
  rmdir "$(dirname "$dir")"
}
trap take_away EXIT
trap 'exit 130' INT TERM

show_state() {
  echo "==> the cluster when it failed"
  kubectl get pods,jobs,deployments --all-namespaces --output=wide || true
  kubectl get events --all-namespaces --sort-by=.lastTimestamp | tail -n 60 || true
  kubectl logs --namespace=searchop --selector=app.kubernetes.io/name=searchop --tail=60 --prefix || true
  tail -n 15 "$dir"/logs/*.log || true
}

"$here/up.sh" "${options[@]}"
source "$dir/env"
status=0
"$@" || status=$?
[ $status = 0 ] || show_state
exit $status
