"""The configured values of a stack by key, over the defaults of Pulumi.yaml, and how a wrong one is refused."""

from __future__ import annotations

import functools
import ipaddress
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

import pulumi
import yaml
from pulumi.runtime import config as runtime_config

from render.messages import control_character, cut, shown

PROJECT_FILE = Path(__file__).parent.with_name("Pulumi.yaml")
# No path on a server (PATH_MAX) and no word in nginx's configuration (NGX_CONF_BUFFER) may be longer.
MOST_CHARACTERS = 4096
# What hold a secret, or may, however they were set.
_NEVER_SHOWN = frozenset(("env", "secrets", "privateKey", "certificateKey"))
# Characters of another program's reason, and of unknown keys, that a message repeats.
_MOST_OF_REASON = 160


class Values:
    """The configured values over the defaults of Pulumi.yaml, by key."""

    def __init__(self, project: str, defaults: Mapping[str, Any]) -> None:
        self._project = project
        self.defaults = defaults

    @classmethod
    def read(cls) -> Values:
        """Read what the engine handed over, and refuse keys that Pulumi.yaml does not know."""
        values = cls(*_schema())
        values._refuse_unknown()
        return values

    def _refuse_unknown(self) -> None:
        prefix = f"{self._project}:"
        configured = {**runtime_config.get_config_env(), **runtime_config.CONFIG.get()}
        unknown = sorted(
            key.removeprefix(prefix)
            for key in configured
            if key.startswith(prefix) and key.removeprefix(prefix) not in self.defaults
        )
        if unknown:
            raise pulumi.RunError(
                f"unknown configuration key {cut(', '.join(unknown), _MOST_OF_REASON)}; "
                f"allowed: {', '.join(sorted(self.defaults))}"
            )

    def _raw(self, key: str) -> Any:
        value = runtime_config.get_config(f"{self._project}:{key}")
        return self.defaults[key] if value is None else value

    def text(self, key: str) -> str:
        """The value as text on one line; an empty one is refused."""
        text = self._one_line(key)
        if not text:
            refuse(key, text, "a value that is not empty")
        return text

    def optional(self, key: str) -> str | None:
        """The value as text on one line, None for the empty text that stands for "not set"."""
        return self._one_line(key) or None

    def lines(self, key: str) -> str | None:
        """The value as text that may have several lines, None for "not set"."""
        text = as_text(self._raw(key))
        found = control_character(text, "\t\n\r")
        if found:
            refuse(key, text, "text without control characters", _character(found))
        return text or None

    def _one_line(self, key: str) -> str:
        """What is rendered into a file or a command: a line's end there would begin another directive."""
        text = as_text(self._raw(key))
        found = control_character(text)
        if found or len(text) > MOST_CHARACTERS:
            allowed = f"text on one line, of at most {MOST_CHARACTERS} characters and none that controls"
            refuse(key, text, allowed, _character(found) if found else "")
        return text

    def structure(self, key: str) -> Any:
        """A list or mapping: the engine hands these over as JSON text."""
        value = self._raw(key)
        if not isinstance(value, str):
            return value
        try:
            return json.loads(value)
        except (ValueError, RecursionError):
            return value

    def mapping(self, key: str) -> dict[str, Any]:
        """A mapping, anything else is refused."""
        value = self.structure(key)
        if not isinstance(value, dict):
            refuse(key, value, "a mapping of names to values")
        return value


@functools.cache
def _schema() -> tuple[str, Mapping[str, Any]]:
    """The project's name, and the defaults of its keys."""
    document = yaml.safe_load(PROJECT_FILE.read_text(encoding="utf-8"))
    return document["name"], {key: entry["default"] for key, entry in document["config"].items()}


def as_text(value: object) -> str:
    """A value as a message shows it, and as a key that wants text takes it."""
    if isinstance(value, str):
        return value
    try:
        return json.dumps(value)
    except RecursionError:
        return type(value).__name__


def decimal(text: str) -> int | None:
    """The whole number that ASCII digits write, with a minus or without; None for any other text."""
    # int() also takes blanks, underscores and the digits of every script; isdigit() even what int() does not.
    return int(text) if re.fullmatch(r"-?[0-9]{1,9}", text) else None


def cidrs(values: Values, key: str) -> tuple[str, ...]:
    """A list of IPv4 networks, as `a.b.c.d/n`, each once."""
    entries = values.structure(key)
    if not isinstance(entries, list):
        refuse(key, entries, 'a list of networks such as ["203.0.113.7/32"]')
    networks: list[str] = []
    for entry in entries:
        try:
            # A number would be taken for an address: 5 for 0.0.0.5.
            network = str(ipaddress.IPv4Network(as_text(entry)))
        except ValueError as error:
            refuse(key, entry, "IPv4 networks such as 203.0.113.7/32", error)
        if network in networks:
            refuse(key, entry, "each network once")
        networks.append(network)
    return tuple(networks)


def integer(values: Values, key: str, low: int, high: int) -> int:
    """A whole number within both bounds, these included."""
    text = values.text(key)
    number = decimal(text)
    if number is None or not low <= number <= high:
        refuse(key, text, f"a whole number from {low} to {high}")
    return number


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
    """Raise the error, in which a long value is cut.

    Neither a secret nor `why`, which may quote it, is shown.
    """
    if key in _NEVER_SHOWN or _is_secret(key):
        value, why = "[secret]", ""
    reason = f" ({cut(str(why), _MOST_OF_REASON)})" if why else ""
    raise pulumi.RunError(f"{key} is {shown(as_text(value))}; allowed: {allowed}{reason}")


def _character(character: str) -> str:
    return f"it has the character U+{ord(character):04X}"
