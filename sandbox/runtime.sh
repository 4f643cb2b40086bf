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
give_group() {
    if [ -e "$groups/cgroup.controllers" ]; then
        hierarchy=$groups
        name=$(sed -n 's/^0:://p' "/proc/$1/cgroup")
        files=$(cat /sys/kernel/cgroup/delegate)
    else
        hierarchy=$groups/systemd
        name=$(sed -n 's/^[0-9]*:name=systemd://p' "/proc/$1/cgroup")
        files="cgroup.procs tasks"
    fi
    [ "${name:-/}" != / ] || return 0
    user=$(awk '$1 == 0 { print $2 }' "/proc/$1/uid_map")
    chown "$user:$user" "$hierarchy$name"
    for file in $files; do
        [ ! -e "$hierarchy$name/$file" ] || chown "$user:$user" "$hierarchy$name/$file"
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
    give_group "$(cat "$2")"
    # As systemd has it on a machine, and not in a container: what is mounted later is seen by services that run.
    nsenter --target "$(cat "$2")" --user --mount mount --make-rshared /
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
