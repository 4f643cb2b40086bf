"""Property values as the Pulumi SDK sends them, as plain JSON trees.

A secret, an asset and an unknown value keep the SDK's own envelopes (pulumi/runtime/rpc.py), so that a tree can go
into the state and back into a response as it is.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cryptography.fernet import Fernet
from google.protobuf import struct_pb2

Tree = dict[str, Any] | list[Any] | str | int | float | bool | None

# The SDK's own (pulumi/runtime/rpc.py), without the third of a second that it takes to load.
UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
_SIGNATURE = "4dabf18193072939515e22adb298388d"
_SECRET = "1b47061264138c4ac30d75fd1eb44270"  # noqa: S105 - the SDK's mark of a secret value
_ASSET = "c44067f5952c0a294b673a41bacd8c17"
_ARCHIVE = "0def7320c3a5731c473e5ecbe6d01bc7"


def from_struct(struct: struct_pb2.Struct) -> dict[str, Any]:
    """Return the properties of a request; whole numbers, which travel as floats, come back as int."""
    return {key: _from_value(value) for key, value in struct.fields.items()}


def to_struct(properties: dict[str, Any]) -> struct_pb2.Struct:
    """Return the properties as a response carries them."""
    struct = struct_pb2.Struct()
    struct.update(properties)
    return struct


def _from_value(value: struct_pb2.Value) -> Any:
    match value.WhichOneof("kind"):
        case "struct_value":
            return _with_hash(from_struct(value.struct_value))
        case "list_value":
            return [_from_value(item) for item in value.list_value.values]
        case "number_value":
            number = value.number_value
            return int(number) if number.is_integer() else number
        case "string_value":
            return value.string_value
        case "bool_value":
            return value.bool_value
        case _:
            return None


def _with_hash(tree: dict[str, Any]) -> dict[str, Any]:
    """Give a file asset the hash of its content: a path alone does not tell whether it changed. (An engine does so.)"""
    if tree.get(_SIGNATURE) == _ASSET and "path" in tree and not tree.get("hash"):
        return {**tree, "hash": hashlib.sha256(Path(tree["path"]).read_bytes()).hexdigest()}
    return tree


def secret(value: Any) -> dict[str, Any]:
    """Return the value in the SDK's envelope of a secret."""
    return {_SIGNATURE: _SECRET, "value": value}


def is_secret(tree: Tree) -> bool:
    """Tell whether the value itself is a secret."""
    return isinstance(tree, dict) and tree.get(_SIGNATURE) == _SECRET


def is_unknown(tree: Tree) -> bool:
    """Tell whether the value itself is not known yet, as a secret or not."""
    return bool(unwrapped(tree) == UNKNOWN)


def is_asset(tree: Tree) -> bool:
    """Tell whether the value is a file, a text or what an address gives."""
    return isinstance(tree, dict) and tree.get(_SIGNATURE) == _ASSET


def is_archive(tree: Tree) -> bool:
    """Tell whether the value is an archive or a folder."""
    return isinstance(tree, dict) and tree.get(_SIGNATURE) == _ARCHIVE


def holds_secret(tree: Tree) -> bool:
    """Tell whether the value is or contains a secret."""
    return is_secret(tree) or any(holds_secret(child) for child in _children(tree))


def holds_unknown(tree: Tree) -> bool:
    """Tell whether the value is not known yet, or a part of it."""
    return tree == UNKNOWN or any(holds_unknown(child) for child in _children(tree))


def unwrapped(tree: Any) -> Any:
    """Return the value without its envelopes of secrets."""
    if is_secret(tree):
        return unwrapped(tree["value"])
    if isinstance(tree, dict):
        return {key: unwrapped(value) for key, value in tree.items()}
    if isinstance(tree, list):
        return [unwrapped(value) for value in tree]
    return tree


def public(properties: dict[str, Any]) -> dict[str, Any]:
    """Return the properties that are known and hold no secret."""
    return {
        key: value
        for key, value in properties.items()
        if not holds_secret(value) and not holds_unknown(value)
    }


def asset_path(tree: Any) -> Path:
    """Return the file that an asset names."""
    return Path(unwrapped(tree)["path"])


def sealed(tree: Any, key: Fernet) -> Any:
    """Return the tree with each secret encrypted, to be kept on disk."""

    def seal(value: Any) -> Any:
        return {"ciphertext": key.encrypt(json.dumps(value).encode()).decode()}

    return _map_secrets(tree, seal)


def opened(tree: Any, key: Fernet) -> Any:
    """Return what `sealed` was given."""

    def open_(value: Any) -> Any:
        return json.loads(key.decrypt(value["ciphertext"].encode()))

    return _map_secrets(tree, open_)


def _map_secrets(tree: Any, change: Callable[[Any], Any]) -> Any:
    if is_secret(tree):
        return secret(change(tree["value"]))
    if isinstance(tree, dict):
        return {key: _map_secrets(value, change) for key, value in tree.items()}
    if isinstance(tree, list):
        return [_map_secrets(value, change) for value in tree]
    return tree


def _children(tree: Tree) -> list[Any]:
    if isinstance(tree, dict):
        return list(tree.values())
    return tree if isinstance(tree, list) else []
