"""A stack of the sandbox whose plan is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from sandbox.stack import SandboxStack

PROGRAM = """
from pulumi_alicloud import ecs, vpc

network = vpc.Network("net", vpc_name="net", cidr_block="10.0.0.0/16")
group = ecs.SecurityGroup("group", security_group_name="group", vpc_id=network.id)
ecs.SecurityGroupRule("rule", security_group_id=group.id, type="inbound", ip_protocol="tcp", cidr_ip="0.0.0.0/0")
"""


def test_nothing_is_made_when_a_provider_refuses_a_part_of_the_plan(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLASK_SANDBOX", str(tmp_path / "sandbox"))
    (tmp_path / "Pulumi.yaml").write_text("name: project\nruntime: python\n")
    (tmp_path / "Pulumi.test.yaml").write_text("config: {}\n")
    (tmp_path / "__main__.py").write_text(PROGRAM)
    stack = SandboxStack(tmp_path, "test")
    for outcome in (stack.preview(lambda event: None), stack.up(lambda event: None)):
        assert [(step.name, text) for step, text in outcome.failures] == [
            (
                "rule",
                (
                    "alicloud:ecs/securityGroupRule:SecurityGroupRule resource 'rule' has a problem:"
                    " expected type to be one of [ingress egress], got inbound"
                ),
            )
        ]
    assert outcome.steps == ()
    assert not list((tmp_path / "sandbox").rglob("*.json"))
