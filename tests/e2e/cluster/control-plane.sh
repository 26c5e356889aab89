#!/usr/bin/env bash
# Starts etcd, the API server, the controller manager and, with a node, the scheduler.
# Run by up.sh, for a whole cluster inside the machine's namespaces.
#
#   control-plane.sh DIR API_BIND API_PORT ETCD_PORT PEER_PORT MANAGER_PORT [SCHEDULER_PORT]
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
DIR=$1 bind=$2 api_port=$3 etcd_port=$4 peer_port=$5 manager_port=$6 scheduler_port=${7:-}
use_tools kubernetes etcd
pki=$DIR/pki

start_etcd() {
  # What a test cluster forgets in a power cut nobody misses: no fsync.
  daemon etcd etcd --name=searchop --data-dir="$DIR/etcd" --unsafe-no-fsync --log-level=warn \
    --listen-client-urls="http://127.0.0.1:$etcd_port" --advertise-client-urls="http://127.0.0.1:$etcd_port" \
    --listen-peer-urls="http://127.0.0.1:$peer_port" --initial-advertise-peer-urls="http://127.0.0.1:$peer_port" \
    --initial-cluster="searchop=http://127.0.0.1:$peer_port"
}

start_api_server() {
  local reach=(--advertise-address="$node_address")
  # Without a node nobody reaches the API through its Service.
  [ "$bind" != 127.0.0.1 ] || reach=(--advertise-address=127.0.0.1 --endpoint-reconciler-type=none)
  daemon kube-apiserver kube-apiserver \
    --etcd-servers="http://127.0.0.1:$etcd_port" \
    --bind-address="$bind" --secure-port="$api_port" "${reach[@]}" \
    --service-cluster-ip-range="$service_range" \
    --tls-cert-file="$pki/kube-apiserver.crt" --tls-private-key-file="$pki/kube-apiserver.key" \
    --client-ca-file="$pki/ca.crt" \
    --authorization-mode=Node,RBAC --enable-admission-plugins=NodeRestriction \
    --allow-privileged=true \
    --service-account-issuer=https://kubernetes.default.svc \
    --service-account-key-file="$pki/service-accounts.key" \
    --service-account-signing-key-file="$pki/service-accounts.key" \
    --kubelet-client-certificate="$pki/kubelet-client.crt" --kubelet-client-key="$pki/kubelet-client.key" \
    --kubelet-certificate-authority="$pki/ca.crt" --kubelet-preferred-address-types=InternalIP \
    --requestheader-client-ca-file="$pki/ca.crt" --requestheader-allowed-names=front-proxy \
    --requestheader-username-headers=X-Remote-User --requestheader-group-headers=X-Remote-Group \
    --requestheader-extra-headers-prefix=X-Remote-Extra- \
    --proxy-client-cert-file="$pki/front-proxy.crt" --proxy-client-key-file="$pki/front-proxy.key" \
    --enable-aggregator-routing=true \
    --audit-policy-file="$cluster_dir/audit-policy.yaml" --audit-log-path="$DIR/audit.log"
}

start_controller_manager() {
  daemon kube-controller-manager kube-controller-manager \
    --kubeconfig="$DIR/kubeconfigs/kube-controller-manager" \
    --authentication-kubeconfig="$DIR/kubeconfigs/kube-controller-manager" \
    --authorization-kubeconfig="$DIR/kubeconfigs/kube-controller-manager" \
    --bind-address=127.0.0.1 --secure-port="$manager_port" --leader-elect=false \
    --use-service-account-credentials=true \
    --service-account-private-key-file="$pki/service-accounts.key" --root-ca-file="$pki/ca.crt" \
    --cluster-signing-cert-file="$pki/ca.crt" --cluster-signing-key-file="$pki/ca.key" \
    --kube-api-qps=200 --kube-api-burst=400 --horizontal-pod-autoscaler-sync-period=5s
}

start_scheduler() {
  daemon kube-scheduler kube-scheduler \
    --kubeconfig="$DIR/kubeconfigs/kube-scheduler" \
    --authentication-kubeconfig="$DIR/kubeconfigs/kube-scheduler" \
    --authorization-kubeconfig="$DIR/kubeconfigs/kube-scheduler" \
    --bind-address=127.0.0.1 --secure-port="$scheduler_port" --leader-elect=false
}

api_ready() {
  kubectl --kubeconfig="$DIR/kubeconfig" get --raw /readyz
}

start_etcd
start_api_server
wait_for 60 kube-apiserver api_ready
start_controller_manager
[ -z "$scheduler_port" ] || start_scheduler
# Nothing can be made in a namespace before its default service account is there.
wait_for 60 "the default service account" kubectl --kubeconfig="$DIR/kubeconfig" get serviceaccount default
