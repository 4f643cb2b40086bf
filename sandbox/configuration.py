"""A stack's configuration as Pulumi hands it to a program, read from `Pulumi.<stack>.yaml`.

Secrets are Pulumi's own, encrypted by passphrase (`encryptionsalt`, AES-256-GCM under a PBKDF2 key): a file written by
the Pulumi CLI is read here, and the other way round.
"""

from __future__ import annotations

import base64
import json
import os
import re
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC

from progress import DeploymentError

# pulumi/sdk/go/common/resource/config: iterations, length of key and nonce.
_ITERATIONS = 1_000_000
_KEY_BYTES = 32
_NONCE_BYTES = 12
_CHECK = "pulumi"


@dataclass(frozen=True)
class Configuration:
    """Values by full key, as text (structures as JSON), and the keys that hold secrets."""

    values: dict[str, str]
    secret_keys: tuple[str, ...]


def read_document(project: Path, stack: str) -> dict[str, Any]:
    """Return the content of the stack's file.

    Raises:
        DeploymentError: there is none, or it is not YAML.
    """
    path = stack_file(project, stack)
    if not path.is_file():
        known = sorted(
            name.name.split(".")[1] for name in project.glob("Pulumi.*.yaml") if name.name.count(".") == 2
        )
        raise DeploymentError(
            f"there is no stack {stack!r}: {path.name} does not exist. Stacks here: {', '.join(known) or 'none'}."
        )
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise DeploymentError(f"{path.name} is not valid YAML: {error}") from error
    if not isinstance(document, dict) or not isinstance(document.get("config") or {}, dict):
        raise DeploymentError(f"{path.name} must hold a mapping `config:` of keys to values.")
    return document


def stack_file(project: Path, stack: str) -> Path:
    """Return the path of the stack's file.

    Raises:
        DeploymentError: the name is none that a stack can have.
    """
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}", stack):
        raise DeploymentError(
            f"{stack!r} is not the name of a stack: letters, digits, '-', '_' and '.' only."
        )
    return project / f"Pulumi.{stack}.yaml"


def project_name(project: Path) -> str:
    """Return the name in Pulumi.yaml."""
    return str(project_document(project)["name"])


