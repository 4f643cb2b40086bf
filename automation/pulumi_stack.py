"""A stack that the Pulumi CLI runs, through its Automation API."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any

from pulumi import automation
from pulumi_alicloud import ecs
from semver import VersionInfo

from automation.drift import Rule
from automation.pulumi_cli import Cli
from automation.pulumi_errors import accounts_cause, explained, own_words, sentence, with_hint
from automation.pulumi_events import Events
from automation.pulumi_lookup import look_up
from components.asking import refusal
from progress import DeploymentError, Interrupted, Outcome, Report
from sandbox import configuration

_SIGNATURE = "4dabf18193072939515e22adb298388d"


class PulumiStack:
    """One stack of the Pulumi CLI. Each method raises DeploymentError when it cannot start or go on.

    The stack that a person has selected for their own `pulumi` commands stays selected.
    """

    def __init__(self, project: Path, name: str, say: Callable[[str], None] = lambda _line: None) -> None:
        self._project = project
        self._name = name
        self._say = say

    def preview(self, report: Report, *, refresh: bool = False) -> Outcome:
        """Say what `up` would do; `refresh` looks at what is really there first."""
        return self._run("preview", report, refresh=refresh)

    def up(self, report: Report, *, refresh: bool = False) -> Outcome:
        """Make the stack what the program says; `refresh` looks at what is really there first."""
        return self._run("up", report, refresh=refresh)

    def destroy(self, report: Report) -> Outcome:
        """Remove all of the stack's resources."""
        return self._run("destroy", report)

    def outputs(self) -> dict[str, Any]:
        """Return the stack's outputs by name."""
        return {name: output.value for name, output in self._outputs.items()}

    def secret_outputs(self) -> frozenset[str]:
        """Return the names of outputs that are secret."""
        return frozenset(name for name, output in self._outputs.items() if output.secret)

    def resources(self) -> list[dict[str, Any]]:
        """Return type, name, id, inputs and outputs of each resource, secrets in the clear."""
        with explained(self._name):
            deployment = self._stack().export_stack().deployment or {}
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

    def rules(self, group_id: str) -> list[Rule]:
        """Return the rules that a security group has in the cloud."""
        found: list[Rule] = []

        def question() -> None:
            for rule in ecs.get_security_group_rules(group_id=group_id).rules:
                found.append(
                    Rule(
                        rule.direction,
                        rule.policy,
                        rule.ip_protocol,
                        rule.port_range,
                        rule.source_cidr_ip or rule.dest_cidr_ip,
                        rule.priority,
                    )
                )

        with explained(self._name):
            config = self._stack().get_all_config()
            providers = {key: value for key, value in config.items() if key.startswith("alicloud:")}
            look_up(question, providers)
        return found

    def set_secret(self, path: tuple[str, ...], value: str) -> None:
        """Keep a secret value, encrypted, in the stack's configuration."""
        with explained(self._name):
            self._stack(create=True).set_config(
                ".".join(path), automation.ConfigValue(value=value, secret=True), path=True
            )

    def setting(self, key: str) -> str | None:
        """Return a key of the stack's configuration, a secret in the clear; None when it is not set."""
        with explained(self._name):
            found = self._stack().get_all_config().get(f"{configuration.project_name(self._project)}:{key}")
        return found.value if found else None

    @cached_property
    def _outputs(self) -> automation.OutputMap:
        with explained(self._name):
            return self._stack().outputs()

    def _stack(self, cli: Cli | None = None, *, create: bool = False) -> automation.Stack:
        cli = cli or Cli()
        self._check_version(cli)
        workspace = _Workspace(work_dir=str(self._project), pulumi_command=cli)
        choose = automation.Stack.create_or_select if create else automation.Stack.select
        return choose(self._name, workspace)

    def _check_version(self, cli: Cli) -> None:
        # The CLI looks at this range too, but the older ones, which it is for, do not know it.
        needed = VersionInfo.parse(
            configuration.project_document(self._project)["requiredPulumiVersion"].lstrip(">=")
        )
        if cli.version is not None and cli.version < needed:
            raise DeploymentError(
                f"the Pulumi CLI is version {cli.version}, and this project needs {needed} or newer; update it as"
                " pulumi.com/docs/install says."
            )

    def _run(self, verb: str, report: Report, *, refresh: bool = False) -> Outcome:
        with explained(self._name):
            cli = Cli(self._say)
            stack = self._stack(cli, create=verb != "destroy")
        if cli.signalled is not None:
            raise Interrupted
        run = Events(report, cli.interrupt, planning=verb == "preview")
        # Read as events: what the CLI prints for people is not for programs.
        outputs: automation.OutputMap = {}
        try:
            with explained(self._name):
                match verb:
                    case "preview":
                        stack.preview(on_event=run.take, refresh=refresh or None)
                    case "up":
                        outputs = stack.up(on_event=run.take, refresh=refresh or None).outputs
                    case _:
                        stack.destroy(on_event=run.take)
        except Interrupted:
            pass
        except DeploymentError as error:
            if cli.signalled is None and run.broken is None:
                self._end_of(run, error)
        # Asked by exit status alone, the CLI calls a `destroy` that was cancelled a success.
        if cli.signalled is not None:
            raise Interrupted
        if run.broken is not None:
            raise run.broken
        if cause := accounts_cause(run.failures):
            raise DeploymentError(cause)
        return Outcome(
            tuple(run.steps),
            tuple((step, with_hint(self._name, own_words(text.splitlines()))) for step, text in run.failures),
            {name: output.value for name, output in outputs.items() if not output.secret},
            tuple(with_hint(self._name, warning) for warning in run.warnings),
        )

    def _end_of(self, run: Events, error: DeploymentError) -> None:
        """Raise why a run ended early, unless the failures of its steps say so."""
        if run.failures:
            return
        if isinstance(error.__cause__, automation.ConcurrentUpdateError):
            raise error
        refused = run.refused()
        for _, text in refused:
            if cause := refusal(text):
                raise DeploymentError(cause) from error.__cause__
        told = [*run.errors, *(f"{name}: {text}" for name, text in refused)]
        raise (DeploymentError(sentence(self._name, "\n".join(told))) if told else error) from error.__cause__


class _Workspace(automation.LocalWorkspace):
    """A workspace that leaves the selected stack as it is: each command names its own."""

    @property
    def pulumi_version(self) -> str:  # type: ignore[override]  # a property there, too
        """Say that the CLI writes its events to a file, as it did up to here.

        It ends in the middle of a step when nobody takes them from it any more, as where this process is killed.
        """
        return "3.205.0"

    def select_stack(self, stack_name: str) -> None:
        """Fail when there is no such stack."""
        self._do("stack", "--stack", stack_name)

    def create_stack(self, stack_name: str) -> None:
        """Make the stack."""
        self._do("stack", "init", stack_name, "--no-select")

    def _do(self, *words: str) -> None:
        self.pulumi_command.run([*words], self.work_dir, self.env_vars)


def _plain(tree: Any) -> Any:
    if isinstance(tree, dict):
        if _SIGNATURE in tree and "plaintext" in tree:
            return _plain(json.loads(tree["plaintext"]))
        return {key: _plain(value) for key, value in tree.items()}
    if isinstance(tree, list):
        return [_plain(value) for value in tree]
    return tree
