"""Reaching a stack's server by SSH: where it is and which key opens it, from the stack's own record."""

from __future__ import annotations

import ssh
from automation.stacks import Stack
from components.server import ADMIN_USER
from progress import DeploymentError


def connection(stack: Stack) -> ssh.Connection:
    """Return how to reach the stack's server.

    Raises:
        DeploymentError: the stack has no server.
    """
    outputs = stack.outputs()
    if "address" not in outputs or "hostKey" not in outputs:
        raise DeploymentError("the stack has no server; deploy it with ./ops up.")
    return ssh.Connection(
        host=str(outputs["address"]),
        user=ADMIN_USER,
        host_key=str(outputs["hostKey"]),
        private_key=_admin_key(stack),
    )


def run(stack: Stack, command: str) -> str:
    """Run a command on the stack's server and return its standard output.

    Raises:
        DeploymentError: the server cannot be reached, or the command failed.
    """
    try:
        return ssh.run(connection(stack), command, seconds=120).stdout
    except ssh.SshError as error:
        raise DeploymentError(str(error)) from error


def _admin_key(stack: Stack) -> str | None:
    """The private key that the program uses itself: the one it made, the configured one, or None for the agent's."""
    for resource in stack.resources():
        if resource["type"] == "command:remote:Command":
            key: str | None = resource["inputs"]["connection"].get("privateKey")
            return key
    raise DeploymentError("the stack has no server that is ready; deploy it with ./ops up.")