def project_document(project: Path) -> dict[str, Any]:
    """Return the content of Pulumi.yaml.

    Raises:
        DeploymentError: it is missing, not YAML, or no project's.
    """
    try:
        document = yaml.safe_load((project / "Pulumi.yaml").read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DeploymentError(f"there is no Pulumi.yaml in {project}.") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise DeploymentError(f"Pulumi.yaml is not valid YAML: {error}") from error
    if not isinstance(document, dict) or "name" not in document:
        raise DeploymentError("Pulumi.yaml must hold the project, with its `name:`.")
    return document


def read(project: Path, stack: str, passphrase: Path) -> Configuration:
    """Return the stack's configuration, decrypted; `passphrase` is the file of this machine's own passphrase."""
    document = read_document(project, stack)
    name = project_name(project)
    crypter: AESGCM | None = None
    values: dict[str, str] = {}
    secret_keys: list[str] = []
    for key, value in (document.get("config") or {}).items():
        full = key if ":" in key else f"{name}:{key}"
        plain = value
        if _holds_secure(value):
            crypter = crypter or _crypter(document, stack, passphrase)
            plain = _decrypted(value, crypter, full)
            secret_keys.append(full)
        values[full] = plain if isinstance(plain, str) else json.dumps(plain, default=str)
    return Configuration(values, tuple(secret_keys))


def set_secret(project: Path, stack: str, path: tuple[str, ...], value: str, passphrase: Path) -> None:
    """Write a secret into the stack's file, encrypted; `path` is the key and the names below it."""
    document = read_document(project, stack)
    if "encryptionsalt" not in document:
        document["encryptionsalt"] = _new_salt(_passphrase(passphrase, make=True))
    crypter = _crypter(document, stack, passphrase)
    key = f"{project_name(project)}:{path[0]}"
    config = document.setdefault("config", {})
    holder: dict[str, Any] = config
    for name in (key, *path[1:])[:-1]:
        holder = holder.setdefault(name, {})
        if not isinstance(holder, dict):
            raise DeploymentError(f"{path[0]} of stack {stack} is not a mapping.")
    holder[(key, *path[1:])[-1]] = {"secure": _encrypted(value, crypter)}
    target = stack_file(project, stack)
    part = target.with_suffix(".part")
    part.write_text(yaml.safe_dump(document, sort_keys=False, allow_unicode=True), encoding="utf-8")
    part.replace(target)


def _holds_secure(value: Any) -> bool:
    if isinstance(value, dict):
        return set(value) == {"secure"} or any(_holds_secure(child) for child in value.values())
    return isinstance(value, list) and any(_holds_secure(child) for child in value)


def _decrypted(value: Any, crypter: AESGCM, key: str) -> Any:
    if isinstance(value, dict):
        if set(value) == {"secure"}:
            return _decrypt(str(value["secure"]), crypter, key)
        return {name: _decrypted(child, crypter, key) for name, child in value.items()}
    if isinstance(value, list):
        return [_decrypted(child, crypter, key) for child in value]
    return value


def _decrypt(text: str, crypter: AESGCM, key: str) -> str:
    try:
        nonce, ciphertext = text.removeprefix("v1:").split(":")
        return crypter.decrypt(base64.b64decode(nonce), base64.b64decode(ciphertext), None).decode()
    except (ValueError, InvalidTag) as error:
        raise DeploymentError(f"{key} holds a secret that this stack's passphrase does not open.") from error


def _encrypted(text: str, crypter: AESGCM) -> str:
    nonce = secrets.token_bytes(_NONCE_BYTES)
    ciphertext = crypter.encrypt(nonce, text.encode(), None)
    return f"v1:{base64.b64encode(nonce).decode()}:{base64.b64encode(ciphertext).decode()}"


def _crypter(document: dict[str, Any], stack: str, passphrase: Path) -> AESGCM:
    try:
        version, salt, check = str(document["encryptionsalt"]).split(":", 2)
    except (KeyError, ValueError):
        raise DeploymentError(
            f"Pulumi.{stack}.yaml holds secrets without an encryptionsalt: only passphrase-encrypted stacks can be read"
            " here."
        ) from None
    if version != "v1":
        raise DeploymentError(f"Pulumi.{stack}.yaml has an encryptionsalt of version {version}; known: v1.")
    crypter = _key(_passphrase(passphrase, make=False), base64.b64decode(salt))
    _decrypt(check, crypter, "encryptionsalt")
    return crypter


def _new_salt(passphrase: str) -> str:
    salt = secrets.token_bytes(8)
    check = _encrypted(_CHECK, _key(passphrase, salt))
    return f"v1:{base64.b64encode(salt).decode()}:{check}"


def _key(passphrase: str, salt: bytes) -> AESGCM:
    derive = PBKDF2HMAC(hashes.SHA256(), _KEY_BYTES, salt, _ITERATIONS)
    return AESGCM(derive.derive(passphrase.encode()))


def _passphrase(own: Path, *, make: bool) -> str:
    """Return Pulumi's own variables' passphrase, else this machine's, made when asked for."""
    if "PULUMI_CONFIG_PASSPHRASE" in os.environ:
        return os.environ["PULUMI_CONFIG_PASSPHRASE"]
    if "PULUMI_CONFIG_PASSPHRASE_FILE" in os.environ:
        return Path(os.environ["PULUMI_CONFIG_PASSPHRASE_FILE"]).read_text(encoding="utf-8").strip()
    if own.is_file():
        return own.read_text(encoding="utf-8")
    if not make:
        raise DeploymentError(
            "the stack has secrets: set PULUMI_CONFIG_PASSPHRASE (or PULUMI_CONFIG_PASSPHRASE_FILE) to its passphrase."
        )
    own.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    own.touch(0o600)
    own.write_text(secrets.token_urlsafe(32), encoding="utf-8")
    return own.read_text(encoding="utf-8")
