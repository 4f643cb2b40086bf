"""Security groups in the kernel: who on this machine reaches which port of which instance.

Each sandbox has one nftables table. A public address (127.0.42.N) is translated to the instance's private one
for connections from this machine; the rules are checked before, so a changed rule acts at once on new
connections, and what is established keeps on, as in the cloud.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from sandbox.networks import Bridge
from sandbox.programs import run, succeeds


@dataclass(frozen=True)
class Rule:
    """One ingress rule.

    Ports inclusive, ignored for icmp and all; `source` an IPv4 CIDR; `priority` 1 (decides first) to 100.
    """

    protocol: Literal["tcp", "udp", "icmp", "all"]
    first_port: int
    last_port: int
    source: str
    policy: Literal["accept", "drop"]
    priority: int


@dataclass(frozen=True)
class Guarded:
    """An instance behind its rules: IPv4 addresses, the public one in 127.0.0.0/8."""

    public_address: str
    private_address: str
    rules: tuple[Rule, ...]


def apply(table: str, guarded: Sequence[Guarded], bridges: Sequence[Bridge]) -> None:
    """Replace the whole of `table` in one step; with neither instances nor bridges it is removed.

    What no rule accepts is dropped: a caller waits until it gives up, as in the cloud. `bridges` are all
    networks of the sandbox: nothing reaches an instance in them from outside its network but through a public
    address. They need not exist in the kernel yet.

    Raises:
        SandboxError: nft refused.
    """
    if not guarded and not bridges:
        remove(table)
        return
    # Declared first, since deleting a table that is not there is an error and would undo the whole.
    text = f"table ip {table} {{}}\ndelete table ip {table}\n{ruleset(table, guarded, bridges)}"
    _nft(text, f"set the security group rules (nftables table {table})")


def remove(table: str) -> None:
    """Remove the table if it is there.

    Raises:
        SandboxError: nft refused.
    """
    if succeeds(["nft", "list", "table", "ip", table]):
        _nft(f"delete table ip {table}\n", f"remove the security group rules (nftables table {table})")


def ruleset(table: str, guarded: Sequence[Guarded], bridges: Sequence[Bridge]) -> str:
    """Return the table as nft reads it."""
    instances = [
        (Guarded(*_addresses(entry), entry.rules), f"instance{n}") for n, entry in enumerate(guarded)
    ]
    chains = [_ingress(entry, chain) for entry, chain in instances]
    to_chain = [f"ip daddr {entry.public_address} jump {chain}" for entry, chain in instances]
    to_private = [
        f"ip daddr {entry.public_address} dnat to {entry.private_address}" for entry, _ in instances
    ]
    round_the_rules = [f"oifname {network.interface} ct status dnat accept" for network in bridges]
    round_the_rules += [f"oifname {network.interface} drop" for network in bridges]
    between = [f"oifname {network.interface} iifname != {network.interface} drop" for network in bridges]
    spoofed = [f"iifname {network.interface} ip daddr 127.0.0.0/8 drop" for network in bridges]
    translated = [f"oifname {network.interface} ip saddr 127.0.0.0/8 masquerade" for network in bridges]
    chains += [
        # Before the translation, where the packet still carries the public address.
        _chain(
            "ingress",
            "type filter hook output priority -110; policy accept;",
            ["ct state established,related accept", *to_chain],
        ),
        _chain("public", "type nat hook output priority -100; policy accept;", to_private),
        # Port 0 to 65535 of the private address are nobody's business but the translation's.
        _chain(
            "private",
            "type filter hook output priority 0; policy accept;",
            ["ct state established,related accept", *round_the_rules],
        ),
        _chain(
            "between",
            "type filter hook forward priority 0; policy accept;",
            ["ct state established,related accept", *between],
        ),
        # A bridge that admits loopback addresses would let an instance call this machine's own loopback services.
        _chain("spoofed", "type filter hook prerouting priority -150; policy accept;", spoofed),
        # The instance answers to its gateway, not to its own loopback.
        _chain("callers", "type nat hook postrouting priority 90; policy accept;", translated),
    ]
    return f"table ip {table} {{\n{''.join(chains)}}}\n"


def _ingress(entry: Guarded, name: str) -> str:
    # The lowest number decides; where two of it differ, drop does.
    ordered = sorted(entry.rules, key=lambda rule: (rule.priority, rule.policy == "accept"))
    return _chain(name, "", [*(_match(rule) for rule in ordered), "drop"])


def _match(rule: Rule) -> str:
    source = f"ip saddr {ipaddress.IPv4Network(rule.source)}"
    match rule.protocol:
        case "tcp" | "udp":
            return (
                f"{source} {rule.protocol} dport {int(rule.first_port)}-{int(rule.last_port)} {rule.policy}"
            )
        case "icmp":
            return f"{source} ip protocol icmp {rule.policy}"
        case "all":
            return f"{source} {rule.policy}"


def _chain(name: str, hook: str, rules: Sequence[str]) -> str:
    lines = [line for line in (hook, *rules) if line]
    return f"\tchain {name} {{\n" + "".join(f"\t\t{line}\n" for line in lines) + "\t}\n"


def _addresses(entry: Guarded) -> tuple[str, str]:
    """Both addresses, checked: they become part of a program for nft."""
    return str(ipaddress.IPv4Address(entry.public_address)), str(ipaddress.IPv4Address(entry.private_address))


def _nft(text: str, doing: str) -> None:
    run(
        ["nft", "-f", "-"],
        stdin=text,
        doing=doing,
        advice="Check that the kernel has nftables: nft list tables",
    )
