"""What the real providers refuse, replace and restart, for the program's own types of resources and data sources.

The sandbox's engine, its provider plugins and the stand-in of the unit tests ask here, so that nobody is taken in by
what a real `pulumi up` would refuse. What is refused only when something is made is in `sandbox/api_refusals.py`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from sandbox import values
from sandbox.provider_facts import alicloud, bridge, command, tls
from sandbox.provider_facts.refusal import Refusal

__all__ = [
    "COMMAND",
    "COPY",
    "PRIVATE_KEY",
    "Refusal",
    "as_pulumi_says",
    "checked",
    "known_inputs",
    "refusals",
    "replaces",
    "restarts",
]

COMMAND = "command:remote:Command"
COPY = "command:remote:CopyToRemote"
PRIVATE_KEY = "tls:index/privateKey:PrivateKey"

_SCHEMAS = {**alicloud.RESOURCES, PRIVATE_KEY: tls.PRIVATE_KEY}
_OWN: Mapping[str, Callable[[dict[str, Any]], list[Refusal]]] = {
    COMMAND: command.of_command,
    COPY: command.of_copy,
    PRIVATE_KEY: tls.of_private_key,
}
_STRUCTS = {COMMAND: command.COMMAND, COPY: command.COPY}


def refusals(type_token: str, inputs: dict[str, Any]) -> list[Refusal]:
    """Return what the provider refuses of a resource's inputs, or of a data source's arguments.

    `inputs` are as `sandbox/values.py` has them. Of a type that is not in the table nothing is refused.
    """
    if type_token in _OWN:
        return _OWN[type_token](inputs)
    if type_token in alicloud.RESOURCES:
        return bridge.of_resource(alicloud.RESOURCES[type_token], inputs)
    if type_token in alicloud.SOURCES:
        return bridge.of_source(alicloud.SOURCES[type_token], inputs)
    return []


def as_pulumi_says(type_token: str, name: str, refusal: Refusal, inputs: dict[str, Any]) -> str:
    """Return the refusal in one line, as the CLI prints it for a resource, and the Python SDK for a data source.

    A secret value is not shown. Sources: pulumi 3.259, sdk/go/common/diag/errors.go:36-42 and
    pkg/resource/deploy/step_generator.go, issueCheckFailures; sdk/python/lib/pulumi/runtime/invoke.py.
    """
    reason = re.sub(r"\s*\n\s*", " ", refusal.told_of(name))
    if type_token in alicloud.SOURCES:
        return f"invoke of {type_token} failed: {reason} ({refusal.property})"
    if not refusal.property:
        return f"{type_token} resource '{name}' has a problem: {reason}"
    value = _as_go_prints(inputs.get(refusal.property))
    return (
        f"{type_token} resource '{name}': property {refusal.property} value {value} has a problem: {reason}"
    )


def replaces(type_token: str) -> frozenset[str]:
    """Return the inputs whose change makes a new resource."""
    if type_token in _STRUCTS:
        return command.REPLACES
    return _SCHEMAS[type_token].replaces if type_token in _SCHEMAS else frozenset()


def restarts(type_token: str) -> frozenset[str]:
    """Return the inputs whose change in place stops or reboots what runs."""
    return _SCHEMAS[type_token].restarts if type_token in _SCHEMAS else frozenset()


def known_inputs(type_token: str) -> frozenset[str]:
    """Return the names of all inputs of a resource, or arguments of a data source."""
    if type_token in _STRUCTS:
        return frozenset(_STRUCTS[type_token].fields)
    return frozenset({**_SCHEMAS, **alicloud.SOURCES}[type_token].inputs)


def checked(type_token: str) -> frozenset[str]:
    """Return the inputs whose value is looked at in a preview, if it is known by then."""
    own = {COPY: frozenset({"source"}), PRIVATE_KEY: frozenset({"algorithm", "ecdsaCurve"})}
    return own.get(type_token) or (_SCHEMAS[type_token].checked if type_token in _SCHEMAS else frozenset())


def _as_go_prints(value: Any) -> str:
    """Return a property's value as Go's `%v` has it (sdk/go/common/resource/properties.go, String)."""
    if values.is_secret(value):
        return "{[secret]}"
    if values.is_unknown(value):
        return "output<string>{}"
    match value:
        case list():
            text = f"[{' '.join(map(_as_go_prints, value))}]"
        case dict():
            pairs = (f"{key}:{_as_go_prints(entry)}" for key, entry in sorted(value.items()))
            text = f"map[{' '.join(pairs)}]"
        case bool():
            text = str(value).lower()
        case _:
            text = "<nil>" if value is None else str(value)
    return f"{{{text}}}"
