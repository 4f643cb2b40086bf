"""A sandbox stack: what `up`, `preview` and `destroy` do with it."""

from __future__ import annotations

import ipaddress
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from automation.drift import Rule
from progress import DeploymentError, Outcome, Report
from sandbox import alicloud, command, configuration, tls, values
from sandbox.cloud import ADDRESSES_VARIABLE, DEFAULT_ADDRESSES, FOLDER_VARIABLE, Cloud, Place
from sandbox.errors import SandboxError
from sandbox.resources import Kinds
from sandbox.state import State, Status, locked

DEFAULT_REGION = "cn-hangzhou"


class SandboxStack:
    """One stack on this machine. Each method raises DeploymentError when it cannot start or go on."""

    def __init__(self, project: Path, name: str) -> None:
        self._project = project
        self._name = name
        self._root = Path(os.environ.get(FOLDER_VARIABLE, project / ".sandbox")).absolute()
        self._folder = self._root / name
        addresses = os.environ.get(ADDRESSES_VARIABLE)
        self._place = Place(
            self._folder, ipaddress.IPv4Network(addresses) if addresses else DEFAULT_ADDRESSES
        )

    def preview(self, report: Report, *, refresh: bool = False) -> Outcome:  # noqa: ARG002 - it always looks
        """Say what `up` would do."""
        settings = self._configuration()
        return self._run(settings, report, preview=True)

    def up(self, report: Report, *, refresh: bool = False) -> Outcome:  # noqa: ARG002 - it always looks
        """Make the stack what the program says; a run that was killed is continued."""
        settings = self._configuration()
        with self._locked():
            # What the program or a provider refuses comes first, before anything is touched: as with Pulumi, which
            # previews as well.
            planned = self._run(settings, _silent, preview=True)
            if planned.failures:
                return Outcome((), planned.failures, {}, planned.warnings)
            return self._run(settings, report, preview=False)

    def destroy(self, report: Report) -> Outcome:
        """Remove all of the stack from this machine, whether its record is whole or not."""
        if not self._folder.exists():
            return Outcome((), (), {})
        from sandbox.engine import Engine  # noqa: PLC0415 - as below

        with self._locked():
            state = State(self._folder)
            cloud = Cloud(self._place, DEFAULT_REGION)
            engine = Engine(state, _kinds(cloud), report, preview=False)
            engine.delete([*state.discarded, *state.entries.values()])
            if not engine.failures:
                cloud.remove_everything()
                shutil.rmtree(self._folder)
        if self._root.is_dir() and not any(self._root.iterdir()):
            self._root.rmdir()
        return Outcome(tuple(engine.steps), tuple(engine.failures), {})

    def outputs(self) -> dict[str, Any]:
        """Return the stack's outputs, secrets unwrapped."""
        return dict(values.unwrapped(self._state().outputs))

    def public_outputs(self) -> dict[str, Any]:
        """Return the stack's outputs by name, `[secret]` in place of what is secret."""
        outputs = self._state().outputs
        return {name: "[secret]" if values.holds_secret(value) else value for name, value in outputs.items()}

    def resources(self) -> list[dict[str, Any]]:
        """Return type, name, id, inputs and outputs of each resource, secrets unwrapped."""
        return [
            {
                "type": entry.type,
                "name": entry.name,
                "id": entry.id,
                "inputs": values.unwrapped(entry.inputs),
                "outputs": values.unwrapped(entry.outputs),
            }
            for entry in self._state().entries.values()
        ]

    def rules(self, group_id: str) -> list[Rule]:
        """Return the rules that a security group has in the cloud."""
        rules = Cloud(self._place, DEFAULT_REGION).rules(group_id)
        return [
            Rule(
                "ingress",
                rule.policy,
                rule.protocol,
                f"{rule.first_port}/{rule.last_port}",
                rule.source,
                rule.priority,
            )
            for rule in rules
        ]

    def set_secret(self, path: tuple[str, ...], value: str) -> None:
        """Keep a secret value, encrypted, in the stack's configuration."""
        configuration.set_secret(self._project, self._name, path, value, self._passphrase)

    def setting(self, key: str) -> str | None:
        """Return a key of the stack's configuration, a secret in the clear; None when it is not set."""
        return self._configuration().values.get(f"{configuration.project_name(self._project)}:{key}")

    @property
    def _passphrase(self) -> Path:
        return self._root / "passphrase"

    def _state(self) -> State:
        if not (self._folder / "state.json").exists():
            raise DeploymentError(f"stack {self._name} is not deployed; ./ops up {self._name} does that.")
        return State(self._folder)

    def _configuration(self) -> configuration.Configuration:
        return configuration.read(self._project, self._name, self._passphrase)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        self._root.mkdir(parents=True, exist_ok=True, mode=0o700)
        with locked(self._folder):
            yield

    def _run(self, settings: configuration.Configuration, report: Report, *, preview: bool) -> Outcome:
        # They load the SDK, which takes longer than all that the other commands do.
        from sandbox import program  # noqa: PLC0415
        from sandbox.engine import Engine  # noqa: PLC0415

        warnings: list[str] = []
        state = State(self._folder)
        cloud = Cloud(self._place, settings.values.get("alicloud:region", DEFAULT_REGION))
        try:
            if not preview:
                _resume(state, cloud)
            engine = Engine(state, _kinds(cloud), report, preview=preview)
            program.run(
                self._project,
                configuration.project_name(self._project),
                self._name,
                settings,
                engine,
                preview=preview,
                warn=warnings.append,
            )
            if not engine.failures:
                engine.delete_the_rest()
        except SandboxError as error:
            raise DeploymentError(str(error)) from error
        if not preview and not engine.failures:
            state.set_outputs(engine.outputs)
        return Outcome(
            tuple(engine.steps),
            tuple(engine.failures),
            values.public(engine.outputs),
            tuple(warnings),
        )


def _resume(state: State, cloud: Cloud) -> None:
    """Put right what happened to the instances since the last run: stopped ones start, lost ones are forgotten."""
    lost = set(cloud.resume())
    for entry in list(state.entries.values()):
        if entry.id in lost and entry.status is not Status.CREATING:
            # A new one gets a new id, and all that was done on the old one is done again.
            cloud.delete_instance(entry.id)
            state.forget(entry)


def _kinds(cloud: Cloud) -> Kinds:
    return Kinds({**alicloud.kinds(cloud), **tls.kinds(), **command.kinds()}, alicloud.data_sources(cloud))


def _silent(_event: object) -> None:
    """Report nothing."""
