"""What Pulumi's Terraform bridge makes of a schema: the refusals of the alicloud provider.

Order and rules are those of helper/schema/schema.go (validate, validateObject) of Terraform's plugin SDK 1.17.2; what
the bridge makes of its errors is in pkg/tfbridge/adapt_check_failures.go and check_failures.go: it recognizes a missing
and a conflicting input, and hands on the rest as it is. What a list of objects holds is not looked at here: the
program has none.
"""

from __future__ import annotations

from typing import Any

from sandbox import values
from sandbox.provider_facts.refusal import Refusal
from sandbox.provider_facts.schema import Field, Schema, terraform_name


def of_resource(schema: Schema, inputs: dict[str, Any]) -> list[Refusal]:
    """Return what Check refuses of a resource's inputs."""
    return [*_of_fields(schema, inputs, _missing), *_of_strangers(schema, inputs)]


def of_source(schema: Schema, arguments: dict[str, Any]) -> list[Refusal]:
    """Return what Invoke refuses of a data source's arguments: the same, in Terraform's own words.

    Source: pkg/tfbridge/provider.go, Invoke.
    """
    found = [*_of_fields(schema, arguments, _missing_argument), *_of_strangers(schema, arguments)]
    return [Refusal("", refusal.reason) for refusal in found]


def _missing(name: str, field: Field) -> Refusal:
    description = f": {field.description}" if field.description else ""
    return Refusal("", f"Missing required property '{name}'{description}")


def _missing_argument(name: str, _field: Field) -> Refusal:
    return Refusal("", f'"{terraform_name(name)}": required field is not set')


def _of_fields(schema: Schema, inputs: dict[str, Any], missing: Any) -> list[Refusal]:
    refusals: list[Refusal] = []
    for name, field in schema.inputs.items():
        combination = _combination(name, field, inputs)
        if combination:
            refusals.append(Refusal("", combination))
        elif inputs.get(name) is None:
            if field.required:
                refusals.append(missing(name, field))
        elif not values.holds_unknown(inputs[name]):
            refusals += _of_value(name, field, inputs)
    return refusals


def _combination(name: str, field: Field, inputs: dict[str, Any]) -> str:
    def names(some: tuple[str, ...]) -> str:
        return ",".join(sorted(map(terraform_name, some)))

    key = terraform_name(name)
    there = tuple(other for other in field.one_of if inputs.get(other) is not None)
    known = tuple(other for other in there if not values.is_unknown(inputs[other]))
    if field.one_of and not there:
        return f'"{key}": one of `{names(field.one_of)}` must be specified'
    if len(known) > 1:
        return f'"{key}": only one of `{names(field.one_of)}` can be specified, but `{names(known)}` were specified.'
    if field.some_of and all(inputs.get(other) is None for other in field.some_of):
        return f'"{key}": one of `{names(field.some_of)}` must be specified'
    return ""


def _of_value(name: str, field: Field, inputs: dict[str, Any]) -> list[Refusal]:
    key = terraform_name(name)
    for other in field.conflicts:
        if inputs.get(other) is not None and not values.is_unknown(inputs[other]):
            return [Refusal("", f'"{key}": conflicts with {terraform_name(other)}', examine=name)]
    value = values.unwrapped(inputs[name])
    complaint = _wrong_type(key, field, value)
    if complaint:
        return [Refusal("", complaint)]
    if not field.check:
        return []
    # Text and numbers are taken for each other, as the bridge does.
    decoded = int(value) if field.kind == "int" else str(value) if field.kind == "text" else value
    return [Refusal("", text) for text in field.check(key, decoded)]


def _wrong_type(key: str, field: Field, value: Any) -> str:
    complaint = ""
    match field.kind, value:
        case "object", _:
            pass
        case "list", list():
            if field.at_most is not None and len(value) > field.at_most:
                limit = f"attribute supports {field.at_most} item maximum"
                complaint = f"{key}: {limit}, config has {len(value)} declared"
        case "list" | "map" as kind, _ if not (kind == "map" and isinstance(value, dict)):
            complaint = f"{key}: should be a {kind}"
        case (("text" | "int" | "float" | "bool"), list() | dict()):
            kind = "list" if isinstance(value, list) else "map"
            complaint = f"{key} must be a single value, not a {kind}"
        case "int", str() if not value.lstrip("+-").isdigit():
            complaint = f'strconv.ParseInt: parsing "{value}": invalid syntax'
        case _:
            pass
    return complaint


def _of_strangers(schema: Schema, inputs: dict[str, Any]) -> list[Refusal]:
    refusals = []
    for name in inputs.keys() - schema.inputs.keys():
        key = terraform_name(name)
        if name.startswith("__") or inputs[name] is None:
            continue
        if name in schema.computed:
            refusals.append(Refusal("", f'"{key}": this field cannot be set'))
        else:
            refusals.append(Refusal("", f": invalid or unknown key: {key}"))
    return refusals
