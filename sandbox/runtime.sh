#!/bin/sh
# The container runtime of instances on a host with cgroup v1: runc, and then the container's own control group is its
# root's. systemd makes its groups in there; runc does this by itself on cgroup v2 only.
set -eu
PATH=${PATH:-/usr/local/sbin:/usr/local/bin}:/usr/sbin:/usr/bin:/sbin:/bin
groups=/sys/fs/cgroup/systemd

case " $* " in
*" create "*) ;;
*) exec runc "$@" ;;
esac

runc "$@"

while [ "$1" != --pid-file ]; do
    shift
done
# Created, not started: systemd is not there yet, what it will run in is.
process=/proc/$(cat "$2")
group=$(sed -n 's/^[0-9]*:name=systemd:\(..*\)/\1/p' "$process/cgroup")
if [ -n "$group" ]; then
    user=$(awk '$1 == 0 { print $2 }' "$process/uid_map")
    chown "$user:$user" "$groups$group" "$groups$group/cgroup.procs" "$groups$group/tasks"
fi
