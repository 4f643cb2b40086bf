from components.firewall import Firewall
from settings import FirewallSettings
from tests.unit.recorder import RULE, SECURITY_GROUP, UNKNOWN, Record, run


def firewall(admin: tuple[str, ...], web: tuple[str, ...], *, preview: bool = False) -> Record:
    return run(
        lambda: Firewall("fw", {"settings": FirewallSettings(admin, web), "vpc_id": "vpc-1"}), preview=preview
    )


def allowed(record: Record) -> set[tuple[str, str]]:
    return {(rule.inputs["portRange"], rule.inputs["cidrIp"]) for rule in record.created(RULE)}


def test_the_group_stands_in_the_vpc() -> None:
    group = firewall(("203.0.113.7/32",), ("0.0.0.0/0",)).one(SECURITY_GROUP)
    assert group.inputs["vpcId"] == "vpc-1"
    assert group.inputs["securityGroupName"] == "fw"
    assert group.parent == "fw"


def test_administrators_reach_ssh_and_readers_the_web_ports() -> None:
    record = firewall(("203.0.113.7/32", "198.51.100.0/24"), ("192.0.2.0/24", "0.0.0.0/0"))
    assert allowed(record) == {
        ("22/22", "203.0.113.7/32"),
        ("22/22", "198.51.100.0/24"),
        ("80/80", "192.0.2.0/24"),
        ("443/443", "192.0.2.0/24"),
        ("80/80", "0.0.0.0/0"),
        ("443/443", "0.0.0.0/0"),
    }


def test_rules_are_as_a_group_in_a_vpc_wants_them() -> None:
    record = firewall(("203.0.113.7/32",), ("0.0.0.0/0",))
    for rule in record.created(RULE):
        assert rule.inputs["securityGroupId"] == "fw-group-id"
        assert rule.parent == "fw"
        assert rule.dependencies == {"fw-group"}
        assert {key: rule.inputs[key] for key in ("type", "ipProtocol", "nicType", "policy", "priority")} == {
            "type": "ingress",
            "ipProtocol": "tcp",
            "nicType": "intranet",
            "policy": "accept",
            "priority": 1,
        }


def test_taking_a_network_out_leaves_the_other_rules_alone() -> None:
    """Every input but a rule's description replaces it: the same rule has to keep its name."""
    before = firewall(("203.0.113.7/32", "198.51.100.0/24"), ("192.0.2.0/24", "198.18.0.0/15"))
    after = firewall(("198.51.100.0/24",), ("198.18.0.0/15",))

    def names(record: Record) -> dict[str, object]:
        return {rule.name: rule.inputs for rule in record.created(RULE)}

    assert names(after).items() <= names(before).items()
    assert len(names(before)) == 6


def test_a_preview_plans_every_rule() -> None:
    record = firewall(("203.0.113.7/32",), ("0.0.0.0/0",), preview=True)
    assert len(allowed(record)) == 3
    assert {rule.inputs["securityGroupId"] for rule in record.created(RULE)} == {UNKNOWN}
