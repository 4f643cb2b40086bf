"""A stack that the Pulumi CLI runs, through its Automation API."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from pulumi import automation
from pulumi.automation import events

from progress import DeploymentError, Event, Happening, Operation, Outcome, Report, Step

_SIGNATURE = "4dabf18193072939515e22adb298388d"
# Pulumi's steps that are parts of a replacement; `replace` itself stands for all of them.
_PARTS = {"create-replacement", "delete-replaced", "discard-replaced"}
_OPERATIONS = {
    "create": Operation.CREATE,
    "update": Operation.UPDATE,
    "replace": Operation.REPLACE,
    "create-replacement": Operation.REPLACE,
    "delete": Operation.DELETE,
    "same": Operation.SAME,
}


class PulumiStack:
    """One stack of the Pulumi CLI. Each method raises DeploymentError when it cannot start or go on."""

    def __init__(self, project: Path, name: str) -> None:
        self._project = project
        self._name = name

    def preview(self, report: Report) -> Outcome:
        """Say what `up` would do."""
        return self._run("preview", report)

    def up(self, report: Report) -> Outcome:
        """Make the stack what the program says."""
        return self._run("up", report)

    def destroy(self, report: Report) -> Outcome:
        """Remove all of the stack's resources."""
        return self._run("destroy", report)

    def outputs(self) -> dict[str, Any]:
        """Return the stack's outputs by name."""
        return {name: output.value for name, output in self._selected().outputs().items()}

    def secret_outputs(self) -> frozenset[str]:
        """Return the names of outputs that are secret."""
        return frozenset(name for name, output in self._selected().outputs().items() if output.secret)

    def resources(self) -> list[dict[str, Any]]:
        """Return type, name, id, inputs and outputs of each resource, secrets in the clear."""
        deployment = self._selected().export_stack().deployment or {}
        return [
            {
                "type": resource["type"],
                "name": resource["urn"].rpartition("::")[2],
                "id": resource.get("id", ""),
                "inputs": _plain(resource.get("inputs", {})),
                "outputs": _plain(resource.get("outputs", {})),
            }
            for resource in deployment.get("resources", [])
        ]

    def set_secret(self, path: tuple[str, ...], value: str) -> None:
        """Keep a secret value, encrypted, in the stack's configuration."""
        self._selected(create=True).set_config(
            ".".join(path), automation.ConfigValue(value=value, secret=True), path=True
        )

    def _selected(self, *, create: bool = False) -> automation.Stack:
        choose = automation.create_or_select_stack if create else automation.select_stack
        try:
            return choose(stack_name=self._name, work_dir=str(self._project))
        except FileNotFoundError as error:
            raise DeploymentError(
                "the Pulumi CLI is not installed, and this stack's target is the real cloud. Install it as"
                " pulumi.com/docs/install says, or set target to sandbox."
            ) from error
        except automation.StackNotFoundError as error:
            raise DeploymentError(
                f"stack {self._name} is not deployed; ./ops up {self._name} does that."
            ) from error
        except automation.CommandError as error:
            raise DeploymentError(_last_lines(str(error))) from error

    def _run(self, verb: str, report: Report) -> Outcome:
        stack = self._selected(create=verb != "destroy")
        run = _Run(report, planning=verb == "preview")
        # Read as events: what the CLI prints for people is not for programs.
        silent: dict[str, Any] = {"on_output": lambda _: None, "on_event": run.take}
        try:
            match verb:
                case "preview":
                    stack.preview(**silent)
                case "up":
                    stack.up(**silent)
                case _:
                    stack.destroy(**silent)
        except automation.ConcurrentUpdateError as error:
            raise DeploymentError(
                f"another run holds stack {self._name}; wait for it to end, or `pulumi cancel` one that died."
            ) from error
        except automation.CommandError as error:
            if not run.failures:
                raise DeploymentError("\n".join(run.errors) or _last_lines(str(error))) from error
        outputs = {} if verb != "up" or run.failures else self.outputs()
        hidden = self.secret_outputs() if outputs else frozenset()
        return Outcome(
            tuple(run.steps),
            tuple(run.failures),
            {name: value for name, value in outputs.items() if name not in hidden},
            tuple(run.warnings),
        )


class _Run:
    """Turns the engine's events into ours."""

    def __init__(self, report: Report, *, planning: bool) -> None:
        self._report = report
        self._planning = planning
        self._begun: dict[str, tuple[Step, float]] = {}
        self.steps: list[Step] = []
        self.failures: list[tuple[Step, str]] = []
        self.errors: list[str] = []
        self.warnings: list[str] = []

    def take(self, event: events.EngineEvent) -> None:
        if event.resource_pre_event:
            self._start(event.resource_pre_event.metadata)
        elif event.res_outputs_event:
            self._end(event.res_outputs_event.metadata, Happening.DONE)
        elif event.res_op_failed_event:
            self._end(event.res_op_failed_event.metadata, Happening.FAILED)
        elif event.diagnostic_event:
            self._say(event.diagnostic_event)

    def _start(self, metadata: events.StepEventMetadata) -> None:
        step = _step(metadata)
        if step is None:
            return
        self.steps.append(step)
        if self._planning:
            self._report(Event(Happening.PLANNED, step))
        elif step.operation is not Operation.SAME:
            self._begun[metadata.urn] = (step, time.monotonic())
            self._report(Event(Happening.STARTED, step))

    def _end(self, metadata: events.StepEventMetadata, happening: Happening) -> None:
        step, began = self._begun.pop(metadata.urn, (None, 0.0))
        if step is None:
            return
        text = ""
        if happening is Happening.FAILED:
            text = "\n".join(self.errors) or "it failed"
            self.failures.append((step, text))
        self._report(Event(happening, step, text, time.monotonic() - began))

    def _say(self, diagnostic: events.DiagnosticEvent) -> None:
        text = diagnostic.message.rstrip()
        if diagnostic.severity == "error":
            self.errors.append(text)
        if diagnostic.severity == "warning" and not diagnostic.ephemeral:
            self.warnings.append(text)
        step, _ = self._begun.get(diagnostic.urn or "", (None, 0.0))
        if step is not None and text and diagnostic.severity != "error":
            self._report(Event(Happening.OUTPUT, step, text))


def _step(metadata: events.StepEventMetadata) -> Step | None:
    operation = _OPERATIONS.get(str(metadata.op.value if hasattr(metadata.op, "value") else metadata.op))
    # A component is no more than the sum of its children.
    if operation is None or not metadata.provider or metadata.type.startswith("pulumi:"):
        return None
    return Step(
        operation,
        metadata.type.rpartition(":")[2],
        metadata.urn.rpartition("::")[2],
        tuple(metadata.diffs or ()),
    )


def _plain(tree: Any) -> Any:
    if isinstance(tree, dict):
        if _SIGNATURE in tree and "plaintext" in tree:
            return _plain(json.loads(tree["plaintext"]))
        return {key: _plain(value) for key, value in tree.items()}
    if isinstance(tree, list):
        return [_plain(value) for value in tree]
    return tree


def _last_lines(text: str) -> str:
    return "\n".join([line for line in text.splitlines() if line.strip()][-20:])
