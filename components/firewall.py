"""Who may reach a server: a security group that denies everything but these rules.

The post turns the firewall off; here SSH is open to the administrators' addresses and the web ports to those of
the site's readers, and nothing else answers.
"""

from __future__ import annotations

from typing import TypedDict

import pulumi
from pulumi_alicloud import ecs

from settings import FirewallSettings

SSH_PORT = 22
WEB_PORTS = (80, 443)


class FirewallArgs(TypedDict):
    """Arguments of Firewall."""

    settings: FirewallSettings
    """Which networks may reach SSH and the web ports."""
    vpc_id: pulumi.Input[str]
    """The VPC of the servers."""


class Firewall(pulumi.ComponentResource):
    """A security group and its rules."""

    security_group_id: pulumi.Output[str]
    rules: tuple[ecs.SecurityGroupRule, ...]

    def __init__(self, name: str, args: FirewallArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("flaskapp:index:Firewall", name, {}, opts)
        group = ecs.SecurityGroup(
            f"{name}-group",
            security_group_name=name,
            description="Web ports for readers, SSH for administrators, nothing else",
            vpc_id=args["vpc_id"],
            opts=pulumi.ResourceOptions(parent=self),
        )
        allowed = [(SSH_PORT, cidr) for cidr in args["settings"].admin_cidrs]
        allowed += [(port, cidr) for port in WEB_PORTS for cidr in args["settings"].web_cidrs]
        self.rules = tuple(self._allow(name, group.id, port, cidr) for port, cidr in allowed)
        self.security_group_id = group.id
        self.register_outputs({"securityGroupId": self.security_group_id})

    def _allow(self, name: str, group_id: pulumi.Input[str], port: int, cidr: str) -> ecs.SecurityGroupRule:
        # Named by what it allows: taking one network out of a list leaves the other rules alone.
        return ecs.SecurityGroupRule(
            f"{name}-{port}-{cidr.replace('/', '-')}",
            security_group_id=group_id,
            type="ingress",
            ip_protocol="tcp",
            nic_type="intranet",  # the only kind there is in a VPC
            policy="accept",
            port_range=f"{port}/{port}",
            priority=1,
            cidr_ip=cidr,
            opts=pulumi.ResourceOptions(parent=self),
        )
