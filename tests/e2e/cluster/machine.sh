# The machine of a whole cluster: a network, a mount and a pid namespace of its own, joined to
# the host by one wire. Bridges, packet filters, mounts and processes live and die with it, so
# nothing of the host is changed and one kill ends everything. Sourced.

# inside COMMAND…: runs it in the machine.
inside() {
  nsenter --target "$(cat "$DIR/machine.pid")" --net --mount --pid -- \
    env PROCESSES="$DIR/machine/processes" "$@"
}

cgroup_folders() {
  if [ -f /sys/fs/cgroup/cgroup.controllers ]; then
    echo "/sys/fs/cgroup/$cgroup_name"
  else
    # The v1 hierarchies, and the empty "unified" one beside them.
    find /sys/fs/cgroup -mindepth 1 -maxdepth 1 -type d -printf "%p/$cgroup_name\n"
  fi
}

make_cgroups() {
  local folder setting
  for folder in $(cgroup_folders); do
    mkdir -p "$folder"
    for setting in cpuset.cpus cpuset.mems; do
      # In v1 a new cpuset is empty, and a process cannot enter an empty one.
      [ ! -f "$folder/../$setting" ] || [ -n "$(cat "$folder/$setting")" ] \
        || cat "$folder/../$setting" >"$folder/$setting"
    done
  done
  if [ -f /sys/fs/cgroup/cgroup.controllers ]; then
    sed 's/[a-z]\+/+&/g' /sys/fs/cgroup/cgroup.controllers >/sys/fs/cgroup/cgroup.subtree_control
  fi
}

remove_cgroups() {
  local folder
  for folder in $(cgroup_folders); do
    [ ! -d "$folder" ] || find "$folder" -depth -type d -exec rmdir {} + 2>/dev/null || true
  done
  for folder in $(cgroup_folders); do
    [ ! -d "$folder" ] || return 1
  done
}

# The first process of the machine. Everything the node writes at fixed paths goes to $DIR.
machine_init() {
  mount --bind "$DIR/machine/lib" /var/lib
  mount --bind "$DIR/machine/log" /var/log
  mount -t tmpfs -o mode=755 tmpfs /run
  own_kernel_settings
  ip link set lo up
  echo 1 >/proc/sys/net/ipv4/ip_forward
  echo ready >"$DIR/machine/state"
  # As pid 1 it reaps what daemons leave; the loop keeps it alive.
  while :; do
    sleep 3600 &
    wait $! || true
  done
}

# The kubelet insists on writing kernel settings that belong to the whole host. It finds
# them set, in files that lie over the real ones.
own_kernel_settings() {
  local setting value file
  mkdir -p "$DIR/machine/sysctl"
  while read -r setting value; do
    file=$DIR/machine/sysctl/${setting//\//.}
    echo "$value" >"$file"
    mount --bind "$file" "/proc/sys/$setting"
  done <<SETTINGS
vm/overcommit_memory 1
vm/panic_on_oom 0
kernel/panic 10
kernel/panic_on_oops 1
kernel/keys/root_maxkeys 1000000
kernel/keys/root_maxbytes 25000000
SETTINGS
}

connect_machine() {
  ip link add "$host_device" type veth peer name eth0 netns "$(cat "$DIR/machine.pid")"
  ip address add "$host_address/30" dev "$host_device"
  ip link set "$host_device" up
  inside ip address add "$node_address/30" dev eth0
  inside ip link set eth0 up
  inside ip route add default via "$host_address"
  ip route add "$service_range" via "$node_address"
  ip route add "$pod_range" via "$node_address"
}

start_machine() {
  local keeper
  mkdir -p "$DIR/machine/lib" "$DIR/machine/log"
  make_cgroups
  export DIR
  daemon machine unshare --net --mount --pid --fork --kill-child --mount-proc \
    bash -c "set -euo pipefail; source '$cluster_dir/lib.sh'; source '$cluster_dir/machine.sh'; machine_init"
  wait_for 10 "the machine" test -f "$DIR/machine/state"
  keeper=$(awk '$1 == "machine" {print $2}' "$DIR/processes")
  tr -d ' ' <"/proc/$keeper/task/$keeper/children" >"$DIR/machine.pid"
  connect_machine
}
