"""Instances and networks on real podman: what an operator sees of a server, and what is left behind."""

from __future__ import annotations

import dataclasses
import ipaddress
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from sandbox import containers, networks, packet_filter
from sandbox.errors import SandboxError
from tests.sandbox import machine
from tests.sandbox.machine import Place, accept, inside

PROJECT = Path(containers.__file__).parents[1]
SECRET = "a-line-only-for-root"


@dataclass(frozen=True)
class Server:
    """A booted instance and how to get at it."""

    place: Place
    name: str
    public: str
    host_key: str

    def ssh(self, *command: str) -> str:
        return machine.ssh(self.place, self.public, *command, host_key=self.host_key)


@pytest.fixture(scope="module")
def server(place: Place) -> Iterator[Server]:
    host_key = Ed25519PrivateKey.generate()
    private = host_key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
    ).decode()
    public = (
        host_key.public_key()
        .public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
        .decode()
    )
    user_data = {
        "ssh_keys": {"ed25519_private": private, "ed25519_public": public},
        "write_files": [{"path": "/root/secret", "content": SECRET, "permissions": "0600"}],
        "runcmd": [["sh", "-c", "echo installed > /root/marker; echo said by the bootstrap"]],
    }
    networks.create(place.name("net"), place.labels)
    instance = place.instance("a", "net", b"#cloud-config\n" + yaml.safe_dump(user_data).encode())
    containers.create(instance, place.seeds)
    address = machine.new_public_address()
    machine.guard(place, instance.name, address, [accept(22)], "net")
    containers.start(instance.name)
    machine.wait_for(lambda: machine.booted(instance.name))
    yield Server(place, instance.name, address, public)
    packet_filter.remove(place.table)


def test_cloud_init_has_done_what_user_data_asks(server: Server) -> None:
    assert inside(server.name, "cat", "/root/marker") == "installed\n"
    assert inside(server.name, "hostname") == "host-a\n"
    assert "status: done" in inside(server.name, "cloud-init", "status")
    assert inside(server.name, "cat", "/var/lib/cloud/data/instance-id").strip() == f"i-{server.place.mark}-a"
    assert inside(server.name, "systemctl", "is-system-running") == "running\n"


def test_root_logs_in_with_the_key_and_meets_the_pinned_host_key(server: Server) -> None:
    assert server.ssh("id", "-un") == "root\n"


