#!/bin/sh
# Run by mmdebstrap on the new root folder ($1): makes of an installed system one that boots as a container, fast.
set -eu
root=$1

# Each instance is a machine of its own: its keys come from cloud-init, its id from podman.
rm -f "$root"/etc/ssh/ssh_host_*
: > "$root/etc/machine-id"
rm -f "$root/var/lib/dbus/machine-id"

# Python and OpenSSL look here before the folder of single certificates; curl and apt know the bundle already.
ln -sf /etc/ssl/certs/ca-certificates.crt "$root/usr/lib/ssl/cert.pem"

sed -i 's/^# *\(en_US.UTF-8 UTF-8\)/\1/' "$root/etc/locale.gen"
chroot "$root" locale-gen >/dev/null

# No terminals, no hardware, no network set-up (podman did it), nothing that runs at an hour of its own choosing.
chroot "$root" systemctl mask --quiet \
    getty.target console-getty.service systemd-firstboot.service \
    systemd-udevd.service systemd-udev-trigger.service systemd-udev-settle.service \
    systemd-udevd-control.socket systemd-udevd-kernel.socket systemd-modules-load.service \
    systemd-networkd.service systemd-networkd.socket systemd-networkd-wait-online.service \
    systemd-remount-fs.service systemd-binfmt.service proc-sys-fs-binfmt_misc.automount systemd-pstore.service \
    dev-hugepages.mount dev-mqueue.mount sys-fs-fuse-connections.mount \
    sys-kernel-config.mount sys-kernel-debug.mount sys-kernel-tracing.mount \
    apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer e2scrub_reap.service fstrim.timer \
    cloud-init-hotplugd.socket

# Nobody runs units of their own here, and on a host with cgroup v1 a user manager's end goes unnoticed:
# shutting down would wait for it until it is killed.
chroot "$root" systemctl mask --quiet user@.service
