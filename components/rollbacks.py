"""What was done on a server by hand: an input of its release, so that `up` shows where host and state went apart."""

from __future__ import annotations

import time

import pulumi

import ssh
from components.server import ADMIN_USER, Server

# The release tool counts here each rollback that changed what serves.
COUNTER = "/var/lib/flask/rollbacks"
# A preview asks whoever waits for it; `up` may have restarted the server a moment ago (another instanceType).
PREVIEW_SECONDS = 10.0
UP_SECONDS = 120.0


def rollbacks(server: Server) -> pulumi.Output[str]:
    """Return how often a release of the server was rolled back, as text; unknown while the server is to be made.

    A rollback leaves the state with a release that no longer serves. The number then differs from the one that the
    release was made with, and the release is made anew: the tool serves it, or says that it was marked bad.
    """
    known = pulumi.Output.all(
        # Asked once the server is ready: before that it has nothing to say.
        ready=server.ready.stdout,
        host=server.address,
        host_key=server.host_key,
        private_key=server.admin_key,
    )
    return pulumi.Output.unsecret(
        known.apply(
            lambda values: asked(
                ssh.Connection(values["host"], ADMIN_USER, values["host_key"], values["private_key"])
            )
        )
    )


def asked(connection: ssh.Connection) -> str:
    """Ask the server; "unknown" when it cannot be reached, with a warning that says what follows."""
    preview = pulumi.runtime.is_dry_run()
    deadline = time.monotonic() + (PREVIEW_SECONDS if preview else UP_SECONDS)
    try:
        ssh.dial(connection, attempts=2 if preview else None, deadline=deadline)
        answer = ssh.run(
            connection, f"cat {COUNTER} 2>/dev/null || echo 0", seconds=deadline - time.monotonic()
        )
    except (ssh.SshError, OSError) as error:
        pulumi.log.warn(
            f"The server cannot be asked whether a release was rolled back ({error}); if it could be the last time,"
            " the release shows up as changed."
        )
        return "unknown"
    return answer.stdout.strip() or "0"
