"""Reaching a stack's server by SSH: where it is and which key opens it, from the stack's own record."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import ssh
from automation.stacks import Stack
from progress import DeploymentError

FLASK_RELEASE = "/opt/flask/bin/flask-release"
# Who the program logs in as (components/server.py).
ADMIN_USER = "root"
_LOOK = (
    "Was the server stopped or deleted? `./ops up STACK --refresh` looks, and starts or makes it again. Is your own"
    " address in adminCidrs?"
)
# Exit status of OpenSSH's client for its own failures.
SSH_FAILED = 255


def connection(stack: Stack) -> ssh.Connection:
    """Return how to reach the stack's server: as the program's own remote commands do.

    Raises:
        DeploymentError: the stack has no server.
    """
    resources = stack.resources()
    for resource in resources:
        if resource["type"] == "command:remote:Command":
            given = resource["inputs"]["connection"]
            return ssh.Connection(
                host=given["host"],
                user=given["user"],
                host_key=given["hostKey"],
                private_key=given.get("privateKey"),  # None: the running ssh-agent has it
            )
    return _unready(stack, resources)


def _unready(stack: Stack, resources: list[dict[str, Any]]) -> ssh.Connection:
    """How to reach a server of which no command is on record yet: the one that waited for it failed, say."""
    by_name = {str(resource["name"]): resource["outputs"] for resource in resources}
    address = next((of["publicIp"] for of in by_name.values() if of.get("publicIp")), None)
    host_key = _key(by_name, "-host-key").get("publicKeyOpenssh")
    if not address or not host_key:
        raise DeploymentError("the stack has no server; deploy it with ./ops up.")
    return ssh.Connection(
        host=address,
        user=ADMIN_USER,
        host_key=host_key.strip(),
        # Made by the program, or the person's own; neither: the running ssh-agent has it.
        private_key=_key(by_name, "-admin-key").get("privateKeyOpenssh") or stack.setting("privateKey"),
    )


def _key(by_name: dict[str, Any], suffix: str) -> dict[str, str]:
    return next((of for name, of in by_name.items() if name.endswith(suffix)), {})


@dataclass(frozen=True)
class Answer:
    """How a command on the server ended, and what it printed."""

    status: int
    stdout: str
    stderr: str


def ask(target: ssh.Connection, command: str, *, stdin: bytes = b"", seconds: float = 120) -> Answer:
    """Run a command whose failure is an answer, too.

    Raises:
        DeploymentError: the server cannot be reached, or does not answer within `seconds`.
    """
    with ssh.arguments(target) as arguments:
        try:
            done = subprocess.run(
                [*arguments, "--", command], input=stdin, capture_output=True, timeout=seconds, check=False
            )
        except subprocess.TimeoutExpired:
            raise DeploymentError(f"{target.host} did not answer within {seconds:.0f} s") from None
    stderr = done.stderr.decode(errors="replace").strip()
    if done.returncode == SSH_FAILED:
        raise DeploymentError(f"{target.host} cannot be reached by SSH: {stderr}. {_LOOK}")
    return Answer(done.returncode, done.stdout.decode(errors="replace"), stderr)


def hint(status: int) -> str | None:
    """Return what to do where OpenSSH's client, which said why itself, ended so; None: it did reach the server."""
    return _LOOK if status == SSH_FAILED else None


def run(stack: Stack, command: str, say: Callable[[str], None] = lambda _line: None) -> str:
    """Run a command on the stack's server and return its standard output; `say` gets the lines of its stderr.

    Raises:
        DeploymentError: the server cannot be reached, or the command failed.
    """
    try:
        return ssh.run(connection(stack), command, seconds=300, say=say).stdout
    except ssh.NotConnectedError as error:
        raise DeploymentError(f"{error} {_LOOK}") from error
    except ssh.SshError as error:
        raise DeploymentError(str(error)) from error
