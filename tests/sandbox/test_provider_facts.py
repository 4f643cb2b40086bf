"""What the real providers refuse, in their words; what they accept; what a change of an input costs."""

from __future__ import annotations

import inspect
import re
from typing import Any

import pulumi_alicloud
import pulumi_tls
import pytest
from pulumi.runtime import rpc
from pulumi_alicloud import ecs, vpc
from pulumi_command import remote

from sandbox import values
from sandbox.provider_facts import (
    COMMAND,
    COPY,
    PRIVATE_KEY,
    as_pulumi_says,
    known_inputs,
    refusals,
    replaces,
    restarts,
)

NETWORK = "alicloud:vpc/network:Network"
SWITCH = "alicloud:vpc/switch:Switch"
GROUP = "alicloud:ecs/securityGroup:SecurityGroup"
RULE = "alicloud:ecs/securityGroupRule:SecurityGroupRule"
KEY_PAIR = "alicloud:ecs/ecsKeyPair:EcsKeyPair"
INSTANCE = "alicloud:ecs/instance:Instance"
ZONES = "alicloud:index/getZones:getZones"
IMAGES = "alicloud:ecs/getImages:getImages"
SWITCHES = "alicloud:vpc/getSwitches:getSwitches"
INSTANCES = "alicloud:ecs/getInstances:getInstances"
RULES = "alicloud:ecs/getSecurityGroupRules:getSecurityGroupRules"

UNKNOWN = rpc.UNKNOWN
NOTE = (
    " [NOTE] set env variable TF_SKIP_RESOURCE_SCHEMA_VALIDATION to true can skip the error and get a warning"
)
FILE = {rpc._special_sig_key: rpc._special_asset_sig, "path": "release.tar.gz"}

COMPLETE: dict[str, dict[str, Any]] = {
    NETWORK: {"vpcName": "web", "cidrBlock": "10.0.0.0/16"},
    SWITCH: {"vswitchName": "web", "vpcId": "vpc-1", "cidrBlock": "10.0.0.0/24", "zoneId": "cn-hangzhou-h"},
    GROUP: {"securityGroupName": "web", "vpcId": "vpc-1"},
    RULE: {
        "securityGroupId": "sg-1",
        "type": "ingress",
        "ipProtocol": "tcp",
        "nicType": "intranet",
        "policy": "accept",
        "portRange": "22/22",
        "priority": 1,
        "cidrIp": "203.0.113.7/32",
    },
    KEY_PAIR: {"keyPairName": "web-1", "publicKey": "ssh-ed25519 AAAA"},
    INSTANCE: {
        "instanceName": "web",
        "imageId": "m-1",
        "instanceType": "ecs.e-c1m2.large",
        "internetChargeType": "PayByTraffic",
        "instanceChargeType": "PostPaid",
        "systemDiskCategory": "cloud_essd",
        "userData": values.secret("IyEvYmluL3NoCg=="),
    },
    COMMAND: {"connection": values.secret({"host": "203.0.113.10", "dialErrorLimit": -1}), "create": "true"},
    COPY: {
        "connection": {"host": "203.0.113.10"},
        "source": FILE,
        "remotePath": "/tmp/a",
        "triggers": ["i-1"],
    },
    PRIVATE_KEY: {"algorithm": "ED25519"},
    ZONES: {"availableInstanceType": "ecs.e-c1m2.large", "availableResourceCreation": "VSwitch"},
    IMAGES: {"owners": "system", "nameRegex": "^centos_7_9_x64", "mostRecent": True},
    SWITCHES: {"ids": ["vsw-1"]},
    INSTANCES: {"ids": ["i-1"], "status": "Running"},
    RULES: {"groupId": "sg-1", "direction": "ingress"},
}


def said(token: str, **changes: Any) -> list[str]:
    """What Pulumi says to a complete resource `it` with these inputs changed; None takes one away."""
    inputs = {key: value for key, value in {**COMPLETE[token], **changes}.items() if value is not None}
    return [as_pulumi_says(token, "it", refusal, inputs) for refusal in refusals(token, inputs)]


def problem(token: str, reason: str) -> str:
    return f"{token} resource 'it' has a problem: {reason}"


def failed(token: str, reason: str) -> str:
    return f"invoke of {token} failed: {reason} ()"


@pytest.mark.parametrize("token", COMPLETE)
def test_what_is_complete_is_accepted(token: str) -> None:
    assert refusals(token, COMPLETE[token]) == []


@pytest.mark.parametrize("token", COMPLETE)
def test_what_is_not_known_yet_is_accepted_but_a_source(token: str) -> None:
    later = dict.fromkeys(COMPLETE[token], UNKNOWN)
    assert [refusal.reason for refusal in refusals(token, later)] == (
        ["either asset or archive must be set"] if token == COPY else []
    )
    hidden = {name: values.secret(UNKNOWN) for name in COMPLETE[token] if name != "source"}
    assert refusals(token, {**COMPLETE[token], **hidden}) == []


