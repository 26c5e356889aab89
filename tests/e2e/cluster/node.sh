#!/usr/bin/env bash
# Starts the container runtime, or the node's agents. Run by up.sh inside the machine.
#
#   node.sh DIR runtime | agents
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
DIR=$1

start_runtime() {
  mkdir -p "$DIR/cni"
  cat >"$DIR/containerd.toml" <<TOML
version = 2
[plugins."io.containerd.grpc.v1.cri"]
  # Without CAP_SYS_RESOURCE a lower oom_score_adj is refused and no sandbox starts.
  restrict_oom_score_adj = true
  sandbox_image = "docker.io/searchop/pause:dev"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "$DIR/cni"
TOML
  cat >"$DIR/cni/10-searchop.conflist" <<JSON
{"cniVersion": "0.4.0", "name": "searchop", "plugins": [
  {"type": "bridge", "bridge": "cni0", "isGateway": true, "ipMasq": true, "hairpinMode": true,
   "ipam": {"type": "host-local", "ranges": [[{"subnet": "$node_pod_range"}]],
            "routes": [{"dst": "0.0.0.0/0"}]}},
  {"type": "portmap", "capabilities": {"portMappings": true}}]}
JSON
  daemon containerd containerd --config "$DIR/containerd.toml"
  wait_for 30 containerd ctr version
}

start_kubelet() {
  # No upstream resolver: names outside the cluster do not resolve.
  : >"$DIR/resolv.conf"
  cat >"$DIR/kubelet.yaml" <<YAML
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
address: 0.0.0.0
authentication:
  anonymous: {enabled: false}
  webhook: {enabled: true}
  x509: {clientCAFile: "$DIR/pki/ca.crt"}
authorization: {mode: Webhook}
tlsCertFile: $DIR/pki/kubelet.crt
tlsPrivateKeyFile: $DIR/pki/kubelet.key
containerRuntimeEndpoint: unix:///run/containerd/containerd.sock
cgroupDriver: cgroupfs
cgroupRoot: /$cgroup_name
failCgroupV1: false
failSwapOn: false
clusterDNS: ["$dns_address"]
clusterDomain: cluster.local
resolvConf: $DIR/resolv.conf
volumePluginDir: /var/lib/kubelet/volume-plugins
# The disk is the host's: how full it is says nothing about the cluster.
imageGCHighThresholdPercent: 100
evictionHard: {imagefs.available: "0%", nodefs.available: "0%", nodefs.inodesFree: "0%"}
YAML
  daemon kubelet kubelet --config="$DIR/kubelet.yaml" --kubeconfig="$DIR/kubeconfigs/kubelet" \
    --hostname-override="$node_name" --node-ip="$node_address"
}

start_kube_proxy() {
  cat >"$DIR/kube-proxy.yaml" <<YAML
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
mode: nftables
clusterCIDR: $pod_range
hostnameOverride: $node_name
clientConnection: {kubeconfig: "$DIR/kubeconfigs/kube-proxy"}
# The connection table is the host's.
conntrack: {maxPerCore: 0}
YAML
  daemon kube-proxy kube-proxy --config="$DIR/kube-proxy.yaml"
}

node_ready() {
  kubectl --kubeconfig="$DIR/kubeconfig" wait --for=condition=Ready "node/$node_name" --timeout=1s
}

case $2 in
runtime)
  start_runtime
  ;;
agents)
  use_tools kubernetes
  start_kubelet
  start_kube_proxy
  wait_for 60 "the node" node_ready
  ;;
esac
