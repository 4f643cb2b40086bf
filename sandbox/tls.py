"""The provider `tls` of a sandbox: ed25519 keys."""

from __future__ import annotations

import base64
import hashlib

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from sandbox import provider_facts, values
from sandbox.errors import SandboxError
from sandbox.resources import Kind, Made, Say
from sandbox.state import Entry


def kinds() -> dict[str, Kind]:
    """Return the kinds of resources."""
    return {
        provider_facts.PRIVATE_KEY: Kind(
            replaces=provider_facts.replaces(provider_facts.PRIVATE_KEY),
            new_id=lambda token: token,
            create=_create,
            update=lambda old, _goal, _say, _seconds: Made(old.outputs),
            delete=lambda _entry, _say: None,
        )
    }


def _create(entry: Entry, _say: Say, _seconds: float | None) -> Made:
    if entry.inputs["algorithm"] != "ED25519":
        raise SandboxError(f"the sandbox makes ED25519 keys only, not {entry.inputs['algorithm']}")
    key = Ed25519PrivateKey.generate()
    public = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    blob = base64.b64decode(public.split()[1])
    return Made(
        {
            "privateKeyOpenssh": values.secret(_private(key, serialization.PrivateFormat.OpenSSH)),
            "privateKeyPem": values.secret(_private(key, serialization.PrivateFormat.PKCS8)),
            # As the real provider: with a line end.
            "publicKeyOpenssh": public.decode() + "\n",
            "publicKeyFingerprintSha256": "SHA256:"
            + base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("="),
        }
    )


def _private(key: Ed25519PrivateKey, form: serialization.PrivateFormat) -> str:
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()).decode()
