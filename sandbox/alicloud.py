"""The provider `alicloud` of a sandbox: from a resource's inputs to calls of its cloud, and back.

What replaces a resource, and what is refused before anything is made, is in `provider_facts`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sandbox import api_refusals, packet_filter, provider_facts, values
from sandbox.cloud import IMAGE_ID, Cloud
from sandbox.errors import SandboxError
from sandbox.resources import Kind, Made, Say
from sandbox.state import Entry

NETWORK = "alicloud:vpc/network:Network"
VSWITCH = "alicloud:vpc/switch:Switch"
GROUP = "alicloud:ecs/securityGroup:SecurityGroup"
RULE = "alicloud:ecs/securityGroupRule:SecurityGroupRule"
KEY_PAIR = "alicloud:ecs/ecsKeyPair:EcsKeyPair"
INSTANCE = "alicloud:ecs/instance:Instance"


def kinds(cloud: Cloud) -> dict[str, Kind]:
    """Return the kinds of resources, acting on `cloud`."""
    return {
        NETWORK: _network(cloud),
        VSWITCH: _vswitch(cloud),
        GROUP: _group(cloud),
        RULE: _rule(cloud),
        KEY_PAIR: _key_pair(cloud),
        INSTANCE: _instance(cloud),
    }


def data_sources(cloud: Cloud) -> dict[str, Callable[[dict[str, Any]], dict[str, Any]]]:
    """Return the data sources, answering from `cloud`."""
    return {
        "alicloud:index/getZones:getZones": lambda _: _zones(cloud),
        "alicloud:ecs/getImages:getImages": lambda arguments: _images(cloud, arguments),
        "alicloud:ecs/getInstances:getInstances": lambda arguments: _instances(cloud, arguments),
        "alicloud:ecs/getSecurityGroupRules:getSecurityGroupRules": lambda arguments: _rules(
            cloud, arguments
        ),
        "alicloud:vpc/getSwitches:getSwitches": lambda arguments: _vswitches(cloud, arguments),
    }


def _network(cloud: Cloud) -> Kind:
    def create(entry: Entry, _say: Say, _seconds: float | None) -> Made:
        inputs = values.unwrapped(entry.inputs)
        if "vpcName" in inputs:
            api_refusals.vpc_name(inputs["vpcName"])
        cloud.create_network(entry.id, inputs["cidrBlock"])
        return Made({"status": "Available"})

    def update(old: Entry, goal: Entry, _say: Say, _seconds: float | None) -> Made:
        cloud.modify_network(old.id, values.unwrapped(goal.inputs)["cidrBlock"])
        return Made(old.outputs)

    return Kind(
        replaces=provider_facts.replaces(NETWORK),
        new_id=lambda token: f"vpc-{token[:16]}",
        create=create,
        update=update,
        delete=lambda entry, _say: cloud.delete_network(entry.id),
        read=lambda entry: {} if cloud.has("networks", entry.id) else None,
    )


def _vswitch(cloud: Cloud) -> Kind:
    def create(entry: Entry, _say: Say, _seconds: float | None) -> Made:
        inputs = values.unwrapped(entry.inputs)
        if "vswitchName" in inputs:
            api_refusals.vswitch_name(inputs["vswitchName"])
        cloud.create_vswitch(entry.id, inputs["vpcId"], inputs["cidrBlock"], inputs["zoneId"])
        return Made({"status": "Available"})

    return Kind(
        replaces=provider_facts.replaces(VSWITCH),
        new_id=lambda token: f"vsw-{token[:16]}",
        create=create,
        update=_keep_outputs,
        delete=lambda entry, _say: cloud.delete_vswitch(entry.id),
        read=lambda entry: {} if cloud.has("vswitches", entry.id) else None,
    )


def _group(cloud: Cloud) -> Kind:
    def create(entry: Entry, _say: Say, _seconds: float | None) -> Made:
        inputs = values.unwrapped(entry.inputs)
        if "securityGroupName" in inputs:
            api_refusals.security_group_name(inputs["securityGroupName"])
        cloud.create_group(entry.id, inputs["vpcId"])
        return Made()

    return Kind(
        replaces=provider_facts.replaces(GROUP),
        new_id=lambda token: f"sg-{token[:16]}",
        create=create,
        update=_keep_outputs,
        delete=lambda entry, _say: cloud.delete_group(entry.id),
        read=lambda entry: {} if cloud.has("groups", entry.id) else None,
    )


def _rule(cloud: Cloud) -> Kind:
    def create(entry: Entry, _say: Say, _seconds: float | None) -> Made:
        inputs = values.unwrapped(entry.inputs)
        api_refusals.rule(inputs)
        cloud.authorize(inputs["securityGroupId"], entry.id, _filter_rule(inputs))
        return Made({"securityGroupRuleId": entry.id})

    return Kind(
        replaces=provider_facts.replaces(RULE),
        new_id=lambda token: f"sgr-{token[:16]}",
        create=create,
        update=_keep_outputs,
        delete=lambda entry, _say: cloud.revoke(values.unwrapped(entry.inputs)["securityGroupId"], entry.id),
        read=lambda entry: (
            {} if cloud.allows(values.unwrapped(entry.inputs)["securityGroupId"], entry.id) else None
        ),
    )


def _filter_rule(inputs: dict[str, Any]) -> packet_filter.Rule:
    if inputs["type"] != "ingress" or "cidrIp" not in inputs:
        raise SandboxError("the sandbox knows ingress rules with cidr_ip only")
    first, last = (int(port) for port in inputs.get("portRange", "-1/-1").split("/"))
    return packet_filter.Rule(
        protocol=inputs["ipProtocol"],
        first_port=1 if first == -1 else first,
        last_port=65535 if last == -1 else last,
        source=inputs["cidrIp"],
        policy=inputs.get("policy", "accept"),
        priority=inputs.get("priority", 1),
    )


def _key_pair(cloud: Cloud) -> Kind:
    def create(entry: Entry, _say: Say, _seconds: float | None) -> Made:
        inputs = values.unwrapped(entry.inputs)
        return Made({"fingerPrint": cloud.import_key(inputs["keyPairName"], inputs["publicKey"])})

    return Kind(
        # A changed public_key is accepted and does nothing, as with the real provider.
        replaces=provider_facts.replaces(KEY_PAIR),
        new_id=lambda token: f"key-{token[:16]}",
        create=create,
        update=_keep_outputs,
        delete=lambda entry, _say: cloud.delete_key(values.unwrapped(entry.inputs)["keyPairName"]),
        read=lambda entry: {} if cloud.has("keys", values.unwrapped(entry.inputs)["keyPairName"]) else None,
    )


def _instance(cloud: Cloud) -> Kind:
    def create(entry: Entry, say: Say, _seconds: float | None) -> Made:
        inputs = values.unwrapped(entry.inputs)
        api_refusals.instance(inputs)
        addresses = cloud.run_instance(
            entry.id,
            name=inputs.get("instanceName", ""),
            image=inputs["imageId"],
            vswitch=inputs["vswitchId"],
            group=_only_group(inputs),
            key=inputs["keyName"],
            user_data=inputs.get("userData", ""),
            public=inputs.get("internetMaxBandwidthOut", 0) > 0,
            say=say,
        )
        return Made({**addresses, "status": "Running"})

    def update(old: Entry, goal: Entry, _say: Say, _seconds: float | None) -> Made:
        inputs, before = values.unwrapped(goal.inputs), values.unwrapped(old.inputs)
        for key in ("imageId", "userData"):
            if inputs.get(key) != before.get(key):
                raise SandboxError(f"the sandbox cannot change {key} of a running instance")
        api_refusals.instance(inputs)
        stopped = inputs.get("status", "Running") == "Stopped"
        if not stopped:
            cloud.start_instance(old.id)
        cloud.modify_instance(
            old.id, vswitch=inputs["vswitchId"], group=_only_group(inputs), key=inputs["keyName"]
        )
        restarting = provider_facts.restarts(INSTANCE) - {"status"}
        if any(inputs.get(key) != before.get(key) for key in restarting):
            cloud.reboot_instance(old.id)
        if stopped:
            cloud.stop_instance(old.id)
        return Made({**old.outputs, "status": "Stopped" if stopped else "Running"})

    def read(entry: Entry) -> dict[str, Any] | None:
        status = cloud.instance_status(entry.id)
        return None if status is None else {"status": status}

    return Kind(
        replaces=provider_facts.replaces(INSTANCE),
        new_id=lambda token: f"i-{token[:20]}",
        create=create,
        update=update,
        delete=lambda entry, _say: cloud.delete_instance(entry.id),
        read=read,
    )


def _only_group(inputs: dict[str, Any]) -> str:
    groups: list[str] = inputs["securityGroups"]
    if len(groups) != 1:
        raise SandboxError("an instance of the sandbox is in exactly one security group")
    return groups[0]


def _keep_outputs(old: Entry, _goal: Entry, _say: Say, _seconds: float | None) -> Made:
    return Made(old.outputs)


def _zones(cloud: Cloud) -> dict[str, Any]:
    zones = cloud.zones()
    return {
        "id": "zones",
        "ids": zones,
        "zones": [
            {
                "id": zone,
                "localName": zone,
                "availableDiskCategories": ["cloud_essd"],
                "availableInstanceTypes": [],
                "availableResourceCreations": ["VSwitch", "Instance"],
                "multiZoneIds": [],
                "slbSlaveZoneIds": [],
            }
            for zone in zones
        ],
    }


def _images(cloud: Cloud, arguments: dict[str, Any]) -> dict[str, Any]:
    found = cloud.images(arguments.get("nameRegex", ""), arguments.get("imageId"))
    return {
        "id": "images",
        "ids": found,
        "images": [{"id": image, "imageId": image, "name": image, "osType": "linux"} for image in found],
    }


def _instances(cloud: Cloud, arguments: dict[str, Any]) -> dict[str, Any]:
    found = cloud.instances(arguments.get("nameRegex", ""))
    return {
        "id": "instances",
        "ids": [instance_id for instance_id, _ in found],
        "names": [name for _, name in found],
        "instances": [{"id": instance_id, "name": name, "imageId": IMAGE_ID} for instance_id, name in found],
    }


def _rules(cloud: Cloud, arguments: dict[str, Any]) -> dict[str, Any]:
    rules = [
        {
            "direction": "ingress",
            "ipProtocol": rule.protocol,
            "portRange": f"{rule.first_port}/{rule.last_port}",
            "sourceCidrIp": rule.source,
            "policy": rule.policy,
            "priority": rule.priority,
            "nicType": "intranet",
            "description": "",
            "destCidrIp": "",
            "destGroupId": "",
            "destGroupOwnerAccount": "",
            "sourceGroupId": "",
            "sourceGroupOwnerAccount": "",
        }
        for rule in cloud.rules(arguments["groupId"])
    ]
    return {"id": arguments["groupId"], "groupDesc": "", "groupName": "", "rules": rules}


def _vswitches(cloud: Cloud, arguments: dict[str, Any]) -> dict[str, Any]:
    found = {vswitch_id: cloud.vswitch(vswitch_id) for vswitch_id in arguments.get("ids", [])}
    return {
        "id": "vswitches",
        "ids": [vswitch_id for vswitch_id, vswitch in found.items() if vswitch],
        "vswitches": [
            {
                "id": vswitch_id,
                "vswitchId": vswitch_id,
                "vpcId": vswitch["network"],
                "cidrBlock": vswitch["cidr"],
                "zoneId": vswitch["zone"],
            }
            for vswitch_id, vswitch in found.items()
            if vswitch
        ],
    }
