"""VPC, vswitch, security group, rule and key pair, and the data sources: what terraform-provider-alicloud checks.

Read from its version 1.289 (alicloud/resource_alicloud_{vpc,vswitch,security_group,security_group_rule,ecs_key_pair}.go
and data_source_alicloud_*.go); an instance has a file of its own. Names are Pulumi's, from the Python SDK 4.0.
"""

from __future__ import annotations

from sandbox.provider_facts.instance import INSTANCE
from sandbox.provider_facts.schema import Field, Schema, between, length, matches, one_of, pattern

TEXT = Field()
TEXT_REPLACES = Field(replaces=True)
FLAG = Field("bool")
FLAG_REPLACES = Field("bool", replaces=True)
NUMBER = Field("int")
LIST = Field("list")
TAGS = Field("map")
# The rules and the data sources have the plugin SDK's own validators, which add nothing.
PLAIN = ""

NETWORK = Schema(
    {
        "cidrBlock": TEXT,
        "classicLinkEnabled": FLAG,
        "description": TEXT,
        "dnsHostnameStatus": Field(check=one_of("ENABLED", "DISABLED")),
        "dryRun": FLAG,
        "enableIpv6": FLAG,
        "forceDelete": FLAG,
        "ipv4CidrMask": NUMBER,
        "ipv4IpamPoolId": TEXT,
        "ipv6CidrBlock": TEXT_REPLACES,
        "ipv6Isp": TEXT,
        "isDefault": FLAG_REPLACES,
        "name": TEXT,
        "resourceGroupId": TEXT,
        "secondaryCidrBlocks": LIST,
        "secondaryCidrMask": NUMBER,
        "systemRouteTableDescription": TEXT,
        "systemRouteTableName": TEXT,
        "systemRouteTableRoutePropagationEnable": FLAG,
        "tags": TAGS,
        "userCidrs": Field("list", replaces=True),
        "vpcName": Field(conflicts=("name",)),
    },
    computed=frozenset(
        {
            "createTime",
            "ipv6CidrBlocks",
            "regionId",
            "routeTableId",
            "routerId",
            "routerTableId",
            "status",
        }
    ),
)

SWITCH = Schema(
    {
        "availabilityZone": TEXT_REPLACES,
        "cidrBlock": TEXT_REPLACES,
        "description": TEXT,
        "enableIpv6": FLAG,
        "ipv6CidrBlockMask": NUMBER,
        "isDefault": FLAG_REPLACES,
        "name": TEXT,
        "tags": TAGS,
        "vpcId": TEXT_REPLACES,
        "vpcIpv6CidrBlock": TEXT,
        "vswitchName": Field(conflicts=("name",)),
        "zoneId": Field(one_of=("zoneId", "availabilityZone"), replaces=True),
    },
    computed=frozenset({"createTime", "ipv6CidrBlock", "status"}),
)

SECURITY_GROUP = Schema(
    {
        "description": TEXT,
        "innerAccess": FLAG,
        "innerAccessPolicy": Field(check=one_of("Accept", "Drop"), conflicts=("innerAccess",)),
        "name": TEXT,
        "resourceGroupId": TEXT,
        "securityGroupName": TEXT,
        "securityGroupType": Field(check=one_of("normal", "enterprise"), replaces=True),
        "tags": TAGS,
        "vpcId": TEXT_REPLACES,
    },
    computed=frozenset({"createTime"}),
)

SECURITY_GROUP_RULE = Schema(
    {
        "cidrIp": Field(
            some_of=("cidrIp", "ipv6CidrIp", "sourceSecurityGroupId", "prefixListId"), replaces=True
        ),
        "description": TEXT,
        "ipProtocol": Field(
            check=one_of("tcp", "udp", "icmp", "icmpv6", "gre", "all", note=PLAIN),
            required=True,
            replaces=True,
        ),
        "ipv6CidrIp": Field(conflicts=("cidrIp",), replaces=True),
        "nicType": Field(check=one_of("internet", "intranet", note=PLAIN), replaces=True),
        "policy": Field(check=one_of("accept", "drop", note=PLAIN), replaces=True),
        "portRange": TEXT_REPLACES,
        "prefixListId": TEXT_REPLACES,
        "priority": Field("int", check=between(1, 100, note=PLAIN), replaces=True),
        "securityGroupId": Field(required=True, replaces=True),
        "sourceGroupOwnerAccount": TEXT_REPLACES,
        "sourceGroupOwnerId": TEXT_REPLACES,
        "sourceSecurityGroupId": Field(conflicts=("cidrIp",), replaces=True),
        "type": Field(
            check=one_of("ingress", "egress", note=PLAIN),
            required=True,
            replaces=True,
            description="Type of rule, ingress (inbound) or egress (outbound).",
        ),
    },
    computed=frozenset({"securityGroupRuleId"}),
)

KEY_PAIR = Schema(
    {
        "keyFile": TEXT_REPLACES,
        "keyName": Field(conflicts=("keyPairName",), replaces=True),
        "keyNamePrefix": Field(check=length(0, 100), conflicts=("keyPairName", "keyName"), replaces=True),
        "keyPairName": Field(check=length(2, 128), conflicts=("keyName",), replaces=True),
        # A changed one is accepted and does nothing (resource_alicloud_ecs_key_pair.go: Update knows no public_key).
        "publicKey": TEXT,
        "resourceGroupId": TEXT,
        "tags": TAGS,
    },
    computed=frozenset({"createTime", "fingerPrint"}),
)

