"""Instances as systemd containers.

An instance's private address is fixed when it is created, so that a stop, a start or a reboot of this machine keeps it.
"""

from __future__ import annotations

import fcntl
import ipaddress
import json
import os
import resource
import secrets
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from sandbox import networks, seed, user_namespace
from sandbox.errors import SandboxError
from sandbox.programs import run, succeeds

State = Literal["running", "stopped", "absent"]

# Ours, beside the labels an instance is given: what start, remove and private_address need to know again.
_ADDRESS = "flask-on-ecs.sandbox.address"
_NETWORK = "flask-on-ecs.sandbox.network"
_SEED = "flask-on-ecs.sandbox.seed"
_CLOUD_INIT_OUTPUT = "/var/log/cloud-init-output.log"
_STOP_SECONDS = 20
# podman says that an instance is stopped before its monitor has given the address back.
_STILL_HELD = "is already allocated to container ID"
_START_TRIES = 10
_RETRY = "Run it again; if it fails again, see: podman ps -a"


@dataclass(frozen=True)
class Instance:
    """What an instance is made of.

    `user_data` as cloud-init takes it, at most 32 KiB; `public_keys` as lines of an authorized_keys file, for root;
    `labels` for finding it again with `owned`; `memory_mib` and `cpus` as limits, where the kernel can set them.
    """

    name: str
    image: str
    network: str
    user_data: bytes
    instance_id: str
    hostname: str
    public_keys: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    memory_mib: int | None = None
    cpus: float | None = None


def create(instance: Instance, seeds: Path) -> None:
    """Create the instance, stopped, with its seed in `seeds`/<name>.

    What has its name already (from a run that was killed) is removed first, disk and all.

    Raises:
        SandboxError: no such image or network, or podman could not.
    """
    remove(instance.name, seeds)
    folder = seeds / instance.name
    folder.mkdir(mode=0o700, parents=True)
    mounts = seed.write(
        folder.resolve(), instance.user_data, instance.instance_id, instance.hostname, instance.public_keys
    )
    with _one_at_a_time(seeds):
        address = _free_address(instance.network)
        labels = {
            **instance.labels,
            _ADDRESS: address,
            _NETWORK: instance.network,
            _SEED: str(folder.resolve()),
        }
        run(
            [
                *("podman", "create", "--name", instance.name, "--hostname", instance.hostname),
                *("--network", f"{instance.network}:ip={address}", "--pull", "never"),
                *_system_options(),
                *networks.label_options(labels),
                *_limit_options(instance),
                *(option for mount in mounts for option in ("--volume", mount)),
                *(instance.image, "/lib/systemd/systemd"),
            ],
            doing=f"create the instance {instance.name}",
            advice=_RETRY,
        )


def start(name: str) -> None:
    """Start the instance unless it runs, and let its bridge take what comes from a loopback address.

    Raises:
        SandboxError: there is no such instance, or podman could not.
    """
    for left in reversed(range(_START_TRIES)):
        try:
            run(["podman", "start", name], doing=f"start the instance {name}", advice=_RETRY)
        except SandboxError as error:
            if not left or _STILL_HELD not in str(error):
                raise
            time.sleep(0.5)
        else:
            break
    _admit_loopback(name)


def stop(name: str) -> None:
    """Shut the instance down, as `systemctl poweroff` does; killed after 20 s. One that is stopped stays so.

    Raises:
        SandboxError: there is no such instance, or podman could not.
    """
    run(
        ["podman", "stop", "--time", str(_STOP_SECONDS), name],
        doing=f"stop the instance {name}",
        advice=_RETRY,
    )


def reboot(name: str) -> None:
    """Shut the instance down and start it again; its disk and its address stay.

    Raises:
        SandboxError: there is no such instance, or podman could not.
    """
    stop(name)
    start(name)


def remove(name: str, seeds: Path | None = None) -> None:
    """Remove the instance with its disk and its seed; nothing happens when it is not there.

    `seeds` finds the seed that a killed `create` has left without an instance.

    Raises:
        SandboxError: podman could not.
    """
    labels = _labels(name)
    left = [Path(labels[_SEED])] if labels and _SEED in labels else []
    left += [seeds / name] if seeds else []
    # The seed first: killed in between, the next call still knows both.
    for folder in left:
        if folder.name == name:
            shutil.rmtree(folder, ignore_errors=True)
    run(
        ["podman", "rm", "--force", "--ignore", "--volumes", "--time", "0", name],
        doing=f"remove the instance {name}",
        advice=_RETRY,
    )


def state(name: str) -> State:
    """Return whether the instance runs, is stopped (also: half started), or is not there."""
    facts = _inspect(name)
    if facts is None:
        return "absent"
    return "running" if facts["State"]["Status"] == "running" else "stopped"


def private_address(name: str) -> str:
    """Return the instance's IPv4 address in its network, fixed for its life.

    Raises:
        SandboxError: there is no such instance.
    """
    address = private_address_if_there(name)
    if address is None:
        raise SandboxError(f"There is no instance {name}.\nBring the stack up again to create it.")
    return address


def private_address_if_there(name: str) -> str | None:
    """Return the same, and None when there is no such instance."""
    return (_labels(name) or {}).get(_ADDRESS)


