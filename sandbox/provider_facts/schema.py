"""What a Terraform provider's schema says of an input, and what it says of a value: data for the tables beside this.

The words are those of Terraform's plugin SDK 1.17.2 (helper/validation), which the alicloud provider is built with.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

Check = Callable[[str, Any], list[str]]
"""From an input's Terraform name and a known value to the provider's complaints."""

# What the alicloud provider adds where its own validators stand in for the SDK's (alicloud/validators.go:354).
NOTE = " \n[NOTE] set env variable TF_SKIP_RESOURCE_SCHEMA_VALIDATION to true can skip the error and get a warning"


@dataclass(frozen=True)
class Field:
    """One input of a resource or data source.

    Attributes:
        kind: its type. An `object` is a list of at most one, which Pulumi shows as the one.
        description: what the bridge adds when a required one is missing.
        conflicts: inputs that it cannot stand beside.
        one_of: it and these: exactly one has to be there.
        some_of: these: at least one has to be there.
        replaces: its change makes a new resource (ForceNew).
        restarts: its change in place stops or reboots what runs.
        at_most: length of a list.
    """

    kind: Literal["text", "int", "float", "bool", "list", "map", "object"] = "text"
    check: Check | None = None
    required: bool = False
    description: str = ""
    conflicts: tuple[str, ...] = ()
    one_of: tuple[str, ...] = ()
    some_of: tuple[str, ...] = ()
    replaces: bool = False
    restarts: bool = False
    at_most: int | None = None


@dataclass(frozen=True)
class Schema:
    """A resource or data source: its inputs, and what it only gives back."""

    inputs: Mapping[str, Field]
    computed: frozenset[str] = frozenset()

    @property
    def replaces(self) -> frozenset[str]:
        """Inputs whose change makes a new resource."""
        return frozenset(name for name, field in self.inputs.items() if field.replaces)

    @property
    def restarts(self) -> frozenset[str]:
        """Inputs whose change in place stops or reboots what runs."""
        return frozenset(name for name, field in self.inputs.items() if field.restarts)

    @property
    def checked(self) -> frozenset[str]:
        """Inputs whose value is looked at."""
        return frozenset(name for name, field in self.inputs.items() if field.check)


def terraform_name(name: str) -> str:
    """Return Terraform's name of an input: `cidr_block` of `cidrBlock`."""
    return re.sub(r"[A-Z]", lambda letter: "_" + letter.group().lower(), name)


def one_of(*words: str, note: str = NOTE) -> Check:
    """Allow these words: StringInSlice."""

    def check(key: str, value: Any) -> list[str]:
        return (
            [] if value in words else [f"expected {key} to be one of [{' '.join(words)}], got {value}{note}"]
        )

    return check


def one_number_of(*numbers: int, note: str = NOTE) -> Check:
    """Allow these numbers: IntInSlice."""

    def check(key: str, value: Any) -> list[str]:
        allowed = " ".join(map(str, numbers))
        return [] if value in numbers else [f"expected {key} to be one of [{allowed}], got {value}{note}"]

    return check


def between(first: int, last: int, note: str = NOTE) -> Check:
    """Allow a range of numbers: IntBetween."""

    def check(key: str, value: Any) -> list[str]:
        if first <= value <= last:
            return []
        return [f"expected {key} to be in the range ({first} - {last}), got {value}{note}"]

    return check


def length(shortest: int, longest: int, note: str = NOTE) -> Check:
    """Allow a range of lengths, in bytes: StringLenBetween."""

    def check(key: str, value: Any) -> list[str]:
        if shortest <= len(value.encode()) <= longest:
            return []
        return [f"expected length of {key} to be in the range ({shortest} - {longest}), got {value}{note}"]

    return check


def matches(pattern: str, message: str, note: str = NOTE) -> Check:
    """Allow what a regular expression finds: StringMatch."""

    def check(key: str, value: Any) -> list[str]:
        return [] if re.search(pattern, value) else [f"invalid value for {key} ({message}){note}"]

    return check


def pattern(key: str, value: Any) -> list[str]:
    """Allow a regular expression (StringIsValidRegExp); Python's complaint stands for Go's."""
    try:
        re.compile(value)
    except re.error as error:
        return [f'"{key}": {error}']
    return []


def either(*checks: Check) -> Check:
    """Allow what one of the checks allows: Any."""

    def check(key: str, value: Any) -> list[str]:
        complaints = [one(key, value) for one in checks]
        return [] if [] in complaints else [text for some in complaints for text in some]

    return check