ZONES = Schema(
    {
        "availableDiskCategory": Field(
            check=one_of(
                "all",
                "cloud",
                "ephemeral_ssd",
                "cloud_essd",
                "cloud_efficiency",
                "cloud_ssd",
                "local_disk",
                note=PLAIN,
            )
        ),
        "availableInstanceType": Field(check=matches(r"^ecs\..*", "prefix must be 'ecs.'", note=PLAIN)),
        "availableResourceCreation": Field(
            check=one_of(
                "Instance",
                "Rds",
                "PolarDB",
                "KVStore",
                "VSwitch",
                "Disk",
                "IoOptimized",
                "FunctionCompute",
                "Elasticsearch",
                "Slb",
                "MongoDB",
                "Gpdb",
                "HBase",
                "ADB",
                note=PLAIN,
            )
        ),
        "availableSlbAddressIpVersion": Field(check=one_of("ipv4", "ipv6", note=PLAIN)),
        "availableSlbAddressType": Field(
            check=one_of("Vpc", "classic_intranet", "classic_internet", note=PLAIN)
        ),
        "enableDetails": FLAG,
        "instanceChargeType": Field(check=one_of("PrePaid", "PostPaid", note=PLAIN)),
        "multi": FLAG,
        "networkType": Field(check=one_of("Vpc", "Classic", note=PLAIN)),
        "outputFile": TEXT,
        "spotStrategy": Field(check=one_of("NoSpot", "SpotAsPriceGo", "SpotWithPriceLimit", note=PLAIN)),
    }
)

IMAGES = Schema(
    {
        "actionType": Field(check=one_of("CreateEcs", "CreateOS", note=PLAIN)),
        "architecture": Field(check=one_of("i386", "x86_64", "arm64", note=PLAIN)),
        "dryRun": FLAG,
        "imageFamily": TEXT,
        "imageId": TEXT,
        "imageName": TEXT,
        "imageOwnerId": TEXT,
        "instanceType": TEXT,
        "isSupportCloudInit": FLAG,
        "isSupportIoOptimized": FLAG,
        "mostRecent": FLAG,
        "nameRegex": Field(check=pattern, some_of=("nameRegex", "owners", "imageOwnerId")),
        "osType": Field(check=one_of("windows", "linux", note=PLAIN)),
        "outputFile": TEXT,
        "owners": Field(check=one_of("system", "self", "others", "marketplace", "", note=PLAIN)),
        "resourceGroupId": TEXT,
        "snapshotId": TEXT,
        "status": Field(
            check=one_of(
                "Available", "Creating", "Waiting", "UnAvailable", "CreateFailed", "Deprecated", note=PLAIN
            )
        ),
        "tags": TAGS,
        "usage": Field(check=one_of("instance", "none", note=PLAIN)),
    }
)

SWITCHES = Schema(
    {
        "cidrBlock": TEXT,
        "dryRun": FLAG,
        "ids": LIST,
        "isDefault": FLAG,
        "nameRegex": Field(check=pattern),
        "outputFile": TEXT,
        "resourceGroupId": TEXT,
        "routeTableId": TEXT,
        "status": Field(check=one_of("Available", "Pending", note=PLAIN)),
        "tags": TAGS,
        "vpcId": TEXT,
        "vswitchName": TEXT,
        "vswitchOwnerId": NUMBER,
        "zoneId": TEXT,
    }
)

INSTANCES = Schema(
    {
        "availabilityZone": TEXT,
        "enableDetails": FLAG,
        "ids": LIST,
        "imageId": TEXT,
        "instanceName": TEXT,
        "nameRegex": Field(check=pattern),
        "outputFile": TEXT,
        "pageNumber": NUMBER,
        "pageSize": NUMBER,
        "ramRoleName": TEXT,
        "resourceGroupId": TEXT,
        "status": Field(check=one_of("Running", "Stopped", "Creating", "Starting", "Stopping", note=PLAIN)),
        "tags": TAGS,
        "vpcId": TEXT,
        "vswitchId": TEXT,
    }
)

SECURITY_GROUP_RULES = Schema(
    {
        "direction": Field(check=one_of("ingress", "egress", note=PLAIN)),
        "groupId": Field(required=True),
        "ipProtocol": Field(check=one_of("tcp", "udp", "icmp", "gre", "all", note=PLAIN)),
        "nicType": Field(check=one_of("internet", "intranet", note=PLAIN)),
        "outputFile": TEXT,
        "policy": Field(check=one_of("accept", "drop", note=PLAIN)),
    }
)

RESOURCES = {
    "alicloud:vpc/network:Network": NETWORK,
    "alicloud:vpc/switch:Switch": SWITCH,
    "alicloud:ecs/securityGroup:SecurityGroup": SECURITY_GROUP,
    "alicloud:ecs/securityGroupRule:SecurityGroupRule": SECURITY_GROUP_RULE,
    "alicloud:ecs/ecsKeyPair:EcsKeyPair": KEY_PAIR,
    "alicloud:ecs/instance:Instance": INSTANCE,
}
SOURCES = {
    "alicloud:index/getZones:getZones": ZONES,
    "alicloud:ecs/getImages:getImages": IMAGES,
    "alicloud:vpc/getSwitches:getSwitches": SWITCHES,
    "alicloud:ecs/getInstances:getInstances": INSTANCES,
    "alicloud:ecs/getSecurityGroupRules:getSecurityGroupRules": SECURITY_GROUP_RULES,
}
