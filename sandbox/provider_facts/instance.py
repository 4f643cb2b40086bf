"""An ECS instance: what terraform-provider-alicloud 1.289 checks, and what it does for a change.

Source: alicloud/resource_alicloud_instance.go. Its Update stops the instance and starts it again for an image, a
vswitch, an address, a type and what its attributes need (1696-2030, 2800-3240), and reboots it by force for a key pair
(2441-2530). `role_name` is attached to a running instance.
"""

from __future__ import annotations

from sandbox.provider_facts.schema import (
    Field,
    Schema,
    between,
    either,
    length,
    matches,
    one_number_of,
    one_of,
)

TEXT = Field()
TEXT_REPLACES = Field(replaces=True)
TEXT_RESTARTS = Field(restarts=True)
FLAG = Field("bool")
FLAG_REPLACES = Field("bool", replaces=True)
NUMBER = Field("int")
NUMBER_REPLACES = Field("int", replaces=True)
TEMPLATE = ("launchTemplateId", "launchTemplateName")

_DISKS = ("all", "cloud", "ephemeral_ssd", "cloud_essd", "cloud_efficiency", "cloud_ssd", "local_disk")

INSTANCE = Schema(
    {
        "allocatePublicIp": FLAG,
        "autoReleaseTime": TEXT,
        "autoRenewPeriod": Field("int", check=one_number_of(1, 2, 3, 6, 12)),
        "availabilityZone": TEXT_REPLACES,
        "cpuOptions": Field("object", restarts=True),
        "creditSpecification": Field(check=one_of("Standard", "Unlimited")),
        # Each field of one replaces the instance, in Terraform's schema; Pulumi sees the list.
        "dataDisks": Field("list", at_most=16, replaces=True),
        "dedicatedHostId": Field(conflicts=("spotStrategy", "spotPriceLimit"), replaces=True),
        "deletionProtection": FLAG,
        "deploymentSetId": TEXT,
        "description": Field(check=length(2, 256)),
        "dryRun": FLAG,
        "enableHighDensityMode": Field("bool", restarts=True),
        "enableJumboFrame": FLAG,
        # This one and instanceMetadataTags are in the Python SDK 4.0, and newer than the source that was read.
        "enableNetworkEncryption": FLAG,
        "forceDelete": FLAG,
        "hostName": TEXT_RESTARTS,
        "hpcClusterId": TEXT_REPLACES,
        "httpEndpoint": Field(check=one_of("enabled", "disabled")),
        "httpPutResponseHopLimit": Field("int", check=between(1, 64), replaces=True),
        "httpTokens": Field(check=one_of("optional", "required")),
        "imageId": Field(some_of=("imageId", *TEMPLATE), restarts=True),
        "imageOptions": Field("object", replaces=True),
        "includeDataDisks": FLAG,
        "instanceChargeType": Field(check=one_of("PrePaid", "PostPaid")),
        "instanceMetadataTags": TEXT,
        "instanceName": Field(check=length(2, 128)),
        "instanceType": Field(
            check=matches(r"^ecs\..*", "prefix must be 'ecs.'"),
            some_of=("instanceType", *TEMPLATE),
            restarts=True,
        ),
        "internetChargeType": Field(check=one_of("PayByBandwidth", "PayByTraffic")),
        "internetMaxBandwidthIn": NUMBER,
        "internetMaxBandwidthOut": NUMBER,
        "ipv6AddressCount": Field("int", check=between(1, 10), conflicts=("ipv6Addresses",), replaces=True),
        "ipv6Addresses": Field("list", at_most=10, conflicts=("ipv6AddressCount",)),
        "isOutdated": FLAG,
        "keyName": TEXT_RESTARTS,
        "kmsEncryptedPassword": TEXT_RESTARTS,
        "kmsEncryptionContext": Field("map"),
        "launchTemplateId": TEXT_REPLACES,
        "launchTemplateName": TEXT_REPLACES,
        "launchTemplateVersion": TEXT_REPLACES,
        "maintenanceAction": Field(check=one_of("Stop", "AutoRecover", "AutoRedeploy")),
        "maintenanceNotify": FLAG,
        "maintenanceTime": Field("object"),
        "networkCardIndex": NUMBER_REPLACES,
        "networkInterfaceId": TEXT_REPLACES,
        "networkInterfaceTrafficMode": Field(check=one_of("Standard", "HighPerformance"), replaces=True),
        "networkInterfaces": Field("list", replaces=True),
        "operatorType": Field(check=one_of("upgrade", "downgrade")),
        "password": TEXT_RESTARTS,
        "passwordInherit": FLAG,
        "period": Field("int", check=either(between(1, 9), one_number_of(12, 24, 36, 48, 60))),
        "periodUnit": Field(check=one_of("Week", "Month")),
        "privateIp": TEXT_RESTARTS,
        "privatePoolOptionsId": TEXT,
        "privatePoolOptionsMatchCriteria": Field(check=one_of("Open", "Target", "None")),
        "queuePairNumber": NUMBER_REPLACES,
        "renewalStatus": Field(check=one_of("AutoRenewal", "Normal", "NotRenewal")),
        "resourceGroupId": TEXT,
        "roleName": TEXT,
        "secondaryPrivateIpAddressCount": Field("int", conflicts=("secondaryPrivateIps",)),
        "secondaryPrivateIps": Field("list", conflicts=("secondaryPrivateIpAddressCount",)),
        "securityEnhancementStrategy": Field(check=one_of("Active", "Deactive"), replaces=True),
        "securityGroups": Field("list"),
        "sourceDestCheck": FLAG_REPLACES,
        "spotDuration": Field("int", check=between(0, 6)),
        "spotInterruptionBehavior": Field(check=one_of("Terminate", "Stop"), replaces=True),
        "spotPriceLimit": Field("float", replaces=True),
        "spotStrategy": Field(check=one_of("NoSpot", "SpotAsPriceGo", "SpotWithPriceLimit"), replaces=True),
        "status": Field(check=one_of("Running", "Stopped"), restarts=True),
        "stoppedMode": Field(check=one_of("StopCharging", "KeepCharging", "Not-applicable")),
        "systemDiskAutoSnapshotPolicyId": TEXT,
        "systemDiskBurstingEnabled": FLAG,
        "systemDiskCategory": Field(check=one_of(*_DISKS, "cloud_auto", "cloud_essd_entry"), replaces=True),
        "systemDiskDescription": Field(check=length(2, 256)),
        "systemDiskEncryptAlgorithm": TEXT_REPLACES,
        "systemDiskEncrypted": FLAG_REPLACES,
        "systemDiskKmsKeyId": TEXT_REPLACES,
        "systemDiskName": Field(check=length(2, 128)),
        "systemDiskPerformanceLevel": Field(check=one_of("PL0", "PL1", "PL2", "PL3")),
        "systemDiskProvisionedIops": NUMBER,
        "systemDiskSize": NUMBER,
        "systemDiskStorageClusterId": TEXT_REPLACES,
        "tags": Field("map"),
        "userData": TEXT_RESTARTS,
        "volumeTags": Field("map"),
        "vpcId": TEXT_RESTARTS,
        "vswitchId": TEXT_RESTARTS,
    },
    computed=frozenset(
        {
            "cpu",
            "createTime",
            "deploymentSetGroupNo",
            "expiredTime",
            "memory",
            "osName",
            "osType",
            "primaryIpAddress",
            "publicIp",
            "startTime",
            "systemDiskId",
        }
    ),
)