def logs(name: str, lines: int) -> str:
    """Return the last `lines` of the instance's journal and of cloud-init's output, for an error message.

    Of a stopped instance: of its console and of cloud-init's output. "" when there is nothing to read.
    """
    match state(name):
        case "absent":
            return ""
        case "running":
            journal = ["journalctl", "--no-pager", "--quiet", f"--lines={lines}"]
            output = ["tail", f"--lines={lines}", _CLOUD_INIT_OUTPUT]
            return _read(["podman", "exec", name, *journal]) + _read(["podman", "exec", name, *output])
        case "stopped":
            console = _read(["podman", "logs", "--tail", str(lines), name])
            return console + _tail_of_disk(name, _CLOUD_INIT_OUTPUT, lines)


def owned(label: str, value: str) -> list[str]:
    """Return the names of all instances, running or not, that carry the label."""
    listed = run(
        ["podman", "ps", "--all", "--filter", f"label={label}={value}", "--format", "{{.Names}}"],
        doing="list the sandbox's instances",
        advice=_RETRY,
    )
    return sorted(listed.split())


def _system_options() -> list[str]:
    """What lets systemd, sshd and cloud-init run unmodified."""

    def limit(name: str, which: int, most: int) -> list[str]:
        hard = resource.getrlimit(which)[1]
        value = most if hard == resource.RLIM_INFINITY else min(most, hard)
        return ["--ulimit", f"{name}={value}:{value}"]

    return [
        *user_namespace.options(),
        # systemd mounts /dev/shm, as large as on a server. podman's own is mounted on this machine, and at times still
        # is when a container with a user namespace has been killed: it could not be removed then.
        *("--systemd", "always", "--ipc", "none", "--stop-signal", "SIGRTMIN+3"),
        *("--stop-timeout", str(_STOP_SECONDS)),
        # podman's own default is more than this machine may allow, and then nothing starts.
        *limit("nofile", resource.RLIMIT_NOFILE, 65536),
        *limit("nproc", resource.RLIMIT_NPROC, 16384),
        # The console: a file with the container, not lines in this machine's journal.
        *("--log-driver", "k8s-file", "--log-opt", "max-size=1mb"),
    ]


def _limit_options(instance: Instance) -> list[str]:
    options = []
    if instance.memory_mib is not None:
        options += ["--memory", f"{instance.memory_mib}m"]
    if instance.cpus is not None:
        options += ["--cpus", str(instance.cpus)]
    return options


@contextmanager
def _one_at_a_time(folder: Path) -> Iterator[None]:
    """Hold the folder itself locked, which leaves no lock file behind."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _free_address(network: str) -> str:
    """An address of the network that no instance has, nor its gateway.

    Any, not the next: podman may hold back one that belonged to an instance whose start was cut off.
    """
    subnet = ipaddress.ip_network(networks.bridge(network).subnet)
    listed = run(
        ["podman", "ps", "--all", "--filter", f"label={_NETWORK}={network}", "--format", "json"],
        doing=f"list the instances in the network {network}",
        advice=_RETRY,
    )
    taken = {entry["Labels"][_ADDRESS] for entry in json.loads(listed)}
    _gateway, *hosts = map(str, subnet.hosts())
    free = [host for host in hosts if host not in taken]
    if not free:
        raise SandboxError(
            f"The network {network} ({subnet}) is full.\nRemove instances that are no longer needed."
        )
    return secrets.choice(free)


def _admit_loopback(name: str) -> None:
    """Let packets of 127.0.0.0/8 pass the bridge: the public addresses are such, and so are their callers.

    The setting goes with the bridge, which goes with the last running instance of the network.
    """
    labels = _labels(name) or {}
    interface = networks.bridge(labels[_NETWORK]).interface
    setting = Path(f"/proc/sys/net/ipv4/conf/{interface}/route_localnet")
    try:
        setting.write_text("1")
    except OSError as error:
        raise SandboxError(
            f"Could not open the bridge of the instance {name} to loopback addresses: {setting}: {error.strerror}.\n"
            "Run as root on a machine whose /proc/sys can be written."
        ) from error


def _inspect(name: str) -> dict[str, Any] | None:
    try:
        inspected = run(
            ["podman", "container", "inspect", name], doing=f"look at the instance {name}", advice=_RETRY
        )
    except SandboxError:
        # Asked afterwards: what a killed run was removing may be gone by now.
        if succeeds(["podman", "container", "exists", name]):
            raise
        return None
    facts: dict[str, Any] = json.loads(inspected)[0]
    return facts


def _labels(name: str) -> dict[str, str] | None:
    facts = _inspect(name)
    return None if facts is None else dict(facts["Config"]["Labels"] or {})


def _read(command: Sequence[str]) -> str:
    """What the command prints; "" when it fails, since it is asked for an error message already."""
    try:
        return run(command, doing="read an instance's log", advice="")
    except SandboxError:
        return ""


def _tail_of_disk(name: str, file: str, lines: int) -> str:
    """The last lines of a file of an instance that does not run; "" when it is not there."""
    root = _read(["podman", "mount", name]).strip()
    if not root:
        return ""
    try:
        text = Path(root + file).read_text(errors="replace")
    except OSError:
        return ""
    finally:
        _read(["podman", "unmount", name])
    return "\n".join(text.splitlines()[-lines:]) + "\n"
