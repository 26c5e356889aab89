#!/usr/bin/env bash
# What a cluster could leave on a machine: mounts, network devices, routes, packet filters,
# namespaces, cgroups, processes, kernel settings, files.
#
#   traces.sh            prints it
#   traces.sh FILE       fails where it is not what FILE says
set -uo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

traces() {
  local process
  awk '{print "mount", $2, $3}' /proc/mounts
  ip -brief link 2>/dev/null | awk '{print "device", $1}'
  ip route 2>/dev/null | sed 's/^/route /'
  nft list tables 2>/dev/null | sed 's/^/nft /'
  iptables-save 2>/dev/null | grep '^[:-]' | sed 's/ \[.*//; s/^/iptables /'
  ip netns 2>/dev/null | sed 's/^/netns /'
  find /sys/fs/cgroup -type d \( -name "$cgroup_name*" -o -name 'kubepods*' \) -printf 'cgroup %p\n' 2>/dev/null
  for process in /proc/[0-9]*; do
    case $(readlink "$process/exe") in
    "$searchop_cache"/tools/* | */containerd* | */runc | */unshare) echo "process $(tr '\0' ' ' <"$process/cmdline")" ;;
    esac
  done
  sysctl vm.overcommit_memory vm.panic_on_oom kernel.panic kernel.panic_on_oops net.ipv4.ip_forward 2>/dev/null
  find /run/containerd /run/netns /var/lib/cni /var/lib/kubelet /var/lib/containerd /var/lib/containers \
    -maxdepth 1 -printf 'file %p\n' 2>/dev/null
  find "${TMPDIR:-/tmp}" -maxdepth 1 \( -name 'e2e-*' -o -name 'searchop-*' \) -printf 'file %p\n' 2>/dev/null
  return 0
}

if [ $# = 0 ]; then
  traces | sort
elif traces | sort | diff "$1" -; then
  echo "cluster: nothing is left behind"
else
  echo "cluster: the lines above are what is left behind (>) or missing (<)" >&2
  exit 1
fi