@pytest.mark.parametrize(
    ("token", "changes", "reason"),
    [
        # required
        (RULE, {"securityGroupId": None}, "Missing required property 'securityGroupId'"),
        (
            RULE,
            {"type": None},
            "Missing required property 'type': Type of rule, ingress (inbound) or egress (outbound).",
        ),
        (
            PRIVATE_KEY,
            {"algorithm": None},
            ("Missing required property 'algorithm': Name of the algorithm to use when generating the private key."
            " Currently-supported values are: `RSA`, `ECDSA`, `ED25519`. "),
        ),
        # one or another of several
        (SWITCH, {"zoneId": None}, '"zone_id": one of `availability_zone,zone_id` must be specified'),
        (
            SWITCH,
            {"availabilityZone": "cn-hangzhou-h"},
            ('"zone_id": only one of `availability_zone,zone_id` can be specified, but `availability_zone,zone_id`'
            " were specified."),
        ),
        (
            RULE,
            {"cidrIp": None},
            '"cidr_ip": one of `cidr_ip,ipv6_cidr_ip,prefix_list_id,source_security_group_id` must be specified',
        ),
        (
            INSTANCE,
            {"imageId": None},
            '"image_id": one of `image_id,launch_template_id,launch_template_name` must be specified',
        ),
        # conflicts
        (
            RULE,
            {"sourceSecurityGroupId": "sg-2"},
            "\"source_security_group_id\": conflicts with cidr_ip. Examine values at 'it.sourceSecurityGroupId'.",
        ),
        (NETWORK, {"name": "web"}, "\"vpc_name\": conflicts with name. Examine values at 'it.vpcName'."),
        (SWITCH, {"name": "web"}, "\"vswitch_name\": conflicts with name. Examine values at 'it.vswitchName'."),
        # words
        (RULE, {"type": "inbound"}, "expected type to be one of [ingress egress], got inbound"),
        (RULE, {"policy": "deny"}, "expected policy to be one of [accept drop], got deny"),
        (RULE, {"nicType": "vpc"}, "expected nic_type to be one of [internet intranet], got vpc"),
        (
            INSTANCE,
            {"internetChargeType": "PayByDay"},
            f"expected internet_charge_type to be one of [PayByBandwidth PayByTraffic], got PayByDay{NOTE}",
        ),
        (
            INSTANCE,
            {"instanceChargeType": values.secret("Postpaid")},
            f"expected instance_charge_type to be one of [PrePaid PostPaid], got Postpaid{NOTE}",
        ),
        (
            GROUP,
            {"securityGroupType": "basic"},
            f"expected security_group_type to be one of [normal enterprise], got basic{NOTE}",
        ),
        (
            PRIVATE_KEY,
            {"algorithm": "ed25519"},
            ('Invalid Attribute Value Match. Attribute algorithm value must be one of: ["RSA" "ECDSA" "ED25519"],'
            " got: \"ed25519\". Examine values at 'it.algorithm'."),
        ),
        # ranges
        (RULE, {"priority": 101}, "expected priority to be in the range (1 - 100), got 101"),
        (INSTANCE, {"spotDuration": 7}, f"expected spot_duration to be in the range (0 - 6), got 7{NOTE}"),
        (INSTANCE, {"autoRenewPeriod": 4}, f"expected auto_renew_period to be one of [1 2 3 6 12], got 4{NOTE}"),
        # patterns
        (INSTANCE, {"instanceType": "t5.large"}, f"invalid value for instance_type (prefix must be 'ecs.'){NOTE}"),
        # lengths
        (KEY_PAIR, {"keyPairName": "a"}, f"expected length of key_pair_name to be in the range (2 - 128), got a{NOTE}"),
        (
            INSTANCE,
            {"instanceName": "a" * 129},
            f"expected length of instance_name to be in the range (2 - 128), got {'a' * 129}{NOTE}",
        ),
        # kinds of values
        (INSTANCE, {"instanceName": ["web"]}, "instance_name must be a single value, not a list"),
        (INSTANCE, {"securityGroups": "sg-1"}, "security_groups: should be a list"),
        (NETWORK, {"tags": ["a"]}, "tags: should be a map"),
        # what does not exist, or cannot be set
        (NETWORK, {"vpcNam": "web"}, ": invalid or unknown key: vpc_nam"),
        (INSTANCE, {"publicIp": "203.0.113.10"}, '"public_ip": this field cannot be set'),
    ],
)  # fmt: skip
def test_what_a_resource_is_refused_for(token: str, changes: dict[str, Any], reason: str) -> None:
    assert said(token, **changes) == [problem(token, reason)]


