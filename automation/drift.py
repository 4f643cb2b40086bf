"""What is in the cloud, is not the program's, and shows in no plan: rules of the security group made by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

_GROUP = "alicloud:ecs/securityGroup:SecurityGroup"
_RULE = "alicloud:ecs/securityGroupRule:SecurityGroupRule"


class Rule(NamedTuple):
    """A rule of a security group, in the cloud's own words; `ports` as `22/22`, `source` a network."""

    direction: str
    policy: str
    protocol: str
    ports: str
    source: str
    priority: int

    def __str__(self) -> str:
        """Return the rule as a person would say it."""
        way = "from" if self.direction == "ingress" else "to"
        return f"{self.policy} {self.protocol} {self.ports} {way} {self.source or 'another group'}"


def group_of(resources: Sequence[Mapping[str, Any]]) -> str | None:
    """Return the id of the stack's security group, None before there is one."""
    return next((str(of["id"]) for of in resources if of["type"] == _GROUP), None)


def foreign(resources: Sequence[Mapping[str, Any]], there: Sequence[Rule]) -> list[Rule]:
    """Return the rules that are there and are none of the stack's resources."""
    own = {
        Rule(
            of["inputs"]["type"],
            of["inputs"]["policy"],
            of["inputs"]["ipProtocol"],
            of["inputs"]["portRange"],
            of["inputs"]["cidrIp"],
            int(of["inputs"]["priority"]),
        )
        for of in resources
        if of["type"] == _RULE
    }
    return [rule for rule in there if rule not in own]
