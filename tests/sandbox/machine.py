"""An instance for the tests: booted once, with listeners, and what a caller on this machine sees of it."""

from __future__ import annotations

import contextlib
import secrets
import socket
import socketserver
import struct
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from sandbox import containers, networks, packet_filter
from sandbox.containers import Instance
from sandbox.packet_filter import Guarded, Rule

LABEL = "flask-on-ecs.sandbox"
# Long enough for a connection on this machine, short of the second after which a dropped SYN is sent again.
PATIENCE = 0.7
EVERYONE = "127.0.0.0/8"

# Answers each TCP line and each UDP packet with itself, on the ports the tests ask.
ECHO = """
import socketserver
class Tcp(socketserver.StreamRequestHandler):
    def handle(self):
        for line in self.rfile:
            self.wfile.write(line)
            self.wfile.flush()
class Udp(socketserver.DatagramRequestHandler):
    def handle(self):
        self.wfile.write(self.rfile.read())
import threading
socketserver.ThreadingTCPServer.allow_reuse_address = True
for port in (80, 8001, 8002, 8003):
    threading.Thread(target=socketserver.ThreadingTCPServer(("", port), Tcp).serve_forever).start()
threading.Thread(target=socketserver.ThreadingUDPServer(("", 5353), Udp).serve_forever).start()
"""


@dataclass(frozen=True)
class Place:
    """Names that no other run on this machine has."""

    mark: str
    folder: Path
    image: str
    key: Path

    @property
    def labels(self) -> dict[str, str]:
        return {LABEL: self.mark}

    @property
    def seeds(self) -> Path:
        return self.folder / "seeds"

    @property
    def table(self) -> str:
        return f"flask_test_{self.mark}"

    def name(self, part: str) -> str:
        return f"flask-test-{self.mark}-{part}"

    def instance(self, part: str, network: str, user_data: bytes = b"#cloud-config\n{}\n") -> Instance:
        return Instance(
            name=self.name(part),
            image=self.image,
            network=self.name(network),
            user_data=user_data,
            instance_id=f"i-{self.mark}-{part}",
            hostname=f"host-{part}",
            public_keys=(self.key.with_suffix(".pub").read_text().strip(),),
            labels=self.labels,
        )

    def clear(self) -> None:
        for container in containers.owned(LABEL, self.mark):
            containers.remove(container, self.seeds)
        packet_filter.remove(self.table)
        for network in networks.owned(LABEL, self.mark):
            networks.remove(network)


def new_place(folder: Path, image: str) -> Place:
    key = folder / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    return Place(secrets.token_hex(4), folder, image, key)


def new_public_address() -> str:
    """In a range of the tests' own, so that deployed sandboxes (127.0.42.0/24) are left alone."""
    return f"127.0.{43 + secrets.randbelow(100)}.{1 + secrets.randbelow(250)}"


def inside(name: str, *command: str) -> str:
    return subprocess.run(
        ["podman", "exec", name, *command], capture_output=True, text=True, check=True
    ).stdout


def start_echo(name: str) -> None:
    """As a unit of its own: what `podman exec` starts would hold up a shutdown."""
    inside(name, "systemd-run", "--quiet", "--unit=echo", "python3", "-c", ECHO)
    wait_for(lambda: "8003" in inside(name, "ss", "--listening", "--tcp", "--numeric"))


def wait_for(ready: Callable[[], bool], seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < end, "not ready in time"
        time.sleep(0.1)


def booted(name: str) -> bool:
    """Whether cloud-init is through."""
    command = ["podman", "exec", name, "test", "-f", "/run/cloud-init/result.json"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def connection(address: str, port: int, source: str = "127.0.0.1") -> socket.socket:
    stream = socket.create_connection((address, port), PATIENCE, source_address=(source, 0))
    stream.settimeout(PATIENCE)
    return stream


def echoed(stream: socket.socket) -> bool:
    stream.sendall(b"ping\n")
    return stream.recv(16) == b"ping\n"


def tcp(address: str, port: int, source: str = "127.0.0.1") -> bool:
    """Whether a TCP connection is made and answered; False when nothing comes back at all."""
    try:
        with connection(address, port, source) as stream:
            return echoed(stream)
    except TimeoutError:
        return False


def udp(address: str, port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.settimeout(PATIENCE)
        with contextlib.suppress(TimeoutError, PermissionError):
            sender.sendto(b"ping", (address, port))
            return sender.recv(16) == b"ping"
    return False


def pinged(address: str) -> bool:
    """Whether one ICMP echo request is answered by `address`."""
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as sender:
        sender.settimeout(PATIENCE)
        head = struct.pack("!BBHHH", 8, 0, 0, 4711, 1)
        packet = head[:2] + struct.pack("!H", 0xFFFF - sum(struct.unpack("!4H", head))) + head[4:]
        end = time.monotonic() + PATIENCE
        with contextlib.suppress(TimeoutError, PermissionError):
            sender.sendto(packet, (address, 0))
            while time.monotonic() < end:
                answer, (origin, _) = sender.recvfrom(256)
                if origin == address and answer[20] == 0:
                    return True
    return False


def ssh(place: Place, address: str, *command: str, host_key: str | None = None) -> str:
    """Run a command on the instance as root; with `host_key` (type and key) nobody else is believed."""
    known = place.folder / "known_hosts"
    known.write_text(f"{address} {host_key}\n" if host_key else "")
    return subprocess.run(
        [
            *(
                "ssh",
                "-F",
                "none",
                "-i",
                str(place.key),
                "-o",
                f"UserKnownHostsFile={known}",
                "-o",
                "BatchMode=yes",
            ),
            *("-o", f"StrictHostKeyChecking={'yes' if host_key else 'no'}", "-o", "ConnectTimeout=3"),
            *(f"root@{address}", *command),
        ],
        capture_output=True,
        text=True,
        check=True,
    ).stdout


def accept(port: int, last_port: int | None = None, source: str = EVERYONE, priority: int = 1) -> Rule:
    return Rule("tcp", port, last_port or port, source, "accept", priority)


def drop(port: int, source: str = EVERYONE, priority: int = 1) -> Rule:
    return Rule("tcp", port, port, source, "drop", priority)


def guard(place: Place, name: str, public: str, rules: Sequence[Rule], network: str) -> None:
    guarded = Guarded(public, containers.private_address(name), tuple(rules))
    packet_filter.apply(place.table, [guarded], [networks.bridge(place.name(network))])


def tcp_open(address: str, port: int) -> bool:
    """Whether somebody takes the connection."""
    try:
        socket.create_connection((address, port), PATIENCE).close()
    except OSError:
        return False
    return True


@contextlib.contextmanager
def listening(address: str, port: int) -> Iterator[list[str]]:
    """Listen on this machine; what is yielded are the addresses that called."""
    arrived: list[str] = []

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            arrived.append(self.client_address[0])

    with socketserver.ThreadingTCPServer((address, port), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield arrived
        finally:
            server.shutdown()
            thread.join()


def with_network_of(name: str, *command: str) -> None:
    """Run a program of this machine, with all its rights, in the network of an instance."""
    pid = inspect(name, "{{.State.Pid}}")
    subprocess.run(["nsenter", "--target", pid, "--net", *command], check=True)


def inspect(name: str, template: str) -> str:
    command = ["podman", "container", "inspect", name, "--format", template]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def started_at(name: str) -> str:
    return inspect(name, "{{.State.StartedAt.UnixNano}}")