def test_all_that_is_wrong_is_said() -> None:
    """As the provider does: the two periods of either, and each input by itself."""
    assert said(INSTANCE, period=13) == [
        problem(INSTANCE, f"expected period to be in the range (1 - 9), got 13{NOTE}"),
        problem(INSTANCE, f"expected period to be one of [12 24 36 48 60], got 13{NOTE}"),
    ]
    assert len(said(RULE, type="in", policy="deny", priority=0)) == 3


def test_an_input_beside_one_that_is_not_known_yet_is_no_conflict() -> None:
    """It may turn out to be nothing."""
    assert said(RULE, cidrIp=UNKNOWN, sourceSecurityGroupId="sg-2") == []
    assert said(SWITCH, availabilityZone=UNKNOWN) == []


@pytest.mark.parametrize(
    ("token", "changes", "reason"),
    [
        (ZONES, {"availableInstanceType": "t5"}, "invalid value for available_instance_type (prefix must be 'ecs.')"),
        (SWITCHES, {"status": "there"}, "expected status to be one of [Available Pending], got there"),
        (
            INSTANCES,
            {"status": "running"},
            "expected status to be one of [Running Stopped Creating Starting Stopping], got running",
        ),
        (RULES, {"groupId": None}, '"group_id": required field is not set'),
        (RULES, {"direction": "in"}, "expected direction to be one of [ingress egress], got in"),
        (SWITCHES, {"vswitchId": "vsw-1"}, ": invalid or unknown key: vswitch_id"),
    ],
)  # fmt: skip
def test_what_a_data_source_is_refused_for(token: str, changes: dict[str, Any], reason: str) -> None:
    assert said(token, **changes) == [failed(token, reason)]


def test_an_image_is_looked_up_by_something() -> None:
    assert [refusal.reason for refusal in refusals(IMAGES, {"mostRecent": True})] == [
        '"name_regex": one of `image_owner_id,name_regex,owners` must be specified'
    ]


def test_a_type_that_is_not_in_the_table_is_left_alone() -> None:
    token = "other:index:Thing"
    assert (refusals(token, {"size": 1}), replaces(token), restarts(token)) == ([], frozenset(), frozenset())


def camel(name: str) -> str:
    return re.sub(r"_([a-z0-9])", lambda found: found[1].upper(), name)


def arguments(of: Any) -> frozenset[str]:
    return frozenset(map(camel, inspect.signature(of).parameters.keys() - {"self", "__self__", "opts"}))


@pytest.mark.parametrize(
    ("token", "sdk"),
    [
        (NETWORK, vpc.NetworkArgs.__init__),
        (SWITCH, vpc.SwitchArgs.__init__),
        (GROUP, ecs.SecurityGroupArgs.__init__),
        (RULE, ecs.SecurityGroupRuleArgs.__init__),
        (KEY_PAIR, ecs.EcsKeyPairArgs.__init__),
        (INSTANCE, ecs.InstanceArgs.__init__),
        (COMMAND, remote.CommandArgs.__init__),
        (COPY, remote.CopyToRemoteArgs.__init__),
        (PRIVATE_KEY, pulumi_tls.PrivateKeyArgs.__init__),
        (ZONES, pulumi_alicloud.get_zones),
        (IMAGES, ecs.get_images),
        (SWITCHES, vpc.get_switches),
        (INSTANCES, ecs.get_instances),
        (RULES, ecs.get_security_group_rules),
    ],
)
def test_the_table_has_the_inputs_of_the_sdk(token: str, sdk: Any) -> None:
    assert known_inputs(token) == arguments(sdk)
    assert replaces(token) | restarts(token) <= known_inputs(token)


def test_what_a_change_costs() -> None:
    """From reference and source: a server that is replaced or rebooted without a word is what nobody forgives."""
    assert replaces(KEY_PAIR) == {"keyPairName", "keyName", "keyNamePrefix", "keyFile"}
    assert replaces(RULE) == known_inputs(RULE) - {"description"}
    assert replaces(NETWORK) == {"userCidrs", "isDefault", "ipv6CidrBlock"}
    assert replaces(COMMAND) == replaces(COPY) == {"triggers"}
    assert replaces(PRIVATE_KEY) == known_inputs(PRIVATE_KEY)
    in_place = {"instanceType", "keyName", "userData", "imageId", "vswitchId", "hostName", "password"}
    assert in_place <= restarts(INSTANCE)
    assert not restarts(INSTANCE) & replaces(INSTANCE)
    assert not {"internetMaxBandwidthOut", "instanceName", "securityGroups", "systemDiskSize"} & (
        restarts(INSTANCE) | replaces(INSTANCE)
    )
