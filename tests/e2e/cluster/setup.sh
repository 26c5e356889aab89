#!/usr/bin/env bash
# Installs what is missing on a Debian machine that has Rust and Go; with everything there it
# asks no registry and needs no root.
#
#   setup.sh build      what the programs are built with
#   setup.sh cluster    that, and what a whole cluster runs on
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/tools/lib.sh"

build_packages="g++ make curl ca-certificates libclang-dev"
cluster_packages="containerd runc containernetworking-plugins nftables iptables conntrack buildah
  iproute2 procps util-linux kmod openssl jq libgomp1"
# LightGBM's build asks for it; Debian 12 has 3.25.
cmake_version=3.28

missing_packages() {
  local package
  for package in "$@"; do
    [ "$(dpkg-query --show --showformat='${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || echo "$package"
  done
}

install_packages() {
  local missing
  missing=$(missing_packages "$@" | tr '\n' ' ')
  [ -n "$missing" ] || return 0
  if [ "$(id -u)" != 0 ]; then
    echo "setup: these packages are missing; as root: apt-get update && apt-get install -y $missing" >&2
    exit 1
  fi
  echo "setup: installing $missing"
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -qq
  # Nothing that is installed here shall start by itself: the cluster runs its own.
  RUNLEVEL=1 apt-get install -y -qq --no-install-recommends $missing >/dev/null
}

new_enough() {
  local version
  version=$("$1" --version 2>/dev/null | sed -n '1s/[^0-9]*//p') && [ -n "$version" ] \
    && printf '%s\n' "$cmake_version" "$version" | sort --check=quiet --version-sort
}

install_cmake() {
  local folder=$searchop_cache/cmake
  new_enough cmake || new_enough "$folder/bin/cmake" || {
    install_packages python3-venv
    echo "setup: installing cmake into $folder"
    python3 -m venv --clear "$folder"
    "$folder/bin/pip" install --quiet --disable-pip-version-check "cmake>=$cmake_version,<5"
  }
}

need() {
  command -v "$1" >/dev/null || { echo "setup: \"$1\" is missing: $2" >&2; exit 1; }
}

need cargo "install Rust from rustup.rs, at least the version in rust-toolchain.toml"
case ${1:-} in
build) install_packages $build_packages ;;
cluster)
  need go "install Go, at least the version in tests/e2e/cluster/tools/kubernetes/go.mod"
  install_packages $build_packages $cluster_packages
  ;;
*) echo "setup: say \"build\" or \"cluster\"" >&2 && exit 2 ;;
esac
install_cmake
