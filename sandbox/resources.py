"""The kinds of resources and data sources the sandbox has: the program's own, and no others."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sandbox.errors import SandboxError
from sandbox.state import Entry

Say = Callable[[str], None]


@dataclass(frozen=True)
class Made:
    """What making a resource gave: its outputs, by the names the provider uses."""

    outputs: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Kind:
    """How one type of resource is made and changed.

    Each function raises SandboxError with a message for the user. `create` and `delete` may meet what a killed run
    left half-done and carry on from there. `seconds` is the resource's own timeout, None for the default.

    Attributes:
        replaces: inputs whose change needs a new resource.
        new_id: the id of a new resource from a random token of 32 hex digits.
        update_gives_new_outputs: a preview of an update does not know the outputs.
        read: what is otherwise now than it was made, for a refresh; None: it is gone.
    """

    replaces: frozenset[str]
    new_id: Callable[[str], str]
    create: Callable[[Entry, Say, float | None], Made]
    update: Callable[[Entry, Entry, Say, float | None], Made]
    delete: Callable[[Entry, Say], None]
    update_gives_new_outputs: bool = False
    read: Callable[[Entry], dict[str, Any] | None] = lambda _entry: {}


class Kinds:
    """All kinds and data sources of a sandbox, by their tokens."""

    def __init__(
        self,
        kinds: Mapping[str, Kind],
        data_sources: Mapping[str, Callable[[dict[str, Any]], dict[str, Any]]],
    ) -> None:
        self._kinds = kinds
        self._data_sources = data_sources

    def of(self, type_token: str) -> Kind:
        """Return the kind of a type token.

        Raises:
            SandboxError: the sandbox has no such resource.
        """
        try:
            return self._kinds[type_token]
        except KeyError:
            raise SandboxError(
                f"the sandbox has no {type_token}; it has {', '.join(sorted(self._kinds))}"
            ) from None

    def invoke(self, token: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """Return what a data source answers.

        Raises:
            SandboxError: the sandbox has no such data source.
        """
        try:
            source = self._data_sources[token]
        except KeyError:
            raise SandboxError(
                f"the sandbox has no data source {token}; it has {', '.join(sorted(self._data_sources))}"
            ) from None
        return source(arguments)
