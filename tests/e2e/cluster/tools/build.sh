#!/usr/bin/env bash
# Builds the programs a test cluster is made of, from their published modules.
#
#   build.sh [TOOL…]     kubernetes etcd coredns metrics-server helm s3s-fs; without names, all
#
# What is built already is left alone. A build lands by one rename, so that an interrupted
# one is never taken for a finished one.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# Without stamps kubectl and the node report a version that clients cannot parse.
kubernetes_stamps() {
  local package
  for package in k8s.io/component-base/version k8s.io/client-go/pkg/version; do
    echo "-X $package.gitVersion=v$1 -X $package.gitMajor=${1%%.*} -X $package.gitMinor=$(cut -d. -f2 <<<"$1")"
    echo "-X $package.gitTreeState=clean"
  done
}

# module_version MODULE: the version that the go.mod in this folder selects, without the v.
module_version() {
  go list -m -f '{{.Version}}' "$1" | sed 's/^v//'
}

go_build() {
  local out=$1 stamps=$2
  shift 2
  # Two packages at a time and one tool after the other: the Rust build runs beside this.
  nice go build -p 2 -mod=readonly -buildvcs=false -trimpath -ldflags "-s -w $stamps" -o "$out/" "$@"
}

build_kubernetes() {
  local version
  version=$(module_version k8s.io/kubernetes)
  go_build "$1" "$(kubernetes_stamps "$version" | tr '\n' ' ')" tool
}

build_etcd() {
  go_build "$1" "" tool
  mv "$1/server" "$1/etcd"
}

build_coredns() {
  go_build "$1" "" .
}

build_metrics-server() {
  go_build "$1" "" tool
}

build_helm() {
  go_build "$1" "-X helm.sh/helm/v4/internal/version.version=v$(module_version helm.sh/helm/v4)" tool
}

build_s3s-fs() {
  nice cargo install s3s-fs --version "$(cat version)" --locked --features binary --no-track --root "$1" \
    --target-dir "$searchop_cache/target/s3s-fs"
  mv "$1/bin/s3s-fs" "$1/s3s-fs"
  rm -r "$1/bin" "$1"/.crates*
}

build() {
  local name=$1 folder start=$SECONDS
  folder=$(tool_folder "$name")
  if [ -d "$folder" ]; then
    echo "tools: $name is built"
    return
  fi
  mkdir -p "$(dirname "$folder")"
  partial=$(mktemp -d "$folder.partial.XXXXXX")
  echo "tools: building $name …"
  (cd "$tools_dir/$name" && "build_$name" "$partial")
  chmod 755 "$partial"
  # Another build of the same tool may have finished meanwhile: its product is as good.
  mv -T "$partial" "$folder" 2>/dev/null || [ -d "$folder" ]
  rm -rf "$partial"
  echo "tools: built $name in $((SECONDS - start)) s"
}

partial=
trap 'rm -rf "$partial"' EXIT
[ $# -gt 0 ] || set -- kubernetes etcd coredns metrics-server helm s3s-fs
for name in "$@"; do
  build "$name"
done
