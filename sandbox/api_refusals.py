"""What is refused only when something is made, in the codes and words of the cloud's API and of the provider's create.

Codes and messages are those of the error tables of ECS and VPC (CreateVpc, CreateVSwitch, CreateSecurityGroup,
ImportKeyPair, DeleteKeyPairs, RunInstances); the rules of names stand beside the parameters on the same pages.
Behind the API's words stands the value that it means: the API leaves that out.
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import Any

from sandbox.errors import SandboxError

# ECS refuses more (raw, before base64).
USER_DATA_LIMIT = 32 * 1024
ALL_PORTS = "-1/-1"
NOT_FOUND = {
    "VPC": "InvalidVpcId.NotFound",
    "vswitch": "InvalidVSwitchId.NotFound",
    "security group": "InvalidSecurityGroupId.NotFound",
    "key pair": "InvalidKeyPair.NotFound",
    "instance": "InvalidInstanceId.NotFound",
}

# Letters are those of any script: Chinese ones are allowed everywhere.
_NAME = re.compile(r"[^\W\d_][\w.:-]{1,127}")
_KEY_KINDS = re.compile(r"(ssh-(rsa|dss|ed25519)|ecdsa-sha2-nistp(256|384|521)) [A-Za-z0-9+/]+=*( .*)?")


def vpc_name(name: str) -> None:
    """Refuse a VPC's name: 1 to 128 characters, no address.

    Raises:
        SandboxError: so do all functions here, for what they refuse.
    """
    if not _is_loose_name(name):
        _refuse("InvalidVpcName.Malformed", "Specified VPC name is not valid.", f"VpcName: {name}")


def vswitch_name(name: str) -> None:
    """Refuse a vswitch's name: 1 to 128 characters, no address."""
    if not _is_loose_name(name):
        _refuse(
            "InvalidVSwitchName.Malformed",
            "Specified virtual switch name is not valid.",
            f"VSwitchName: {name}",
        )


def security_group_name(name: str) -> None:
    """Refuse a security group's name: 2 to 128 characters, first a letter, no address."""
    if not _is_name(name):
        _refuse(
            "InvalidSecurityGroupName.Malformed",
            "Specified security group name is not valid.",
            f"SecurityGroupName: {name}",
        )


def key_pair(name: str, public_key: str) -> None:
    """Refuse a key pair's name (as a security group's) or its key, which is one in OpenSSH's form."""
    if not _is_name(name):
        _refuse(
            "InvalidKeyPairName.Malformed", "Specified Key Pair name is not valid.", f"KeyPairName: {name}"
        )
    if not _KEY_KINDS.fullmatch(public_key.strip()):
        _refuse(
            "InvalidPublicKeyBody.Malformed", "The PublicKeyBody format is not supported.", public_key[:30]
        )


def key_pair_taken(name: str) -> None:
    """Refuse a second key under a name."""
    _refuse("KeyPair.AlreadyExist", "The key pair already exist.", f"KeyPairName: {name}")


def key_pair_attached(name: str, instance_id: str) -> None:
    """Refuse to delete a key pair that an instance has."""
    _refuse(
        "InvalidParameter.KeypairAlreadyAttachedInstance",
        'The specified parameter "KeyPairNames" attached to instances can not be deleted.',
        f"key pair {name} is in use by {instance_id}",
    )


def rule(inputs: dict[str, Any]) -> None:
    """Refuse a rule of a security group in a VPC.

    Source: terraform-provider-alicloud 1.289, resource_alicloud_security_group_rule.go, Create.
    """
    all_ports = inputs.get("portRange", ALL_PORTS) == ALL_PORTS
    if inputs["ipProtocol"] in ("tcp", "udp"):
        if all_ports:
            raise SandboxError(
                " 'tcp' and 'udp' can support port range: [1, 65535]. Please correct it and try again."
            )
    elif not all_ports:
        raise SandboxError(
            " 'icmp', 'gre' and 'all' only support port range '-1/-1'. Please correct it and try again."
        )
    if inputs.get("nicType", "intranet") != "intranet":
        raise SandboxError(
            " When security group in the vpc or authorizing permission for source/destination security group,"
            " the nic_type must be 'intranet'."
        )


def instance(inputs: dict[str, Any]) -> None:
    """Refuse an instance's name (as a security group's), its bandwidth or the size of its system disk."""
    name = inputs.get("instanceName")
    if name is not None and not _is_name(name):
        _malformed("InstanceName", name)
    bandwidth = inputs.get("internetMaxBandwidthOut", 0)
    if not 0 <= bandwidth <= 100:
        _malformed("InternetMaxBandwidthOut", bandwidth)
    size = inputs.get("systemDiskSize")
    # Of cloud_essd, in GiB; an image may ask for more than 20.
    if size is not None and not 20 <= size <= 2048:
        _refuse(
            "InvalidSystemDiskSize.ValueNotSupported",
            "The specified parameter SystemDisk.Size is invalid.",
            f"SystemDisk.Size: {size}",
        )


def user_data(given: str) -> bytes:
    """Return the user data of an instance; the provider encodes what is not base64 already."""
    try:
        data = base64.b64decode(given, validate=True)
    except binascii.Error:
        data = given.encode()
    if len(data) > USER_DATA_LIMIT:
        _refuse(
            "InvalidUserData.SizeExceeded",
            'The specified parameter "UserData" exceeds the size.',
            f"user data is {len(data)} bytes; ECS takes {USER_DATA_LIMIT} at most",
        )
    return data


def _malformed(parameter: str, value: object) -> None:
    _refuse(
        f"Invalid{parameter}.Malformed",
        f'The specified parameter "{parameter}" is not valid.',
        f"{parameter}: {value}",
    )


def _is_loose_name(name: str) -> bool:
    return 1 <= len(name) <= 128 and not name.startswith(("http://", "https://"))


def _is_name(name: str) -> bool:
    return bool(_NAME.fullmatch(name)) and not name.startswith(("http://", "https://"))


def _refuse(code: str, message: str, meant: str) -> None:
    raise SandboxError(f"{code}: {message} ({meant})")
