"""Reaching a stack's server by SSH: where it is and which key opens it, from the stack's own record."""

from __future__ import annotations

from collections.abc import Callable

import ssh
from automation.stacks import Stack
from progress import DeploymentError


def connection(stack: Stack) -> ssh.Connection:
    """Return how to reach the stack's server: as the program's own remote commands do.

    Raises:
        DeploymentError: the stack has no server.
    """
    for resource in stack.resources():
        if resource["type"] == "command:remote:Command":
            given = resource["inputs"]["connection"]
            return ssh.Connection(
                host=given["host"],
                user=given["user"],
                host_key=given["hostKey"],
                private_key=given.get("privateKey"),  # None: the running ssh-agent has it
            )
    raise DeploymentError("the stack has no server that is ready; deploy it with ./ops up.")


def run(stack: Stack, command: str, say: Callable[[str], None] = lambda _line: None) -> str:
    """Run a command on the stack's server and return its standard output; `say` gets the lines of its stderr.

    Raises:
        DeploymentError: the server cannot be reached, or the command failed.
    """
    try:
        return ssh.run(connection(stack), command, seconds=300, say=say).stdout
    except ssh.SshError as error:
        raise DeploymentError(str(error)) from error
