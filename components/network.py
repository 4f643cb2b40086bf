"""The network a server stands in: a VPC with one vswitch, or a vswitch that exists already."""

from __future__ import annotations

from typing import TypedDict

import pulumi
from pulumi_alicloud import vpc

from components.asking import looked_up
from settings import NetworkSettings


class NetworkArgs(TypedDict):
    """Arguments of Network."""

    settings: NetworkSettings
    """What to create, or which vswitch to use."""
    zone: str | None
    """Zone of the vswitch that is created; None where one is there already."""


class Network(pulumi.ComponentResource):
    """A VPC and a vswitch, or what is there already."""

    vpc_id: pulumi.Output[str]
    vswitch_id: pulumi.Output[str]

    def __init__(self, name: str, args: NetworkArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("flaskapp:index:Network", name, {}, opts)
        settings = args["settings"]
        if settings.vswitch_id:
            self._use(settings.vswitch_id)
        else:
            self._create(name, settings, args["zone"])
        self.register_outputs({"vpcId": self.vpc_id, "vswitchId": self.vswitch_id})

    def _use(self, vswitch_id: str) -> None:
        found = looked_up(
            vpc.get_switches, ids=[vswitch_id], opts=pulumi.InvokeOptions(parent=self)
        ).vswitches
        if not found:
            raise pulumi.RunError(f"vswitchId is {vswitch_id!r}, which this region and account do not have.")
        self.vpc_id = pulumi.Output.from_input(found[0].vpc_id)
        self.vswitch_id = pulumi.Output.from_input(vswitch_id)

    def _create(self, name: str, settings: NetworkSettings, zone: str | None) -> None:
        network = vpc.Network(
            f"{name}-vpc",
            vpc_name=name,
            cidr_block=str(settings.vpc_cidr),
            opts=pulumi.ResourceOptions(parent=self),
        )
        switch = vpc.Switch(
            f"{name}-vswitch",
            vswitch_name=name,
            vpc_id=network.id,
            cidr_block=str(settings.vswitch_cidr),
            zone_id=zone,
            opts=pulumi.ResourceOptions(
                parent=self,
                # The list of zones moves with what is sold; a zone that was looked up is kept, since another
                # one would replace the vswitch under a running server.
                ignore_changes=None if settings.zone else ["zoneId"],
            ),
        )
        self.vpc_id = network.id
        self.vswitch_id = switch.id
