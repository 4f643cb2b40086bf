"""The root of an instance, who may mount and confine, may do nothing to this machine."""

from __future__ import annotations

import contextlib
import subprocess
from pathlib import Path

import pytest

from sandbox import containers, networks, user_namespace
from tests.sandbox import machine
from tests.sandbox.machine import Place, inside


@pytest.fixture(scope="module")
def instance(place: Place) -> str:
    networks.create(place.name("net"), place.labels)
    containers.create(place.instance("a", "net"), place.seeds)
    containers.start(place.name("a"))
    machine.wait_for(lambda: machine.booted(place.name("a")))
    return place.name("a")


def refused(name: str, script: str) -> str:
    """What the instance's root was told when it tried; it has to fail."""
    done = subprocess.run(
        ["podman", "exec", name, "sh", "-c", script], capture_output=True, text=True, check=False
    )
    assert done.returncode != 0, done.stdout
    return done.stderr.lower()


def owners(name: str) -> set[int]:
    """Who the instance's processes belong to, as this machine sees them."""
    group = f"libpod-{machine.inspect(name, '{{.Id}}')}"
    found = set()
    for process in Path("/proc").glob("[0-9]*"):
        # One that has ended meanwhile is nobody's.
        with contextlib.suppress(OSError):
            if group in (process / "cgroup").read_text(encoding="utf-8"):
                found.add(
                    int((process / "status").read_text(encoding="utf-8").split("\nUid:\t")[1].split()[0])
                )
    return found


def test_its_accounts_are_nobody_here(instance: str) -> None:
    assert user_namespace.FIRST_ID in owners(instance)
    assert all(0 <= owner - user_namespace.FIRST_ID < user_namespace.SIZE for owner in owners(instance))


def test_no_account_of_this_machine_is_among_them() -> None:
    ids = [int(line.split(":")[2]) for line in Path("/etc/passwd").read_text(encoding="utf-8").splitlines()]
    assert not [one for one in ids if 0 <= one - user_namespace.FIRST_ID < user_namespace.SIZE]


def test_it_may_mount_what_is_its_own(instance: str) -> None:
    inside(instance, "sh", "-c", "mount -t tmpfs none /mnt && touch /mnt/x && umount /mnt")
    inside(instance, "sh", "-c", "mount -t proc none /mnt && umount /mnt")


def test_units_are_confined(instance: str) -> None:
    inside(instance, "touch", "/tmp/marker")
    said = inside(
        instance,
        *(
            "systemd-run",
            "--quiet",
            "--wait",
            "--pipe",
            "-p",
            "ProtectSystem=strict",
            "-p",
            "PrivateTmp=true",
        ),
        *("sh", "-c", "touch /usr/x /etc/x /srv/x 2>&1; ls /tmp; true"),
    )
    assert said.count("Read-only file system") == 3
    assert "marker" not in said


def test_of_the_control_groups_it_has_its_own_part(instance: str) -> None:
    """Each hierarchy that systemd works with begins at the instance, and nobody else is in it."""
    trees = "for tree in /sys/fs/cgroup /sys/fs/cgroup/systemd /sys/fs/cgroup/unified"
    groups = inside(instance, "sh", "-c", f"{trees}; do test ! -e $tree/cgroup.procs || ls -1 $tree; done")
    assert "init.scope" in groups
    assert "libpod" not in groups
    assert "machine" not in groups
    inits = inside(instance, "sh", "-c", "sed -n 's/^[0-9]*:\\(name=systemd\\)\\?://p' /proc/1/cgroup")
    assert set(inits.split()) == {"/init.scope"}
    # A process of somebody else would have no number here.
    listed = inside(
        instance, "sh", "-c", "find /sys/fs/cgroup -name cgroup.procs -exec cat {} + | sort -n | head -1"
    )
    assert listed.strip() == "1"


@pytest.mark.parametrize(
    "script",
    [
        # The ways out of a container whose root is the machine's and may mount.
        "cd /sys/fs/cgroup/memory; mount -o remount,bind,rw .; echo 1G > memory.limit_in_bytes",
        "cd /sys/fs/cgroup/memory; mount -o remount,bind,rw .; mkdir x",
        "cd /sys/fs/cgroup/devices; mount -o remount,bind,rw .; echo a > devices.allow",
        "mount -t cgroup -o none,name=of-its-own none /mnt",
        "mount -t cgroup -o none,name=systemd,release_agent=/tmp/x none /mnt",
        "echo /tmp/x > /sys/fs/cgroup/systemd/release_agent",
        "mount -t cgroup2 none /mnt; echo 9 > /mnt/cgroup.max.depth",
        "mount -t devtmpfs none /mnt",
        "mount -t sysfs none /mnt && echo 0 > /mnt/kernel/mm/ksm/run",
        "mount -t debugfs none /mnt",
        "mount -t bpf none /mnt && ls /proc/1/root/mnt/x",
        "mount -o remount,rw /sys",
        "mknod /root/disk b 254 0",
        "mknod /root/memory c 1 1",
        "echo x > /proc/sys/kernel/core_pattern",
        "echo 0 > /proc/sys/kernel/randomize_va_space",
        "echo 0 > /proc/sys/fs/protected_symlinks",
        "echo c > /proc/sysrq-trigger",
        "head -c 1 /proc/kcore",
        "dmesg --clear",
        "date --set @0",
        "nsenter --target 1 --user true",
        # What it reads of this machine.
        "mount -o remount,bind,rw /etc/pip.conf; echo x >> /etc/pip.conf",
        "bundle=/etc/ssl/certs/ca-certificates.crt; mount -o remount,bind,rw $bundle; echo x >> $bundle",
    ],
)
def test_what_is_this_machines_is_refused(instance: str, script: str) -> None:
    said = refused(instance, script)
    assert any(
        word in said
        for word in (
            "permission denied",
            "not permitted",
            "read-only",
            "directory nonexistent",
            "no such",
            "invalid",
            # mount's words for an option that is.
            "wrong fs type",
        )
    ), said


def test_a_file_of_this_machines_root_alone_is_a_copy_that_is_the_instances(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = tmp_path / "key.pem"
    key.write_text("a client's key")
    key.chmod(0o600)
    monkeypatch.setenv("PIP_CLIENT_CERT", str(key))
    networks.create(place.name("net"), place.labels)
    containers.create(place.instance("key", "net"), place.seeds)
    containers.start(place.name("key"))
    assert "a client's key" in inside(place.name("key"), "sh", "-c", "cat /mnt/pip/*-key.pem")
    inside(place.name("key"), "sh", "-c", "echo changed > /mnt/pip/*-key.pem || true")
    assert key.read_text() == "a client's key"
    containers.remove(place.name("key"), place.seeds)
