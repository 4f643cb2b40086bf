"""Remote commands and copies: what pulumi-command 1.2.1 refuses.

Sources: provider/pkg/provider/remote/*.go at v1.2.1; the words of missing and wrong fields are those of Pulumi's own
sdk/go/common/util/mapper/errors.go, through pulumi-go-provider 1.3.0 (infer/resource.go, DefaultCheck).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sandbox import values
from sandbox.provider_facts.refusal import Refusal


@dataclass(frozen=True)
class Struct:
    """A Go struct that inputs are decoded into: its name, and name → Go type of its fields."""

    name: str
    required: Mapping[str, Any]
    optional: Mapping[str, Any]

    @property
    def fields(self) -> dict[str, Any]:
        """All fields."""
        return {**self.required, **self.optional}


_BASE = {
    "user": "string",
    "password": "string",
    "port": "float64",
    "privateKey": "string",
    "privateKeyPassword": "string",
    "agentSocketPath": "string",
    "dialErrorLimit": "int",
    "perDialTimeout": "int",
    "hostKey": "string",
}
_PROXY = Struct("remote.ProxyConnection", {"host": "string"}, _BASE)
CONNECTION = Struct("remote.Connection", {"host": "string"}, {**_BASE, "proxy": _PROXY})
COMMAND = Struct(
    "remote.CommandInputs",
    {"connection": CONNECTION},
    {
        "triggers": "[]interface {}",
        "create": "string",
        "update": "string",
        "delete": "string",
        "stdin": "string",
        "logging": "remote.Logging",
        "environment": "map[string]string",
        "addPreviousOutputInEnv": "bool",
    },
)
COPY = Struct(
    "remote.CopyToRemoteInputs",
    {"connection": CONNECTION, "source": "types.AssetOrArchive", "remotePath": "string"},
    {"triggers": "[]interface {}"},
)
REPLACES = frozenset({"triggers"})

_UNCHECKED = "types.AssetOrArchive"
_CONVERTED = {"int": "float64", "remote.Logging": "string", "map[string]string": "map[string]interface {}"}


def of_command(inputs: dict[str, Any]) -> list[Refusal]:
    """Return what is refused of a Command's inputs."""
    return [Refusal(field, reason) for field, reason in _decode(COMMAND, inputs)]


def of_copy(inputs: dict[str, Any]) -> list[Refusal]:
    """Return what is refused of a CopyToRemote's inputs.

    An unknown source is an empty one to Check (copyController.go:71; pulumi-command#754, mended after 1.2.1).
    """
    refusals = [Refusal(field, reason) for field, reason in _decode(COPY, inputs)]
    source = values.unwrapped(inputs.get("source"))
    if values.is_asset(source):
        if source.get("path") is None and source.get("text") is None:
            refusals.append(Refusal("asset", "asset must be a path-based file asset or a text asset"))
    elif values.is_archive(source):
        if source.get("path") is None:
            refusals.append(Refusal("archive", "archive must be a path to a file or directory"))
    else:
        refusals.append(Refusal("asset", "either asset or archive must be set"))
    return refusals


def _decode(struct: Struct, inputs: dict[str, Any]) -> list[tuple[str, str]]:
    """Return field and reason of all that cannot be decoded into the struct; unknown values can."""
    failures = []
    for field, go_type in struct.fields.items():
        value = values.unwrapped(inputs.get(field))
        if value is None:
            if field in struct.required:
                failures.append((field, f"Missing required field '{field}' on '{struct.name}'"))
        elif not values.is_unknown(value):
            reason = _undecoded(struct, field, go_type, value)
            if reason:
                failures.append((field, reason))
    return failures + [
        (field, f"Unrecognized field '{field}' on '{struct.name}'")
        for field in sorted(inputs.keys() - struct.fields.keys())
    ]


def _undecoded(struct: Struct, field: str, go_type: Any, value: Any) -> str:
    if isinstance(go_type, Struct):
        if not isinstance(value, dict):
            return f"Field '{field}' on '{struct.name}' must be a '{go_type.name}'; got '{_go_type(value)}' instead"
        inner = _decode(go_type, value)
        if not inner:
            return ""
        listed = "".join(f"\n\t{name}: {reason}" for name, reason in inner)
        short = struct.name.rpartition(".")[2]
        return f"An error occurred decoding '{short}.{field}': {len(inner)} failures decoding:{listed}"
    if go_type == _UNCHECKED or _go_type(value) in (go_type, _CONVERTED.get(go_type)):
        return ""
    return f"Field '{field}' on '{struct.name}' must be a '{go_type}'; got '{_go_type(value)}' instead"


def _go_type(value: Any) -> str:
    match value:
        case bool():
            return "bool"
        case int() | float():
            return "float64"
        case str():
            return "string"
        case list():
            return "[]interface {}"
        case _:
            return "map[string]interface {}"
