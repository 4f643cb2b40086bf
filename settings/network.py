"""Where the server stands: an address range, a zone, or a vswitch that is there."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass

from settings.values import Values, refuse

_PRIVATE = tuple(map(ipaddress.IPv4Network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")))


@dataclass(frozen=True)
class NetworkSettings:
    """Where the server stands. `vswitch_id` given: nothing is created and the rest is unused."""

    vpc_cidr: ipaddress.IPv4Network
    zone: str | None
    vswitch_id: str | None

    @property
    def vswitch_cidr(self) -> ipaddress.IPv4Network:
        """The first /24 of the VPC, or all of a smaller one."""
        if self.vpc_cidr.prefixlen >= 24:
            return self.vpc_cidr
        return next(self.vpc_cidr.subnets(new_prefix=24))


def network(values: Values) -> NetworkSettings:
    """Read the network section."""
    cidr = values.text("vpcCidr")
    try:
        vpc_cidr = ipaddress.IPv4Network(cidr)
    except ValueError as error:
        refuse("vpcCidr", cidr, "an IPv4 network such as 10.64.0.0/16", error)
    # Ranges the VPC API takes: its documentation allows /8 to /28 inside the private blocks.
    if not (8 <= vpc_cidr.prefixlen <= 28 and any(map(vpc_cidr.subnet_of, _PRIVATE))):
        refuse("vpcCidr", cidr, "a private IPv4 network of /8 to /28, such as 10.64.0.0/16")
    vswitch_id, zone = values.optional("vswitchId"), values.optional("zone")
    if vswitch_id and not re.fullmatch(r"vsw-[a-z0-9]+", vswitch_id):
        refuse("vswitchId", vswitch_id, "the id of a vswitch, such as vsw-bp1abc")
    if vswitch_id and zone:
        refuse("zone", zone, "no value beside vswitchId, which stands in a zone already")
    if zone and not re.fullmatch(r"[a-z]+(-[a-z0-9]+)+", zone):
        refuse("zone", zone, "a zone id such as cn-hangzhou-h")
    return NetworkSettings(vpc_cidr, zone, vswitch_id)
