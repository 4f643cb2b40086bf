"""The provider `command` of a sandbox: remote commands and copies over real SSH (pulumi-command 1.2)."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, TypeVar

import ssh
from sandbox import provider_facts, values
from sandbox.errors import SandboxError
from sandbox.resources import Kind, Made, Say
from sandbox.state import Entry

# The provider's own: ten tries, about 7.5 s where connections are refused.
DIAL_ATTEMPTS = 10
DEFAULT_SECONDS = 300.0

_T = TypeVar("_T")


def kinds() -> dict[str, Kind]:
    """Return the kinds of resources."""
    return {
        provider_facts.COMMAND: Kind(
            replaces=provider_facts.replaces(provider_facts.COMMAND),
            new_id=lambda token: f"command-{token[:12]}",
            create=_run,
            update=_run_update,
            delete=_run_delete,
            update_gives_new_outputs=True,
        ),
        provider_facts.COPY: Kind(
            replaces=provider_facts.replaces(provider_facts.COPY),
            new_id=lambda token: f"copy-{token[:12]}",
            create=_copy,
            update=_copy_update,
            delete=lambda _entry, _say: None,
        ),
    }


def _run(entry: Entry, say: Say, seconds: float | None) -> Made:
    return _execute(entry, "create", say, seconds)


def _run_update(_old: Entry, goal: Entry, say: Say, seconds: float | None) -> Made:
    return _execute(goal, "update" if "update" in goal.inputs else "create", say, seconds)


def _run_delete(entry: Entry, say: Say) -> None:
    if "delete" in entry.inputs:
        _execute(entry, "delete", say, None)


def _execute(entry: Entry, script: str, say: Say, seconds: float | None) -> Made:
    inputs = values.unwrapped(entry.inputs)
    if inputs.get("environment"):
        raise SandboxError("the sandbox does not pass an environment to remote commands; use stdin")

    def run(connection: ssh.Connection, left: float) -> ssh.Completed:
        return ssh.run(
            connection, inputs[script], stdin=inputs.get("stdin", "").encode(), seconds=left, say=say
        )

    completed = _connected(inputs["connection"], seconds, run)
    # What goes in secret comes out secret: the private key of the connection is among the inputs.
    wrap = values.secret if values.holds_secret(entry.inputs) else (lambda value: value)
    return Made({"stdout": wrap(completed.stdout), "stderr": wrap(completed.stderr)})


def _copy(entry: Entry, _say: Say, seconds: float | None) -> Made:
    inputs = values.unwrapped(entry.inputs)

    def copy(connection: ssh.Connection, left: float) -> None:
        ssh.copy(connection, values.asset_path(inputs["source"]), inputs["remotePath"], seconds=left)

    _connected(inputs["connection"], seconds, copy)
    return Made()


def _copy_update(old: Entry, goal: Entry, say: Say, seconds: float | None) -> Made:
    # As the provider: another connection alone copies nothing.
    if all(
        values.unwrapped(old.inputs.get(key)) == values.unwrapped(goal.inputs.get(key))
        for key in ("source", "remotePath")
    ):
        return Made(old.outputs)
    return _copy(goal, say, seconds)


def _connected(
    given: dict[str, Any], seconds: float | None, action: Callable[[ssh.Connection, float], _T]
) -> _T:
    """Do something over SSH once a server answers; it gets the connection and the seconds that are left."""
    if not given.get("hostKey"):
        raise SandboxError("a remote command without hostKey would trust any server; the sandbox refuses it")
    connection = ssh.Connection(
        host=given["host"],
        user=given.get("user", "root"),
        host_key=given["hostKey"],
        private_key=given.get("privateKey"),
        port=given.get("port", 22),
    )
    limit = given.get("dialErrorLimit", DIAL_ATTEMPTS)
    deadline = time.monotonic() + (seconds or DEFAULT_SECONDS)
    refused = 0
    while True:
        try:
            ssh.dial(connection, attempts=None if limit < 0 else limit, deadline=deadline)
            return action(connection, deadline - time.monotonic())
        except ssh.NotConnectedError as error:
            # A server that is booting may answer and then start its sshd anew.
            refused += 1
            if time.monotonic() > deadline or 0 <= limit <= refused:
                raise SandboxError(str(error)) from error
            time.sleep(0.5)
        except ssh.SshError as error:
            raise SandboxError(str(error)) from error
