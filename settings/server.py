"""The instance: system, size, Python, and the keys that open it."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from typing import Any

import pulumi
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from render.profiles import PROFILES, OsProfile
from settings.values import Values, alternatives, integer, one_of, refuse, require_secret

_KEY_TYPES = frozenset(
    ("ssh-ed25519", "ssh-rsa", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521")
)
# On a token (FIDO), and the OpenSSH that brought them.
_TOKEN_TYPES = frozenset(("sk-ssh-ed25519@openssh.com", "sk-ecdsa-sha2-nistp256@openssh.com"))
_TOKENS_SINCE = (8, 2)
# sshd reads no longer lines (SSH_MAX_PUBKEY_BYTES) and takes no smaller RSA key (RequiredRSASize), OpenSSL no larger.
_MOST_KEY_LINE = 8000
_RSA_BITS = range(1024, 16384 + 1)
# It goes into the user data, which has 32 KiB in all (render/cloud_init.py).
_MOST_MIRROR = 500
# curl takes brackets and braces for a list of addresses.
_MIRROR = re.compile(r"https?://[^\s'\"\\$`{}\[\]]+")


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
    if mirror and (not _MIRROR.fullmatch(mirror) or len(mirror) > _MOST_MIRROR):
        refuse(
            "pythonMirror",
            mirror,
            f"an http or https address without quotes, brackets or spaces, of at most {_MOST_MIRROR} characters",
        )
    instance_type = values.text("instanceType")
    if not re.fullmatch(r"ecs\.[a-z0-9-]+(\.[a-z0-9]+)+", instance_type):
        refuse("instanceType", instance_type, "an ECS instance type such as ecs.e-c1m2.large")
    image_id = values.optional("imageId")
    if image_id and not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,254}", image_id):
        refuse(
            "imageId",
            image_id,
            "the id of an ECS image, such as m-bp1abc or debian_12_6_x64_20G_alibase_20240711.vhd",
        )
    public_key, private_key = _key_pair(values, profile)
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


def _key_pair(values: Values, profile: OsProfile) -> tuple[str | None, pulumi.Output[str] | None]:
    public, private = values.lines("publicKey"), values.lines("privateKey")
    if public is None:
        if private is not None:
            raise pulumi.RunError(
                "privateKey is set without publicKey: set both, or neither and a key pair is made."
            )
        return None, None
    public = public.strip()
    loaded = _public_key(public, profile)
    if private is None:
        return public, None
    require_secret("privateKey")
    if _public_half(private) != _openssh(loaded):
        raise pulumi.RunError("privateKey is not the private half of publicKey.")
    return public, pulumi.Output.secret(private)


def _public_key(line: str, profile: OsProfile) -> Any:
    """The key on a line of authorized_keys, which has to be one that this system's sshd does not skip."""
    wanted = "one line of an OpenSSH public key, such as the content of ~/.ssh/id_ed25519.pub"
    type_ = "".join(line.split(maxsplit=1)[:1])
    if len(line.splitlines()) != 1 or len(line.encode()) > _MOST_KEY_LINE:
        refuse("publicKey", line, f"{wanted}, of at most {_MOST_KEY_LINE} bytes")
    if type_ not in _KEY_TYPES | _TOKEN_TYPES:
        refuse("publicKey", line, f"{wanted}, which begins with {alternatives(tuple(sorted(_KEY_TYPES)))}")
    if type_ in _TOKEN_TYPES and profile.sshd_version < _TOKENS_SINCE:
        refuse("publicKey", line, f"{wanted}, and no {type_} on {profile.name}, whose sshd is too old for it")
    try:
        # cryptography skips what is not base64, and sshd such a line.
        encoded = line.split()[1]
        exact = base64.b64encode(base64.b64decode(encoded, validate=True)).decode() == encoded
        loaded = serialization.load_ssh_public_key(line.encode())
    except (ValueError, TypeError, IndexError, UnsupportedAlgorithm):
        exact = False
    if not exact:
        refuse("publicKey", line, wanted)
    if isinstance(loaded, RSAPublicKey) and loaded.key_size not in _RSA_BITS:
        bits = f"{_RSA_BITS.start} to {_RSA_BITS.stop - 1}"
        refuse("publicKey", line, f"{wanted}, and with ssh-rsa one of {bits} bits")
    return loaded


def _public_half(private: str) -> bytes:
    loaders = (serialization.load_ssh_private_key, serialization.load_pem_private_key)
    for loader in loaders:
        try:
            return _openssh(loader(private.encode(), password=None).public_key())
        except (ValueError, TypeError, UnsupportedAlgorithm):
            continue
    # The value is a secret: not a letter of it goes into the message.
    raise pulumi.RunError(
        "privateKey: [secret] is not a private key in OpenSSH or PEM form without a passphrase."
    )


def _openssh(key: Any) -> bytes:
    encoded: bytes = key.public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    return encoded
