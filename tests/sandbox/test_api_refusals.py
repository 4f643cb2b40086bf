"""What is refused when something is made, in the words of the cloud's API and of the provider's create."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

import pytest

from sandbox import api_refusals
from sandbox.errors import SandboxError

RULE = {"ipProtocol": "tcp", "portRange": "22/22", "nicType": "intranet"}


@pytest.mark.parametrize(
    ("refuse", "short"),
    [
        (api_refusals.vpc_name, "a"),
        (api_refusals.vswitch_name, "1"),
        (api_refusals.security_group_name, "a1"),
        (lambda name: api_refusals.key_pair(name, "ssh-ed25519 AAAA comment"), "a1"),
        (lambda name: api_refusals.instance({"instanceName": name}), "a1"),
    ],
)
def test_names(refuse: Callable[[str], None], short: str) -> None:
    for name in (short, "flask-on-ecs-prod", "flask_on.ecs:1", "网站", "a" * 128):
        refuse(name)
    for name in ("", "http://a", "https://a", "a" * 129):
        with pytest.raises(SandboxError, match=r"^Invalid\w+Name\.Malformed: "):
            refuse(name)


@pytest.mark.parametrize("name", ["a", "1st", "-a", "a b", "a/b"])
def test_a_name_of_groups_keys_and_instances_starts_with_a_letter(name: str) -> None:
    with pytest.raises(SandboxError, match="Specified security group name is not valid"):
        api_refusals.security_group_name(name)
    with pytest.raises(SandboxError, match='The specified parameter "InstanceName" is not valid'):
        api_refusals.instance({"instanceName": name})


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"portRange": "-1/-1"}, " 'tcp' and 'udp' can support port range: [1, 65535]."),
        ({"ipProtocol": "icmp"}, " 'icmp', 'gre' and 'all' only support port range '-1/-1'."),
        ({"nicType": "internet"}, "the nic_type must be 'intranet'."),
    ],
)
def test_rules(changes: dict[str, str], words: str) -> None:
    api_refusals.rule(RULE)
    api_refusals.rule({"ipProtocol": "icmp"})
    with pytest.raises(SandboxError) as refused:
        api_refusals.rule({**RULE, **changes})
    assert words in str(refused.value)


@pytest.mark.parametrize(
    ("inputs", "code"),
    [
        ({"internetMaxBandwidthOut": 101}, "InvalidInternetMaxBandwidthOut.Malformed"),
        ({"systemDiskSize": 19}, "InvalidSystemDiskSize.ValueNotSupported"),
        ({"systemDiskSize": 2049}, "InvalidSystemDiskSize.ValueNotSupported"),
    ],
)
def test_sizes_of_an_instance(inputs: dict[str, Any], code: str) -> None:
    api_refusals.instance({"internetMaxBandwidthOut": 100, "systemDiskSize": 20})
    with pytest.raises(SandboxError, match=f"^{code}: "):
        api_refusals.instance(inputs)


def test_user_data_is_sent_as_it_is_when_it_is_base64() -> None:
    assert api_refusals.user_data(base64.b64encode(b"#!/bin/sh\n").decode()) == b"#!/bin/sh\n"
    assert api_refusals.user_data("#!/bin/sh\n") == b"#!/bin/sh\n"
    limit = api_refusals.USER_DATA_LIMIT
    assert len(api_refusals.user_data(base64.b64encode(b"x" * limit).decode())) == limit
    with pytest.raises(
        SandboxError, match=r"InvalidUserData.SizeExceeded: .* 32769 bytes; ECS takes 32768 at most"
    ):
        api_refusals.user_data(base64.b64encode(b"x" * (limit + 1)).decode())
