"""A stack behind one interface: the Pulumi CLI runs it, or the sandbox does. Its key `target` says which."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from automation.drift import Rule
from progress import DeploymentError, Outcome, Report
from sandbox import configuration

PROJECT = Path(__file__).resolve().parent.parent


class Stack(Protocol):
    """What can be done with a stack. Each method raises DeploymentError when it cannot start or go on."""

    def preview(self, report: Report, *, refresh: bool = False) -> Outcome:
        """Say what `up` would do; `refresh` looks at what is really there first."""

    def up(self, report: Report, *, refresh: bool = False) -> Outcome:
        """Make the stack what the program says; `refresh` looks at what is really there first."""

    def destroy(self, report: Report) -> Outcome:
        """Remove all of the stack."""

    def outputs(self) -> dict[str, Any]:
        """Return the stack's outputs by name."""

    def public_outputs(self) -> dict[str, Any]:
        """Return the stack's outputs by name, `[secret]` in place of what is secret."""

    def resources(self) -> list[dict[str, Any]]:
        """Return type, name, id, inputs and outputs of each resource, secrets in the clear."""

    def rules(self, group_id: str) -> list[Rule]:
        """Return the rules that a security group has in the cloud."""

    def set_secret(self, path: tuple[str, ...], value: str) -> None:
        """Keep a secret value, encrypted, in the stack's configuration."""

    def setting(self, key: str) -> str | None:
        """Return a key of the stack's configuration, a secret in the clear; None when it is not set."""


def open_stack(name: str, project: Path = PROJECT, say: Callable[[str], None] = lambda _line: None) -> Stack:
    """Return the stack that `Pulumi.<name>.yaml` of the folder `project` configures.

    `say` gets a line when a run is being cancelled.

    Raises:
        DeploymentError: there is no such stack, or its `target` is none that is known.
    """
    config = configuration.read_document(project, name).get("config") or {}
    target = config.get(f"{configuration.project_name(project)}:target", "alicloud")
    match target:
        # Each engine is loaded when it is asked for: either takes longer than the rest of a short command.
        case "sandbox":
            from sandbox.stack import SandboxStack  # noqa: PLC0415

            return SandboxStack(project, name)
        case "alicloud":
            from automation.pulumi_stack import PulumiStack  # noqa: PLC0415

            return PulumiStack(project, name, say)
        case _:
            raise DeploymentError(f"target is {target!r}; allowed: alicloud or sandbox")
