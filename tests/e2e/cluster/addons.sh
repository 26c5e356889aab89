# What a cluster brings along: DNS, resource metrics, and what the samples use: volumes for
# claims without a storage class and an S3 server. Sourced by up.sh.

volumes() {
  local number path
  for number in 1 2 3 4; do
    path=/var/lib/searchop-volumes/$number
    # Any user of a pod may write, as on a dynamically made volume.
    install -d -m 0777 "$DIR/machine${path#/var}"
    cat <<YAML
---
apiVersion: v1
kind: PersistentVolume
metadata: {name: local-$number}
spec:
  capacity: {storage: 10Gi}
  accessModes: [ReadWriteOnce, ReadWriteMany]
  persistentVolumeReclaimPolicy: Retain
  local: {path: $path}
  nodeAffinity:
    required:
      nodeSelectorTerms:
      - matchExpressions: [{key: kubernetes.io/hostname, operator: In, values: [$node_name]}]
YAML
  done
}

apply_addons() {
  { cat "$cluster_dir"/addons/*.yaml; volumes; } \
    | kubectl apply --filename=- >"$DIR/logs/addons.log"
}

addons_ready() {
  kubectl wait --for=condition=Available deployment/coredns deployment/metrics-server \
    --namespace=kube-system --timeout=120s >>"$DIR/logs/addons.log"
  kubectl wait --for=condition=Available deployment/s3 --namespace=s3 --timeout=120s >>"$DIR/logs/addons.log"
  # While an aggregated API does not answer, namespaces cannot be deleted.
  kubectl wait --for=condition=Available apiservice/v1beta1.metrics.k8s.io --timeout=120s >>"$DIR/logs/addons.log"
}

s3_url() {
  echo "http://$(kubectl get service s3 --namespace=s3 --output=jsonpath='{.spec.clusterIP}:{.spec.ports[0].port}')"
}

make_buckets() {
  local bucket
  for bucket in shop-data models; do
    curl --silent --show-error --fail --max-time 10 --retry 5 --retry-connrefused --request PUT \
      --aws-sigv4 aws:amz:us-east-1:s3 --user searchop:searchop-secret \
      --header "x-amz-content-sha256: UNSIGNED-PAYLOAD" "$(s3_url)/$bucket"
  done
}
