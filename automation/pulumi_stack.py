"""A stack that the Pulumi CLI runs. Each of its runs costs a second or two: one does, where one is enough."""

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
from automation.pulumi_events import Events, followed
from automation.pulumi_lookup import look_up
from components.asking import refusal
from progress import DeploymentError, Interrupted, Outcome, Report
from sandbox import configuration, values

_SIGNATURE = "4dabf18193072939515e22adb298388d"
# What the CLI prints in place of a secret output.
_HIDDEN = "[secret]"
# As the Automation API runs them, which this is to the CLI. (Its own `up` would ask for the outputs, twice, and for the
# history as well.)
_VERBS = {
    "preview": ["preview"],
    "up": ["up", "--yes", "--skip-preview"],
    "destroy": ["destroy", "--yes", "--skip-preview"],
}


class PulumiStack:
    """One stack of the Pulumi CLI. Each method raises DeploymentError when it cannot start or go on.

    The stack that a person has selected for their own `pulumi` commands stays selected: each command names its own.
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
        if _HIDDEN not in json.dumps(self._shown):
            return self._shown
        return self._asked("stack", "output", "--json", "--show-secrets")

    def public_outputs(self) -> dict[str, Any]:
        """Return the stack's outputs by name, `[secret]` in place of what is secret; that takes no passphrase."""
        return self._shown

    def resources(self) -> list[dict[str, Any]]:
        """Return type, name, id, inputs and outputs of each resource, secrets in the clear."""
        deployment = self._asked("stack", "export", "--show-secrets").get("deployment") or {}
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

        config = {
            key: automation.ConfigValue(value=of["value"], secret=of["secret"])
            for key, of in self._config().items()
            if key.startswith("alicloud:")
        }
        with explained(self._name):
            look_up(question, config)
        return found

    def set_secret(self, path: tuple[str, ...], value: str) -> None:
        """Keep a secret value, encrypted, in the stack's configuration."""
        with explained(self._name):
            cli = self._checked(Cli())
            # The CLI takes one line's end off.
            cli.given = value.encode() + b"\n"
            self._made(cli, "config", "set", "--path", ".".join(path), "--secret")

    def setting(self, key: str) -> str | None:
        """Return a key of the stack's configuration, a secret in the clear; None when it is not set."""
        found = self._config().get(f"{configuration.project_name(self._project)}:{key}")
        return str(found["value"]) if found else None

    @cached_property
    def _shown(self) -> dict[str, Any]:
        return self._asked("stack", "output", "--json")

    def _config(self) -> dict[str, Any]:
        return self._asked("config", "--show-secrets", "--json")

    def _asked(self, *words: str) -> dict[str, Any]:
        """Return what the CLI answers in JSON."""
        with explained(self._name):
            answer: dict[str, Any] = json.loads(self._told(self._checked(Cli()), *words))
        return answer

    def _checked(self, cli: Cli) -> Cli:
        # The CLI looks at this range too, but the older ones, which it is for, do not know it.
        needed = VersionInfo.parse(
            configuration.project_document(self._project)["requiredPulumiVersion"].lstrip(">=")
        )
        if cli.version is not None and cli.version < needed:
            raise DeploymentError(
                f"the Pulumi CLI is version {cli.version}, and this project needs {needed} or newer; update it as"
                " pulumi.com/docs/install says."
            )
        return cli

    def _told(self, cli: Cli, *words: str) -> str:
        """Run one command on the stack, and return what it printed."""
        # The variable makes the option that events are written by.
        environment = {"PULUMI_DEBUG_COMMANDS": "true"}
        command, *rest = words
        return cli.run([command, "--stack", self._name, *rest], str(self._project), environment).stdout

    def _made(self, cli: Cli, *words: str) -> None:
        """Run one command on the stack, which is made where it is not there yet."""
        try:
            self._told(cli, *words)
        except automation.StackNotFoundError:
            cli.run(["stack", "init", self._name, "--no-select"], str(self._project), {})
            if cli.signalled is not None:
                raise Interrupted from None
            self._told(cli, *words)

    def _run(self, verb: str, report: Report, *, refresh: bool = False) -> Outcome:
        with explained(self._name):
            cli = self._checked(Cli(self._say))
        run = Events(report, cli.interrupt, planning=verb == "preview")
        start = self._told if verb == "destroy" else self._made
        words = [*_VERBS[verb], *(["--refresh"] if refresh else []), "--exec-kind", "auto.local"]
        try:
            # Read as events: what the CLI prints for people is not for programs.
            with explained(self._name), followed(run.take) as log:
                start(cli, *words, "--event-log", str(log))
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
            {} if run.failures else values.public(run.outputs),
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


def _plain(tree: Any) -> Any:
    if isinstance(tree, dict):
        if _SIGNATURE in tree and "plaintext" in tree:
            return _plain(json.loads(tree["plaintext"]))
        return {key: _plain(value) for key, value in tree.items()}
    if isinstance(tree, list):
        return [_plain(value) for value in tree]
    return tree
