"""Networks as podman bridges."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sandbox.programs import run, succeeds

# Of which checkout everything on this machine is: .ci/run removes its own alone.
CHECKOUT_LABEL = "flask-on-ecs.sandbox.checkout"
# For a copy of a checkout: the tests make some, and what these leave is the checkout's.
CHECKOUT_VARIABLE = "FLASK_SANDBOX_CHECKOUT"


@dataclass(frozen=True)
class Bridge:
    """A network as this machine's kernel knows it: the name of its bridge and its subnet in CIDR notation."""

    interface: str
    subnet: str


def create(name: str, labels: Mapping[str, str]) -> None:
    """Create the network unless it is there.

    Raises:
        SandboxError: podman could not.
    """
    if succeeds(["podman", "network", "exists", name]):
        return
    # Without podman's own name server: instances ask the servers that this machine asks.
    run(
        ["podman", "network", "create", "--disable-dns", *label_options(labels), name],
        doing=f"create the network {name}",
        advice="Look for a network in its way: podman network ls",
    )


def remove(name: str) -> None:
    """Remove the network if it is there; its instances have to be removed before.

    Raises:
        SandboxError: an instance is still in it, or podman could not.
    """
    if succeeds(["podman", "network", "exists", name]):
        run(
            ["podman", "network", "rm", name],
            doing=f"remove the network {name}",
            advice=f"See what is in it: podman ps -a --filter network={name}",
        )


def bridge(network: str) -> Bridge:
    """Return the bridge of a network, which exists in the kernel only while an instance in it runs.

    Raises:
        SandboxError: there is no such network.
    """
    inspected = run(
        ["podman", "network", "inspect", network],
        doing=f"look at the network {network}",
        advice="Bring the stack up again; it creates its network.",
    )
    facts = json.loads(inspected)[0]
    return Bridge(interface=facts["network_interface"], subnet=facts["subnets"][0]["subnet"])


def owned(label: str, value: str) -> list[str]:
    """Return the names of all networks that carry the label."""
    listed = run(
        ["podman", "network", "ls", "--filter", f"label={label}={value}", "--format", "{{.Name}}"],
        doing="list the sandbox's networks",
        advice="See: podman network ls",
    )
    return sorted(listed.split())


def label_options(labels: Mapping[str, str]) -> list[str]:
    """Podman's options that give a network, or an instance, its labels and that of its checkout."""
    checkout = os.environ.get(CHECKOUT_VARIABLE) or str(Path(__file__).resolve().parents[1])
    all_labels = {**labels, CHECKOUT_LABEL: checkout}
    return [option for key, value in all_labels.items() for option in ("--label", f"{key}={value}")]
