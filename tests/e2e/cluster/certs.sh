# One certificate authority, and a certificate for each component, so that RBAC and the Node
# authorizer stay on. Sourced by up.sh; writes to $DIR/pki and $DIR/kubeconfigs.

# certificate NAME SUBJECT [EXTENSION…]
certificate() {
  local name=$1 subject=$2 extension extensions=(-addext "extendedKeyUsage=clientAuth,serverAuth")
  shift 2
  for extension in "$@"; do
    extensions+=(-addext "$extension")
  done
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -noenc -days 30 \
    -CA "$DIR/pki/ca.crt" -CAkey "$DIR/pki/ca.key" -subj "$subject" "${extensions[@]}" \
    -addext "basicConstraints=critical,CA:FALSE" \
    -keyout "$DIR/pki/$name.key" -out "$DIR/pki/$name.crt" 2>>"$DIR/logs/openssl.log"
}

# kubeconfig NAME SERVER: for the certificate of that name.
kubeconfig() {
  cat >"$DIR/kubeconfigs/$1" <<YAML
apiVersion: v1
kind: Config
current-context: searchop
clusters:
- name: searchop
  cluster: {server: "$2", certificate-authority-data: $(base64 -w0 "$DIR/pki/ca.crt")}
contexts:
- name: searchop
  context: {cluster: searchop, user: $1}
users:
- name: $1
  user: {client-certificate-data: $(base64 -w0 "$DIR/pki/$1.crt"), client-key-data: $(base64 -w0 "$DIR/pki/$1.key")}
YAML
}

# make_certificates API_ADDRESS API_PORT
make_certificates() {
  local server="https://$1:$2" component
  mkdir -p "$DIR/pki" "$DIR/kubeconfigs"
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -noenc -days 30 \
    -subj /CN=searchop-test-ca -keyout "$DIR/pki/ca.key" -out "$DIR/pki/ca.crt" 2>>"$DIR/logs/openssl.log"
  openssl ecparam -name prime256v1 -genkey -noout -out "$DIR/pki/service-accounts.key"

  certificate kube-apiserver /CN=kube-apiserver \
    "subjectAltName=DNS:localhost,DNS:kubernetes.default,DNS:kubernetes.default.svc,IP:127.0.0.1,IP:$api_service_address,IP:$node_address"
  certificate kubelet-client /O=system:masters/CN=kube-apiserver-kubelet-client
  certificate front-proxy /CN=front-proxy
  certificate admin /O=system:masters/CN=admin
  certificate kube-controller-manager /CN=system:kube-controller-manager
  certificate kube-scheduler /CN=system:kube-scheduler
  certificate kube-proxy /CN=system:kube-proxy
  certificate kubelet "/O=system:nodes/CN=system:node:$node_name" "subjectAltName=DNS:$node_name,IP:$node_address"

  for component in admin kube-controller-manager kube-scheduler kube-proxy kubelet; do
    kubeconfig $component "$server"
  done
  chmod 600 "$DIR"/pki/*.key "$DIR"/kubeconfigs/*
  cp "$DIR/kubeconfigs/admin" "$DIR/kubeconfig"
}
