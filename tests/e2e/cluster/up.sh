#!/usr/bin/env bash
# Brings a real Kubernetes cluster up, from the programs that tools/build.sh made.
#
#   up.sh [--api-only] [--dir DIR] [--load ARCHIVE]…
#
# --api-only: etcd, API server and controller manager on loopback, on free ports. No root needed.
# Otherwise:  a whole one-node cluster in namespaces of its own, with DNS, metrics, an S3 server
#             and volumes, and the images of each ARCHIVE. Needs root.
#
# Everything it writes lies in DIR. "source DIR/env" sets KUBECONFIG, PATH and what the
# scenarios read; down.sh takes it all away.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
for part in certs machine images addons; do
  source "$cluster_dir/$part.sh"
done

api_only=no DIR= archives=() cluster_archives=()
while [ $# -gt 0 ]; do
  case $1 in
  --api-only) api_only=yes ;;
  --dir) DIR=${2:?"--dir needs a folder"} && shift ;;
  --load) archives+=("${2:?"--load needs an archive"}") && shift ;;
  *) fail "unknown option \"$1\"; see the head of \"$0\"" ;;
  esac
  shift
done
[ -n "$DIR" ] || DIR=$(default_dir $([ $api_only = yes ] && echo api || echo cluster))

free_port() {
  local port
  # Below the range that the kernel gives to outgoing connections.
  while port=$((RANDOM % 10000 + 20000)) && (: <"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do :; done
  echo "$port"
}

write_env() {
  cat >"$DIR/env" <<ENV
export KUBECONFIG=$DIR/kubeconfig
export PATH=$(tool_folder kubernetes):$(tool_folder helm):\$PATH
export SEARCHOP_LOGS=$DIR/logs
export SEARCHOP_AUDIT_LOG=$DIR/audit.log
ENV
}

api_only_up() {
  local port
  port=$(free_port)
  step certificates make_certificates 127.0.0.1 "$port"
  step "control plane" "$cluster_dir/control-plane.sh" "$DIR" 127.0.0.1 "$port" \
    "$(free_port)" "$(free_port)" "$(free_port)"
  write_env
}

start_runtime() {
  inside "$cluster_dir/node.sh" "$DIR" runtime
  load_images "${archives[@]}" "${cluster_archives[@]}"
}

whole_up() {
  local runtime
  step "machine" start_machine
  # The runtime reads its images in while the control plane starts.
  step "runtime and images" start_runtime &
  runtime=$!
  step certificates make_certificates "$node_address" 6443
  step "control plane" inside "$cluster_dir/control-plane.sh" "$DIR" 0.0.0.0 6443 2379 2380 10257 10259
  export KUBECONFIG=$DIR/kubeconfig
  wait $runtime || fail "the container runtime did not start; the logs are in \"$DIR/logs\""
  step "node" inside "$cluster_dir/node.sh" "$DIR" agents
  step "add-ons applied" apply_addons
  step "add-ons ready" addons_ready
  step "buckets" make_buckets
  write_env
  # Folders made here can be mounted by path: the machine sees them at the same place.
  mkdir "$DIR/volumes"
  echo "export SEARCHOP_VOLUMES_DIR=$DIR/volumes" >>"$DIR/env"
}

[ ! -e "$DIR" ] || fail "\"$DIR\" is there already; a cluster may be up: \"down.sh --dir $DIR\" takes it away"
use_tools kubernetes etcd
if [ $api_only = no ]; then
  [ "$(id -u)" = 0 ] || fail "a whole cluster needs root; --api-only does not"
  ip link show "$host_device" >/dev/null 2>&1 && fail "another cluster is up: \"$host_device\" is there"
  step "images of the cluster's parts" build_cluster_images
fi
mkdir -p "$DIR/logs"
DIR=$(cd "$DIR" && pwd)
if [ $api_only = yes ]; then
  api_only_up
else
  whole_up
fi
echo "cluster: up after $SECONDS s; KUBECONFIG=$DIR/kubeconfig"
