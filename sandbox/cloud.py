"""The cloud of a sandbox: networks, security groups, key pairs and instances on this machine.

It checks what the real API checks (a rule needs its group, an instance its image, key and vswitch) and answers what the
real provider answers. What it holds is kept in cloud.json beside the stack's state: the stack's record may be behind
when a run was killed, so each call can meet what it made before.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import ipaddress
import json
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sandbox import api_refusals, containers, networks, packet_filter
from sandbox.errors import SandboxError
from sandbox.image import base_image
from sandbox.inventory import Inventory
from sandbox.programs import run

LABEL = "flask-on-ecs.sandbox"
# For runs beside each other, such as the tests beside a deployed stack: another folder, other addresses.
FOLDER_VARIABLE = "FLASK_SANDBOX"
ADDRESSES_VARIABLE = "FLASK_SANDBOX_ADDRESSES"
ADDRESS_LABEL = "flask-on-ecs.sandbox.public-address"
DEFAULT_ADDRESSES = ipaddress.IPv4Network("127.0.42.0/24")
IMAGE_ID = "debian_12_sandbox_x64_alibase.vhd"
Say = Callable[[str], None]


@dataclass(frozen=True)
class Place:
    """Where a sandbox keeps itself: its folder, and the public addresses it may give out."""

    folder: Path
    addresses: ipaddress.IPv4Network = DEFAULT_ADDRESSES

    @property
    def mark(self) -> str:
        """Eight hex digits that tell this sandbox's containers, networks and rules from another's."""
        return hashlib.sha256(str(self.folder.resolve()).encode()).hexdigest()[:8]


class Cloud:
    """One sandbox's cloud. Several threads, and several processes, may use it at once."""

    def __init__(self, place: Place, region: str) -> None:
        self._place = place
        self._region = region
        self._inventory = Inventory(place.folder / "cloud.json")

    # Data sources

    def zones(self) -> list[str]:
        """Return the ids of the region's zones."""
        return [f"{self._region}-{letter}" for letter in "hij"]

    def images(self, name_regex: str, image_id: str | None = None) -> list[str]:
        """Return the ids of public images whose name matches, or of the one that is named.

        Raises:
            SandboxError: the expression asks for a system that the sandbox does not have.
        """
        if image_id is not None:
            return [image_id] if image_id == IMAGE_ID else []
        if not re.search(name_regex, IMAGE_ID.replace("sandbox", "0")):
            raise SandboxError(
                f"the sandbox boots Debian 12 only, and the image asked for is {name_regex};"
                " set os to debian12 in this stack's configuration"
            )
        return [IMAGE_ID]

    def has(self, kind: str, thing_id: str) -> bool:
        """Tell whether there is a thing of the kind ("networks", "keys", …)."""
        return thing_id in self._inventory.things[kind]

    def instances(self, name_regex: str) -> list[tuple[str, str]]:
        """Return id and name of each instance whose name matches."""
        return [
            (instance_id, instance["name"])
            for instance_id, instance in self._inventory.things["instances"].items()
            if re.search(name_regex, instance["name"])
        ]

    def rules(self, group_id: str) -> list[packet_filter.Rule]:
        """Return the rules of a security group."""
        rules = self._get("groups", group_id, "security group")["rules"].values()
        return [packet_filter.Rule(**rule) for rule in rules]

    def vswitch(self, vswitch_id: str) -> dict[str, Any] | None:
        """Return what the cloud knows of a vswitch, None when it has none of this id."""
        found: dict[str, Any] | None = self._inventory.things["vswitches"].get(vswitch_id)
        return found

    # Networks

    def create_network(self, network_id: str, cidr: str) -> None:
        """Make a VPC."""
        networks.create(self._container_name(network_id), self._labels())
        self._inventory.put("networks", network_id, {"cidr": cidr})

    def modify_network(self, network_id: str, cidr: str) -> None:
        """Give a VPC another address range; vswitches that are there keep theirs."""
        self._get("networks", network_id, "VPC")
        self._inventory.put("networks", network_id, {"cidr": cidr})

    def delete_network(self, network_id: str) -> None:
        """Remove a VPC; it must be empty."""
        self._unused("VPC", network_id, ("vswitches", "network"), ("groups", "network"))
        # At once: whoever sets the rules meanwhile looks at each network that is known.
        with self._inventory as things:
            networks.remove(self._container_name(network_id))
            self._inventory.drop("networks", network_id)
            if not things["networks"]:
                packet_filter.remove(self._table)

    def create_vswitch(self, vswitch_id: str, network_id: str, cidr: str, zone: str) -> None:
        """Make a vswitch in a VPC."""
        network = self._get("networks", network_id, "VPC")
        if not ipaddress.IPv4Network(cidr).subnet_of(ipaddress.IPv4Network(network["cidr"])):
            raise SandboxError(f"the vswitch's {cidr} lies outside of its VPC's {network['cidr']}")
        if zone not in self.zones():
            raise SandboxError(f"there is no zone {zone} in {self._region}; it has {', '.join(self.zones())}")
        self._inventory.put("vswitches", vswitch_id, {"network": network_id, "cidr": cidr, "zone": zone})

    def delete_vswitch(self, vswitch_id: str) -> None:
        """Remove a vswitch; no instance may stand in it."""
        self._unused("vswitch", vswitch_id, ("instances", "vswitch"))
        self._inventory.drop("vswitches", vswitch_id)

    # Security groups

    def create_group(self, group_id: str, network_id: str) -> None:
        """Make a security group, which lets nothing in."""
        self._get("networks", network_id, "VPC")
        self._inventory.put("groups", group_id, {"network": network_id, "rules": {}})

    def delete_group(self, group_id: str) -> None:
        """Remove a security group; no instance may be in it."""
        self._unused("security group", group_id, ("instances", "group"))
        self._inventory.drop("groups", group_id)

    def authorize(self, group_id: str, rule_id: str, rule: packet_filter.Rule) -> None:
        """Add a rule to a security group, at work when this returns."""
        with self._inventory:
            self._get("groups", group_id, "security group")["rules"][rule_id] = vars(rule)
            self._inventory.write()
            self._apply_rules()

    def revoke(self, group_id: str, rule_id: str) -> None:
        """Take a rule out of a security group, if it is there."""
        with self._inventory:
            if group_id in self._inventory.things["groups"]:
                self._inventory.things["groups"][group_id]["rules"].pop(rule_id, None)
                self._inventory.write()
                self._apply_rules()

    def allows(self, group_id: str, rule_id: str) -> bool:
        """Tell whether a security group has the rule."""
        return rule_id in self._inventory.things["groups"].get(group_id, {"rules": {}})["rules"]

    # Key pairs

    def import_key(self, name: str, public_key: str) -> str:
        """Keep a public key under a name; return its fingerprint."""
        api_refusals.key_pair(name, public_key)
        if (
            self._inventory.things["keys"].get(name, {"public_key": public_key.strip()})["public_key"]
            != public_key.strip()
        ):
            api_refusals.key_pair_taken(name)
        self._inventory.put("keys", name, {"public_key": public_key.strip()})
        return hashlib.md5(public_key.encode(), usedforsecurity=False).hexdigest()

    def delete_key(self, name: str) -> None:
        """Remove a key pair; no instance may use it."""
        for instance_id, instance in self._inventory.things["instances"].items():
            if instance["key"] == name:
                api_refusals.key_pair_attached(name, instance_id)
        self._inventory.drop("keys", name)

    # Instances

    def run_instance(
        self, instance_id: str, *, name: str, image: str, vswitch: str, group: str, key: str,
        user_data: str, public: bool, say: Say,
    ) -> dict[str, str]:  # fmt: skip
        """Start an instance with base64 user data; return `publicIp` ("" when not `public`) and `primaryIpAddress`."""
        if image != IMAGE_ID:
            raise SandboxError(
                f"InvalidImageId.NotFound: the sandbox has no image {image}; it has {IMAGE_ID}. Leave imageId unset."
            )
        data = api_refusals.user_data(user_data)
        network = self._get("vswitches", vswitch, "vswitch")["network"]
        if self._get("groups", group, "security group")["network"] != network:
            raise SandboxError(f"security group {group} and vswitch {vswitch} are not in the same VPC")
        public_key = self._get("keys", key, "key pair")["public_key"]
        base = base_image(say)
        container = self._container_name(instance_id)
        known = self._inventory.things["instances"].get(instance_id, {})
        with self._address(known.get("address"), wanted=public) as address:
            # Noted before the container is there: a killed run's address and container are found again.
            self._inventory.put(
                "instances",
                instance_id,
                {
                    "name": name,
                    "vswitch": vswitch,
                    "group": group,
                    "key": key,
                    "address": address,
                    "container": container,
                },
            )
            containers.create(
                containers.Instance(
                    name=container,
                    image=base,
                    network=self._container_name(network),
                    user_data=data,
                    instance_id=instance_id,
                    hostname=instance_id,
                    public_keys=(public_key,),
                    labels={**self._labels(), ADDRESS_LABEL: address},
                ),
                self._seeds,
            )
        # Guarded before it runs: there is no moment at which more is reachable than the rules say.
        self._apply_rules()
        containers.start(container)
        return {"publicIp": address, "primaryIpAddress": containers.private_address(container)}

    def instance_status(self, instance_id: str) -> str | None:
        """Return Running or Stopped, None when there is no such instance."""
        instance = self._inventory.things["instances"].get(instance_id)
        states = {"running": "Running", "stopped": "Stopped", "absent": None}
        return states[containers.state(instance["container"])] if instance else None

    def start_instance(self, instance_id: str) -> None:
        """Start an instance that was stopped."""
        containers.start(self._get("instances", instance_id, "instance")["container"])

    def stop_instance(self, instance_id: str) -> None:
        """Shut an instance down; its disk and its address stay."""
        containers.stop(self._get("instances", instance_id, "instance")["container"])

    def reboot_instance(self, instance_id: str) -> None:
        """Stop an instance and start it again, as the provider does for another type or key pair."""
        containers.reboot(self._get("instances", instance_id, "instance")["container"])

    def modify_instance(self, instance_id: str, *, vswitch: str, group: str, key: str) -> None:
        """Give an instance another vswitch, security group or key pair."""
        self._get("vswitches", vswitch, "vswitch")
        public_key = self._get("keys", key, "key pair")["public_key"]
        self._get("groups", group, "security group")
        instance = self._get("instances", instance_id, "instance")
        if instance["key"] != key:
            # On ECS the reboot that a new key pair brings does this. One that is stopped gets it at its start.
            run(
                [
                    "podman",
                    "exec",
                    "--interactive",
                    instance["container"],
                    "tee",
                    "/root/.ssh/authorized_keys",
                ],
                stdin=public_key + "\n",
                doing=f"give {instance_id} its new key",
                advice="Is the instance running? See: podman ps",
            )
        self._inventory.put("instances", instance_id, {"vswitch": vswitch, "group": group, "key": key})
        self._apply_rules()

    def delete_instance(self, instance_id: str) -> None:
        """Stop an instance and remove it with its disk; nothing happens when there is none."""
        with self._inventory:
            instance = self._inventory.things["instances"].get(instance_id)
        if instance:
            containers.remove(instance["container"], self._seeds)
            self._inventory.drop("instances", instance_id)
            self._apply_rules()

    def resume(self) -> list[str]:
        """Start what a reboot of this machine stopped; return the ids of instances whose container is gone."""
        lost = []
        for instance_id, instance in self._inventory.things["instances"].items():
            match containers.state(instance["container"]):
                case "stopped":
                    containers.start(instance["container"])
                    _wait_until_booted(instance["container"])
                case "absent":
                    lost.append(instance_id)
                case _:
                    pass
        self._apply_rules()
        return lost

    def remove_everything(self) -> None:
        """Remove each container, network and rule of this sandbox, known to the records or not."""
        for container in containers.owned(LABEL, self._place.mark):
            containers.remove(container, self._seeds)
        packet_filter.remove(self._table)
        for network in networks.owned(LABEL, self._place.mark):
            networks.remove(network)

    # Inner parts

    @property
    def _table(self) -> str:
        return f"flask_{self._place.mark}"

    @property
    def _seeds(self) -> Path:
        return self._place.folder / "seeds"

    def _labels(self) -> dict[str, str]:
        return {LABEL: self._place.mark}

    def _container_name(self, thing_id: str) -> str:
        return f"flask-{self._place.mark}-{thing_id}"

    def _apply_rules(self) -> None:
        with self._inventory:
            guarded = []
            for instance in self._inventory.things["instances"].values():
                # Asked once: it may be removed by another thread at any time.
                private_address = containers.private_address_if_there(instance["container"])
                if not instance["address"] or private_address is None:
                    continue
                rules = self._inventory.things["groups"][instance["group"]]["rules"].values()
                guarded.append(
                    packet_filter.Guarded(
                        public_address=instance["address"],
                        private_address=private_address,
                        rules=tuple(packet_filter.Rule(**rule) for rule in rules),
                    )
                )
            bridges = [
                networks.bridge(self._container_name(network_id))
                for network_id in self._inventory.things["networks"]
            ]
            if guarded or bridges:
                packet_filter.apply(self._table, guarded, bridges)
            else:
                packet_filter.remove(self._table)

    @contextlib.contextmanager
    def _address(self, known: str | None, *, wanted: bool) -> Iterator[str]:
        """Choose a public address that no container on this machine has, until the caller has labelled its own."""
        if known is not None or not wanted:
            yield known or ""
            return
        with Path("/run/lock/flask-on-ecs-addresses").open("w") as turn:
            fcntl.flock(turn, fcntl.LOCK_EX)
            taken = _addresses_in_use()
            free = (str(host) for host in self._place.addresses.hosts() if str(host) not in taken)
            try:
                yield next(free)
            except StopIteration:
                raise SandboxError(f"every address of {self._place.addresses} is taken") from None

    def _get(self, kind: str, thing_id: str, word: str) -> dict[str, Any]:
        try:
            found: dict[str, Any] = self._inventory.things[kind][thing_id]
        except KeyError:
            raise SandboxError(f"{api_refusals.NOT_FOUND[word]}: there is no {word} {thing_id}") from None
        return found

    def _unused(self, word: str, thing_id: str, *users: tuple[str, str]) -> None:
        for kind, field in users:
            for user_id, user in self._inventory.things[kind].items():
                if user[field] == thing_id:
                    raise SandboxError(f"{word} {thing_id} is in use by {user_id}")


def _wait_until_booted(container: str) -> None:
    """Return when the instance's units have started, or failed to; after a minute in any case."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        # Fails while systemd is not there to be asked, and afterwards where a unit has failed.
        asked = subprocess.run(
            ["podman", "exec", container, "timeout", "60", "systemctl", "is-system-running", "--wait"],
            capture_output=True,
            text=True,
            check=False,
        )
        if asked.stdout.strip() in ("running", "degraded", "maintenance"):
            return
        time.sleep(0.2)


def _addresses_in_use() -> set[str]:
    """The public addresses of all containers on this machine, of other sandboxes too."""
    listed = run(
        ["podman", "ps", "--all", "--filter", f"label={ADDRESS_LABEL}", "--format", "json"],
        doing="list the instances of this machine",
        advice="See: podman ps --all",
    )
    return {entry["Labels"][ADDRESS_LABEL] for entry in json.loads(listed)}
