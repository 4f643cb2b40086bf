"""Security group rules against a real instance: what a caller on this machine reaches, and what it does not."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from sandbox import containers, networks, packet_filter
from sandbox.errors import SandboxError
from sandbox.packet_filter import Guarded, Rule
from tests.sandbox import machine
from tests.sandbox.machine import EVERYONE, Place, accept, drop, tcp


@dataclass(frozen=True)
class Target:
    """The instance behind the rules."""

    place: Place
    name: str
    public: str
    private: str

    def allow(self, *rules: Rule) -> None:
        machine.guard(self.place, self.name, self.public, rules, "net")


@pytest.fixture(scope="module")
def target(place: Place) -> Iterator[Target]:
    networks.create(place.name("net"), place.labels)
    instance = place.instance("a", "net")
    containers.create(instance, place.seeds)
    containers.start(instance.name)
    machine.wait_for(lambda: machine.booted(instance.name))
    machine.start_echo(instance.name)
    yield Target(
        place, instance.name, machine.new_public_address(), containers.private_address(instance.name)
    )
    packet_filter.remove(place.table)


def tables() -> str:
    return subprocess.run(["nft", "list", "tables"], capture_output=True, text=True, check=True).stdout


def test_only_what_a_rule_accepts_is_reached(target: Target) -> None:
    target.allow(accept(80), accept(8001, 8002))

    assert tcp(target.public, 80)
    assert tcp(target.public, 8001)
    assert tcp(target.public, 8002)
    assert not tcp(target.public, 8003)


def test_without_rules_nothing_is_reached(target: Target) -> None:
    target.allow()

    assert not tcp(target.public, 80)
    assert not machine.pinged(target.public)


def test_a_port_where_nothing_listens_is_refused_not_dropped(target: Target) -> None:
    target.allow(accept(9999))

    with pytest.raises(ConnectionRefusedError):
        tcp(target.public, 9999)


def test_a_changed_rule_acts_at_once_and_the_instance_stays(target: Target) -> None:
    target.allow(accept(80))
    before = machine.inside(target.name, "cat", "/proc/1/stat")
    assert tcp(target.public, 80)

    target.allow(accept(8001))

    assert not tcp(target.public, 80)
    assert tcp(target.public, 8001)
    assert machine.inside(target.name, "cat", "/proc/1/stat").split()[21] == before.split()[21]


def test_an_established_connection_keeps_on_when_its_rule_goes(target: Target) -> None:
    target.allow(accept(80))
    with machine.connection(target.public, 80) as stream:
        assert machine.echoed(stream)

        target.allow()

        assert machine.echoed(stream)
        assert not tcp(target.public, 80)


def test_a_source_outside_the_rules_block_is_dropped(target: Target) -> None:
    target.allow(accept(80, source="127.0.0.0/30"))

    assert tcp(target.public, 80, source="127.0.0.2")
    assert not tcp(target.public, 80, source="127.0.0.9")


def test_the_lower_priority_number_decides(target: Target) -> None:
    target.allow(drop(80, priority=100), accept(80, priority=1))
    assert tcp(target.public, 80)

    target.allow(accept(80, priority=100), drop(80, priority=1))
    assert not tcp(target.public, 80)


def test_drop_decides_over_accept_of_the_same_priority(target: Target) -> None:
    target.allow(accept(80), drop(80, source="127.0.0.9/32"))

    assert tcp(target.public, 80)
    assert not tcp(target.public, 80, source="127.0.0.9")


def test_udp_and_icmp_have_rules_of_their_own(target: Target) -> None:
    target.allow(accept(5353))
    assert not machine.udp(target.public, 5353)
    assert not machine.pinged(target.public)

    target.allow(Rule("udp", 5353, 5353, EVERYONE, "accept", 1), Rule("icmp", -1, -1, EVERYONE, "accept", 1))
    assert machine.udp(target.public, 5353)
    assert machine.pinged(target.public)
    assert not tcp(target.public, 80)


def test_all_protocols(target: Target) -> None:
    target.allow(Rule("all", -1, -1, EVERYONE, "accept", 1))

    assert tcp(target.public, 8003)
    assert machine.udp(target.public, 5353)
    assert machine.pinged(target.public)


def test_no_way_round_the_rules_by_the_private_address(target: Target) -> None:
    target.allow(accept(80))

    with pytest.raises(TimeoutError):
        machine.connection(target.private, 80, source="")  # from whichever address the machine takes


def test_two_sandboxes_side_by_side(target: Target) -> None:
    other = f"{target.place.table}_other"
    elsewhere = machine.new_public_address()
    bridge = networks.bridge(target.place.name("net"))
    target.allow(accept(80))
    try:
        packet_filter.apply(other, [Guarded(elsewhere, target.private, (accept(8001),))], [bridge])
        assert tcp(target.public, 80)
        assert tcp(elsewhere, 8001)
        assert not tcp(elsewhere, 80)
    finally:
        packet_filter.remove(other)

    assert tcp(target.public, 80)
    assert f"{other}\n" not in tables()


def test_nothing_is_left_after_remove(target: Target) -> None:
    target.allow(accept(80))
    assert target.place.table in tables()

    packet_filter.remove(target.place.table)
    packet_filter.remove(target.place.table)

    assert target.place.table not in tables()
    with pytest.raises(ConnectionRefusedError):
        tcp(target.public, 80)


def test_nothing_to_guard_leaves_no_table(target: Target) -> None:
    target.allow(accept(80))

    packet_filter.apply(target.place.table, [], [])

    assert target.place.table not in tables()


def test_a_refused_table_changes_nothing_and_says_why(target: Target) -> None:
    target.allow(accept(80))
    bridge = networks.Bridge("a-name-longer-than-the-kernel-takes", "10.0.0.0/24")
    guarded = Guarded(target.public, target.private, (accept(8001),))

    with pytest.raises(SandboxError, match=r"(?s)security group rules.*Error.*nft list tables"):
        packet_filter.apply(target.place.table, [guarded], [bridge])

    assert tcp(target.public, 80)
    assert not tcp(target.public, 8001)
