"""The instance: system, size, Python, and the keys that open it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import pulumi
from cryptography.hazmat.primitives import serialization

from render.profiles import PROFILES, OsProfile
from settings.values import Values, alternatives, integer, one_of, refuse, require_secret


@dataclass(frozen=True)
class ServerSettings:
    """The instance. Sizes: disk in GiB, bandwidth in Mbit/s. `private_key` is OpenSSH or PEM text, secret."""

    profile: OsProfile
    image_id: str | None
    instance_type: str
    system_disk_size: int
    bandwidth_mbps: int
    public_key: str | None
    private_key: pulumi.Output[str] | None
    python: str
    python_mirror: str | None


def server(values: Values) -> ServerSettings:
    """Read the server section."""
    profile = PROFILES[one_of(values, "os", tuple(PROFILES))]
    python = values.optional("python") or profile.pythons[0]
    if python not in profile.pythons:
        refuse("python", python, f"{alternatives(profile.pythons)} on {profile.name}")
    mirror = values.optional("pythonMirror")
    if mirror and not re.fullmatch(r"https?://[^\s'\"\\$`]+", mirror):
        refuse("pythonMirror", mirror, "an http or https address without quotes or spaces")
    instance_type = values.text("instanceType")
    if not re.fullmatch(r"ecs\.[a-z0-9-]+(\.[a-z0-9]+)+", instance_type):
        refuse("instanceType", instance_type, "an ECS instance type such as ecs.e-c1m2.large")
    image_id = values.optional("imageId")
    if image_id and not re.fullmatch(r"[A-Za-z0-9._-]+", image_id):
        refuse(
            "imageId",
            image_id,
            "the id of an ECS image, such as m-bp1abc or debian_12_6_x64_20G_alibase_20240711.vhd",
        )
    public_key, private_key = _key_pair(values)
    return ServerSettings(
        profile=profile,
        image_id=image_id,
        instance_type=instance_type,
        system_disk_size=integer(values, "systemDiskSize", 20, 2048),
        bandwidth_mbps=integer(values, "bandwidthMbps", 1, 100),
        public_key=public_key,
        private_key=private_key,
        python=python,
        python_mirror=mirror.rstrip("/") if mirror else None,
    )


def _key_pair(values: Values) -> tuple[str | None, pulumi.Output[str] | None]:
    public, private = values.optional("publicKey"), values.optional("privateKey")
    if public is None:
        if private is not None:
            raise pulumi.RunError(
                "privateKey is set without publicKey: set both, or neither and a key pair is made."
            )
        return None, None
    public = public.strip()
    try:
        loaded = serialization.load_ssh_public_key(public.encode())
    except (ValueError, TypeError):
        refuse(
            "publicKey",
            public,
            "one line of an OpenSSH public key, such as the content of ~/.ssh/id_ed25519.pub",
        )
    if private is None:
        return public, None
    require_secret("privateKey")
    if _public_half(private) != _openssh(loaded):
        raise pulumi.RunError("privateKey is not the private half of publicKey.")
    return public, pulumi.Output.secret(private)


def _public_half(private: str) -> bytes:
    loaders = (serialization.load_ssh_private_key, serialization.load_pem_private_key)
    for loader in loaders:
        try:
            return _openssh(loader(private.encode(), password=None).public_key())
        except (ValueError, TypeError):
            continue
    # The value is a secret: not a letter of it goes into the message.
    raise pulumi.RunError(
        "privateKey: [secret] is not a private key in OpenSSH or PEM form without a passphrase."
    )


def _openssh(key: Any) -> bytes:
    encoded: bytes = key.public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    return encoded
