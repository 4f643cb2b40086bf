"""The configured values of a stack by key, over the defaults of Pulumi.yaml, and how a wrong one is refused."""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

import pulumi
import yaml
from pulumi.runtime import config as runtime_config

PROJECT_FILE = Path(__file__).parent.with_name("Pulumi.yaml")


class Values:
    """The configured values over the defaults of Pulumi.yaml, by key."""

    def __init__(self, project: str, defaults: Mapping[str, Any]) -> None:
        self._project = project
        self._defaults = defaults

    @classmethod
    def read(cls) -> Values:
        """Read what the engine handed over, and refuse keys that Pulumi.yaml does not know."""
        document = yaml.safe_load(PROJECT_FILE.read_text(encoding="utf-8"))
        project, schema = document["name"], document["config"]
        values = cls(project, {key: entry["default"] for key, entry in schema.items()})
        values._refuse_unknown()
        return values

    def _refuse_unknown(self) -> None:
        prefix = f"{self._project}:"
        configured = {**runtime_config.get_config_env(), **runtime_config.CONFIG.get()}
        unknown = sorted(
            key.removeprefix(prefix)
            for key in configured
            if key.startswith(prefix) and key.removeprefix(prefix) not in self._defaults
        )
        if unknown:
            raise pulumi.RunError(
                f"unknown configuration key {', '.join(unknown)}; "
                f"allowed: {', '.join(sorted(self._defaults))}"
            )

    def _raw(self, key: str) -> Any:
        value = runtime_config.get_config(f"{self._project}:{key}")
        return self._defaults[key] if value is None else value

    def text(self, key: str) -> str:
        """The value as text; an empty one is refused."""
        value = self._raw(key)
        text = value if isinstance(value, str) else json.dumps(value)
        if not text:
            refuse(key, text, "a value that is not empty")
        return text

    def optional(self, key: str) -> str | None:
        """The value as text, None for the empty text that stands for "not set"."""
        return str(self._raw(key)) or None

    def structure(self, key: str) -> Any:
        """A list or mapping: the engine hands these over as JSON text."""
        value = self._raw(key)
        if not isinstance(value, str):
            return value
        try:
            return json.loads(value)
        except ValueError:
            return value

    def mapping(self, key: str) -> dict[str, Any]:
        """A mapping, anything else is refused."""
        value = self.structure(key)
        if not isinstance(value, dict):
            refuse(key, "[secret]" if key == "secrets" else value, "a mapping of names to values")
        return value


def cidrs(values: Values, key: str) -> tuple[str, ...]:
    """A list of IPv4 networks, as `a.b.c.d/n`, each once."""
    entries = values.structure(key)
    if not isinstance(entries, list):
        refuse(key, entries, 'a list of networks such as ["203.0.113.7/32"]')
    networks: list[str] = []
    for entry in entries:
        try:
            # A number would be taken for an address: 5 for 0.0.0.5.
            network = str(ipaddress.IPv4Network(entry if isinstance(entry, str) else json.dumps(entry)))
        except ValueError as error:
            refuse(key, entry, "IPv4 networks such as 203.0.113.7/32", error)
        if network in networks:
            refuse(key, entry, "each network once")
        networks.append(network)
    return tuple(networks)


def integer(values: Values, key: str, low: int, high: int) -> int:
    """A whole number within both bounds, these included."""
    text = values.text(key)
    if not re.fullmatch(r"-?[0-9]{1,9}", text) or not low <= int(text) <= high:
        refuse(key, text, f"a whole number from {low} to {high}")
    return int(text)


def one_of(values: Values, key: str, allowed: tuple[str, ...]) -> str:
    """One of the words."""
    value = values.text(key)
    if value not in allowed:
        refuse(key, value, alternatives(allowed))
    return value


def _is_secret(key: str) -> bool:
    full = f"{pulumi.get_project()}:{key}"
    return runtime_config.is_config_secret(full) or full in runtime_config.get_config_secret_keys_env()


def require_secret(key: str) -> None:
    """Refuse a value that stands in the stack's file as it is."""
    if not _is_secret(key):
        raise pulumi.RunError(
            f"{key} stands in plain text in the stack's configuration; set it with --secret."
        )


def alternatives(values: tuple[str, ...]) -> str:
    """`a or b`, for messages."""
    return " or ".join(values)


def refuse(key: str, value: object, allowed: str, why: object = "") -> NoReturn:
    """Raise the error; `why` may quote the value, and is left out with it where that was set with --secret."""
    if _is_secret(key):
        value, why = "[secret]", ""
    shown = value if isinstance(value, str) else json.dumps(value)
    raise pulumi.RunError(f"{key} is {shown!r}; allowed: {allowed}" + (f" ({why})" if why else ""))
