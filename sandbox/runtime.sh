#!/bin/sh
# The container runtime of instances: runc, and what podman and runc leave undone for one with a user namespace.
set -eu
# podman's monitor has none, and podman's network needs iptables.
export PATH="${PATH:+$PATH:}/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
groups=/sys/fs/cgroup
# With which systemd ends when it was asked to reboot (debian12/files).
rebooted=133

# The container's own control group becomes its root's, in which systemd makes groups. runc does this where it has the
# group made by this machine's systemd (cgroup v2), and not otherwise.
give_groups() {
    if [ -e "$groups/cgroup.controllers" ]; then
        give_group "$1" "$groups" '0::' "$(cat /sys/kernel/cgroup/delegate)"
        return
    fi
    give_group "$1" "$groups/systemd" '[0-9]*:name=systemd:' "cgroup.procs tasks"
    # Beside cgroup v1 there can be the tree of v2, without controllers. systemd mounts it (in its namespace of groups: its
    # own part), and is told by it when a unit's last process has ended. v1 would tell root of this machine alone.
    [ ! -d "$groups/unified" ] || give_group "$1" "$groups/unified" '0::' "$(cat /sys/kernel/cgroup/delegate)"
    # podman lays this machine's whole tree over what runc has mounted: in their place comes the container's part.
    nsenter --target "$1" --user --mount --pid --cgroup sh -eus "$groups/systemd" <<'INSIDE'
while mountpoint --quiet "$1"; do umount --recursive "$1"; done
mount --types cgroup --options none,name=systemd,nosuid,nodev,noexec cgroup "$1"
INSIDE
}

give_group() {
    name=$(sed -n "s/^$3//p" "/proc/$1/cgroup")
    [ "${name:-/}" != / ] || return 0
    user=$(awk '$1 == 0 { print $2 }' "/proc/$1/uid_map")
    chown "$user:$user" "$2$name"
    for file in $4; do
        [ ! -e "$2$name/$file" ] || chown "$user:$user" "$2$name/$file"
    done
}

# podman's own restart policy would not: for a container with a user namespace it sets the network up anew, which fails
# (see PATH). Like containers.start in Python, which may be gone by then.
start_again() {
    # podman answers once it is through with the container that ended.
    status=$(podman container inspect --format '{{.State.Status}} {{.State.ExitCode}}' "$1")
    [ "$status" = "exited $rebooted" ] || return 0
    network=$(podman container inspect --format '{{index .Config.Labels "flask-on-ecs.sandbox.network"}}' "$1")
    # podman's monitor may not have given the address back yet.
    for _ in 1 2 3 4 5 6; do
        podman start "$1" && break
        sleep 0.5
    done
    bridge=$(podman network inspect --format '{{.NetworkInterface}}' "$network")
    echo 1 >"/proc/sys/net/ipv4/conf/$bridge/route_localnet"
}

case " $* " in
*" create "*)
    runc "$@"
    while [ "$1" != --pid-file ]; do
        shift
    done
    # Created, not started: systemd is not there yet, what it will run in is.
    pid=$(cat "$2")
    give_groups "$pid"
    # A server's systemd is nobody's low priority, and units may not raise their own.
    renice --priority 0 --pid "$pid" >/dev/null
    # As systemd has it on a machine, and not in a container: what is mounted later is seen by services that run.
    nsenter --target "$pid" --user --mount mount --make-rshared /
    ;;
*" delete "*)
    for container; do :; done
    setsid "$0" start-again "$container" </dev/null >/dev/null 2>&1 &
    exec runc "$@"
    ;;
*" start-again "*)
    start_again "$2"
    ;;
*)
    exec runc "$@"
    ;;
esac