def test_the_seed_is_for_root_alone_and_read_only(server: Server) -> None:
    seed = server.place.seeds / server.name
    assert SECRET in (seed / "nocloud/user-data").read_text()
    assert stat.S_IMODE(seed.stat().st_mode) == 0o700

    inspected = subprocess.run(
        ["podman", "inspect", server.name], capture_output=True, text=True, check=True
    ).stdout
    assert SECRET not in inspected
    refused = subprocess.run(
        ["podman", "exec", server.name, "touch", "/var/lib/cloud/seed/nocloud/user-data"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Read-only file system" in refused.stderr


def test_packages_come_from_this_machines_mirror_by_its_name_servers(server: Server) -> None:
    here = [
        line for line in Path("/etc/resolv.conf").read_text().splitlines() if line.startswith("nameserver")
    ]
    there = inside(server.name, "cat", "/etc/resolv.conf").splitlines()
    assert [line for line in there if line.startswith("nameserver")] == here

    # -q=1: without it apt takes a mirror that does not answer for a warning.
    assert "Reading package lists" in inside(
        server.name, "apt-get", "-o", "APT::Update::Error-Mode=any", "update"
    )


def test_certificates_of_this_machine_are_trusted(server: Server) -> None:
    bundle = "/etc/ssl/certs/ca-certificates.crt"
    assert inside(server.name, "cat", bundle) == Path(bundle).read_text()
    # What Python and OpenSSL take when nobody tells them.
    assert inside(
        server.name, "sh", "-c", "cat $(openssl version -d | cut -d'\"' -f2)/cert.pem | wc -c"
    ) == inside(server.name, "sh", "-c", f"wc -c < {bundle}")


def test_the_log_shows_the_journal_and_what_cloud_init_printed(server: Server) -> None:
    inside(server.name, "logger", "a line for the journal")

    shown = containers.logs(server.name, 40)

    assert "a line for the journal" in shown
    assert "said by the bootstrap" in shown
    assert containers.logs(server.place.name("nobody"), 40) == ""


def test_a_reboot_keeps_disk_address_and_rules(server: Server) -> None:
    address = containers.private_address(server.name)
    inside(server.name, "sh", "-c", "echo kept > /root/kept")

    containers.reboot(server.name)

    assert containers.state(server.name) == "running"
    assert containers.private_address(server.name) == address
    machine.wait_for(lambda: machine.tcp_open(server.public, 22))
    assert server.ssh("cat", "/root/kept", "/root/marker") == "kept\ninstalled\n"
    assert address in server.ssh("ip", "-brief", "address")


def test_a_reboot_asked_for_inside(server: Server) -> None:
    machine.wait_for(lambda: machine.booted(server.name))
    started = machine.started_at(server.name)

    inside(server.name, "systemctl", "--no-block", "reboot")

    machine.wait_for(lambda: machine.started_at(server.name) > started)
    machine.wait_for(lambda: machine.tcp_open(server.public, 22))
    assert server.ssh("cat", "/root/marker") == "installed\n"


def test_stop_shuts_down_cleanly_and_start_puts_back_what_a_reboot_of_this_machine_takes(
    server: Server,
) -> None:
    interface = networks.bridge(server.place.name("net")).interface
    machine.wait_for(lambda: machine.booted(server.name))
    inside(server.name, "sh", "-c", "echo flushed > /root/flushed")

    containers.stop(server.name)
    containers.stop(server.name)
    packet_filter.remove(server.place.table)

    assert containers.state(server.name) == "stopped"
    # Not 137: systemd ended by itself and was not killed.
    assert machine.inspect(server.name, "{{.State.ExitCode}}") == "0"
    assert not Path(f"/sys/class/net/{interface}").exists()
    assert "said by the bootstrap" in containers.logs(server.name, 400)

    containers.start(server.name)
    containers.start(server.name)
    machine.guard(server.place, server.name, server.public, [accept(22)], "net")

    machine.wait_for(lambda: machine.tcp_open(server.public, 22))
    assert server.ssh("cat", "/root/flushed") == "flushed\n"


def test_a_unit_whose_main_process_is_killed_is_up_again(server: Server) -> None:
    """What the main process leaves is killed and seen to be gone, as on a server, not waited for until a timeout."""
    unit = ("-p", "KillMode=mixed", "-p", "Restart=on-failure", "-p", "TimeoutStopSec=infinity")
    children = "sleep 4711 & sleep 4712 & wait"
    inside(server.name, "systemd-run", "--quiet", "--unit=family", *unit, "sh", "-c", children)
    main = inside(server.name, "systemctl", "show", "--property=MainPID", "--value", "family")

    inside(server.name, "kill", "-9", main.strip())

    machine.wait_for(lambda: inside(server.name, *_state_of("family")) == "active 1\n")
    assert inside(server.name, "pgrep", "--count", "--full", "^sleep 471") == "2\n"
    inside(server.name, "systemctl", "stop", "family")
    assert "compat systemd cgroup" not in inside(server.name, "journalctl", "--quiet")


def _state_of(unit: str) -> tuple[str, ...]:
    show = f"systemctl show --property=ActiveState,NRestarts --value {unit}"
    return ("sh", "-c", f"{show} | sort --reverse | paste --serial --delimiters=' '")


def test_shut_down_inside_it_stays_down(server: Server) -> None:
    inside(server.name, "systemctl", "--no-block", "poweroff")

    machine.wait_for(lambda: containers.state(server.name) == "stopped")
    containers.start(server.name)
    assert containers.state(server.name) == "running"


@pytest.fixture
def spare(place: Place) -> Iterator[Place]:
    """The place with a second network, for instances that a test makes and leaves."""
    networks.create(place.name("spare"), place.labels)
    yield place
    for name in containers.owned(machine.LABEL, place.mark):
        if machine.inspect(name, "{{json .NetworkSettings.Networks}}").find(place.name("spare")) >= 0:
            containers.remove(name, place.seeds)
    networks.remove(place.name("spare"))


def test_instances_reach_one_another_in_their_network_alone(server: Server, spare: Place) -> None:
    for part in ("b", "c"):
        containers.create(spare.instance(part, "spare"), spare.seeds)
        containers.start(spare.name(part))
    bridges = [networks.bridge(spare.name(network)) for network in ("net", "spare")]
    guarded = packet_filter.Guarded(server.public, containers.private_address(server.name), (accept(22),))
    packet_filter.apply(spare.table, [guarded], bridges)
    machine.start_echo(spare.name("b"))
    address = containers.private_address(spare.name("b"))
    ask = f"import socket; socket.create_connection(('{address}', 80), {machine.PATIENCE})"

    inside(spare.name("c"), "python3", "-c", ask)

    with pytest.raises(subprocess.CalledProcessError) as failed:
        inside(server.name, "python3", "-c", ask)
    assert "TimeoutError" in failed.value.stderr


def test_an_instance_does_not_reach_loopback_services_of_this_machine(server: Server) -> None:
    machine.guard(server.place, server.name, server.public, [accept(22)], "net")
    gateway = inside(server.name, "ip", "route", "show", "default").split()[2]
    port = 47110

    with machine.listening("127.0.0.3", port) as arrived:
        assert machine.tcp_open("127.0.0.3", port)
        machine.wait_for(lambda: arrived != [])
        arrived.clear()
        # As root of the container could with more capabilities: a route to the machine's loopback over the bridge.
        machine.with_network_of(server.name, "ip", "address", "del", "127.0.0.1/8", "dev", "lo")
        machine.with_network_of(
            server.name, "sh", "-c", "echo 1 > /proc/sys/net/ipv4/conf/eth0/route_localnet"
        )
        machine.with_network_of(server.name, "ip", "route", "add", "127.0.0.3/32", "via", gateway)
        machine.with_network_of(
            server.name,
            "python3",
            "-c",
            f"import socket; socket.socket().connect_ex(('{gateway}', {port}))\n"
            f"stream = socket.socket(); stream.settimeout({machine.PATIENCE})\n"
            f"stream.connect_ex(('127.0.0.3', {port}))",
        )
        assert arrived == []


def test_create_again_replaces_what_a_killed_run_left(spare: Place) -> None:
    first = spare.instance("again", "spare", b"#cloud-config\n{}\n")
    containers.create(first, spare.seeds)
    second = dataclasses.replace(first, user_data=b"#cloud-config\nruncmd: [[touch, /root/second]]\n")

    containers.create(second, spare.seeds)

    assert containers.state(first.name) == "stopped"
    assert containers.owned(machine.LABEL, spare.mark).count(first.name) == 1
    assert (spare.seeds / first.name / "nocloud/user-data").read_bytes() == second.user_data


def test_each_instance_has_an_address_of_its_own(spare: Place) -> None:
    subnet = ipaddress.ip_network(networks.bridge(spare.name("spare")).subnet)
    for part in ("d", "e"):
        containers.create(spare.instance(part, "spare"), spare.seeds)

    first, second = (containers.private_address(spare.name(part)) for part in ("d", "e"))

    assert first != second
    assert {ipaddress.ip_address(first), ipaddress.ip_address(second)} <= set(subnet.hosts())


@pytest.mark.parametrize("pause", [0.1, 0.15, 0.2])
def test_a_run_killed_while_it_starts_an_instance_is_continued(spare: Place, pause: float) -> None:
    """All of the run's processes are killed, as by a closed terminal."""
    instance = spare.instance("cut", "spare")
    containers.create(instance, spare.seeds)
    program = f"from sandbox import containers; print('go', flush=True); containers.start({instance.name!r})"
    with subprocess.Popen(
        [sys.executable, "-c", program], cwd=PROJECT, stdout=subprocess.PIPE, start_new_session=True
    ) as run:
        assert run.stdout
        run.stdout.readline()
        time.sleep(pause)
        os.killpg(run.pid, signal.SIGKILL)

    containers.start(instance.name)
    assert containers.private_address(instance.name) in inside(instance.name, "ip", "-brief", "address")

    containers.create(instance, spare.seeds)
    containers.start(instance.name)
    assert containers.state(instance.name) == "running"


def test_limits(spare: Place) -> None:
    limited = dataclasses.replace(spare.instance("small", "spare"), memory_mib=256, cpus=0.5)

    containers.create(limited, spare.seeds)

    assert (
        machine.inspect(limited.name, "{{.HostConfig.Memory}} {{.HostConfig.NanoCpus}}")
        == "268435456 500000000"
    )


def test_remove_leaves_nothing_and_may_be_repeated(spare: Place) -> None:
    instance = spare.instance("gone", "spare")
    containers.create(instance, spare.seeds)
    containers.start(instance.name)

    containers.remove(instance.name)
    containers.remove(instance.name)

    assert containers.state(instance.name) == "absent"
    assert instance.name not in containers.owned(machine.LABEL, spare.mark)
    assert not (spare.seeds / instance.name).exists()


def test_remove_clears_a_seed_whose_instance_was_never_made(spare: Place) -> None:
    left = spare.seeds / spare.name("half") / "nocloud"
    left.mkdir(parents=True)
    (left / "user-data").write_text(SECRET)

    containers.remove(spare.name("half"), spare.seeds)

    assert not left.parent.exists()


def test_networks_are_found_by_their_label_and_go_once_they_are_empty(place: Place) -> None:
    name = place.name("brief")
    networks.create(name, place.labels)
    networks.create(name, place.labels)
    assert name in networks.owned(machine.LABEL, place.mark)
    assert networks.owned(machine.LABEL, "nobody") == []

    networks.remove(name)
    networks.remove(name)

    assert name not in networks.owned(machine.LABEL, place.mark)


def test_a_network_in_use_is_not_removed(spare: Place) -> None:
    containers.create(spare.instance("holder", "spare"), spare.seeds)

    with pytest.raises(SandboxError, match=r"in use|associated"):
        networks.remove(spare.name("spare"))


def test_errors_name_the_instance_what_podman_said_and_what_to_do(spare: Place) -> None:
    name = spare.name("nobody")
    with pytest.raises(SandboxError, match=rf"(?s)start the instance {name}.*no such container.*podman ps"):
        containers.start(name)
    with pytest.raises(SandboxError, match=f"no instance {name}"):
        containers.private_address(name)
    broken = dataclasses.replace(spare.instance("broken", "spare"), image="localhost/not-there:1")
    with pytest.raises(SandboxError, match=r"(?s)create the instance .*not-there"):
        containers.create(broken, spare.seeds)
    assert containers.state(broken.name) == "absent"
    containers.remove(broken.name, spare.seeds)
