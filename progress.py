"""What a deployment tells while it runs, whichever engine runs it: steps and what happens to them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum


class Operation(StrEnum):
    """What is done to a resource, with Pulumi's own signs."""

    CREATE = "create"
    UPDATE = "update"
    REPLACE = "replace"
    DELETE = "delete"
    SAME = "same"

    @property
    def sign(self) -> str:
        """One character for a plan."""
        return {"create": "+", "update": "~", "replace": "±", "delete": "-", "same": " "}[self.value]


@dataclass(frozen=True)
class Step:
    """One operation on one resource.

    Attributes:
        type: last part of the type token, such as `Instance`.
        name: the resource's name.
        changed: inputs that differ, for an update or a replacement.
    """

    operation: Operation
    type: str
    name: str
    changed: tuple[str, ...] = ()


class Happening(StrEnum):
    """What an event says of its step."""

    PLANNED = "planned"
    STARTED = "started"
    OUTPUT = "output"
    DONE = "done"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True)
class Event:
    """Something that happened to a step; `text` is a line of output or an error, `seconds` how long it took."""

    happening: Happening
    step: Step
    text: str = ""
    seconds: float = 0.0


Report = Callable[[Event], None]


@dataclass(frozen=True)
class Outcome:
    """How a run ended.

    Attributes:
        steps: what was done, or would be (preview); unchanged resources are among them.
        failures: step and error text of everything that failed.
        outputs: the stack's outputs; secrets, and what a preview does not know, are left out.
        warnings: what the program warns of.
    """

    steps: tuple[Step, ...]
    failures: tuple[tuple[Step, str], ...]
    outputs: dict[str, object]
    warnings: tuple[str, ...] = ()

    @property
    def changes(self) -> tuple[Step, ...]:
        """The steps that do something, or tried."""
        return tuple(step for step in self.steps if step.operation is not Operation.SAME)


class Interrupted(Exception):  # noqa: N818 - nothing went wrong
    """A run was told to stop, and did: what was under way is recorded."""


class DeploymentError(Exception):
    """A run could not start or go on; the text says why and what to do, without a traceback."""
